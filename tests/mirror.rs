//! Mirrors: what a guest on the output sees, beside what a stock switch shows there.

use std::time::Duration;
use weft_tests::{Flow, Host, Stock, Switch, add_port, can_make_hosts, introduce, within};

/// What both switches under comparison offer.
trait Bridge {
    fn vsctl(&self, words: &str) -> String;

    /// Waits until frames obey what the client said.
    fn settle(&self) {}
}

impl Bridge for Switch<'_> {
    fn vsctl(&self, words: &str) -> String {
        Switch::vsctl(self, words)
    }
}

impl Bridge for Stock<'_> {
    fn vsctl(&self, words: &str) -> String {
        Stock::vsctl(self, words)
    }

    /// Cached flows are looked through at leisure, unless they are thrown away.
    fn settle(&self) {
        self.appctl("revalidator/wait");
        self.appctl("revalidator/purge");
    }
}

/// Makes mirror `m0` of `br0` the only one; `@NAME` stands for the row of port NAME.
fn mirror(switch: &impl Bridge, columns: &str) {
    switch.vsctl("clear bridge br0 mirrors");
    let names = columns.split(['=', ' ', ',']).filter_map(|word| word.strip_prefix('@'));
    let lookups: Vec<_> = names.map(|name| format!("-- --id=@{name} get port {name}")).collect();
    let lookups = lookups.join(" ");
    switch.vsctl(&format!(
        "{lookups} -- --id=@m create mirror name=m0 {columns} -- add bridge br0 mirrors @m"
    ));
    switch.settle();
}

/// Headers of tagged broadcasts, a plain one, and a link-local frame.
const HEADERS: [&str; 4] = [
    "ffffffffffff 020000000001 8100 6006 88b5",
    "ffffffffffff 020000000001 8100 0fff 88b5",
    "ffffffffffff 020000000001 88b5",
    "0180c200000e 020000000001 88b5",
];

fn send(guest: &Host) {
    for header in HEADERS {
        guest.send_hex("eth0", &format!("{header} {}", "41".repeat(100)));
    }
}

/// Guests `va` (trunk), `vb` (access, VLAN 5) and `vc` (trunk), and what `vc` sees of the frames that
/// the others send, under one mirror after another.
fn seen(host: &Host, switch: &impl Bridge) -> Vec<String> {
    let bridge = "add-br br0 -- set bridge br0 datapath_type=netdev";
    switch.vsctl(bridge);
    let guests = ["va", "vb", "vc"].map(|name| {
        let guest = Host::new(&format!("{}-{name}", host.name()));
        let device = format!("nic-{name}");
        weft_tests::cable_named(host, &device, &guest, "eth0");
        switch.vsctl(&add_port("br0", name, &device));
        // The kernel gives a tag of a veth's frame only to those who ask.
        guest.sh("ethtool -K eth0 rxvlan off txvlan off 2>/dev/null || true");
        guest
    });
    switch.vsctl("set port vb tag=5");
    let [a, b, c] = &guests;
    let mirrors = [
        "select_all=true output_port=@vc",
        "select_src_port=@vb output_port=@vc",
        "select_dst_port=@vb output_port=@vc",
        "select_all=true select_vlan=6 output_port=@vc",
        "select_all=true select_vlan=4095 output_port=@vc",
        "select_all=true output_port=@vc snaplen=64",
        "select_src_port=@va output_vlan=77",
        "select_src_port=@va output_vlan=4095",
        "select_src_port=@va,@vb output_vlan=77 snaplen=80",
        "select_src_port=@va",
    ];
    let mut all = Vec::new();
    for columns in mirrors {
        mirror(switch, columns);
        let capture = c.spawn("tcpdump -lnnei eth0 -s 0 ether src 02:00:00:00:00:01");
        capture.wait_for("listening on");
        send(a);
        send(b);
        // Nothing says that all have come.
        let mut text = String::new();
        let settled = || {
            std::thread::sleep(Duration::from_millis(300));
            let before = std::mem::replace(&mut text, capture.output());
            before == text
        };
        assert!(within(Duration::from_secs(10), settled), "frames without end");
        let mut lines: Vec<String> = text.lines().filter_map(line).collect();
        lines.sort();
        all.push(format!("{columns}\n  {}", lines.join("\n  ")));
    }
    all
}

