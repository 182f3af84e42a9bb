//! Writes the manual pages and shell completions of weft and weftd into a folder.
//!
//!     cargo run -p weft-cli --example manuals -- FOLDER

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use std::io;
use std::path::Path;
use weft_vswitchd::process::options::Options;

#[path = "../src/args.rs"]
#[expect(dead_code, reason = "only the shape of the command line is looked at")]
mod args;

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1) else {
        return Err(io::Error::other("usage: manuals FOLDER"));
    };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let (mut weft, mut weftd) = (args::Args::command(), Options::command());
    for shell in SHELLS {
        generate_to(shell, &mut weft, "weft", folder)?;
        generate_to(shell, &mut weftd, "weftd", folder)?;
    }
    // One page for each command of weft; weftd has none, and is a daemon: section 8.
    clap_mangen::generate_to(weft, folder)?;
    let mut page = Vec::new();
    clap_mangen::Man::new(weftd).section("8").render(&mut page)?;
    std::fs::write(folder.join("weftd.8"), page)
}
