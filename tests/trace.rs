//! `ofproto/trace`, `weft trace` and the views of the datapath: what is said of a frame is what
//! happens to it, and what a stock switch says.

use std::collections::BTreeSet;
use std::io::Write;

use weft_tests::{Host, Outcome, Stock, Switch, add_port, can_make_hosts};

/// Four trunk, native and access ports on a bridge.
const PORTS: &str = "set port p1 trunks=10,20 -- set port p2 vlan_mode=native-untagged tag=10 \
    -- set port p3 vlan_mode=native-tagged tag=10 -- set port p4 tag=20";

/// A bridge with ports `p1` to `p4`, whose interfaces are `v1` to `v4`.
fn bridge(settings: &str) -> String {
    let mut words = vec![format!("add-br br0 -- set bridge br0 datapath_type=netdev {settings}")];
    for n in 1..=4 {
        let (port, interface) = (format!("p{n}"), format!("v{n}"));
        words.push(add_port("br0", &port, &interface));
        words.push(format!("set interface {interface} ofport_request={n}"));
    }
    words.join(" -- ")
}

const ADDRESSES: [&str; 2] =
    ["fdb/add br0 v2 10 02:00:00:00:00:22", "fdb/add br0 v4 20 02:00:00:00:00:44"];

fn make_devices(host: &Host) {
    for n in 1..=4 {
        host.sh(&format!(
            "ip link add v{n} type veth peer name w{n} && ip link set v{n} up && ip link set w{n} up"
        ));
    }
}

/// The order in which a flood's copies are made is nobody's promise: the copies are, with their
/// tags.  What is said beyond a stock switch starts with a dash.
fn comparable(text: &str) -> Vec<String> {
    let (mut lines, mut tag) = (Vec::new(), String::new());
    for line in text.lines().filter(|line| !line.starts_with("     - ")) {
        if line.starts_with("Flow: ") {
            tag = tag_of(line);
        }
        lines.push(match line.strip_prefix("Datapath actions: ") {
            Some(actions) => format!("copies: {:?}", copies(&tag, actions)),
            None => line.to_owned(),
        });
    }
    lines
}

/// The tag that a frame comes with, as the action that would push it.
fn tag_of(flow: &str) -> String {
    let field = |name: &str| {
        let value = flow.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.map(str::to_owned)
    };
    match (field("dl_vlan"), field("dl_vlan_pcp")) {
        (Some(vid), Some(pcp)) => format!("push_vlan(vid={vid};pcp={pcp})"),
        _ => String::new(),
    }
}

/// The ports of a list of actions, each with the tag that is on the frame by then.
fn copies(tag: &str, actions: &str) -> BTreeSet<String> {
    let (mut tag, mut copies) = (tag.to_owned(), BTreeSet::new());
    // Commas inside parentheses belong to their action.
    for action in actions.replace(",pcp", ";pcp").split(',') {
        match action {
            "pop_vlan" => tag.clear(),
            push if push.starts_with("push_vlan") => push.clone_into(&mut tag),
            port => drop(copies.insert(format!("{port} {tag}"))),
        }
    }
    copies
}

