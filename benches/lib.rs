//! What is measured: a switch with its configuration and a supply of frames.
//!
//! Every case runs the whole pipeline, from the receive queue to the transmit queue of a back end
//! in plain memory.  Headers are written before the clock starts, so they are in the cache, as a
//! NIC's direct cache access leaves them.

mod bridge;
mod exchange;
mod fdb;
mod tunnels;

pub use exchange::{Workers, frames_per_sec};
pub use fdb::{FdbFigures, fdb_figures};
use std::net::Ipv4Addr;
use std::sync::Arc;
pub use tunnels::build_many;
use weft_io::HeapIo;
use weft_switch::mcast::Groups;
use weft_switch::{
    Batch, BridgeConf, BridgeId, Datapath, FrameIo, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole,
    Numbers, PortConf, PortId, Snapshot, SnapshotBuilder, Tick, WorkerId, pipeline,
};
use weft_wire::MacAddr;
use weft_wire::vid::Vid;

/// Frames in one round.
const ROUND_FRAMES: usize = 4096;
const UNDERLAY: LinkId = LinkId(15);

/// What a case may cost at most.
#[derive(Clone, Debug)]
pub enum Bar {
    /// So many cycles per frame.
    Cycles(f64),
    /// So many more than `l2_unicast/1_pair`.
    AboveL2(f64),
    /// So many times another case, named by its label.
    Times(String, f64),
}

impl Bar {
    /// The bar in cycles per frame, and in words.
    fn resolve(&self, rows: &[Row]) -> (f64, String) {
        let cycles = |label: &str| {
            rows.iter().find(|row| row.case == label).map_or(f64::NAN, |row| row.cycles)
        };
        match self {
            Self::Cycles(bar) => (*bar, format!("{bar}")),
            Self::AboveL2(more) => (cycles("l2_unicast/1_pair") + more, format!("L2 + {more}")),
            Self::Times(label, times) => {
                let case = label.split_once('/').map_or(label.as_str(), |(_, case)| case);
                (cycles(label) * times, format!("{times} x {case}"))
            }
        }
    }
}

/// One measurement.
pub struct Case {
    /// What is measured.
    pub stage: String,
    /// Under which circumstances.
    pub name: String,
    /// What it may cost, where there is a bar.
    pub bar: Option<Bar>,
    io: HeapIo,
    datapath: Datapath<<HeapIo as FrameIo>::Frame>,
    snapshot: Snapshot,
    batch: Batch<<HeapIo as FrameIo>::Frame>,
    link: LinkId,
    frames: Vec<Vec<u8>>,
    next: usize,
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// `stage/name`.
    pub case: String,
    /// TSC cycles per received frame.
    pub cycles: f64,
    /// The bar, if there is one.
    pub bar: Option<Bar>,
    /// Heap allocations in all rounds that were measured.
    pub allocations: usize,
}

impl Case {
    fn new(stage: String, name: String, bar: Option<Bar>, snapshot: Snapshot) -> Self {
        let mut datapath = Datapath::new(7, false, Numbers::default());
        datapath.adopt(&Snapshot::default(), &snapshot);
        let mut io = HeapIo::new(ROUND_FRAMES * 2).with_links(16);
        io.set_bench_mode(true);
        let (link, frames) = (LinkId(0), Vec::new());
        Self {
            stage,
            name,
            bar,
            io,
            datapath,
            snapshot,
            batch: Batch::new(),
            link,
            frames,
            next: 0,
        }
    }

    /// `stage/name`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.stage, self.name)
    }

    /// Lets the frames of the next round arrive.
    ///
    /// # Panics
    ///
    /// When a frame was lost.
    pub fn prepare_round(&mut self) {
        for _ in 0..ROUND_FRAMES {
            let frame = self.frames.get(self.next % self.frames.len()).map_or(&[][..], |f| f);
            self.next += 1;
            assert!(self.io.inject(self.link, frame), "no free frame: some were lost");
        }
    }

    /// Takes the round through the pipeline; returns its number of frames.
    pub fn run_round(&mut self) -> u64 {
        let mut done = 0;
        let queue = usize::from(self.link.0);
        loop {
            let link = self.io.rx(queue, &mut self.batch.frames);
            if self.batch.frames.is_empty() {
                return done;
            }
            done += self.batch.frames.len() as u64;
            let Self { io, datapath, snapshot, batch, .. } = self;
            pipeline::run(batch, link, datapath, snapshot, Tick(1), io);
            self.io.flush();
        }
    }

    /// Lets `link` hear from a station, so that it is known.
    fn teach(&mut self, link: LinkId, frame: &[u8]) {
        let (measured, frames) = (self.link, std::mem::take(&mut self.frames));
        self.link = link;
        self.io.inject(link, frame);
        self.run_round();
        (self.link, self.frames) = (measured, frames);
    }
}

fn mac(host: usize) -> [u8; 6] {
    MacAddr::from_u64(0x0200_0000_0000 + host as u64).0
}

/// A 64-byte frame, FCS not counted.
fn frame(source: usize, target: [u8; 6]) -> Vec<u8> {
    let mut bytes = [target, mac(source)].concat();
    bytes.extend([0x08, 0x00, 0x45, 0, 0, 50]);
    bytes.resize(64, 0);
    bytes
}

fn link_conf(role: LinkRole) -> LinkConf {
    LinkConf { role, mtu: 1500, completes_checksums: false, worker: WorkerId(0) }
}

