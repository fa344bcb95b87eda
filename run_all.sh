#!/usr/bin/env bash
# Rebuild the report: ./run_all.sh [--profile quick|standard|full] [--cores N] [--hmt-dir PATH]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$ROOT/scripts/environment.sh"
exec python -m xai_utils.run.pipeline "$@"
