use super::*;
use proptest::prelude::*;

fn read_all(kind: TunnelType, options: &[(&str, &str)]) -> Result<(Tunnel, Vec<Ignored>), String> {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    read(kind, "t", &options.collect())
}

fn tunnel(kind: TunnelType, options: &[(&str, &str)]) -> Tunnel {
    let (tunnel, ignored) = read_all(kind, options).unwrap();
    assert_eq!(ignored, []);
    tunnel
}

fn error(kind: TunnelType, options: &[(&str, &str)]) -> String {
    read_all(kind, options).unwrap_err()
}

const REMOTE: (&str, &str) = ("remote_ip", "1.1.1.1");

#[test]
fn defaults_are_open_vswitch_s() {
    for (kind, encap) in [
        (TunnelType::Gre, Encap::Gre),
        (TunnelType::Ip6Gre, Encap::Gre),
        (TunnelType::Geneve, Encap::Geneve { udp_port: 6081 }),
        (TunnelType::Vxlan, Encap::Vxlan { udp_port: 4789 }),
    ] {
        let expected = Tunnel {
            kind,
            encap,
            remote: Some("1.1.1.1".parse().unwrap()),
            local: Local::Any,
            in_key: InKey::Exact(0),
            out_key: OutKey::Absent,
            csum: Csum::Auto,
            has_sequence: false,
            ttl: OrInherit::Value(64),
            tos: OrInherit::Value(0),
            df: true,
        };
        assert_eq!(tunnel(kind, &[REMOTE]), expected);
        assert_eq!(expected.shown(), "remote_ip=1.1.1.1");
    }
}

#[test]
fn every_option_is_read() {
    let all = tunnel(
        TunnelType::Vxlan,
        &[
            ("remote_ip", "fd00::2"),
            ("local_ip", "fd00::1"),
            ("key", "0x10"),
            ("in_key", "flow"),
            ("csum", "false"),
            ("ttl", "inherit"),
            ("tos", "0xb8"),
            ("df_default", "false"),
            ("dst_port", "4790"),
            ("egress_pkt_mark", "0"),
            ("packet_type", "legacy_l2"),
        ],
    );
    assert_eq!((all.in_key, all.out_key), (InKey::Any, OutKey::Number(16)));
    assert_eq!((all.csum, all.ttl), (Csum::Off, OrInherit::Inherit));
    assert_eq!((all.tos, all.df), (OrInherit::Value(0xb8), false));
    assert_eq!(all.encap, Encap::Vxlan { udp_port: 4790 });
    assert_eq!(
        all.shown(),
        "df_default=false, dst_port=4790, in_key=flow, local_ip=fd00::1, out_key=16, \
         remote_ip=fd00::2, tos=0xb8, ttl=inherit"
    );
    let gre = tunnel(TunnelType::Gre, &[REMOTE, ("seq", "true"), ("key", "5"), ("out_key", "6")]);
    assert_eq!((gre.in_key, gre.out_key), (InKey::Exact(5), OutKey::Number(6)));
    assert!(gre.has_sequence && gre.conf().has_sequence);
}

/// An IPv4 address may be written as an IPv6 one.
#[test]
fn mapped_addresses_are_ipv4() {
    let mapped = [("remote_ip", "::ffff:192.0.2.7"), ("local_ip", "::ffff:192.0.2.1")];
    let plain = [("remote_ip", "192.0.2.7"), ("local_ip", "192.0.2.1")];
    assert_eq!(tunnel(TunnelType::Gre, &mapped), tunnel(TunnelType::Gre, &plain));
}

/// As with Open vSwitch, but not in silence; a checksum that nobody has declined is not left out.
#[test]
fn flags_that_are_neither_true_nor_false_are_the_default_and_named() {
    let options = [REMOTE, ("csum", "yes"), ("seq", "1"), ("df_default", "no")];
    let (tunnel, ignored) = read_all(TunnelType::Gre, &options).unwrap();
    assert_eq!((tunnel.csum, tunnel.has_sequence, tunnel.df), (Csum::Auto, false, true));
    let named: Vec<_> =
        ignored.iter().map(|(key, value, _)| (key.as_str(), value.as_str())).collect();
    assert_eq!(named, [("csum", "yes"), ("seq", "1"), ("df_default", "no")]);
}

#[test]
fn keys_are_numbers_of_three_bases_or_flow() {
    let key = |text| tunnel(TunnelType::Gre, &[REMOTE, ("key", text)]);
    assert_eq!(key("010").in_key, InKey::Exact(8));
    assert_eq!(key("0").out_key, OutKey::Number(0));
    assert_eq!(key("0xFFFFFFFF").in_key, InKey::Exact(u32::MAX));
    let flow = key("flow");
    assert_eq!((flow.in_key, flow.out_key), (InKey::Any, OutKey::Flow));
    assert_eq!(flow.conf().out_key, Some(0), "the field is there, as with Open vSwitch");
    assert!(flow.awaits_flows().unwrap().contains("awaits flow tables"));
    assert_eq!(key("7").awaits_flows(), None);
}

