//! Path MTU of tunnels: found, shown, told, and followed; nobody types a number.

use std::thread;
use std::time::Duration;

use weft_tests::{Host, Switch, Underlay, cable_named, can_make_hosts, tcp_transfer, within};

/// A bridge with a GRE tunnel and an address, as in any guide, but without its `mtu 1420`.
fn overlay(switch: &Switch<'_>, remote: &str, inner: &str) {
    switch.vsctl("add-br br0");
    switch.vsctl(&format!(
        "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={remote}"
    ));
    switch.host().address("br0", inner);
}

fn mtu_becomes(host: &Host, device: &str, mtu: &str) {
    let read = || host.sh(&format!("cat /sys/class/net/{device}/mtu")).trim().to_owned();
    assert!(within(Duration::from_secs(5), || read() == mtu), "{device}: {} not {mtu}", read());
}

/// The MTU that a ping of 1500 bytes is refused with.
fn told(host: &Host, address: &str) -> String {
    let payload = 1500 - if address.contains(':') { 48 } else { 28 };
    let said = host.try_sh(&format!("ping -n -c 1 -W 1 -M do -s {payload} {address}"));
    let text = said.stdout + &said.stderr;
    let mtu = text.split("mtu").nth(1).unwrap_or_default();
    let digits = mtu.chars().skip_while(|c| !c.is_ascii_digit());
    digits.take_while(char::is_ascii_digit).collect()
}

fn status(switch: &Switch<'_>, key: &str) -> String {
    switch.vsctl(&format!("--if-exists get interface gre0 status:{key}")).replace('"', "")
}

/// A switch on each host, with a tunnel between them.
fn overlays<'h>(left: &'h Host, right: &'h Host) -> (Switch<'h>, Switch<'h>) {
    let (here, there) = (Switch::start(left), Switch::start(right));
    overlay(&here, "192.0.2.2", "10.244.0.1/16");
    overlay(&there, "192.0.2.1", "10.244.0.2/16");
    (here, there)
}

#[test]
fn an_overlay_without_any_mtu_setting_works() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, _there) = overlays(&left, &right);
    left.must_reach("10.244.0.2");
    mtu_becomes(&left, "br0", "1462");
    mtu_becomes(&right, "br0", "1462");
    assert_eq!(status(&here, "tunnel_mtu"), "1462");
    // The host's own packets, and a guest's, which has 1500.
    assert_eq!(told(&left, "10.244.0.2"), "1462");
    let guest = here.plug("br0", "veth1", "10.244.1.1/16");
    guest.must_reach("10.244.0.2");
    assert_eq!(told(&guest, "10.244.0.2"), "1462");
    tcp_transfer(&left, &right, "10.244.0.2:5001", 20_000_000);
    tcp_transfer(&guest, &right, "10.244.0.2:5002", 20_000_000);
    // What the operator asks for wins.
    here.vsctl("set interface br0 mtu_request=1400");
    mtu_becomes(&left, "br0", "1400");
    here.vsctl("clear interface br0 mtu_request");
    mtu_becomes(&left, "br0", "1462");
}

/// Lowers and raises the underlay's MTU under a transfer, as a device and as a route.
#[test]
fn a_transfer_survives_that_the_underlay_gets_narrower() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, _there) = overlays(&left, &right);
    let guest = here.plug("br0", "veth1", "10.244.1.1/16");
    left.must_reach("10.244.0.2");
    guest.must_reach("10.244.0.2");
    mtu_becomes(&left, "br0", "1462");
    thread::scope(|scope| {
        scope.spawn(|| tcp_transfer(&left, &right, "10.244.0.2:5001", 60_000_000));
        scope.spawn(|| tcp_transfer(&guest, &right, "10.244.0.2:5002", 60_000_000));
        thread::sleep(Duration::from_millis(200));
        for host in [&left, &right] {
            host.sh("ip link set eth0 mtu 1400");
        }
    });
    mtu_becomes(&left, "br0", "1362");
    assert_eq!(told(&guest, "10.244.0.2"), "1362");
    assert_eq!(status(&here, "tunnel_mtu"), "1362");
    left.sh("ip route add 192.0.2.2/32 dev eth0 mtu 1300");
    mtu_becomes(&left, "br0", "1262");
    tcp_transfer(&left, &right, "10.244.0.2:5003", 5_000_000);
    left.sh("ip route del 192.0.2.2/32 dev eth0");
    left.sh("ip link set eth0 mtu 1500");
    mtu_becomes(&left, "br0", "1462");
    assert!(here.port("gre0")["tunnel"]["effective_mtu"] == 1462);
}

