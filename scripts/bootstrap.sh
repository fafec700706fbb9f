#!/bin/sh
# Makes .venv with what OpenECS needs, from the lock file: bootstrap.sh [--dev]
#
# Needs Python 3.11 or newer with its venv module.  As root on Debian and Ubuntu a missing venv
# module is installed; otherwise the message says what to install.  Nothing outside the
# repository is changed apart from that.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if has "$name" && new_enough "$name"; then
            "$name" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    return 1
}

apt_install() {
    say "installing $* (apt-get)"
    # An old list of packages is the usual reason for a first failure.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 && return 0
    apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

if ! python=$(find_python); then
    if is_root && has apt-get && apt_install python3 python3-venv && python=$(find_python); then
        :
    else
        fail "OpenECS needs Python 3.11 or newer. Debian 12, Debian 13 and Ubuntu 24.04 have it:
       apt-get install python3 python3-venv     (as root), then run this again."
    fi
fi

if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if is_root && has apt-get; then
        apt_install "python$version-venv" || fail "python$version-venv could not be installed; see above."
    else
        fail "Python's venv module is missing. Install it and run this again:
       apt-get install python$version-venv     (as root)"
    fi
fi

# uv lives in an environment of its own, so that syncing .venv to the lock file never touches it.
uv=.venv-tools/bin/uv
if ! [ -x "$uv" ] || [ "$("$uv" --version | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    say "setting up uv $UV_VERSION"
    "$python" -m venv --clear .venv-tools
    .venv-tools/bin/python -m pip install -q --disable-pip-version-check "uv==$UV_VERSION" >&2 ||
        fail "uv could not be installed. Is there a way to a Python package index? (pip install uv==$UV_VERSION)"
fi

# --inexact: what is there beyond the wanted groups stays, so that 'make up' after 'make test' is quick.
case "${1-}" in
    --dev) groups=--dev ;;
    "") groups=--no-dev ;;
    *) fail "usage: $0 [--dev]" ;;
esac
UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 "$uv" sync --quiet --frozen --inexact "$groups" --python "$python"
