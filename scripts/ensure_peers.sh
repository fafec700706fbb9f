#!/bin/sh
# Fetches what `make bench-edge` measures with and against: wrk, nginx and HAProxy.
#
# Debian's and Ubuntu's packages are unpacked into .venv-bench/debian and not installed: no service
# starts, and nothing outside of this folder changes.  Programs that the machine has are used as
# they are.  What is missing in the end is left out of the benchmark, which says so.
set -eu

say() { printf '%s\n' "$*" >&2; }
has() { PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null 2>&1; }

folder="$(cd "$(dirname "$0")/.." && pwd)/.venv-bench/debian"
packages=""
has wrk || packages="$packages wrk libluajit-5.1-2"
has nginx || packages="$packages nginx"
has haproxy || packages="$packages haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1"
[ -z "$packages" ] && exit 0
[ -e "$folder/complete" ] && exit 0
if ! has apt-get || ! has dpkg; then
    say "note: not installed, and not to be had from here:$packages"
    exit 0
fi
say "fetching$packages (apt-get download)"
mkdir -p "$folder/packages"
for package in $packages; do
    (cd "$folder/packages" && apt-get download -q "$package" >/dev/null 2>&1) || say "note: no package $package"
done
for file in "$folder/packages"/*.deb; do
    [ -e "$file" ] && dpkg -x "$file" "$folder"
done
rm -rf "$folder/packages"
touch "$folder/complete"