/// Flows, and what is no flow.
fn questions() -> Vec<String> {
    let to = "dl_src=02:00:00:00:00:99,dl_dst=02:00:00:00:00";
    vec![
        format!("in_port=v1,dl_vlan=10,{to}:22,ip"),
        format!("in_port=1,dl_vlan=30,{to}:22,ip"),
        format!("in_port=v1,{to}:22"),
        format!("in_port=v4,{to}:44,arp"),
        format!("in_port=v4,dl_vlan=20,{to}:44"),
        format!("in_port=v4,{to}:77,tcp,nw_src=10.0.0.1,tp_dst=80,tcp_flags=2"),
        format!("in_port=v2,{to}:77,udp,nw_dst=10.0.0.9,udp_src=7"),
        format!("in_port=v2,dl_vlan=20,dl_vlan_pcp=3,{to}:44,icmp"),
        format!("in_port=v3,dl_vlan=10,{to}:22,icmp6,ipv6_src=fe80::1"),
        format!("in_port=LOCAL,dl_vlan=20,dl_vlan_pcp=3,{to}:44"),
        format!("in_port=local,{to}:22"),
        "in_port=v1,dl_vlan=10,dl_dst=ff:ff:ff:ff:ff:ff,arp,arp_spa=10.0.0.1,arp_op=1".to_owned(),
        "in_port=v1,dl_vlan=20,dl_dst=01:80:c2:00:00:0e,dl_type=0x88cc".to_owned(),
        "in_port=v1,dl_vlan=10,dl_dst=33:33:00:00:00:01,ipv6,ipv6_dst=ff02::1".to_owned(),
        "in_port=77".to_owned(),
        "in_port=nope".to_owned(),
        "in_port=v1,nope=5".to_owned(),
        "in_port=v1,tp_dst=80".to_owned(),
        "in_port=v1,dl_src=zz".to_owned(),
        "in_port=v1,ip,nw_src=10.0.0.0/8".to_owned(),
        "in_port=v1,dl_vlan=10,vlan_vid=3".to_owned(),
        // With a packet: what it teaches is learned, and said.
        format!("in_port=v1,dl_vlan=10,{to}:22,ip -generate"),
        format!("in_port=v3,{to}:44,ip --generate"),
        "in_port=v1 ffffffffffff020000000098810000140806".to_owned(),
        "in_port=v1 aabb".to_owned(),
        "in_port=v1 zz".to_owned(),
        "in_port=v1 -nope".to_owned(),
    ]
}

