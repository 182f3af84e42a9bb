//! Options of tunnels, as stock ovs-vsctl sets them: on the wire, or an error that says what to do.

use std::time::Duration;

use weft_tests::{Host, Switch, Underlay, can_make_hosts, overlay, within};

/// One tunnel after the other to a host that only watches.
#[test]
fn options_are_on_the_wire() {
    if !can_make_hosts() {
        return;
    }
    let (left, watcher) = Underlay::V4.hosts();
    let here = Switch::start(&left);
    overlay(&here, "gre", "192.0.2.2", "10.244.0.1/16", 1400);
    left.knows("br0", "10.244.0.9", "02:00:00:00:00:99");
    left.knows("eth0", "192.0.2.2", &watcher.mac("eth0"));
    for (kind, options, expected) in [
        ("gre", "tos=0xb8 ttl=10", vec!["(tos 0xb8, ttl 10,", "flags [DF]", "Flags [none]"]),
        // What the ping of this test has.
        ("gre", "tos=inherit ttl=inherit", vec!["(tos 0x48, ttl 33,"]),
        ("gre", "seq=true csum=true", vec!["sequence# present", "checksum present", "seq "]),
        ("gre", "out_key=9 in_key=8", vec!["key=0x9"]),
        ("gre", "key=flow", vec!["key=0x0"]),
        ("gre", "df_default=false", vec!["flags [none]"]),
        ("vxlan", "dst_port=4790 key=5 tos=inherit", vec!["192.0.2.2.4790", "vni 5", "tos 0x48"]),
        ("vxlan", "csum=true", vec!["192.0.2.2.4789", "udp sum ok"]),
        ("geneve", "dst_port=6082 key=6 ttl=9", vec!["192.0.2.2.6082", "ttl 9,"]),
        ("geneve", "key=16777215", vec!["192.0.2.2.6081", "Geneve", "vni 0xffffff"]),
    ] {
        let map: Vec<_> = options.split(' ').map(|option| format!("options:{option}")).collect();
        here.vsctl(&format!(
            "clear interface tun0 options -- set interface tun0 type={kind} \
             options:remote_ip=192.0.2.2 {}",
            map.join(" ")
        ));
        assert_eq!(here.vsctl("get interface tun0 error"), "[]", "{kind} {options}");
        let watch = watcher.spawn("tcpdump -l -nn -vv -c 1 -i eth0 proto gre or udp");
        watch.wait_for("listening");
        let _ = left.try_sh("ping -n -c 1 -W 1 -t 33 -Q 0x48 10.244.0.9");
        let seen = watch.finish();
        for word in expected {
            assert!(seen.contains(word), "{kind} {options}: no '{word}' in {seen}");
        }
    }
}

fn row(switch: &Switch<'_>, column: &str) -> String {
    switch.vsctl(&format!("--if-exists get interface tun0 {column}")).trim_matches('"').to_owned()
}

/// What asks for something that is not there stays in the database with an error, and works as soon
/// as it asks for it no more.
#[test]
fn what_is_not_there_has_an_error_until_it_is_gone() {
    if !can_make_hosts() {
        return;
    }
    let left = Host::new("left");
    let here = Switch::start(&left);
    here.vsctl("add-br br0");
    here.vsctl("add-port br0 tun0 -- set interface tun0 type=vxlan options:remote_ip=192.0.2.2");
    for (set, said, mend) in [
        (
            "options:exts=gbp",
            "options:exts=gbp needs flow tables",
            "remove interface tun0 options exts",
        ),
        (
            "options:egress_pkt_mark=5",
            "options:egress_pkt_mark=5 asks for a packet mark",
            "remove interface tun0 options egress_pkt_mark",
        ),
        ("options:psk=secret", "options:psk asks for IPsec", "remove interface tun0 options psk"),
        (
            "options:ttl=300",
            "bad vxlan 'ttl': 300 is not 1 to 255 or inherit",
            "set interface tun0 options:ttl=inherit",
        ),
        (
            "options:dst_port=0",
            "bad vxlan 'dst_port': 0 is not a UDP port",
            "remove interface tun0 options dst_port",
        ),
        (
            "options:key=0x1000000",
            "bad vxlan 'key': 0x1000000 is not a VNI",
            "set interface tun0 options:key=0xffffff",
        ),
        (
            "options:local_ip=flow",
            "vxlan type requires 'remote_ip=flow' with 'local_ip=flow'",
            "remove interface tun0 options local_ip",
        ),
        ("type=ipsec_gre", "type=gre", "set interface tun0 type=vxlan"),
    ] {
        here.vsctl(&format!("set interface tun0 {set}"));
        assert!(row(&here, "error").contains(said), "{set}: {}", row(&here, "error"));
        assert_eq!(row(&here, "ofport"), "-1", "{set}");
        here.vsctl(mend);
        assert_eq!((row(&here, "error").as_str(), row(&here, "ofport").as_str()), ("[]", "1"));
    }
    // What has no effect is said once, and disturbs nothing.
    here.vsctl("set interface tun0 options:colour=red");
    let log = || std::fs::read_to_string(here.rundir().join("weftd.log")).unwrap_or_default();
    assert!(within(Duration::from_secs(5), || log().contains("colour=red")), "{}", log());
    assert_eq!(row(&here, "error"), "[]");
    // The same tunnel twice.
    let twice = here.try_vsctl(
        "add-port br0 tun1 -- set interface tun1 type=vxlan options:remote_ip=192.0.2.2 \
         options:key=0xffffff",
    );
    let text = "could not add network device tun1 to ofproto (File exists)";
    assert!(twice.stderr.contains(text), "{}", twice.stderr);
}

/// `remote_ip=flow` and `key=flow` take what comes from anywhere, at several UDP ports, and say that
/// they cannot send.
#[test]
fn tunnels_of_flows_receive() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    here.vsctl(
        "add-br br0 -- add-port br0 tun0 -- set interface tun0 type=geneve \
         options:remote_ip=flow options:key=flow -- add-port br0 tun1 -- set interface tun1 \
         type=geneve options:remote_ip=flow options:key=flow options:dst_port=6082",
    );
    left.address("br0", "10.244.0.1/16");
    let says = row(&here, "status:tunnel_flow");
    assert!(says.contains("awaits flow tables"), "{says}");
    for (port, key) in [(6081, 5), (6082, 77)] {
        let kind = format!("geneve options:dst_port={port} options:key={key}");
        overlay(&there, &kind, "192.0.2.1", "10.244.0.2/16", 1400);
        right.knows("br0", "10.244.0.1", &left.mac("br0"));
        let heard = || {
            let _ = right.pings(1, "10.244.0.1");
            let name = if port == 6081 { "tun0" } else { "tun1" };
            here.port(name)["rx_frames"].as_u64() > Some(0)
        };
        assert!(within(Duration::from_secs(10), heard), "{port}: {:?}", here.drops());
        there.vsctl("del-br br0");
    }
    let dropped = || here.drops().keys().any(|key| key.ends_with("tx flow_remote"));
    assert!(within(Duration::from_secs(5), dropped), "{:?}", here.drops());
}
