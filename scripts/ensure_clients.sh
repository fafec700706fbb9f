#!/bin/sh
# Installs the client programs that conformance tests run: the AWS CLI version 2 and Node.js with npm.
#
# As root on Debian and Ubuntu they come from the distribution's packages.  Otherwise the tests
# that need them fail with a message that says how to install them or to leave those tests out.
set -eu

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

missing=""
case $(/usr/bin/aws --version 2>/dev/null || true) in
    aws-cli/2*) ;;
    *) missing="$missing awscli" ;;
esac
has node || missing="$missing nodejs"
has npm || missing="$missing npm"
[ -z "$missing" ] && exit 0

if [ "$(id -u)" != 0 ] || ! has apt-get; then
    say "note: not installed, and not installable from here:$missing"
    exit 0
fi
say "installing$missing (apt-get)"
apt-get update -q >&2 || true
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2 ||
    say "note: the packages could not be installed; the tests that need them will say so"
