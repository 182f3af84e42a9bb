#!/usr/bin/env bash
# Moves the debug information of an installed program into a file of its own, which the program names:
#   control/deb/split.sh PROGRAM DEBUG_FILE
set -euo pipefail
install -d "$(dirname "$2")"
objcopy --only-keep-debug "$1" "$2"
chmod 644 "$2"
strip --strip-unneeded "$1"
objcopy --add-gnu-debuglink="$2" "$1"