/// IPv6 needs 1280 bytes, and a tunnel over an underlay of 1300 has less: what guests need not make
/// smaller crosses it in fragments, and what they may is refused.
#[test]
fn ipv6_guests_talk_over_a_narrow_underlay() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    for host in [&left, &right] {
        host.sh("ip link set eth0 mtu 1300");
    }
    let (here, there) = overlays(&left, &right);
    let (a, b) = (here.plug("br0", "veth1", ""), there.plug("br0", "veth1", ""));
    for (guest, cidr) in [(&a, "fd00::1/64"), (&b, "fd00::2/64")] {
        guest.sh("ip link set eth0 up");
        assert!(guest.address6("eth0", cidr), "no IPv6 in this kernel");
    }
    a.must_reach("fd00::2");
    assert_eq!(told(&a, "fd00::2"), "1280");
    let largest = a.try_sh("ping -n -c 5 -i 0.1 -W 2 -M do -s 1232 fd00::2");
    assert!(largest.stdout.contains(" 5 received"), "{}", largest.stdout);
    tcp_transfer(&a, &b, "[fd00::2]:5001", 5_000_000);
    tcp_transfer(&b, &a, "[fd00::1]:5001", 5_000_000);
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
}

/// A router whose far side takes 1300 bytes says so; nobody else may.
#[test]
fn what_a_router_says_of_the_path_is_believed() {
    if !can_make_hosts() {
        return;
    }
    let (left, right, router) = (Host::new("left"), Host::new("right"), Host::new("router"));
    cable_named(&left, "eth0", &router, "eth0");
    cable_named(&right, "eth0", &router, "eth1");
    left.address("eth0", "192.0.2.1/24");
    right.address("eth0", "198.51.100.2/24");
    router.address("eth0", "192.0.2.254/24");
    router.address("eth1", "198.51.100.254/24");
    router.sh("sysctl -qw net.ipv4.ip_forward=1");
    left.sh("ip route add default via 192.0.2.254");
    right.sh("ip route add default via 198.51.100.254");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    overlay(&here, "198.51.100.2", "10.244.0.1/16");
    overlay(&there, "192.0.2.1", "10.244.0.2/16");
    left.must_reach("10.244.0.2");
    mtu_becomes(&left, "br0", "1462");
    // A liar that quotes a packet of nobody, and one that quotes a key that is not ours.
    let mac = left.mac("eth0");
    for quoted in [
        "IP(src=\"192.0.2.1\",dst=\"198.51.100.9\",proto=47)/b\"\\x00\\x00\\x65\\x58\"",
        "IP(src=\"192.0.2.1\",dst=\"198.51.100.2\",proto=47)/b\"\\x20\\x00\\x65\\x58\\x00\\x00\\x00\\x09\"",
    ] {
        let icmp = "IP(src=\"192.0.2.254\",dst=\"192.0.2.1\")/ICMP(type=3,code=4,nexthopmtu=700)";
        router.send_frame("eth0", &format!("Ether(dst=\"{mac}\")/{icmp}/{quoted}"));
    }
    router.sh("ip link set eth1 mtu 1300");
    tcp_transfer(&left, &right, "10.244.0.2:5001", 5_000_000);
    mtu_becomes(&left, "br0", "1262");
    assert_eq!(status(&here, "tunnel_mtu"), "1262");
    assert_eq!(told(&left, "10.244.0.2"), "1262");
}

/// The same over IPv6, in the middle of a transfer, with UDP outside.  What is below the least MTU of
/// IPv6 is not believed, nor what quotes other ends, ports, or another VNI.
#[test]
fn what_a_router_of_ipv6_says_is_believed_if_it_can_be_true() {
    if !can_make_hosts() {
        return;
    }
    let (left, right, router) = (Host::new("left"), Host::new("right"), Host::new("router"));
    cable_named(&left, "eth0", &router, "eth0");
    cable_named(&right, "eth0", &router, "eth1");
    for (host, device, cidr) in [
        (&left, "eth0", "2001:db8:1::1/64"),
        (&right, "eth0", "2001:db8:2::2/64"),
        (&router, "eth0", "2001:db8:1::fe/64"),
        (&router, "eth1", "2001:db8:2::fe/64"),
    ] {
        assert!(host.address6(device, cidr), "no IPv6 in this kernel");
    }
    router.sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
    left.sh("ip -6 route add default via 2001:db8:1::fe");
    right.sh("ip -6 route add default via 2001:db8:2::fe");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    for (switch, remote, inner) in
        [(&here, "2001:db8:2::2", "10.244.0.1/16"), (&there, "2001:db8:1::1", "10.244.0.2/16")]
    {
        switch.vsctl(&format!(
            "add-br br0 -- add-port br0 gre0 -- set interface gre0 type=geneve options:key=7 \
             options:remote_ip=\\\"{remote}\\\""
        ));
        switch.host().address("br0", inner);
    }
    left.must_reach("10.244.0.2");
    // IPv6 40, UDP 8, Geneve 8, Ethernet 14.
    mtu_becomes(&left, "br0", "1430");
    let mac = left.mac("eth0");
    let report = |mtu: u32, source: &str, target: &str, udp: &str, vni: u8| {
        format!(
            "Ether(dst=\"{mac}\")/IPv6(src=\"2001:db8:1::fe\",dst=\"2001:db8:1::1\")/\
             ICMPv6PacketTooBig(mtu={mtu})/IPv6(src=\"{source}\",dst=\"{target}\")/UDP({udp},chksum=1)/\
             (b\"\\x00\\x00\\x65\\x58\\x00\\x00\" + bytes([{vni},0]))"
        )
    };
    let (us, them, ports) = ("2001:db8:1::1", "2001:db8:2::2", "sport=40000,dport=6081");
    let lies = [
        report(1279, us, them, ports, 7),
        report(1300, us, "2001:db8:2::3", ports, 7),
        report(1300, "2001:db8:1::2", them, ports, 7),
        report(1300, us, them, "sport=40000,dport=4789", 7),
        report(1300, us, them, "sport=53,dport=6081", 7),
        report(1300, us, them, ports, 8),
    ];
    router.send_frame("eth0", &format!("[{}]", lies.join(",")));
    router.send_frame("eth0", &report(1480, us, them, ports, 7));
    // Reports are taken in their order: the lies were judged before.
    mtu_becomes(&left, "br0", "1410");
    thread::scope(|scope| {
        let before = router.rx_frames("eth0");
        scope.spawn(|| tcp_transfer(&left, &right, "10.244.0.2:5001", 60_000_000));
        let is_under_way = || router.rx_frames("eth0") > before + 100;
        assert!(within(Duration::from_secs(20), is_under_way), "nothing is sent");
        router.sh("ip link set eth1 mtu 1300");
    });
    // The first may have been over sooner than the router was told.
    tcp_transfer(&left, &right, "10.244.0.2:5001", 1_000_000);
    mtu_becomes(&left, "br0", "1230");
    assert_eq!(status(&here, "tunnel_mtu"), "1230");
    assert_eq!(told(&left, "10.244.0.2"), "1230");
}

