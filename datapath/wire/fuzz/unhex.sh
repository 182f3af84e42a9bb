#!/bin/sh
# Writes corpus/<target>/*.hex as bytes to target/corpus/<target>/.
set -eu
cd "$(dirname "$0")"
for file in corpus/*/*.hex; do
    out="target/${file%.hex}"
    mkdir -p "$(dirname "$out")"
    python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' <"$file" >"$out"
done
