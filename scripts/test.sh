#!/bin/sh
# Runs every check and every test: test.sh (after bootstrap.sh --dev and ensure_engine.sh)
#
# All parts run even when an early one fails, so that one run shows everything; the exit status
# says whether all passed, and pytest's closing line comes last.
set -u
cd "$(dirname "$0")/.."

# Tests start hundreds of processes.  Without this each of them would compile what it imports where
# bytecode is not to be written beside the source.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="${PYTHONPYCACHEPREFIX:-$PWD/.cache/bytecode}"

# shellcheck disable=SC2012
checked=$(ls -d src tests tools examples bench 2>/dev/null)
failed=""
part() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed="$failed $name"
}

# One engine, one set of host ports: tests on it run one after the other.  They wait most of the time,
# so everything else runs beside them, and yields the processor to them.
said=$(mktemp)
.venv/bin/pytest -q -m docker --ignore tests/soak >"$said" 2>&1 &
engine_tests=$!
engine_tests_result() {
    wait "$engine_tests"
    status=$?
    engine_tests=""
    cat "$said"
    return $status
}
# Whoever is interrupted takes away what it started; Ctrl-C on a terminal has told them all.
ended() {
    [ -z "$engine_tests" ] || kill -INT "$engine_tests" 2>/dev/null
    wait
    rm -f "$said"
}
trap ended EXIT
trap 'wait; engine_tests=""; exit 130' INT
trap 'exit 143' TERM

part ruff nice .venv/bin/ruff check $checked
part format nice .venv/bin/ruff format --check $checked
part mypy nice .venv/bin/mypy
part layers nice .venv/bin/lint-imports
part generated nice .venv/bin/python tools/generate_shapes.py --check
# Tests that take hours have a folder and a command of their own: make soak.
part tests nice .venv/bin/pytest -q -n 2 --dist worksteal -m 'not docker' --ignore tests/soak
part engine-tests engine_tests_result

if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
