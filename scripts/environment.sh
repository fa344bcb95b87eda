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

build_environment() {
    local python started=$SECONDS
    python=$(find_python)
    echo "environment: installing the pinned packages into .venv (once, a few minutes)" >&2
    rm -rf "$ROOT/.venv"
    if ! "$python" -m venv "$ROOT/.venv" >/dev/null; then
        rm -rf "$ROOT/.venv"
        echo "error: $python cannot make environments; on Debian: apt install python3-venv" >&2
        return 1
    fi
    # Two packages have no wheel: what builds them is pinned too, and comes first.
    install_locked -r <(sed -n '/^setuptools==/,/^[^ ]*==/{/^setuptools==/p;/^    --hash/p}' \
        "$ROOT/requirements.lock")
    install_locked --no-build-isolation -r "$ROOT/requirements.lock"
    "$ROOT/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation --no-index -e "$ROOT"
    cp "$ROOT/requirements.lock" "$ROOT/.venv/requirements.lock"
    echo "environment  $((SECONDS - started)) s" >&2
}

install_locked() {
    "$ROOT/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps "$@"
}

cmp -s "$ROOT/requirements.lock" "$ROOT/.venv/requirements.lock" || build_environment
export PATH="$ROOT/.venv/bin:$PATH"
