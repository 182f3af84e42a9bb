//! Cases of tunnels: what an outer header costs, on and off, honest and hostile.

use crate::{Bar, Case, UNDERLAY, bridge, frame, link_conf, mac};
use std::net::IpAddr;
use weft_io::HeapIo;
use weft_switch::{
    Batch, BridgeId, Csum, Datapath, Encap, FrameIo, IfaceId, IfaceKind, InKey, LinkId, LinkRole,
    NextHop, Numbers, PortConf, PortId, Reach, Snapshot, Tick, TunnelConf, pipeline,
};
use weft_wire::{MacAddr, checksum, udp};

/// Tunnels of the large configurations.
const MANY: u16 = 4000;

/// One configuration to measure.
#[derive(Clone, Copy)]
struct Setup {
    encap: Encap,
    is_v6: bool,
    csum: bool,
    /// Bytes of the inner frame.
    bytes: usize,
}

impl Setup {
    const fn new(encap: Encap) -> Self {
        Self { encap, is_v6: false, csum: false, bytes: 64 }
    }

    fn ends(self) -> [IpAddr; 2] {
        let v4 = |last| IpAddr::from([192, 0, 2, last]);
        let v6 = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        if self.is_v6 { [v6(1), v6(2)] } else { [v4(1), v4(2)] }
    }

    fn kind(self) -> &'static str {
        match self.encap {
            Encap::Gre => "gre",
            Encap::Geneve { .. } => "geneve",
            Encap::Vxlan { .. } => "vxlan",
        }
    }

    fn name(self) -> String {
        let version = if self.is_v6 { "v6" } else { "v4" };
        let csum = if self.csum { "_csum" } else { "" };
        format!("{version}_{}_bytes{csum}", self.bytes)
    }

    /// The tunnel as one end (0 or 1) has it.
    fn tunnel(self, end: usize) -> TunnelConf {
        let [near, far] = self.ends();
        let (local, remote) = if end == 0 { (near, far) } else { (far, near) };
        let mut tunnel = TunnelConf::new(self.encap, Some(remote));
        tunnel.csum = if self.csum { Csum::On } else { Csum::Off };
        tunnel.reach = Reach::Ready(NextHop {
            link: UNDERLAY,
            source: local,
            source_mac: MacAddr(mac(9000 + end)),
            target_mac: MacAddr(mac(9001 - end)),
            mtu: 1600,
        });
        tunnel
    }

    fn snapshot(self, end: usize) -> Snapshot {
        snapshot([self.tunnel(end)])
    }

    /// The packet that the far end sends for `inner`.
    fn wrapped(self, inner: &[u8]) -> Vec<u8> {
        wrap(&self.snapshot(1), inner)
    }

    fn encap(self) -> Case {
        let bar = (self.bytes == 64).then_some(Bar::AboveL2(120.0));
        let mut case =
            Case::new(format!("{}_encap", self.kind()), self.name(), bar, self.snapshot(0));
        case.teach(UNDERLAY, &self.wrapped(&frame(1, [0xff; 6])));
        case.frames = vec![datagram(0, mac(1), self.bytes)];
        case
    }

    fn decap(self) -> Case {
        let bar = (self.bytes == 64).then_some(Bar::AboveL2(150.0));
        let stage = format!("{}_decap", self.kind());
        self.receive(stage, self.name(), bar, |packet| packet)
    }

    /// Receives packets that `change` was done to.
    fn receive(
        self,
        stage: String,
        name: String,
        bar: Option<Bar>,
        change: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> Case {
        let mut case = Case::new(stage, name, bar, self.snapshot(0));
        case.teach(LinkId(0), &frame(0, [0xff; 6]));
        case.link = UNDERLAY;
        case.frames = vec![change(self.wrapped(&datagram(1, mac(0), self.bytes)))];
        case
    }

    /// As many options as fit, the last of which nobody understands though it is critical: the
    /// worst case of the walk, beside that of options that are skipped.
    fn with_critical(self, options: impl Fn(Vec<u8>) -> Vec<u8>) -> Case {
        let bar = Some(Bar::Times("geneve_decap/v4_63_options".to_owned(), 2.0));
        let name = "geneve_63_options_critical".to_owned();
        self.receive("hostile".to_owned(), name, bar, |packet| set(options(packet), 50 + 250, 0x81))
    }

    /// Hostile packets: each kind may cost twice what a good one does.
    fn hostile(self, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Case {
        let good = format!("{}_decap/{}", self.kind(), self.name());
        let name = format!("{}_{name}", self.kind());
        self.receive("hostile".to_owned(), name, Some(Bar::Times(good, 2.0)), change)
    }
}

/// A bridge with one netdev port and these tunnels.
fn snapshot(tunnels: impl IntoIterator<Item = TunnelConf>) -> Snapshot {
    let mut builder = bridge(1, 2);
    for (id, tunnel) in (1..).zip(tunnels) {
        let kind = IfaceKind::Tunnel(Box::new(tunnel));
        builder.port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), kind));
    }
    builder.link(UNDERLAY, link_conf(LinkRole::Underlay));
    builder.build()
}

