//! Says where the eBPF object is: the committed one, or the one that `WEFT_BPF_OBJ` names.
#![expect(clippy::expect_used, reason = "a build script fails by panicking")]

use std::{env, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=WEFT_BPF_OBJ");
    let object = env::var_os("WEFT_BPF_OBJ").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("object/weft.bpf.o"),
        PathBuf::from,
    );
    let object = object.canonicalize().expect("eBPF object (ebpf/build.sh makes it)");
    println!("cargo::rerun-if-changed={}", object.display());
    println!("cargo::rustc-env=WEFT_BPF_OBJ_PATH={}", object.display());
}
