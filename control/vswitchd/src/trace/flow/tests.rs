use super::*;
use proptest::prelude::*;

fn port(name: &str) -> Option<u16> {
    match name {
        "v1" => Some(3),
        "LOCAL" => Some(LOCAL),
        _ => None,
    }
}

fn shown(text: &str) -> String {
    match parse(text, port) {
        Ok(flow) => flow.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

/// What Open vSwitch 3.1 prints for these texts.
#[test]
fn flows_read_and_print_as_those_of_a_stock_switch() {
    let none = "dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00";
    let ends = "nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no";
    for (text, wanted) in [
        ("in_port=1", format!("in_port=1,vlan_tci=0x0000,{none},dl_type=0x0000")),
        ("in_port=LOCAL", format!("in_port=LOCAL,vlan_tci=0x0000,{none},dl_type=0x0000")),
        ("", format!("in_port=ANY,vlan_tci=0x0000,{none},dl_type=0x0000")),
        (
            "in_port=v1,dl_src=02:00:00:00:00:09,dl_vlan=10,dl_vlan_pcp=3,ip",
            format!(
                "ip,in_port=3,dl_vlan=10,dl_vlan_pcp=3,vlan_tci1=0x0000,dl_src=02:00:00:00:00:09,\
                 dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,nw_dst=0.0.0.0,nw_proto=0,{ends}"
            ),
        ),
        (
            "in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80,tcp_flags=2",
            format!(
                "tcp,in_port=1,vlan_tci=0x0000,{none},nw_src=10.0.0.1,nw_dst=10.0.0.2,{ends},\
                 tp_src=0,tp_dst=80,tcp_flags=syn"
            ),
        ),
        (
            "in_port=1,eth_type=0x800,ip_proto=17,udp_dst=53,ip_dscp=4",
            format!(
                "udp,in_port=1,vlan_tci=0x0000,{none},nw_src=0.0.0.0,nw_dst=0.0.0.0,nw_tos=16,\
                 nw_ecn=0,nw_ttl=0,nw_frag=no,tp_src=0,tp_dst=53"
            ),
        ),
        (
            "in_port=1 icmp6 ipv6_src=fe80::1 ipv6_dst=fe80::2",
            format!(
                "icmp6,in_port=1,vlan_tci=0x0000,{none},ipv6_src=fe80::1,ipv6_dst=fe80::2,\
                 ipv6_label=0x00000,{ends},icmp_type=0,icmp_code=0"
            ),
        ),
        (
            "in_port(1),arp,arp_spa=10.0.0.1,arp_op=1",
            format!(
                "arp,in_port=1,vlan_tci=0x0000,{none},arp_spa=10.0.0.1,arp_tpa=0.0.0.0,arp_op=1,\
                 arp_sha=00:00:00:00:00:00,arp_tha=00:00:00:00:00:00"
            ),
        ),
        (
            "in_port=1,vlan_tci=0x100a",
            format!("in_port=1,dl_vlan=10,dl_vlan_pcp=0,vlan_tci1=0x0000,{none},dl_type=0x0000"),
        ),
    ] {
        assert_eq!(shown(text), wanted, "{text}");
    }
}

#[test]
fn errors_name_the_field_and_the_value() {
    for (text, wanted) in [
        ("nope=5", "unknown field nope"),
        ("in_port=1,foo", "unknown field foo"),
        ("in_port=nope", "bad value for in_port (nope: invalid or unknown port for in_port)"),
        ("dl_src=zz", "bad value for dl_src (zz: invalid Ethernet address)"),
        ("dl_src", "bad value for dl_src (: invalid Ethernet address)"),
        ("in_port=1,tp_dst=80", "prerequisites not met for setting tp_dst"),
        ("udp,icmp_type=3", "prerequisites not met for setting icmp_type"),
        ("nw_src=10.0.0.1", "prerequisites not met for setting nw_src"),
        ("dl_vlan=10,vlan_vid=3", "field vlan_vid set multiple times"),
        (
            "icmp,icmp_type=300",
            "bad value for icmp_type (300: value too large for 1-byte field icmp_type)",
        ),
        ("ip,nw_src=10.0.0.0/8", "bad value for nw_src (10.0.0.0/8: wildcards not allowed here)"),
        ("ip,nw_src=10.0.0.300", "bad value for nw_src (10.0.0.300: invalid IP address)"),
        ("dl_vlan=5000", "bad value for dl_vlan (5000: not a 12-bit number)"),
        ("reg0=5", "field reg0 is not supported: bridges forward by NORMAL alone"),
        ("tun_id=5", "field tun_id is not supported: bridges forward by NORMAL alone"),
        ("in_port(1", "syntax error at in_port(1"),
        ("=5", "syntax error at =5"),
    ] {
        assert_eq!(shown(text), format!("error: {wanted}"), "{text}");
    }
}

#[test]
fn flows_of_the_datapath_are_read_back() {
    let text = "recirc_id(0),in_port(2),packet_type(ns=0,id=0),eth(src=02:00:00:00:00:01,\
                dst=02:00:00:00:00:02),eth_type(0x8100),vlan(vid=33,pcp=1),\
                encap(eth_type(0x0800),ipv4(src=1.1.1.1,dst=2.2.2.2,proto=1,tos=0,ttl=64/0,\
                frag=no),icmp(type=8,code=0))";
    let (port, flow) = parse_odp(text).unwrap();
    assert_eq!(port, "2");
    assert_eq!(
        flow.to_string(),
        "icmp,in_port=ANY,dl_vlan=33,dl_vlan_pcp=1,vlan_tci1=0x0000,dl_src=02:00:00:00:00:01,\
         dl_dst=02:00:00:00:00:02,nw_src=1.1.1.1,nw_dst=2.2.2.2,nw_tos=0,nw_ecn=0,nw_ttl=64,\
         nw_frag=no,icmp_type=8,icmp_code=0"
    );
    let wrong = |text: &str| parse_odp(text).unwrap_err().to_string();
    assert_eq!(wrong("in_port(2),eth(from=02:00:00:00:00:01)"), "unknown field eth(from)");
    assert_eq!(
        wrong("recirc_id(0x1),in_port(2)").split(" is").next(),
        Some("field recirc_id(0x1)")
    );
}

#[test]
fn a_filter_matches_what_it_names() {
    let flow = parse("in_port=1,dl_vlan=10,tcp,nw_src=10.0.0.1,tp_dst=80", port).unwrap();
    for (filter, wanted) in [
        ("ip", true),
        ("tcp", true),
        ("udp", false),
        ("arp", false),
        ("dl_type=0x800,nw_src=10.0.0.1", true),
        ("nw_src=10.0.0.2", false),
        ("in_port=1,dl_vlan=10", true),
        ("in_port=2", false),
        ("tp_dst=80", true),
        ("arp_op=1", false),
        ("dl_src=02:00:00:00:00:01", false),
    ] {
        assert_eq!(matches(filter, &flow, port), Ok(wanted), "{filter}");
    }
    let error = matches("nope", &flow, port).unwrap_err().to_string();
    assert_eq!(error, "unknown field nope");
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let net = prop_oneof![
        Just((0x88b5, Net::None)),
        (any::<[u8; 4]>(), any::<[u8; 6]>(), 0u16..3).prop_map(|(ip, mac, op)| {
            let (spa, sha) = (Ipv4Addr::from(ip), MacAddr(mac));
            (0x0806, Net::Arp(Arp { spa, op, sha, ..Arp::default() }))
        }),
        (
            any::<[u8; 4]>(),
            prop::sample::select(vec![0u8, 1, 6, 17, 132]),
            any::<u8>(),
            0u8..3,
            any::<u16>()
        )
            .prop_map(|(ip, protocol, tos, piece, to)| {
                let fragment = [Fragment::No, Fragment::First, Fragment::Later][usize::from(piece)];
                let base = Ip { protocol, tos, fragment, ..Ip::new(false) };
                let to = match base.transport() {
                    None => 0,
                    Some(Transport::Icmp) => to & 0xff,
                    Some(_) => to,
                };
                (0x0800, Net::Ip(Ip { source: Ipv4Addr::from(ip).into(), to, ..base }))
            }),
        (any::<[u8; 16]>(), prop::sample::select(vec![58u8, 6, 17, 132]), 0u32..1 << 20, 0u16..256)
            .prop_map(|(ip, protocol, label, from)| {
                let source = Ipv6Addr::from(ip).into();
                (0x86dd, Net::Ip(Ip { source, label, protocol, from, ..Ip::new(true) }))
            }),
    ];
    let tags = prop::collection::vec((0u16..=0xffff).prop_map(|tci| (0x8100, tci)), 0..3);
    (net, tags, any::<[u8; 6]>(), any::<[u8; 6]>()).prop_map(|((ethertype, net), tags, a, b)| {
        Flow { in_port: Some(1), tags, source: MacAddr(a), target: MacAddr(b), ethertype, net }
    })
}

proptest! {
    /// The frame that a flow makes has the fields of the flow.
    #[test]
    fn frames_have_the_fields_that_they_are_made_of(flow in any_flow()) {
        prop_assert_eq!(Flow::of_frame(Some(1), &flow.to_frame()), flow);
    }

    /// No text and no bytes make anything panic.
    #[test]
    fn noise_is_refused_or_taken(text in "[a-z_=,() 0-9:x.]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&text, port);
        let _ = parse_odp(&text);
        let _ = Flow::of_frame(None, &bytes).to_string();
    }

    /// A flow that is printed is read back as the same.
    #[test]
    fn what_is_printed_is_read(flow in any_flow()) {
        prop_assume!(flow.tags.len() < 2);
        let text = flow.to_string().replace(",vlan_tci1=0x0000", "").replace("vlan_tci=0x0000", "");
        // Flags are printed by name, and read as a number; a tag's drop bit is not printed.
        let text = text.replace(",tcp_flags=0", "");
        let mut wanted = flow;
        wanted.tags.iter_mut().for_each(|(_, tci)| *tci &= 0xefff);
        prop_assert_eq!(parse(&text, port), Ok(wanted));
    }
}