#[test]
fn a_trace_reads_as_that_of_a_stock_switch() {
    if !can_make_hosts() {
        return;
    }
    let (ours, theirs) = (Host::new("weft"), Host::new("stock"));
    make_devices(&ours);
    make_devices(&theirs);
    let (switch, stock) = (Switch::start(&ours), Stock::start(&theirs));
    let bridge = format!("{} -- {PORTS}", bridge(""));
    switch.vsctl(&bridge);
    stock.vsctl(&bridge);
    for address in ADDRESSES {
        switch.appctl(address);
        assert!(stock.try_appctl(address).ok());
    }
    let mut differences = Vec::new();
    for flow in questions() {
        let words = format!("ofproto/trace --names br0 {flow}");
        let (ours, theirs) = (switch.try_appctl(&words), stock.try_appctl(&words));
        let said =
            |outcome: &Outcome| (outcome.code, comparable(&outcome.stdout), outcome.stderr.clone());
        if said(&ours) != said(&theirs) {
            differences.push(format!("{flow}\n{:#?}\n{:#?}", said(&ours), said(&theirs)));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let unknown = "ofproto/trace nope in_port=1";
    assert_eq!(switch.try_appctl(unknown).stderr, stock.try_appctl(unknown).stderr);
    let table = |text: &str| -> BTreeSet<String> {
        // The hosts behind the ports have addresses of their own.
        let asked = text.lines().filter(|line| line.contains("  02:00:00:00:00:"));
        // Ages differ by when they were asked for.
        let age = |line: &str| if line.ends_with("static") { " static" } else { "" };
        asked.map(|line| line.get(..30).unwrap_or(line).to_owned() + age(line)).collect()
    };
    let theirs = stock.try_appctl("fdb/show br0").expect_ok();
    let only_ours: Vec<_> =
        table(&switch.appctl("fdb/show br0")).difference(&table(&theirs)).cloned().collect();
    assert!(only_ours.is_empty(), "{only_ours:?} not in {theirs}");
}

/// What a stock switch keeps to itself: VLAN, learning, and why a port gets no copy.
#[test]
fn a_trace_says_why_not() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    make_devices(&host);
    let switch = Switch::start(&host);
    switch.vsctl(&format!("{} -- {PORTS}", bridge("")));
    switch.vsctl(
        "set port p1 other_config:split-horizon=a -- set port p3 other_config:split-horizon=a",
    );
    let text = switch.appctl("ofproto/trace br0 in_port=v1,dl_vlan=10,dl_dst=ff:ff:ff:ff:ff:ff");
    for line in [
        "     - ingress: p1 of bridge br0, trunk port: the frame is in VLAN 10",
        "     - learn: 00:00:00:00:00:00 in VLAN 10 is new: would be learned on p1",
        "     - egress: p2: untagged, 60 bytes",
        "     - egress: not p3: of the same split-horizon group as the ingress port (split_horizon)",
        "     - egress: not p4: not in its VLAN (egress_vlan)",
    ] {
        assert!(text.lines().any(|said| said == line), "no {line:?} in\n{text}");
    }
    // Through a patch port, into the next bridge.
    switch.vsctl(
        "add-port br0 to1 -- set interface to1 type=patch options:peer=to0 -- add-br br1 \
         -- add-port br1 to0 -- set interface to0 type=patch options:peer=to1",
    );
    let text = switch.appctl("ofproto/trace br0 in_port=v4,dl_dst=02:00:00:00:00:55 --names");
    assert!(text.contains("to1: VLAN 20 priority 0, 64 bytes, into bridge br1\n"), "{text}");
    assert!(text.contains("\nbridge(\"br1\")\n-------------\n"), "{text}");
    let actions = text.lines().last().unwrap_or_default();
    assert!(actions.contains("br1"), "{text}");
    // A bridge that forwards stops when its mode becomes secure.
    switch.vsctl("set bridge br1 fail_mode=secure");
    let text = switch.appctl("ofproto/trace br1 in_port=LOCAL");
    assert!(text.contains("\n 0. No match.\n    drop\n"), "{text}");
    let why = "     - drop: bridge br1 forwards nothing, as fail_mode has it (port_blocked)\n";
    assert!(text.contains(why), "{text}");
}

/// What is said of the bridge's decision: stock forgets to say what snooping looked at.
fn decision(text: &str) -> Vec<String> {
    let about = ["Flow: ", "Megaflow: ", "     -> learned ", "     -> multicast snooping "];
    let lines = comparable(text).into_iter();
    lines.filter(|line| !about.iter().any(|about| line.starts_with(about))).collect()
}

/// A general `IGMPv2` query from 10.0.0.51, and an `IGMPv2` report of 239.1.2.3 from 10.0.0.34.
const QUERY: &str = "01005e0000010200000000330800\
    46c0002000000000010239e40a000033e0000001940400001164ee9b00000000";
const REPORT: &str = "01005e0102030200000000220800\
    46c0002000000000010228f20a000022ef010203940400001600f8faef010203";

/// Groups, routers and mirrors: both switches hear a query and a report, and have a mirror then.
#[test]
fn a_trace_of_groups_and_mirrors_reads_as_that_of_a_stock_switch() {
    if !can_make_hosts() {
        return;
    }
    let (ours, theirs) = (Host::new("weft"), Host::new("stock"));
    make_devices(&ours);
    make_devices(&theirs);
    let (switch, stock) = (Switch::start(&ours), Stock::start(&theirs));
    let ports = bridge("mcast_snooping_enable=true");
    switch.vsctl(&ports);
    stock.vsctl(&ports);
    for (host, mdb) in [
        (&ours, &(|| switch.appctl("mdb/show br0")) as &dyn Fn() -> String),
        (&theirs, &|| stock.appctl("mdb/show br0")),
    ] {
        let heard = weft_tests::within(std::time::Duration::from_secs(10), || {
            host.send_frame("w3", &format!("Raw(bytes.fromhex(\"{QUERY}\"))"));
            host.send_frame("w2", &format!("Raw(bytes.fromhex(\"{REPORT}\"))"));
            mdb().contains("querier") && mdb().contains("239.1.2.3")
        });
        assert!(heard, "{}", mdb());
    }
    let compare = |question: &str| {
        let words = format!("ofproto/trace --names br0 {question}");
        let ours = switch.appctl(&words);
        let theirs = stock.try_appctl(&words).expect_ok();
        assert_eq!(decision(&ours), decision(&theirs), "{question}\n{ours}\n{theirs}");
        ours
    };
    let to = "dl_src=02:00:00:00:00:99,dl_dst=01:00:5e:01:02";
    let joined = format!("in_port=v1,{to}:03,udp,nw_dst=239.1.2.3");
    let text = compare(&joined);
    let steps = [
        "     - forward: 01:00:5e:01:02:03: to the ports that snooping knows: p2, p3",
        "     - egress: not p4: not one of the frame's ports",
    ];
    assert!(steps.iter().all(|step| text.lines().any(|line| line == *step)), "{text}");
    compare(&format!("in_port=v2,{to}:03,udp,nw_dst=239.1.2.3"));
    compare(&format!("in_port=v1,{to}:04,udp,nw_dst=239.1.2.4"));
    compare(&format!("in_port=v1,{to}:05,udp,nw_dst=224.0.0.5"));
    // With a packet, a stock switch notes what it says: only what is known already is repeated.
    compare(&format!("in_port=v2 {REPORT}"));
    compare(&format!("in_port=v3 {QUERY}"));
    let floods = "set port p4 other_config:mcast-snooping-flood=true \
         other_config:mcast-snooping-flood-reports=true -- set bridge br0 \
         other_config:mcast-snooping-disable-flood-unregistered=true";
    switch.vsctl(floods);
    stock.vsctl(floods);
    compare(&joined);
    compare(&format!("in_port=v1,{to}:04,udp,nw_dst=239.1.2.4"));
    compare(&format!("in_port=v4 {REPORT}"));

    let mirror = "-- --id=@p get port p4 -- --id=@m create mirror name=m0 select_all=true \
         output_port=@p -- set bridge br0 mcast_snooping_enable=false mirrors=@m";
    switch.vsctl(mirror);
    stock.vsctl(mirror);
    let text = compare("in_port=v1,dl_src=02:00:00:00:00:99,dl_dst=02:00:00:00:00:77");
    assert!(text.contains("     - egress: mirror m0 to p4: untagged, 60 bytes\n"), "{text}");
    assert!(text.contains("     - egress: not p4: reserved for the copies of a mirror"), "{text}");
    compare("in_port=v4,dl_src=02:00:00:00:00:98,dl_dst=02:00:00:00:00:77");
    let page = switch.try_weft(&format!("trace p1 {QUESTION}")).expect_ok();
    assert!(page.contains("  egress   mirror m0 to p4: untagged, 60 bytes\n"), "{page}");
}

const QUESTION: &str = "ffffffffffff02000000009908060001080006040001\
                        0200000000990a0000630000000000000a000001";

#[test]
fn weft_trace_takes_digits_and_files_and_leaves_no_mark() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let page = switch.try_weft(&format!("trace veth1 {QUESTION}")).expect_ok();
    for part in [
        "bridge br0, port veth1\n",
        "  parse    02:00:00:00:00:99 > ff:ff:ff:ff:ff:ff, ARP who-has 10.0.0.1 tell 10.0.0.99",
        "  learn    02:00:00:00:00:99 in VLAN 0 is new: would be learned on veth1\n",
        "  forward  ff:ff:ff:ff:ff:ff is a group address: to all ports of VLAN 0\n",
        "  egress   veth2: untagged, 60 bytes\n",
        "actions: br0,veth2\n",
    ] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    assert!(!switch.appctl("fdb/show br0").contains("02:00:00:00:00:99"));
    assert!(switch.try_weft(&format!("trace br0 veth1 {QUESTION} --learn")).ok());
    assert!(switch.appctl("fdb/show br0").contains("02:00:00:00:00:99"));

    let file = switch.rundir().join("two.pcap");
    let mut pcap = std::fs::File::create(&file).unwrap();
    pcap.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    pcap.write_all(&[0xff, 0xff, 0, 0, 1, 0, 0, 0]).unwrap();
    for source in [0x97_u8, 0x98] {
        let mut frame = vec![2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, source, 0x88, 0xb5];
        frame.resize(60, 0);
        pcap.write_all(&[[0; 8], [60, 0, 0, 0, 60, 0, 0, 0]].concat()).unwrap();
        pcap.write_all(&frame).unwrap();
    }
    let words = format!("trace veth2 --pcap {}", file.display());
    let both = switch.try_weft(&words).expect_ok();
    assert!(both.starts_with("frame 1\n") && both.contains("\nframe 2\n"), "{both}");
    let second = switch.weft_json(&format!("{words} -n 2"));
    assert_eq!(second["actions"], "veth1", "{second}");

    // The same in the words of flows, with the port by name or by number.
    let arp = "arp,dl_src=02:00:00:00:00:99,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.0.0.99,\
               arp_tpa=10.0.0.1,arp_sha=02:00:00:00:00:99";
    let number = switch.vsctl("get interface veth1 ofport");
    let whole = switch.try_weft(&format!("trace veth1 {QUESTION}")).expect_ok();
    // A frame that is made of a flow is padded.
    let whole = whole.replace("length 42", "length 60");
    for port in ["veth1", &number] {
        let page = switch.try_weft(&format!("trace br0 in_port={port},{arp}")).expect_ok();
        assert_eq!(page, whole);
    }

    for (words, code, error) in [
        ("trace br9 in_port=veth1", 1, "no bridge named br9"),
        ("trace br0 dl_dst=02:00:00:00:00:01", 1, "in_port is missing"),
        ("trace br0 in_port=99", 1, "bridge br0 has no port 99"),
        ("trace br0 in_port=veth1,nonsense=1", 1, "unknown field nonsense"),
        ("trace nope aabb", 1, "no port or underlay interface named nope"),
        ("trace br9 veth1 aabb", 1, "no bridge named br9"),
        ("trace br0 nope aabb", 1, "bridge br0 has no port named nope"),
        ("trace veth1 aabb", 1, "Packet data too short for Ethernet"),
        ("trace veth1", 2, "give a frame"),
        ("trace veth1 --pcap /nonexistent", 4, "cannot read /nonexistent"),
    ] {
        let outcome = switch.try_weft(words);
        assert_eq!(outcome.code, code, "{words}: {outcome:?}");
        assert!(outcome.stderr.contains(error), "{words}: {}", outcome.stderr);
    }
}

