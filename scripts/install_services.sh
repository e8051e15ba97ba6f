#!/usr/bin/env bash
# Installs the real servers and clients that the tests run against, from Debian's packages.
# Safe to run again; needs root or sudo.
set -euo pipefail

packages=(nginx-light wrk nghttp2-client chromium curl python3 netcat-openbsd openssl sqlite3 procps)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
# The tests start their own servers; a system one would only take ports.
if [ -x /etc/init.d/nginx ]; then "${as_root[@]}" /etc/init.d/nginx stop >/dev/null 2>&1 || true; fi
