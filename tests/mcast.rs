//! Multicast snooping: who hears a group, when real hosts join and leave it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop at once")]

use std::time::Duration;
use weft_tests::{Background, Host, Stock, Switch, add_port, can_make_hosts, within};

const LIMIT: Duration = Duration::from_secs(20);

/// Prints the word of every frame that comes in and has one.
const LISTENER: &str = r#"
import re, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("eth0", 0))
print("listening", flush=True)
while True:
    data, where = s.recvfrom(65535)
    word = re.search(rb"word-[0-9]+;", data)
    if word and where[2] != 4:
        print(word.group().decode(), flush=True)
"#;

/// Is a member of a group until it ends.
const MEMBER: &str = r#"
import socket, sys, time
group = sys.argv[1]
if ":" in group:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    index = socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + index)
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = socket.inet_aton(group) + socket.inet_aton("0.0.0.0")
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, address + socket.if_nametoindex("eth0").to_bytes(4, sys.byteorder))
print("joined", flush=True)
time.sleep(1000)
"#;

/// A guest that listens to everything on its link.
struct Guest {
    host: Host,
    listener: Background,
}

impl Guest {
    fn new(port: &str, of: &Host, cidr: &str) -> Self {
        let host = Host::new(port);
        // Each report is sent once: a repetition, up to a second later, makes a member again of a port
        // that a test has just taken down.  A device takes the value over when it is made.
        host.sh("sysctl -qw net.ipv4.igmp_qrv=1");
        weft_tests::cable_named(of, port, &host, "eth0");
        host.address("eth0", cidr);
        host.sh("ip route add 224.0.0.0/4 dev eth0");
        let listener = host.spawn(&format!("/usr/bin/python3 -c '{LISTENER}'"));
        listener.wait_for("listening");
        Self { host, listener }
    }

    fn joins(&self, group: &str) -> Background {
        let member = self.host.spawn(&format!("/usr/bin/python3 -c '{MEMBER}' {group}"));
        member.wait_for("joined");
        member
    }

    fn sends(&self, target: &str, word: u32) {
        let v6 = target.contains(':');
        let (layer, mac) = if v6 {
            (format!("IPv6(src=\"fe80::99\", dst=\"{target}\", hlim=5)"), v6_mac(target))
        } else {
            (format!("IP(src=\"10.0.0.99\", dst=\"{target}\", ttl=5)"), v4_mac(target))
        };
        let source = self.host.mac("eth0");
        let frame = format!(
            "Ether(src=\"{source}\", dst=\"{mac}\")/{layer}/UDP(sport=9, dport=9)/b\"word-{word};\""
        );
        // A broadcast behind it: whoever has that and not the first will not get the first.
        let end = format!(
            "Ether(src=\"{source}\", dst=\"ff:ff:ff:ff:ff:ff\", type=0x88b5)/b\"word-{};\"",
            word + 1
        );
        self.host.send_frame("eth0", &format!("[{frame}, {end}]"));
    }

    fn has_heard(&self, word: u32) -> bool {
        self.listener.output().contains(&format!("word-{word};"))
    }
}

fn v4_mac(target: &str) -> String {
    let [_, b, c, d] = target.parse::<std::net::Ipv4Addr>().unwrap().octets();
    format!("01:00:5e:{:02x}:{c:02x}:{d:02x}", b & 0x7f)
}

