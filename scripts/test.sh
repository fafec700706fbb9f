#!/bin/sh
# Runs every check and every test: test.sh (after bootstrap.sh --dev and ensure_engine.sh)
#
# All parts run even when an early one fails, so that one run shows everything; the exit status
# says whether all passed, and pytest's closing line comes last.
set -u
cd "$(dirname "$0")/.."

# shellcheck disable=SC2012
checked=$(ls -d src tests tools examples bench 2>/dev/null)
failed=""
part() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed="$failed $name"
}

part ruff .venv/bin/ruff check $checked
part format .venv/bin/ruff format --check $checked
part mypy .venv/bin/mypy
part layers .venv/bin/lint-imports
part generated .venv/bin/python tools/generate_shapes.py --check
# Tests that take hours have a folder and a command of their own: make soak.
part tests .venv/bin/pytest -q -n 2 --dist worksteal -m 'not docker' --ignore tests/soak
# One engine, one set of host ports: tests on it run one after the other.
part engine-tests .venv/bin/pytest -q -m docker --ignore tests/soak

if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
