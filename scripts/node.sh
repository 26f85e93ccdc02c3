#!/bin/sh
# Runs the Node.js that npm installed with the project, whatever the machine has.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
for arch in x64 arm64; do
  node="$root/node_modules/node-linux-$arch/bin/node"
  if [ -x "$node" ] && "$node" --version >/dev/null 2>&1; then exec "$node" "$@"; fi
done
exec node "$@"