fn v6_mac(target: &str) -> String {
    let octets = target.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let [.., a, b, c, d] = octets;
    format!("33:33:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// A switch with bridge `br0` that snoops and guests 1 to 4 on `port1` to `port4`, whose interfaces
/// are `v1` to `v4`, ours or stock.
struct Bed<'a> {
    vsctl: Box<dyn Fn(&str) -> String + 'a>,
    mdb: Box<dyn Fn() -> String + 'a>,
    guests: Vec<Guest>,
    words: std::cell::Cell<u32>,
}

impl<'a> Bed<'a> {
    fn new(
        host: &Host,
        vsctl: impl Fn(&str) -> String + 'a,
        mdb: impl Fn() -> String + 'a,
    ) -> Self {
        vsctl("add-br br0 -- set bridge br0 datapath_type=netdev mcast_snooping_enable=true");
        let guests: Vec<_> = (1..=4)
            .map(|n| {
                let guest = Guest::new(&format!("v{n}"), host, &format!("10.0.0.{n}/24"));
                let port = add_port("br0", &format!("port{n}"), &format!("v{n}"));
                vsctl(&format!("{port} -- set interface v{n} ofport_request={n}"));
                guest
            })
            .collect();
        Self { vsctl: Box::new(vsctl), mdb: Box::new(mdb), guests, words: 0.into() }
    }

    /// `mdb/show` without ages, in an order that does not depend on when hosts repeat themselves.
    fn table(&self) -> Vec<String> {
        let text = (self.mdb)();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        assert_eq!(lines.next(), Some(" port  VLAN  GROUP                Age"), "{text}");
        let mut rows: Vec<_> = lines
            .map(|line| {
                let row = line.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end();
                let pad = line.len() - row.len();
                assert!(pad >= 11, "room for three digits of age: {line:?}");
                row.to_owned()
            })
            // What the hosts' own IPv6 joins.
            .filter(|row| !row.contains("ff02::"))
            .collect();
        rows.sort();
        rows
    }

    #[track_caller]
    fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        assert!(within(LIMIT, || is_so(&self.table())), "{what}:\n{}", (self.mdb)());
        self.table()
    }

    #[track_caller]
    fn until_has(&self, word: &str) -> Vec<String> {
        self.until(word, |rows| rows.iter().any(|row| row.contains(word)))
    }

    #[track_caller]
    fn until_lacks(&self, word: &str) -> Vec<String> {
        self.until(word, |rows| rows.iter().all(|row| !row.contains(word)))
    }

    /// The guests, by number, that hear what guest `from` sends to a group.
    #[track_caller]
    fn who_hears(&self, from: usize, target: &str) -> Vec<usize> {
        let word = self.words.get() + 10;
        self.words.set(word);
        self.guests.get(from - 1).unwrap().sends(target, word);
        let others = || (1..).zip(&self.guests).filter(|(number, _)| *number != from);
        let all = || others().all(|(_, guest)| guest.has_heard(word + 1));
        assert!(within(LIMIT, all), "a broadcast did not arrive everywhere");
        others().filter(|(_, guest)| guest.has_heard(word)).map(|(number, _)| number).collect()
    }

    /// A querier behind guest 4's port.  It wants answers within a tenth of a second (a host that owes
    /// one leaves silently) and each report once.
    fn query(&self) {
        let guest = &self.guests.last().unwrap().host;
        guest.send_frame(
            "eth0",
            "Ether(dst=\"01:00:5e:00:00:01\")/IP(src=\"10.0.0.4\", dst=\"224.0.0.1\", ttl=1, proto=2)/bytes.fromhex(\"1101ed8100000000017d0000\")",
        );
    }
}

/// What is said of each step, for one switch to be compared with another.
fn scenario(bed: &Bed<'_>) -> Vec<String> {
    let mut said = Vec::new();
    let mut note =
        |what: &str, result: &dyn std::fmt::Debug| said.push(format!("{what}: {result:?}"));
    let [_, two, three, _] = bed.guests.as_slice() else { unreachable!("four guests") };

    note("nobody is a member", &bed.who_hears(1, "239.1.2.3"));
    let member = two.joins("239.1.2.3");
    note("IGMPv3 join", &bed.until_has("239.1.2.3"));
    three.host.sh("sysctl -qw net.ipv4.conf.eth0.force_igmp_version=2");
    let other = three.joins("239.1.2.4");
    note("IGMPv2 join", &bed.until_has("239.1.2.4"));
    note("to 2", &bed.who_hears(1, "239.1.2.3"));
    note("to 3", &bed.who_hears(1, "239.1.2.4"));
    note("from the member", &bed.who_hears(2, "239.1.2.3"));
    note("another group, the same Ethernet address", &bed.who_hears(1, "238.129.2.3"));
    note("a group of nobody", &bed.who_hears(1, "239.9.9.9"));

    bed.query();
    note("a querier", &bed.until_has("querier"));
    note("to 2 and the router", &bed.who_hears(1, "239.1.2.3"));
    (bed.vsctl)("set bridge br0 other_config:mcast-snooping-disable-flood-unregistered=true");
    note("a group of nobody, not flooded", &bed.who_hears(1, "239.9.9.9"));
    note("another group of that address", &bed.who_hears(1, "238.129.2.3"));
    note("a local group", &bed.who_hears(1, "224.0.0.9"));
    (bed.vsctl)("set port port3 other_config:mcast-snooping-flood=true");
    note("a port that gets all", &bed.who_hears(1, "239.9.9.9"));
    note("and groups, too", &bed.who_hears(1, "239.1.2.3"));
    (bed.vsctl)("remove port port3 other_config mcast-snooping-flood");

    drop(member);
    note("IGMPv3 leave", &bed.until_lacks("239.1.2.3"));
    note("to nobody but the router", &bed.who_hears(1, "239.1.2.3"));
    drop(other);
    note("IGMPv2 leave", &bed.until_lacks("239.1.2.4"));

    if two.host.address6("eth0", "fd00::2/64") {
        let member = two.joins("ff05::1:3");
        note("MLDv2 join", &bed.until_has("ff05::1:3"));
        note("to 2, IPv6", &bed.who_hears(1, "ff05::1:3"));
        note("all nodes", &bed.who_hears(1, "ff02::1"));
        drop(member);
        note("MLDv2 leave", &bed.until_lacks("ff05::1:3"));
    }
    (bed.vsctl)("set port port1 tag=7 -- set port port2 tag=7 -- set port port3 tag=8");
    let _member = two.joins("239.1.2.5");
    note("in a VLAN", &bed.until_has("239.1.2.5"));
    said
}