/// What a switch sends on its underlay for `inner`.
fn wrap(snapshot: &Snapshot, inner: &[u8]) -> Vec<u8> {
    let mut io = HeapIo::new(8).with_links(16);
    let mut datapath = Datapath::new(7, false, Numbers::default());
    datapath.adopt(&Snapshot::default(), snapshot);
    let mut batch = Batch::new();
    io.inject(LinkId(0), inner);
    let link = io.rx(0, &mut batch.frames);
    pipeline::run(&mut batch, link, &mut datapath, snapshot, Tick(1), &mut io);
    io.flush();
    io.take_sent(UNDERLAY).unwrap_or_default()
}

/// A UDP datagram in a frame of `bytes`, with right checksums.
fn datagram(source: usize, target: [u8; 6], bytes: usize) -> Vec<u8> {
    let field = |len: usize| u16::try_from(len).unwrap_or(0).to_be_bytes();
    let [ip, len] = [field(bytes - 14), field(bytes - 34)];
    let mut packet = [target, mac(source)].concat();
    packet.extend([
        8, 0, 0x45, 0, ip[0], ip[1], 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    let header_sum = packet.get(14..34).map_or(0, checksum::internet_checksum);
    put(&mut packet, 24, header_sum);
    packet.extend([0x30, 0x39, 0x00, 0x35, len[0], len[1], 0, 0]);
    packet.extend((packet.len()..bytes).map(|n| n.to_le_bytes()[0]));
    let segment = packet.get(34..).map_or(0, checksum::sum);
    let pseudo = checksum::pseudo_v4([10, 0, 0, 1], [10, 0, 0, 2], 17, u16::from_be_bytes(len));
    put(&mut packet, 34 + udp::CHECKSUM_OFFSET, checksum::finish_udp(segment + pseudo));
    packet
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

fn set(mut packet: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    if let Some(byte) = packet.get_mut(at) {
        *byte = value;
    }
    packet
}

const GENEVE: Encap = Encap::Geneve { udp_port: 6081 };
const VXLAN: Encap = Encap::Vxlan { udp_port: 4789 };

/// Tunnels to as many remote ends, or to one with as many keys; packets from all in turn.
fn many(name: &str, tunnels: Vec<TunnelConf>, senders: Vec<TunnelConf>) -> Case {
    let mut case = Case::new("vxlan_decap".to_owned(), name.to_owned(), None, snapshot(tunnels));
    case.teach(LinkId(0), &frame(0, [0xff; 6]));
    case.link = UNDERLAY;
    let inner = datagram(1, mac(0), 64);
    case.frames = senders.into_iter().map(|sender| wrap(&snapshot([sender]), &inner)).collect();
    case
}

/// The tunnel number `n` of `MANY`, at our end and at the other.
fn nth_remote(n: u16) -> [TunnelConf; 2] {
    let setup = Setup::new(VXLAN);
    let [high, low] = n.to_be_bytes();
    let remote = IpAddr::from([10, 1, high, low]);
    let mut sender = setup.tunnel(1);
    if let Reach::Ready(hop) = &mut sender.reach {
        hop.source = remote;
    }
    let mut ours = setup.tunnel(0);
    ours.remote = Some(remote);
    [ours, sender]
}

fn nth_key(n: u16) -> [TunnelConf; 2] {
    let setup = Setup::new(VXLAN);
    [0, 1].map(|end| {
        let mut tunnel = setup.tunnel(end);
        (tunnel.in_key, tunnel.out_key) = (InKey::Exact(n.into()), Some(n.into()));
        tunnel
    })
}

fn many_cases() -> Vec<Case> {
    let of = |nth: fn(u16) -> [TunnelConf; 2], count: u16| -> (Vec<_>, Vec<_>) {
        (0..count).map(|n| nth(n).into()).unzip()
    };
    let (remotes, senders) = of(nth_remote, MANY);
    let (keys, key_senders) = of(nth_key, 1000);
    vec![many("4000_remotes", remotes, senders), many("1000_keys", keys, key_senders)]
}

/// A snapshot with `MANY` tunnels, to be built under the clock.
#[must_use]
pub fn build_many() -> (Snapshot, u16) {
    (
        snapshot((0..MANY).map(|n| {
            let [ours, _] = nth_remote(n);
            ours
        })),
        MANY,
    )
}

fn hostile_cases() -> Vec<Case> {
    let (gre, geneve, vxlan) = (Setup::new(Encap::Gre), Setup::new(GENEVE), Setup::new(VXLAN));
    let long = Setup { csum: true, bytes: 1400, ..vxlan };
    let options = |mut packet: Vec<u8>| {
        // 252 bytes of options of 4 bytes each: as many as fit.
        put(&mut packet, 16, 20 + 8 + 8 + 252 + 64);
        put(&mut packet, 38, 8 + 8 + 252 + 64);
        put(&mut packet, 24, 0);
        let sum = packet.get(14..34).map_or(0, checksum::internet_checksum);
        put(&mut packet, 24, sum);
        let mut packet = set(packet, 42, 63);
        packet.splice(50..50, (0..63).flat_map(|_| [1, 1, 1, 0]));
        packet
    };
    let tags = |mut packet: Vec<u8>| {
        packet.splice(62..62, (0..9).flat_map(|_| [0x81, 0, 0, 5]));
        packet.truncate(14 + 36 + 64);
        packet
    };
    vec![
        gre.hostile("bad_flags", |packet| set(packet, 34, 0x40)),
        gre.hostile("foreign_source", spoof),
        geneve.receive("geneve_decap".to_owned(), "v4_63_options".to_owned(), None, options),
        geneve.with_critical(options),
        geneve.hostile("control", |packet| set(packet, 43, 0x80)),
        vxlan.hostile("no_vni_flag", |packet| set(packet, 42, 0)),
        vxlan.hostile("foreign_source", spoof),
        vxlan.hostile("fragment", |packet| spoof(set(packet, 20, 0x20))),
        vxlan.hostile("tags", tags),
        long.hostile("bad_checksum", |packet| set(packet, 600, 0xee)),
    ]
}

/// Another outer source, with the right header checksum.
fn spoof(packet: Vec<u8>) -> Vec<u8> {
    let mut packet = set(packet, 29, 99);
    put(&mut packet, 24, 0);
    let sum = packet.get(14..34).map_or(0, checksum::internet_checksum);
    put(&mut packet, 24, sum);
    packet
}

/// All of them, in the order of the table.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for encap in [Encap::Gre, GENEVE, VXLAN] {
        for is_v6 in [false, true] {
            for csum in [false, true] {
                let setup = Setup { is_v6, csum, ..Setup::new(encap) };
                cases.extend([setup.encap(), setup.decap()]);
            }
        }
        let long = Setup { bytes: 1400, ..Setup::new(encap) };
        let mut summed = Setup { csum: true, ..long }.encap();
        summed.bar = Some(Bar::Times(format!("{}_encap/{}", long.kind(), long.name()), 1.2));
        cases.extend([long.encap(), summed, long.decap(), Setup { csum: true, ..long }.decap()]);
    }
    cases.extend(many_cases());
    cases.extend(hostile_cases());
    cases
}
