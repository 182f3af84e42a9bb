//! `weft trace`: what the switch does with a frame, stage by stage.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use serde_json::Value;

use crate::args::TraceArgs;
use crate::error::{EXIT_OK, Error};
use crate::json::{items, member, text};
use crate::unixctl::Daemon;

/// Frames of one file that are traced, at most.
const FRAMES_MAX: usize = 10_000;

/// A frame to trace: its number in the file, and its bytes as hexadecimal digits.
type Frame = (Option<u64>, String);

/// Traces the frame of the command line, or those of a file.
///
/// # Errors
/// The daemon does not answer or knows no such port, the file cannot be read, or the output cannot
/// be written.
pub fn run(
    daemon: &Daemon,
    json: bool,
    options: &TraceArgs,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let (place, frames) = frames(options)?;
    for (number, digits) in frames {
        let mut params: Vec<&str> = place.iter().map(String::as_str).collect();
        params.push(&digits);
        params.extend(options.learn.then_some("--learn"));
        let trace = daemon.call("weft/trace", &params)?;
        let page = if json { format!("{trace}\n") } else { page(&trace, number) };
        out.write_all(page.as_bytes()).map_err(Error::Output)?;
    }
    Ok(EXIT_OK)
}

/// The words that say where, and what comes in there.
fn frames(options: &TraceArgs) -> Result<(&[String], Vec<Frame>), Error> {
    match (&options.pcap, options.words.as_slice()) {
        (None, [place @ .., digits]) if !place.is_empty() => {
            Ok((place, vec![(None, digits.clone())]))
        }
        (None, _) => Err(Error::Usage(
            "give a frame: weft trace [BRIDGE] PORT HEX, weft trace BRIDGE FLOW, or --pcap FILE",
        )),
        (Some(_), [_, _, _, ..]) => Err(Error::Usage("give either HEX or --pcap FILE, not both")),
        (Some(file), place) => {
            let all = read(file).map_err(|why| Error::Pcap { file: file.clone(), why })?;
            let numbered = (1..).zip(all);
            let frames: Vec<Frame> = numbered
                .filter(|(number, _)| options.number.is_none_or(|wanted| wanted == *number))
                .map(|(number, bytes)| (Some(number), hex(&bytes)))
                .collect();
            if frames.is_empty() {
                let why = match options.number {
                    Some(number) => format!("it has no frame {number}"),
                    None => "it has no frame".to_owned(),
                };
                return Err(Error::Pcap { file: file.clone(), why });
            }
            Ok((place, frames))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The frames of a capture file.
fn read(file: &Path) -> Result<Vec<Vec<u8>>, String> {
    let open = || File::open(file).map_err(|error| error.to_string());
    let no_ethernet = |link: DataLink| format!("its frames are no Ethernet ({link:?})");
    let mut frames = Vec::new();
    if let Ok(mut reader) = PcapReader::new(open()?) {
        let link = reader.header().datalink;
        if link != DataLink::ETHERNET {
            return Err(no_ethernet(link));
        }
        while let Some(packet) = reader.next_packet() {
            frames.push(packet.map_err(|error| error.to_string())?.data.into_owned());
            too_many(&frames)?;
        }
        return Ok(frames);
    }
    let mut reader = PcapNgReader::new(open()?).map_err(|_| "it is neither pcap nor pcapng")?;
    while let Some(block) = reader.next_block() {
        match block.map_err(|error| error.to_string())? {
            Block::InterfaceDescription(interface) if interface.linktype != DataLink::ETHERNET => {
                return Err(no_ethernet(interface.linktype));
            }
            Block::EnhancedPacket(packet) => frames.push(packet.data.into_owned()),
            Block::SimplePacket(packet) => frames.push(packet.data.into_owned()),
            _ => {}
        }
        too_many(&frames)?;
    }
    Ok(frames)
}

fn too_many(frames: &[Vec<u8>]) -> Result<(), String> {
    if frames.len() > FRAMES_MAX {
        return Err(format!("it has more than {FRAMES_MAX} frames: cut it, or give -n"));
    }
    Ok(())
}

fn page(trace: &Value, number: Option<u64>) -> String {
    let mut page = String::new();
    if let Some(number) = number {
        let _ = writeln!(page, "frame {number}");
    }
    if let Value::String(outer) = member(trace, "outer") {
        let _ = writeln!(page, "underlay {}: {outer}", text(member(trace, "port")));
    }
    for hop in items(member(trace, "hops")) {
        let heading = match member(hop, "bridge") {
            Value::String(bridge) => {
                format!("bridge {bridge}, port {}", text(member(hop, "port")))
            }
            _ => "no port".to_owned(),
        };
        let _ = writeln!(page, "{heading}");
        for step in items(member(hop, "steps")) {
            let (stage, words) = (text(member(step, "stage")), text(member(step, "text")));
            let _ = writeln!(page, "  {stage:<8} {words}");
        }
    }
    let _ = writeln!(page, "actions: {}", text(member(trace, "actions")));
    page
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;
    use crate::args::{Args, Command};
    use crate::fake::FakeDaemon;

    fn options(words: &[&str]) -> TraceArgs {
        let words = ["weft", "trace"].iter().chain(words);
        match Args::try_parse_from(words).unwrap().command {
            Command::Trace(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stages_are_lines_under_their_bridge() {
        let fake = FakeDaemon::answering(|method, params| {
            assert_eq!((method, params), ("weft/trace", &json!(["br0", "p1", "aabb", "--learn"])));
            let steps =
                json!([{"stage": "parse", "text": "a > b"}, {"stage": "egress", "text": "p2"}]);
            let hops = json!([{"bridge": "br0", "port": "p1", "vlan": 0, "steps": steps}]);
            json!({"result": {"port": "p1", "outer": null, "hops": hops, "actions": "p2"}, "error": null})
        });
        let mut out = Vec::new();
        run(&fake.daemon(), false, &options(&["--learn", "br0", "p1", "aabb"]), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "bridge br0, port p1\n  parse    a > b\n  egress   p2\nactions: p2\n"
        );
    }

    #[test]
    fn a_frame_is_needed_and_only_one_source_of_it() {
        let why = |words: &[&str]| frames(&options(words)).map(|_| ()).unwrap_err().to_string();
        assert!(why(&["p1"]).starts_with("give a frame"));
        assert!(why(&["br0", "p1", "aa", "--pcap", "f"]).contains("not both"));
        assert!(why(&["p1", "--pcap", "/nonexistent"]).starts_with("cannot read /nonexistent: "));
    }

    #[test]
    fn frames_of_a_file_have_numbers() {
        use pcap_file::pcap::{PcapPacket, PcapWriter};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pcap");
        let mut writer = PcapWriter::new(File::create(&file).unwrap()).unwrap();
        for byte in 1..=3_u8 {
            let at = std::time::Duration::ZERO;
            writer.write_packet(&PcapPacket::new(at, 2, &[byte, 0xff])).unwrap();
        }
        drop(writer);
        let name = file.to_str().unwrap();
        let of = |words: &[&str]| frames(&options(words)).map(|(_, frames)| frames);
        assert_eq!(of(&["p1", "--pcap", name]).unwrap().len(), 3);
        let second = of(&["p1", "--pcap", name, "-n", "2"]).unwrap();
        assert_eq!(second, [(Some(2), "02ff".to_owned())]);
        let error = of(&["p1", "--pcap", name, "-n", "4"]).unwrap_err().to_string();
        assert!(error.ends_with("it has no frame 4"), "{error}");
        std::fs::write(&file, "nonsense that is long enough for a header").unwrap();
        let error = of(&["p1", "--pcap", name]).unwrap_err().to_string();
        assert!(error.ends_with("neither pcap nor pcapng"), "{error}");
    }
}