/// What matters of a line of tcpdump: destination, tags and length.
fn line(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(" > ")?;
    let is_frame = rest.contains("length");
    let (target, rest) = rest.split_once(',')?;
    let length = rest.split("length ").nth(1)?.split([':', ',', ' ']).next()?;
    let tag = rest.split("vlan ").nth(1).and_then(|tag| tag.split(',').next());
    let priority = rest.split("p ").nth(1).filter(|_| rest.contains(", p ")).map(|p| &p[..1]);
    is_frame.then(|| format!("{target} {length} {tag:?} {priority:?}"))
}

#[test]
fn a_mirror_shows_what_a_stock_switch_shows() {
    if !can_make_hosts() {
        return;
    }
    let (host, stock_host) = (Host::new("host"), Host::new("stock"));
    let switch = Switch::start(&host);
    let stock = Stock::start(&stock_host);
    let (ours, theirs) = (seen(&host, &switch), seen(&stock_host, &stock));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert!(ours[0].lines().count() >= 5, "{ours:#?}");
}

/// The mirror's output takes nothing but copies, in either direction, and who talks through the
/// bridge loses nothing when mirrors come and go.
#[test]
fn a_mirror_disturbs_nobody() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = switch.plug("br0", "vif1", "10.0.0.1/24");
    let b = switch.plug("br0", "vif2", "10.0.0.2/24");
    let probe = switch.plug("br0", "vif3", "10.0.0.3/24");
    a.must_reach("10.0.0.2");
    a.must_reach("10.0.0.3");
    let flow = Flow::start(&a, &b, "10.0.0.2:9000");
    for _ in 0..5 {
        mirror(&switch, "select_all=true output_port=@vif3");
        switch.vsctl("clear bridge br0 mirrors");
    }
    mirror(&switch, "select_all=true output_port=@vif3");
    let before = probe.rx_frames("eth0");
    let sees = || probe.rx_frames("eth0") > before + 50;
    assert!(within(Duration::from_secs(10), sees), "the probe sees the flow");
    let tally = flow.finish();
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{tally:?}");

    // Nobody reaches the output, and it reaches nobody.
    assert!(!a.reaches("10.0.0.3") && !probe.reaches("10.0.0.1"));
    assert!(switch.drops().contains_key("vif3 rx mirror_port"), "{:?}", switch.drops());
    // Each echo is one frame there and one back, each copied once; both guests know each other.
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    let moved = switch.deltas(|| assert_eq!(a.pings(10, "10.0.0.2"), 10));
    let figure = |name: &str| moved.get(name).copied().unwrap_or(0);
    assert_eq!(figure("vif3 tx_frames"), figure("vif1 rx_frames") + figure("vif2 rx_frames"));

    // Statistics, and a port that is freed by the end of the mirror.
    // They come every five seconds; until then there are none.
    let counts = || {
        let text = switch.vsctl("--if-exists get mirror m0 statistics:tx_packets");
        if text.is_empty() { 0 } else { text.parse::<i64>().unwrap() }
    };
    let port = || switch.counters().get("vif3 tx_frames").copied().unwrap_or(0);
    assert!(within(Duration::from_secs(8), || counts() > 20 && counts() <= port()));
    switch.vsctl("clear bridge br0 mirrors");
    a.must_reach("10.0.0.3");
}

/// A tunnel as output: the copies arrive on another host's bridge.
#[test]
fn copies_go_through_a_tunnel() {
    if !can_make_hosts() {
        return;
    }
    let (near, far) = (Host::new("near"), Host::new("far"));
    weft_tests::cable(&near, &far);
    near.address("eth0", "192.0.2.1/24");
    far.address("eth0", "192.0.2.2/24");
    let (switch, other) = (Switch::start(&near), Switch::start(&far));
    let gre = |remote: &str| {
        format!("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={remote}")
    };
    switch.vsctl("add-br br0");
    switch.vsctl(&gre("192.0.2.2"));
    other.vsctl("add-br br0");
    other.vsctl(&gre("192.0.2.1"));
    let a = switch.plug("br0", "vif1", "10.0.0.1/24");
    let b = switch.plug("br0", "vif2", "10.0.0.2/24");
    let probe = other.plug("br0", "vif3", "");
    mirror(&switch, "select_src_port=@vif1 output_port=@gre0");
    a.must_reach("10.0.0.2");
    let capture = probe.spawn("tcpdump -lnni eth0 icmp");
    capture.wait_for("listening on");
    let sees = || {
        let _ = a.pings(1, "10.0.0.2");
        capture.output().contains("10.0.0.1 > 10.0.0.2: ICMP echo request")
    };
    assert!(within(Duration::from_secs(5), sees), "{}", capture.output());
    assert!(!capture.output().contains("10.0.0.2 > 10.0.0.1"), "only what vif1 sends");
    drop(b);
}