#[test]
fn weft_trace_shows_the_headers_of_tunnels() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let far = Host::new("far");
    weft_tests::cable_named(&host, "eth0", &far, "eth0");
    host.address("eth0", "192.0.2.1/24");
    host.knows("eth0", "192.0.2.2", &far.mac("eth0"));
    let switch = Switch::start(&host);
    switch.vsctl(
        "add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 gre0 \
         -- set interface gre0 type=gre options:remote_ip=192.0.2.2 options:key=5",
    );
    let out = || switch.try_weft(&format!("trace br0 {QUESTION}")).expect_ok();
    let is_there = weft_tests::within(std::time::Duration::from_secs(5), || {
        out().contains("192.0.2.1 > 192.0.2.2: GRE key 0x5 | 02:00:00:00:00:99 > ")
    });
    assert!(is_there, "{}", out());
    let actions = switch.appctl("ofproto/trace br0 in_port=LOCAL,dl_dst=ff:ff:ff:ff:ff:ff");
    assert!(actions.contains("tnl_push(tnl_port(2),header(size=42,type=3,eth(dst="), "{actions}");
    assert!(
        actions.contains("gre((flags=0x2000,proto=0x6558),key=0x5)),out_port(eth0))"),
        "{actions}"
    );
    // And the way back, as a packet of the underlay.
    let outer = |key: u8| {
        let ip = "4500004600000000402f00000000000000000000";
        format!("{}{}0800{ip}2000655800000{key:03x}{QUESTION}", "020000000001", "020000000002")
    };
    let page = switch.try_weft(&format!("trace eth0 {}", outer(5))).expect_ok();
    assert!(page.contains("underlay eth0: ") && page.contains("dropped as ip_csum"), "{page}");
}