/// A bridge with `ports` netdev ports.
fn bridge(ports: u16, stations: u32) -> SnapshotBuilder {
    let mut builder = SnapshotBuilder::new(1);
    let fdb_entries_max = (stations + 64).max(8192);
    builder.bridge(BridgeId(0), BridgeConf { fdb_entries_max, ..BridgeConf::default() });
    for id in 0..ports {
        let kind = IfaceKind::Link(LinkId(id));
        builder.port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), kind));
        builder.link(LinkId(id), link_conf(LinkRole::Iface(IfaceId(id))));
    }
    builder
}

/// Known unicast between `pairs` pairs of stations, in an order without pattern.
fn unicast(name: &str, pairs: usize, bar: Option<f64>) -> Case {
    let stations = u32::try_from(2 * pairs).unwrap_or(u32::MAX);
    let bar = bar.map(Bar::Cycles);
    let mut case =
        Case::new("l2_unicast".to_owned(), name.to_owned(), bar, bridge(2, stations).build());
    for pair in 0..pairs {
        case.teach(LinkId(1), &frame(2 * pair + 1, [0xff; 6]));
    }
    // A multiplier that shares no factor with the number of pairs visits all of them.
    let scattered = |n: usize| n * 7919 % pairs;
    case.frames = (0..pairs).map(scattered).map(|n| frame(2 * n, mac(2 * n + 1))).collect();
    case
}

/// A bridge that snoops multicast, with two members of 239.1.2.3 behind its first ports.
fn snooping(case: &mut Case) {
    let mut groups = Groups::default();
    let group = Ipv4Addr::new(239, 1, 2, 3).into();
    groups.set_members(Vid::UNTAGGED, group, [1, 2].map(PortId));
    groups.set_reports(None, []);
    case.datapath.snooping.set(BridgeId(0), Some(Arc::new(groups)));
}

/// Known unicast as in the first row, on a bridge that snoops: what snooping costs other frames.
fn unicast_while_snooping() -> Case {
    let mut case = unicast("1_pair_snooping", 1, None);
    snooping(&mut case);
    case
}

/// Data for a group with two members, on a bridge of nine ports.
fn group() -> Case {
    let mut case =
        Case::new("l2_group".to_owned(), "2_members_of_8".to_owned(), None, bridge(9, 2).build());
    snooping(&mut case);
    let mut data = frame(0, [0x01, 0, 0x5e, 1, 2, 3]);
    data.splice(16..18, [0, 50]);
    data.splice(30..34, [239, 1, 2, 3]);
    case.frames = vec![data];
    case
}

fn flood() -> Case {
    let mut case =
        Case::new("l2_flood".to_owned(), "8_ports".to_owned(), None, bridge(9, 2).build());
    case.frames = vec![frame(0, [0xff; 6])];
    case
}

/// Known unicast from one bridge to the next through a pair of patch ports.
fn patch() -> Case {
    let mut builder = bridge(1, 2);
    builder.bridge(BridgeId(1), BridgeConf::default());
    builder.port(PortId(1), PortConf::new(BridgeId(1), IfaceId(1), IfaceKind::Link(LinkId(1))));
    builder.link(LinkId(1), link_conf(LinkRole::Iface(IfaceId(1))));
    for (near, far, id) in [(2, 3, 0), (3, 2, 1)] {
        let kind = IfaceKind::Patch(Some(IfaceId(far)));
        builder.port(PortId(near), PortConf::new(BridgeId(id), IfaceId(near), kind));
    }
    let mut case = Case::new("patch".to_owned(), "forward".to_owned(), None, builder.build());
    case.teach(LinkId(1), &frame(1, [0xff; 6]));
    case.frames = vec![frame(0, mac(1))];
    case
}

/// All cases, in the order of the table.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        unicast("1_pair", 1, Some(100.0)),
        unicast("1000_pairs", 1000, None),
        unicast("100000_pairs", 100_000, Some(200.0)),
        unicast("500000_pairs", 500_000, None),
        unicast_while_snooping(),
        flood(),
        group(),
        patch(),
    ];
    cases.extend(bridge::cases());
    cases.extend(tunnels::cases());
    cases
}

/// Prints the table, and writes it to a file in the `target` folder.
///
/// # Panics
///
/// When the file cannot be written.
#[expect(clippy::expect_used, reason = "a benchmark whose figures are lost should say so")]
pub fn print_and_save(rows: &[Row], file: &str) {
    let base = rows.first().map_or(f64::NAN, |row| row.cycles);
    println!(
        "\n{:<32} {:>13} {:>24} {:>11} {:>14}",
        "case", "cycles/packet", "bar", "allocations", "x l2 1 pair"
    );
    let mut figures = Vec::new();
    for Row { case, cycles, bar, allocations } in rows {
        let (bar, words) = bar.as_ref().map(|bar| bar.resolve(rows)).unzip();
        let met = if bar.is_some_and(|bar| *cycles > bar) { "missed: " } else { "" };
        let text = words.map_or_else(String::new, |words| format!("{met}<= {words}"));
        let ratio = cycles / base;
        println!("{case:<32} {cycles:>13.1} {text:>24} {allocations:>11} {ratio:>14.2}");
        figures.push(serde_json::json!({
            "case": case, "value": (cycles * 10.0).round() / 10.0, "unit": "cycles/packet",
            "ratio": (ratio * 100.0).round() / 100.0, "peer": "l2_unicast/1_pair",
            "bar": bar, "allocations": allocations,
        }));
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::fs::create_dir_all(&folder).expect("the target folder can be made");
    let text = serde_json::to_string_pretty(&figures).expect("figures are plain numbers");
    std::fs::write(folder.join(file), text + "\n").expect("the figures can be written");
    println!("\nfigures: target/{file}");
}
