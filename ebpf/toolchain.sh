#!/usr/bin/env bash
# Installs what building ebpf/prog needs, and nothing when it is there: rustc, cargo and the matching
# library sources (Debian packages) and bpf-linker, linked to the same libLLVM as that rustc.
set -euo pipefail
LINKER_VERSION=0.13.0
TOOLS=${WEFT_BPF_TOOLS:-$HOME/.cache/weft-bpf}

packages=()
for package in rustc-web cargo-web rust-web-src llvm-14; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
done
if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
stamp="bpf-linker $LINKER_VERSION llvm-$llvm"
if [ "$(cat "$TOOLS/stamp" 2>/dev/null)" != "$stamp" ] || ! "$TOOLS/bin/bpf-linker" --version >/dev/null 2>&1; then
    # -lLLVM must be the very library that rustc uses; llvm-NN-dev is not needed for that.
    driver=$(ldd /usr/bin/rustc | awk '/librustc_driver/ {print $3}')
    so=$(ldd "$driver" | awk '/libLLVM/ {print $3}')
    mkdir -p "$TOOLS/llvm/lib"
    ln -sfn "$so" "$TOOLS/llvm/lib/libLLVM.so"
    LLVM_PREFIX=$TOOLS/llvm CARGO_PROFILE_RELEASE_DEBUG=0 cargo install --quiet --locked --force \
        bpf-linker --version "=$LINKER_VERSION" --no-default-features --features "llvm-$llvm" --root "$TOOLS"
    echo "$stamp" >"$TOOLS/stamp"
fi
echo "eBPF toolchain: $(/usr/bin/rustc -V); LLVM $llvm; $("$TOOLS/bin/bpf-linker" --version)"
