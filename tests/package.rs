//! The Debian package: built, installed over a stock switch, used, upgraded and removed, in a copy
//! of this system that is thrown away.

use std::path::Path;
use std::process::Command;
use weft_tests::{can_make_hosts, weftd_program};

#[test]
fn the_package_installs_works_upgrades_and_goes() {
    if !can_make_hosts() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let weftd = weftd_program();
    let target = Path::new(&weftd).parent().and_then(Path::parent).expect("target/release/weftd");
    let output = Command::new(here.join("package.sh")).arg(target).output().expect("bash(1)");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}
