#!/bin/sh
# Makes sure that a container engine answers: ensure_engine.sh
#
# When none does and we are root on Debian or Ubuntu, Docker Engine is installed from the
# distribution's packages and started: by the service manager where there is one, else directly.
# Not root: the message says what to do.  A running engine is never restarted or reconfigured.
set -eu

SOCKET=/var/run/docker.sock
LOG=/var/log/openecs-dockerd.log
WAIT_SECONDS=60

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

# Asks the engine for a sign of life, in Python because it is the one tool that is surely there.
answers() {
    "$(dirname "$0")/../.venv/bin/python" - <<'PYTHON'
import http.client, os, socket, sys
from urllib.parse import urlsplit

where = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
connection = http.client.HTTPConnection(where.hostname or "engine", where.port or 2375, timeout=5)
if where.scheme == "unix":
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
try:
    if where.scheme == "unix":
        connection.sock.connect(where.path)
    connection.request("GET", "/_ping")
    sys.exit(connection.getresponse().status != 200)
except PermissionError:
    sys.exit(13)
except OSError:
    sys.exit(1)
PYTHON
}

install_packages() {
    missing=""
    has dockerd || missing="$missing docker.io"
    has iptables || missing="$missing iptables"
    has nft || missing="$missing nftables"
    has ip || missing="$missing iproute2"
    # For the sample service's image.
    [ -x /bin/busybox ] || missing="$missing busybox-static"
    [ -z "$missing" ] && return 0
    has apt-get || fail "Please install:$missing. This script can do it only with apt-get."
    say "installing$missing (apt-get)"
    apt-get update -q >&2 || true
    # Installing must not start the service by itself where there is no service manager.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2 ||
        fail "The packages could not be installed; see above."
}

start_engine() {
    if [ -d /run/systemd/system ] && has systemctl; then
        say "starting docker (systemctl)"
        systemctl start docker >&2 && return 0
    fi
    if [ -e /var/run/docker.pid ] && kill -0 "$(cat /var/run/docker.pid)" 2>/dev/null; then
        say "a docker daemon is just starting"
        return 0
    fi
    say "starting dockerd (log: $LOG)"
    # A pid file of an earlier boot keeps dockerd from starting.
    rm -f /var/run/docker.pid
    setsid nohup dockerd >"$LOG" 2>&1 </dev/null &
}

status=0
answers || status=$?
if [ "$status" = 0 ]; then
    is_root && install_packages
    exit 0
fi
[ -z "${DOCKER_HOST-}" ] || fail "DOCKER_HOST is $DOCKER_HOST, but no engine answers there."
[ "$status" = 13 ] && fail "You may not use the container engine at $SOCKET. Add yourself to its group and log in again:
       sudo usermod -aG docker $(id -un)"
is_root || fail "No container engine answers at $SOCKET. Install and start one, then run this again:
       sudo apt-get install docker.io busybox-static
       sudo usermod -aG docker $(id -un)     (then log in again)
   or run 'make up' as root, which does it."
install_packages
start_engine
waited=0
until answers; do
    waited=$((waited + 1))
    [ "$waited" -le $((WAIT_SECONDS * 5)) ] || {
        [ -f "$LOG" ] && tail -n 15 "$LOG" >&2
        fail "The container engine did not answer within $WAIT_SECONDS seconds. Its log: $LOG or journalctl -u docker"
    }
    sleep 0.2
done
