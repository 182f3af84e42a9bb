#!/usr/bin/env bash
# Builds ebpf/prog into ebpf/loader/object/weft.bpf.o.  With --check: builds elsewhere and fails when
# the committed object is not byte for byte what the sources give.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
TOOLS=${WEFT_BPF_TOOLS:-$HOME/.cache/weft-bpf}
TARGET_DIR=${WEFT_BPF_TARGET_DIR:-$ROOT/target/bpf}
CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}
COMMITTED=$ROOT/ebpf/loader/object/weft.bpf.o
RECORD=$COMMITTED.toolchain
OUT=$COMMITTED
[ "${1:-}" = --check ] && OUT=$TARGET_DIR/weft.bpf.o

# Cargo puts the absolute path of its dependencies here into the hash that symbols carry, so the sources are
# built under one path everywhere.
SOURCES=/tmp/weft-bpf-sources
mkdir -p "$SOURCES" "$TARGET_DIR"
[ -O "$SOURCES" ] || { echo "$SOURCES belongs to somebody else" >&2; exit 1; }
exec 9>"$SOURCES/.lock"
flock 9
rm -rf "${SOURCES:?}"/{ebpf,datapath,Cargo.toml}
mkdir -p "$SOURCES"/{ebpf/prog,datapath/wire}
cp "$ROOT/Cargo.toml" "$SOURCES/"
cp -r "$ROOT/ebpf/abi" "$SOURCES/ebpf/abi"
cp -r "$ROOT"/datapath/wire/{Cargo.toml,src} "$SOURCES/datapath/wire/"
cp -r "$ROOT"/ebpf/prog/{Cargo.toml,Cargo.lock,src} "$SOURCES/ebpf/prog/"

flags=(
    '--cfg=bpf_target_arch="x86_64"'
    -Ctarget-cpu=v3
    -Cdebuginfo=2
    -Clink-arg=--btf
    "--remap-path-prefix=$SOURCES=/weft"
    "--remap-path-prefix=$CARGO_HOME/registry/src=/crates"
)
env -u RUSTUP_TOOLCHAIN -u RUSTFLAGS \
    PATH="$TOOLS/bin:/usr/bin:/bin" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_HOME="$CARGO_HOME" \
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; printf '%s' "${flags[*]}")" \
    /usr/bin/cargo build --release --locked --manifest-path "$SOURCES/ebpf/prog/Cargo.toml" \
    --target bpfel-unknown-none -Z build-std=core --target-dir "$TARGET_DIR"
# DWARF goes, .BTF and .BTF.ext stay.
llvm-strip-14 -g -o "$OUT" "$TARGET_DIR/bpfel-unknown-none/release/weft"

llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: //p')
made_with="$(/usr/bin/rustc -V); LLVM $llvm; $("$TOOLS/bin/bpf-linker" --version)"
if [ "${1:-}" != --check ]; then
    echo "$made_with" >"$RECORD"
elif [ "$made_with" != "$(cat "$RECORD")" ]; then
    # Debian moved on: the sources build, but the bytes cannot be compared.
    echo "toolchain differs: here '$made_with', committed object '$(cat "$RECORD")'"
elif cmp "$OUT" "$COMMITTED"; then
    echo "the committed eBPF object is up to date"
else
    echo "the committed eBPF object is stale: run ebpf/build.sh" >&2
    exit 1
fi
sha256sum "$OUT"
