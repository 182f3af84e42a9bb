#!/usr/bin/env bash
# Says at once that a command needs root, before anything is installed or built.
[ "$(id -u)" = 0 ] && exit 0
echo "$1 needs root: it makes network namespaces, and installs Debian packages where they are missing." >&2
echo "Nothing was done.  Try: sudo $1" >&2
exit 1
