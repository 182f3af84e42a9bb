#!/bin/sh
# Fuzzes one target with libFuzzer and the stable compiler, from its committed corpus:
#   sh datapath/fuzz.sh datapath/switch decap [SECONDS]
#   sh datapath/fuzz.sh datapath/wire gre [SECONDS]
# What it finds is in <crate>/fuzz/artifacts; each crate says where such inputs are kept.
set -eu
crate=$1 target=$2 seconds=${3:-60}
cd "$(dirname "$0")/../$crate/fuzz"
mkdir -p "target/corpus/$target" artifacts
for file in "corpus/$target"/*.hex "../tests/corpus/$target"/*.hex; do
    [ ! -e "$file" ] || xxd -r -p "$file" "target/corpus/$target/$(basename "$file" .hex)"
done
# What cargo-fuzz would set, less the sanitizer, which needs another compiler.
flags="-Cpasses=sancov-module -Cdebug-assertions -Coverflow-checks --cfg fuzzing"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}
RUSTFLAGS=$flags cargo build --release --target "$host" --bin "$target"
exec "$out/$host/release/$target" -max_total_time="$seconds" -max_len=2000 -timeout=5 \
    -artifact_prefix=artifacts/ "target/corpus/$target"
