#!/bin/sh
# Fuzzes one target with libFuzzer and the stable compiler, from its committed corpus:
#   sh datapath/fuzz.sh datapath/switch decap [SECONDS]
#   sh datapath/fuzz.sh datapath/wire gre [SECONDS]
#   sh datapath/fuzz.sh control/ovsdb transact [SECONDS]
#   sh datapath/fuzz.sh control/openflow request [SECONDS]
# What fails is in <crate>/fuzz/artifacts, what reached something new in <crate>/fuzz/target/corpus; each crate
# says where such inputs are kept.
set -eu
crate=$1 target=$2 seconds=${3:-60}
cd "$(dirname "$0")/../$crate/fuzz"
mkdir -p "target/corpus/$target" artifacts
for file in "corpus/$target"/*.hex "../tests/corpus/$target"/*.hex; do
    [ ! -e "$file" ] || xxd -r -p "$file" "target/corpus/$target/$(basename "$file" .hex)"
done
# Texts, one in each line.
cat "corpus/$target/seeds.jsonl" 2>/dev/null | while read -r line; do
    number=$((${number:-0} + 1))
    printf '%s' "$line" >"target/corpus/$target/seed-$number"
done
# Recorded messages: one in each line, behind its direction.
cat ../tests/recordings/*.txt 2>/dev/null | sed -n 's/^[<>] //p' | while read -r line; do
    number=$((${number:-0} + 1))
    echo "$line" | xxd -r -p - "target/corpus/$target/recorded-$number"
done
# What earlier runs found: one input in each line.
cat "corpus/$target/found.txt" "../tests/corpus/$target/found.txt" 2>/dev/null | while read -r line; do
    number=$((${number:-0} + 1))
    echo "$line" | xxd -r -p - "target/corpus/$target/found-$number"
done
# What cargo-fuzz would set, less the sanitizer, which needs another compiler.
flags="-Cpasses=sancov-module -Cdebug-assertions -Coverflow-checks --cfg fuzzing"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$option"
done
host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}
RUSTFLAGS=$flags cargo build --release --target "$host" --bin "$target"
exec "$out/$host/release/$target" -max_total_time="$seconds" -max_len=2000 -timeout=20 \
    -artifact_prefix=artifacts/ "target/corpus/$target"
