#!/usr/bin/env bash
# Run the tests: ./run_tests.sh [pytest options]; -m "not slow" leaves the run of the report out.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$ROOT/scripts/environment.sh"
cd "$ROOT"
exec python -m pytest "$@"