#[test]
fn flows_are_the_recent_traffic() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    assert_eq!(a.pings(3, "10.0.0.2"), 3);
    let flows = switch.appctl("dpctl/dump-flows --names");
    assert!(flows.starts_with("flow-dump from the main thread:\n"), "{flows}");
    let there = format!(
        "recirc_id(0),in_port(veth1),packet_type(ns=0,id=0),eth(src={},dst={}),eth_type(0x0800),\
         ipv4(frag=no), packets:2, bytes:196, used:",
        a.mac("eth0"),
        b.mac("eth0")
    );
    let line = flows.lines().find(|line| line.starts_with(&there));
    let line = line.unwrap_or_else(|| panic!("no {there} in\n{flows}"));
    assert!(line.ends_with("s, actions:veth2"), "{line}");
    let asks = "eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.2,op=1)";
    let ask = flows.lines().find(|line| line.contains(asks)).unwrap_or_default();
    assert!(ask.ends_with("actions:br0,veth2"), "{ask} in\n{flows}");

    let more = switch.appctl("dpctl/dump-flows -m filter=icmp");
    assert!(more.lines().skip(1).all(|line| line.starts_with("ufid:")), "{more}");
    assert!(more.contains("ipv4(src=10.0.0.1/0.0.0.0,dst=10.0.0.2/0.0.0.0,proto=1/0"), "{more}");
    assert!(more.contains("icmp(type=8/0,code=0/0), packets:2, bytes:196"), "{more}");
    assert!(!more.contains("0x0806"), "{more}");
    assert_eq!(switch.appctl("dpctl/dump-flows type=offloaded"), "");
    let of_bridge = switch.appctl("dpif/dump-flows --names br0");
    assert!(of_bridge.contains(&there), "{of_bridge}");

    let show = switch.appctl("dpctl/show");
    let count = show.lines().find_map(|line| line.strip_prefix("  flows: ")).unwrap_or_default();
    assert!(count.parse::<usize>().unwrap() >= 4, "{show}");
    let hit =
        show.lines().find_map(|line| line.strip_prefix("  lookups: hit:")).unwrap_or_default();
    let hit = hit.split(' ').next().unwrap_or_default();
    assert!(hit.parse::<u64>().unwrap() >= 6, "{show}");
    let rows = switch.appctl("bridge/dump-flows br0");
    assert!(
        rows.lines().next().unwrap_or_default().ends_with("priority=0,actions=NORMAL"),
        "{rows}"
    );

    // Orders to forget them, and what comes in then is counted from there.
    for words in ["revalidator/purge", "dpctl/del-flows", "dpctl/del-flows netdev@ovs-netdev"] {
        assert_eq!(switch.appctl(words), "");
        let left = switch.appctl("dpctl/dump-flows filter=icmp");
        assert!(!left.contains("actions:"), "{words}: {left}");
        assert_eq!(a.pings(1, "10.0.0.2"), 1);
        let anew = switch.appctl("dpctl/dump-flows --names");
        assert!(
            anew.contains(
                &there.replace("packets:2, bytes:196, used:", "packets:0, bytes:0, used:never")
            ),
            "{anew}"
        );
    }
}

