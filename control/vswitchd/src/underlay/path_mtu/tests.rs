use super::*;
use proptest::prelude::*;
use weft_wire::checksum;

const SOURCE: [u8; 4] = [192, 0, 2, 1];
const TARGET: [u8; 4] = [198, 51, 100, 2];

fn ipv4(protocol: u8, source: [u8; 4], target: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(source);
    packet.extend(target);
    packet.extend(payload);
    packet
}

/// "Fragmentation needed" from a router, about this packet.
fn needed(mtu: u16, quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8];
    IcmpHeader::fragmentation_needed(mtu).write(&mut message, quoted, 0).unwrap();
    message.extend(quoted);
    ipv4(1, [203, 0, 113, 9], SOURCE, &message)
}

fn too_big(mtu: u32, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut quoted = vec![0x60, 0, 0, 0, 5, 200, protocol, 64];
    quoted.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    quoted.extend("2001:db8:1::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
    quoted.extend(payload);
    let mut message = vec![0; 8];
    IcmpHeader::packet_too_big(mtu).write(&mut message, &quoted, 0).unwrap();
    message.extend(quoted);
    message
}

const GRE: &[u8] = &[0, 0, 0x65, 0x58];
const GRE_KEY_5: &[u8] = &[0x20, 0, 0x65, 0x58, 0, 0, 0, 5];
const GRE_CSUM_KEY_5: &[u8] = &[0xa0, 0, 0x65, 0x58, 1, 2, 0, 0, 0, 0, 0, 5];
/// Geneve with VNI 7 from port 40000.
const GENEVE_7: &[u8] = &[0x9c, 0x40, 0x17, 0xc1, 5, 200, 0, 0, 0, 0, 0x65, 0x58, 0, 0, 7, 0];

fn gre(key: Option<u32>) -> TunnelConf {
    let mut tunnel = TunnelConf::gre(IpAddr::from(TARGET));
    tunnel.out_key = key;
    tunnel
}

fn geneve(remote: IpAddr, vni: u32) -> TunnelConf {
    let mut tunnel = TunnelConf::new(Encap::Geneve { udp_port: 6081 }, Some(remote));
    tunnel.out_key = Some(vni);
    tunnel
}

fn v4(protocol: u8, payload: &[u8]) -> Option<Report> {
    Report::read_v4(&needed(1400, &ipv4(protocol, SOURCE, TARGET, payload)))
}

fn of(report: Option<Report>, tunnel: &TunnelConf) -> bool {
    report.unwrap().is_of(tunnel, IpAddr::from(SOURCE))
}

#[test]
fn a_report_belongs_to_the_tunnel_that_sent_the_packet() {
    assert_eq!(v4(47, GRE).unwrap().fate, Fate::TooBig(1400));
    assert!(of(v4(47, GRE), &gre(None)) && !of(v4(47, GRE), &gre(Some(5))));
    for quote in [GRE_KEY_5, GRE_CSUM_KEY_5] {
        assert!(of(v4(47, quote), &gre(Some(5))));
        assert!(!of(v4(47, quote), &gre(Some(6))) && !of(v4(47, quote), &gre(None)));
    }
    let target = IpAddr::from(TARGET);
    assert!(of(v4(17, GENEVE_7), &geneve(target, 7)));
    assert!(!of(v4(17, GENEVE_7), &geneve(target, 8)));
    assert!(!of(v4(17, GENEVE_7), &gre(None)) && !of(v4(47, GRE), &geneve(target, 7)));
    // A router that quotes eight bytes only is believed by ports and addresses.
    assert!(of(v4(17, &GENEVE_7[..8]), &geneve(target, 9)));
    assert!(of(v4(47, &GRE_CSUM_KEY_5[..8]), &gre(Some(9))));
}

#[test]
fn what_no_tunnel_sent_is_nobodys() {
    let report = v4(47, GRE).unwrap();
    assert!(!report.is_of(&gre(None), "192.0.2.77".parse().unwrap()), "another source");
    let other = TunnelConf::gre("198.51.100.3".parse().unwrap());
    assert!(!of(Some(report), &other), "another remote end");
    let mut low = GENEVE_7.to_vec();
    low[..2].copy_from_slice(&[0, 80]);
    let target = IpAddr::from(TARGET);
    assert!(!of(v4(17, &low), &geneve(target, 7)), "a source port that is not used");
    // Not of a tunnel at all.
    assert_eq!(v4(6, GENEVE_7), None);
    assert_eq!(v4(47, &[0, 0, 8, 0]), None);
    // Another message, or a wrong checksum.
    let good = needed(1400, &ipv4(47, SOURCE, TARGET, GRE));
    for (at, value) in [(21, 1), (20, 11), (27, 9)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(Report::read_v4(&bad), None, "byte {at}");
    }
    assert_eq!(checksum::internet_checksum(&good[20..]), 0);
}

#[test]
fn ipv6_is_read_too() {
    let report = Report::read_v6(&too_big(1400, 17, GENEVE_7)).unwrap();
    let (near, far) = ("2001:db8::1".parse().unwrap(), "2001:db8:1::2".parse().unwrap());
    assert_eq!((report.fate, report.source, report.target), (Fate::TooBig(1400), near, far));
    assert!(report.is_of(&geneve(far, 7), near));
    assert!(!report.is_of(&geneve(far, 8), near) && !report.is_of(&geneve(near, 7), near));
}

#[test]
fn a_path_only_gets_narrower_never_below_the_minimum_and_for_ten_minutes() {
    let mut mtus = PathMtus::default();
    let start = Instant::now();
    let report = v4(47, GRE).unwrap();
    let mtu_now = |mtus: &PathMtus| {
        let mut path = Path { mtu: 1500, source: Some(SOURCE.into()), ..Path::none("") };
        mtus.lower(&mut path, Some(TARGET.into()));
        path.mtu
    };
    let mut note = |mtu, before| mtus.note(&report, mtu, before, start);
    assert!(!note(1500, 1500) && !note(9000, 1500));
    assert_eq!(mtu_now(&mtus), 1500);
    assert!(mtus.note(&report, 1400, 1500, start));
    assert!(!mtus.note(&report, 1401, 1400, start));
    assert_eq!(mtu_now(&mtus), 1400);
    // Routers older than RFC 1191 say 0.
    assert!(mtus.note(&report, 0, 1400, start));
    assert_eq!(mtu_now(&mtus), 576);
    assert!(!mtus.expire(start + Duration::from_secs(599)));
    assert!(mtus.expire(start + AGE_MAX) && !mtus.expire(start + AGE_MAX));
    assert_eq!(mtu_now(&mtus), 1500);

    let six = Report::read_v6(&too_big(1400, 17, GENEVE_7)).unwrap();
    assert!(!mtus.note(&six, 1279, 1500, start) && mtus.note(&six, 1280, 1500, start));
}

/// What leads nowhere is told from what is too big, and belongs to a tunnel by the same rules.
#[test]
fn dead_ends_are_read() {
    let quoted = ipv4(47, SOURCE, TARGET, GRE_KEY_5);
    for (code, why) in [
        (0, "network unreachable"),
        (1, "host unreachable"),
        (2, "protocol unreachable"),
        (13, "prohibited"),
    ] {
        let mut message = vec![0; 8];
        IcmpHeader::new(3, code, [0; 4]).write(&mut message, &quoted, 0).unwrap();
        message.extend(&quoted);
        let report = Report::read_v4(&ipv4(1, TARGET, SOURCE, &message));
        assert_eq!(report.unwrap().fate, Fate::Unreachable(why));
        assert!(of(report, &gre(Some(5))) && !of(report, &gre(Some(6))));
    }
    assert_eq!(IcmpHeader::fragmentation_needed(1400).unreachable_v4(), None);
    let mut message = too_big(0, 17, GENEVE_7);
    message[..2].copy_from_slice(&[1, 4]);
    assert_eq!(Report::read_v6(&message).unwrap().fate, Fate::Unreachable("port unreachable"));
}

proptest! {
    /// Whoever can send ICMP to the host chooses these bytes.
    #[test]
    fn noise_is_no_report_of_a_tunnel(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Report::read_v6(&bytes);
        prop_assert_eq!(Report::read_v4(&bytes), None);
    }

    #[test]
    fn every_cut_is_read_or_refused(len in 0usize..64) {
        let whole = needed(1400, &ipv4(17, SOURCE, TARGET, GENEVE_7));
        let _ = Report::read_v4(&whole[..len.min(whole.len())]);
        let message = too_big(1400, 47, GRE_CSUM_KEY_5);
        let _ = Report::read_v6(&message[..len.min(message.len())]);
    }
}
