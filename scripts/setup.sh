#!/bin/sh
# Sets up a fresh clone: npm packages, the socket addon, the bundle. Does nothing when nothing changed.
set -eu
cd "$(dirname "$0")/.."
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'fairlead: installing npm packages' >&2
  # Not `npm ci`: it refuses a lock file that lacks other platforms' optional packages. Versions are exact, integrity is in the lock file.
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi
exec sh scripts/node.sh scripts/build.ts --if-changed