/// A bridge without a type is of the kernel's datapath to its clients.
#[test]
fn a_bridge_of_the_system_type_has_flows_as_the_kernel_has() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    assert_eq!(switch.appctl("dpctl/dump-dps"), "system@ovs-system\n");
    assert_eq!(a.pings(1, "10.0.0.2"), 1);
    let flows = switch.appctl("dpctl/dump-flows");
    assert!(
        flows.starts_with("recirc_id(0),in_port(") && !flows.contains("packet_type"),
        "{flows}"
    );
    assert!(switch.appctl("dpif/show").contains("br0 65534/1: (internal)"));
}

#[test]
fn views_refuse_what_they_do_not_know() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0 -- set bridge br0 datapath_type=netdev");
    for (words, error) in [
        ("dpctl/dump-flows nope", "ovs-vswitchd: datapath not found (Invalid argument)\n"),
        (
            "dpctl/dump-flows filter=nope",
            "ovs-vswitchd: Failed to parse filter (nope: unknown field nope)\n",
        ),
        (
            "dpctl/dump-flows type=nope",
            "ovs-vswitchd: Failed to parse type (nope) (Invalid argument)\n",
        ),
        (
            "dpctl/show nope",
            "ovs-vswitchd: opening datapath nope failed (No such file or directory)\n",
        ),
        ("dpif/dump-flows nope", "no such bridge\n"),
        ("bridge/dump-flows nope", "Unknown bridge\n"),
        ("dpif/show-dp-features nope", "no such bridge\n"),
    ] {
        let outcome = switch.try_appctl(words);
        assert_eq!(outcome.code, 2, "{words}");
        assert!(outcome.stderr.starts_with(error), "{words}: {}", outcome.stderr);
    }
}
