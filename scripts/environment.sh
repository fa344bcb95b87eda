# Sourced by run_all.sh and run_tests.sh: makes .venv from requirements.lock when it is missing or
# stale, and puts it first on the PATH. Expects ROOT, the folder of the repository.

find_python() {
    local python
    for python in python3.11 python3.12 python3.13 python3; do
        if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "error: Python 3.11, 3.12 or 3.13 is needed and none of them is on the PATH" >&2
    return 1
}

if ! cmp -s "$ROOT/requirements.lock" "$ROOT/.venv/requirements.lock"; then
    PYTHON=$(find_python)
    "$PYTHON" "$ROOT/scripts/build_environment.py" "$ROOT"
fi
export PATH="$ROOT/.venv/bin:$PATH"
