#!/usr/bin/env bash
# Installs the real servers and clients that the tests run against: Debian's packages, and FerretDB, a
# server of the MongoDB protocol over SQLite, built with the Go toolchain into a cache directory.
# Safe to run again, and quick then; needs root or sudo for what is missing.
set -euo pipefail

packages=(nginx-light wrk nghttp2-client chromium curl python3 netcat-openbsd openssl sqlite3 procps
  postgresql redis-server)

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive

install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # The tests start their own servers; system ones would only take ports.
  for service in nginx postgresql redis-server; do
    case " ${missing[*]} " in
      *" $service"*) "${as_root[@]}" "/etc/init.d/$service" stop >/dev/null 2>&1 || true ;;
    esac
  done
}

# The oldest Go that builds FerretDB.
go_is_new_enough() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' go1.22 "$version" | sort -V | head -n 1)" = go1.22 ]
}

find_go() {
  local candidate
  for candidate in go /usr/local/go/bin/go /usr/lib/go-1.2*/bin/go; do
    if command -v "$candidate" >/dev/null && go_is_new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

build_ferretdb() {
  local version=v1.24.0
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/skitai"
  local binary="$cache/ferretdb-$version"
  if [ ! -x "$binary" ]; then
    local go
    go=$(find_go) || { install_packages golang-go && go=$(find_go); } || {
      echo "FerretDB needs Go 1.22 or newer, which is not here: the tests of MongoDB cannot run" >&2
      return 0
    }
    mkdir -p "$cache"
    local work source
    work=$(mktemp -d "$cache/build.XXXXXX")
    (
      cd "$work"
      "$go" mod init services >/dev/null 2>&1
      source=$("$go" mod download -json "github.com/FerretDB/FerretDB@$version" |
        sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
      cp -r "$source" source
      chmod -R u+w source
      # The module proxy leaves out what the project's own build generates.
      echo "$version" >source/build/version/version.txt
      cd source
      "$go" build -trimpath -o ../ferretdb ./cmd/ferretdb
      # Complete or not at all, also when two runs meet.
      mv ../ferretdb "$binary"
    )
    rm -rf "$work"
  fi
  ln -sfn "$binary" "$cache/ferretdb"
}

install_packages "${packages[@]}"
build_ferretdb