fn on_ours() -> Vec<String> {
    let host = Host::new("weft");
    let switch = Switch::start(&host);
    let error = switch.try_appctl("mdb/show br0").stderr;
    assert!(error.starts_with("no such bridge\n"), "{error}");
    let bed = Bed::new(&host, |words| switch.vsctl(words), || switch.appctl("mdb/show br0"));
    let said = scenario(&bed);
    assert_eq!(switch.appctl("mdb/flush br0").trim_end(), "table successfully flushed");
    assert!(bed.table().is_empty(), "{:?}", bed.table());
    switch.vsctl("set bridge br0 mcast_snooping_enable=false");
    for command in ["mdb/show", "mdb/flush"] {
        let error = switch.try_appctl(&format!("{command} br0")).stderr;
        assert!(error.starts_with("multicast snooping is disabled\n"), "{error}");
    }
    said
}

fn on_stock() -> Vec<String> {
    let host = Host::new("stock");
    let stock = Stock::start(&host);
    let bed = Bed::new(&host, |words| stock.vsctl(words), || stock.appctl("mdb/show br0"));
    scenario(&bed)
}

/// Real hosts join, leave, send and ask; every table and every hearer is what they are with a stock
/// switch.
#[test]
fn hosts_hear_what_they_hear_on_a_stock_switch() {
    if !can_make_hosts() {
        return;
    }
    let (ours, stock) = (on_ours(), on_stock());
    assert_eq!(ours, stock);
    // And the stock switch did what this test takes for granted.
    let has = |line: &str| assert!(ours.iter().any(|said| said == line), "{line}\n{ours:#?}");
    has("nobody is a member: [2, 3, 4]");
    has("to 2: [2]");
    has("to 2 and the router: [2, 4]");
    has("a group of nobody, not flooded: [4]");
    has("a local group: [2, 3, 4]");
}

/// A member is gone when its link, its port or its VLAN is; the group is flooded then.
#[test]
fn what_is_gone_is_no_member() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("weft");
    let switch = Switch::start(&host);
    let bed = Bed::new(&host, |words| switch.vsctl(words), || switch.appctl("mdb/show br0"));
    let [_, two, three, _] = bed.guests.as_slice() else { unreachable!("four guests") };
    let _members = [two.joins("239.1.2.3"), three.joins("239.1.2.3")];
    let rows = |port: u32| format!("    {port}     0  239.1.2.3");
    bed.until_has(&rows(2));
    bed.until_has(&rows(3));
    assert_eq!(bed.who_hears(1, "239.1.2.3"), [2, 3]);
    let shown = switch.try_weft("show").stdout;
    assert!(shown.contains("multicast snooping: 1 of 2,048 groups, 0 ways to a router"), "{shown}");

    host.sh("ip link set v2 down");
    bed.until_lacks(&rows(2));
    host.sh("ip link set v2 up");
    switch.vsctl("del-port port3");
    bed.until_lacks("239.1.2.3");
    // The kernel of guest 2 says it again when it is asked.
    bed.query();
    bed.until_has(&rows(2));
    switch.vsctl("set port port2 tag=9");
    assert_eq!(bed.until_lacks("239.1.2.3"), ["    4     0  querier"]);
}

/// Snooping over GRE and through patch ports: a tunnel is a member like any other port.
#[test]
fn members_are_known_across_a_tunnel() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    weft_tests::cable(&left, &right);
    left.address("eth0", "1.1.1.1/24");
    right.address("eth0", "1.1.1.2/24");
    let (here, there) = (Switch::start(&left), Switch::start(&right));
    let bed = Bed::new(&left, |words| here.vsctl(words), || here.appctl("mdb/show br0"));
    here.vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=1.1.1.2 ofport_request=9");
    there.vsctl(
        "add-br br0 -- add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=1.1.1.1",
    );
    let far = Guest::new("far", &right, "10.0.0.9/24");
    there.vsctl("add-port br0 far");
    let _member = far.joins("239.1.2.3");
    bed.until_has("    9     0  239.1.2.3");
    assert_eq!(bed.who_hears(1, "239.1.2.3"), [0usize; 0]);
    let word = bed.words.get();
    assert!(within(LIMIT, || far.has_heard(word)), "the member behind the tunnel");
}