/// Whoever sends what does not fit hears of it where he is: inside his VLAN, tagged or not, and in
/// IPv6 too.
#[test]
fn senders_in_vlans_are_told() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = overlays(&left, &right);
    let near = here.plug("br0", "veth1", "10.9.0.1/24");
    let far = there.plug("br0", "veth1", "10.9.0.2/24");
    let trunk = here.plug("br0", "veth2", "10.8.0.1/24");
    for switch in [&here, &there] {
        switch.vsctl("set port veth1 tag=10");
    }
    for (host, cidr) in [(&near, "fd00::1/64"), (&far, "fd00::2/64")] {
        assert!(host.address6("eth0", cidr), "no IPv6 in this kernel");
    }
    near.must_reach("10.9.0.2");
    near.must_reach("fd00::2");
    // What the tag costs is counted: it crosses the tunnel.
    assert_eq!(told(&near, "10.9.0.2"), "1458");
    assert_eq!(told(&near, "fd00::2"), "1458");
    // A station that tags by itself.
    let mac = far.mac("eth0");
    let watch = trunk.spawn("tcpdump -l -nn -e -c 2 -i eth0 ether dst 02:00:00:00:00:77");
    watch.wait_for("listening");
    for packet in [
        "IP(src=\"10.9.0.7\",dst=\"10.9.0.2\",flags=\"DF\")/UDP()/(b\"x\"*1472)",
        "IPv6(src=\"fd00::7\",dst=\"fd00::2\")/UDP()/(b\"x\"*1452)",
    ] {
        let tag = "Dot1Q(vlan=10,prio=3)";
        let addresses = format!("Ether(src=\"02:00:00:00:00:77\",dst=\"{mac}\")");
        trunk.send_frame("eth0", &format!("{addresses}/{tag}/{packet}"));
    }
    let seen = watch.finish();
    assert_eq!(seen.matches("vlan 10").count(), 2, "{seen}");
    for said in ["need to frag (mtu 1458)", "packet too big, mtu 1458"] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
}

/// With `tunnel-mss-clamp` a guest's TCP fits although all ICMP to it is lost.
#[test]
fn the_mss_of_tcp_is_clamped() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = Underlay::V4.hosts();
    let (here, there) = overlays(&left, &right);
    let a = here.plug("br0", "veth1", "10.244.1.1/16");
    let b = there.plug("br0", "veth1", "10.244.1.2/16");
    a.must_reach("10.244.1.2");
    let mss_seen = || {
        let watch = b.spawn("tcpdump -l -nn -v -c 1 -i eth0 tcp[tcpflags] == tcp-syn");
        watch.wait_for("listening");
        let _ = a.try_sh("socat -u OPEN:/dev/null TCP:10.244.1.2:9,connect-timeout=1");
        let said = watch.finish();
        let mss = said.split("mss ").nth(1).unwrap_or_default();
        mss.chars().take_while(char::is_ascii_digit).collect::<String>()
    };
    assert_eq!(mss_seen(), "1460");
    // What comes from a tunnel is clamped as well as what leaves by one.
    there.vsctl("set bridge br0 other_config:tunnel-mss-clamp=true");
    assert_eq!(mss_seen(), "1422");
    there.vsctl("remove bridge br0 other_config tunnel-mss-clamp");
    here.vsctl("set bridge br0 other_config:tunnel-mss-clamp=true");
    assert_eq!(mss_seen(), "1422");
    tcp_transfer(&a, &b, "10.244.1.2:5001", 5_000_000);
    assert_eq!((a.checksum_errors(), b.checksum_errors()), (0, 0));
}