#[test]
fn flow_addresses_receive() {
    let flow = tunnel(TunnelType::Geneve, &[("remote_ip", "flow"), ("key", "flow")]);
    assert_eq!((flow.remote, flow.local), (None, Local::Any));
    let both = tunnel(TunnelType::Gre, &[("remote_ip", "flow"), ("local_ip", "flow")]);
    assert_eq!((both.remote, both.local), (None, Local::Flow));
    assert!(both.awaits_flows().unwrap().contains("awaits flow tables"));
}

/// The texts of `ovs-vswitchd` 3.1.0 for the same options.
#[test]
fn errors_are_the_stock_ones() {
    for kind in TunnelType::ALL {
        let name = kind.name();
        let missing = format!("t: {name} type requires valid 'remote_ip' argument");
        assert_eq!(error(kind, &[]), missing);
        assert_eq!(
            error(kind, &[("remote_ip", "nonsense")]),
            format!("t: bad {name} 'remote_ip'\n{missing}")
        );
        assert_eq!(
            error(kind, &[("remote_ip", "224.0.0.1")]),
            "t: multicast remote_ip=224.0.0.1 not allowed"
        );
        assert_eq!(
            error(kind, &[REMOTE, ("local_ip", "fd00::1")]),
            "t: 'remote_ip' and 'local_ip' has to be of the same address family"
        );
        assert_eq!(
            error(kind, &[REMOTE, ("local_ip", "flow")]),
            format!("t: {name} type requires 'remote_ip=flow' with 'local_ip=flow'")
        );
    }
    assert_eq!(
        error(TunnelType::Gre, &[REMOTE, ("packet_type", "foo")]),
        "t: unknown packet_type 'foo'"
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_value() {
    let gre = |key, value| error(TunnelType::Gre, &[REMOTE, (key, value)]);
    let vxlan = |key, value| error(TunnelType::Vxlan, &[REMOTE, (key, value)]);
    assert_eq!(gre("key", "x"), "t: bad gre 'key': x is not a 32-bit number or flow");
    assert_eq!(gre("in_key", "-1"), "t: bad gre 'in_key': -1 is not a 32-bit number or flow");
    assert_eq!(gre("ttl", "256"), "t: bad gre 'ttl': 256 is not 1 to 255 or inherit");
    assert_eq!(gre("local_ip", "here"), "t: bad gre 'local_ip': here is not an address");
    assert_eq!(
        vxlan("key", "16777216"),
        "t: bad vxlan 'key': 16777216 is not a VNI, 0 to 16777215"
    );
    for port in ["0", "70000", "x"] {
        let text = format!("t: bad vxlan 'dst_port': {port} is not a UDP port, 1 to 65535");
        assert_eq!(vxlan("dst_port", port), text);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let gre = |key, value| error(TunnelType::Gre, &[REMOTE, (key, value)]);
    for key in ["psk", "remote_cert", "remote_name"] {
        assert!(gre(key, "x").contains(&format!("options:{key} asks for IPsec")));
    }
    assert!(gre("egress_pkt_mark", "5").contains("packet mark"));
    assert!(gre("packet_type", "ptap").contains("flow tables"));
    let gbp = error(TunnelType::Vxlan, &[REMOTE, ("exts", "gbp")]);
    assert!(gbp.contains("options:exts=gbp needs flow tables"), "{gbp}");
}

#[test]
fn what_is_ignored_is_named() {
    let ignored = |kind, key, value| read_all(kind, &[REMOTE, (key, value)]).unwrap().1;
    for (kind, key, value) in [
        (TunnelType::Gre, "colour", "red"),
        (TunnelType::Gre, "dst_port", "10"),
        (TunnelType::Geneve, "seq", "true"),
        (TunnelType::Geneve, "exts", "gbp"),
        (TunnelType::Vxlan, "exts", "foo"),
        (TunnelType::Vxlan, "tos", "5"),
        (TunnelType::Vxlan, "tos", "256"),
    ] {
        let found = ignored(kind, key, value);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].1.as_str()), (key, value));
    }
}

#[test]
fn the_effective_mtu_is_what_the_options_leave() {
    let mtu =
        |kind, options: &[_]| tunnel(kind, &[&[REMOTE], options].concat()).effective_mtu(1500);
    assert_eq!(mtu(TunnelType::Gre, &[]), 1462);
    assert_eq!(mtu(TunnelType::Gre, &[("key", "flow")]), 1458);
    assert_eq!(mtu(TunnelType::Gre, &[("key", "1"), ("csum", "true"), ("seq", "true")]), 1450);
    assert_eq!(mtu(TunnelType::Geneve, &[("csum", "true"), ("key", "1")]), 1450);
    assert_eq!(mtu(TunnelType::Vxlan, &[]), 1450);
    let v6 = tunnel(TunnelType::Vxlan, &[("remote_ip", "fd00::1")]);
    assert_eq!(v6.effective_mtu(1500), 1430);
}

proptest! {
    #[test]
    fn no_option_panics(
        kind in prop::sample::select(&TunnelType::ALL),
        key in "remote_ip|local_ip|key|in_key|out_key|csum|seq|tos|ttl|df_default|psk|dst_port|exts|packet_type|egress_pkt_mark",
        value in ".{0,20}",
    ) {
        let _ = read_all(kind, &[REMOTE, (&key, &value)]);
    }
}
