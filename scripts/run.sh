#!/bin/sh
# Entry of every npm script: makes sure that the clone is set up, then runs one verb with the project's own Node.js.
set -eu
cd "$(dirname "$0")/.."
verb=$1
shift
sh scripts/setup.sh
exec sh scripts/node.sh "scripts/$verb.ts" "$@"
