//! The unmodified ovs-appctl, and the formats that people and scripts parse.

use std::fs;
use std::time::Duration;
use weft_tests::{Host, Outcome, Stock, Switch, cable_named, can_make_hosts, within};

fn with_bridge(test: impl FnOnce(&Host, &Switch<'_>)) {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    test(&host, &switch);
}

#[test]
fn the_table_of_addresses_has_the_stock_layout() {
    with_bridge(|host, switch| {
        let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
        guest.must_reach("10.0.0.254");
        let mut lines: Vec<String> =
            switch.appctl("fdb/show br0").lines().map(str::to_owned).collect();
        assert_eq!(lines.remove(0), " port  VLAN  MAC                Age");
        lines.sort();
        let mut expected = [
            (format!("LOCAL     0  {}", host.mac("br0")), "LOCAL"),
            (format!("    1     0  {}", guest.mac("eth0")), "1"),
        ];
        expected.sort();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, (start, _)) in lines.iter().zip(&expected) {
            let age = line.strip_prefix(start.as_str()).unwrap_or_else(|| panic!("{line}"));
            // Two spaces, then the age in three columns.
            assert_eq!(age.len(), 5, "{line:?}");
            assert!(age.trim().parse::<u32>().unwrap() < 5, "{line:?}");
        }
        let stats = switch.appctl("fdb/stats-show br0");
        let labels: Vec<_> =
            stats.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
        assert_eq!(
            labels,
            [
                "Statistics for bridge \"br0\":",
                "  Current/maximum MAC entries in the table",
                "  Current static MAC entries in the table ",
                "  Total number of learned MAC entries     ",
                "  Total number of expired MAC entries     ",
                "  Total number of evicted MAC entries     ",
                "  Total number of port moved MAC entries  ",
            ]
        );
        assert!(stats.contains("in the table: 2/8192\n"), "{stats}");
        assert_eq!(switch.appctl("fdb/flush br0"), "table successfully flushed\n");
        assert_eq!(switch.appctl("fdb/show br0"), " port  VLAN  MAC                Age\n");
    });
}

/// Addresses go when their time is up, and are counted as expired.
#[test]
fn addresses_age() {
    with_bridge(|_, switch| {
        switch.vsctl("set bridge br0 other_config:mac-aging-time=2");
        let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
        guest.must_reach("10.0.0.254");
        assert!(switch.appctl("fdb/show br0").contains(&guest.mac("eth0")));
        // Neighbour probes of the hosts may refresh the entry for some seconds.
        let aged = within(Duration::from_mins(1), || {
            !switch.appctl("fdb/show br0").contains(&guest.mac("eth0"))
        });
        assert!(aged, "{}", switch.appctl("fdb/show br0"));
        let stats = switch.appctl("fdb/stats-show br0");
        let expired = stats.lines().find(|line| line.contains("expired")).unwrap();
        assert!(!expired.ends_with(" 0"), "{stats}");
    });
}

#[test]
fn datapath_and_bridges() {
    with_bridge(|_, switch| {
        let _guest = switch.plug("br0", "veth1", "10.0.0.1/24");
        switch.vsctl(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.9 \
             options:key=5",
        );
        let show = switch.appctl("dpif/show");
        let lines: Vec<_> = show.lines().collect();
        assert!(lines[0].contains(": hit:") && lines[0].contains(" missed:"), "{show}");
        assert_eq!(lines[1], "  br0:", "{show}");
        let port = |name: &str| {
            let line = lines.iter().find(|line| line.trim_start().starts_with(name)).copied();
            line.unwrap_or_else(|| panic!("no {name} in {show}")).to_owned()
        };
        assert!(port("br0 65534/").starts_with("    br0 65534/"), "{show}");
        assert!(port("veth1 1/").starts_with("    veth1 1/"), "{show}");
        assert!(port("gre0 2/").ends_with("(gre: key=5, remote_ip=192.0.2.9)"), "{show}");
        switch.vsctl("add-br br1");
        let mut bridges: Vec<_> =
            switch.appctl("ofproto/list").lines().map(str::to_owned).collect();
        bridges.sort();
        assert_eq!(bridges, ["br0", "br1"]);
    });
}

#[test]
fn the_daemon_tells_about_itself() {
    with_bridge(|_, switch| {
        let version = switch.appctl("version");
        assert!(version.starts_with("ovs-vswitchd (Open vSwitch) 3.1"), "{version}");
        let commands = switch.appctl("list-commands");
        assert!(commands.starts_with("The available commands are:\n"), "{commands}");
        for command in [
            "version",
            "exit",
            "fdb/show",
            "fdb/flush",
            "fdb/stats-show",
            "dpif/show",
            "ofproto/list",
            "vlog/set",
            "vlog/list",
            "coverage/show",
            "memory/show",
            "weft/show",
            "weft/drops",
        ] {
            let listed =
                commands.lines().any(|line| line.split_whitespace().next() == Some(command));
            assert!(listed, "{command} is missing in {commands}");
        }
        let modules = switch.appctl("vlog/list");
        let mut lines = modules.lines();
        assert_eq!(lines.next(), Some("                 console    syslog    file"));
        assert_eq!(lines.next(), Some("                 -------    ------    ------"));
        assert!(lines.next().is_some(), "{modules}");
        assert_eq!(switch.appctl("vlog/set ANY:file:dbg"), "");
        assert_eq!(switch.appctl("vlog/set ANY:file:info"), "");
        let coverage = switch.appctl("coverage/show");
        let head = "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=";
        assert!(coverage.starts_with(head), "{coverage}");
        let count = switch.appctl("coverage/read-counter bridge_reconfigure");
        let line = coverage.lines().find(|line| line.starts_with("bridge_reconfigure ")).unwrap();
        assert_eq!(line.rsplit(' ').next(), Some(count.trim()), "{coverage}");
        assert!(switch.appctl("memory/show").contains("ports:"));
        assert!(switch.appctl("tnl/neigh/aging").trim().parse::<u32>().is_ok());
    });
}

#[test]
fn errors_read_as_those_of_a_stock_switch() {
    with_bridge(|_, switch| {
        for (words, text) in [
            (
                "nope",
                "\"nope\" is not a valid command (use \"list-commands\" to see a list of valid commands)",
            ),
            ("fdb/show", "\"fdb/show\" command requires at least 1 arguments"),
            ("fdb/show nope", "no such bridge"),
            ("version a b c", "\"version\" command takes at most 0 arguments"),
            ("vlog/set nonsense:nonsense", ""),
        ] {
            let outcome = switch.try_appctl(words);
            assert_eq!(outcome.code, 2, "{words}: {outcome:?}");
            assert!(outcome.stderr.starts_with(text), "{words}: {}", outcome.stderr);
            assert!(
                outcome
                    .stderr
                    .trim_end()
                    .ends_with("ovs-appctl: ovs-vswitchd: server returned an error"),
                "{words}: {}",
                outcome.stderr
            );
        }
    });
}

/// Questions about what is not configured, and wrong ones: a stock switch has the same answers.
const QUESTIONS: &str = "
autoattach/status
autoattach/show-isid br0
bfd/set-forwarding nope
bfd/set-forwarding veth1 true
bfd/show
bfd/show veth1
bond/list
bond/list x
bond/migrate x 1 y
bond/set-active-member x y
bond/enable-member x y
bond/disable-member x y
bond/disable-member x
bond/show
bond/show veth1
bridge/reconnect
bridge/reconnect br0
bridge/reconnect nope
cfm/set-fault nope
cfm/set-fault veth1 true
cfm/show
cfm/show veth1
coverage/read-counter nope
dpctl/cache-get-size
dpctl/cache-get-size nope
dpctl/ct-get-nconns
dpctl/ct-get-nconns nope
dpctl/ct-stats-show
dpctl/ct-stats-show -v
dpctl/ct-stats-show netdev@ovs-netdev zone=5
dpctl/dump-conntrack
dpctl/dump-conntrack -m netdev@ovs-netdev
dpctl/dump-conntrack nope
dpctl/flush-conntrack
dpctl/flush-conntrack zone=5
dpctl/get-flow ufid:00000000-0000-0000-0000-000000000001
dpctl/offload-stats-show
dpctl/offload-stats-show nope
dpif-netdev/bond-show
dpif-netdev/pmd-rxq-show
dpif-netdev/pmd-stats-clear
lacp/show
lacp/show x
lacp/show-stats
lacp/show-stats x
ofproto/trace-packet-out
qos/show
qos/show br0
qos/show gone
qos/show gre0
qos/show nope
qos/show veth1
qos/show-types gre0
qos/show-types nope
dpctl/del-flows
revalidator/purge
revalidator/wait
revalidator/wait x
upcall/set-flow-limit
vlog/disable-rate-limit
vlog/disable-rate-limit nope
vlog/enable-rate-limit nope
vlog/list-pattern x
vlog/set
vlog/set ANY:syslog:off
vlog/set ANY:file:emer
vlog/set bridge:file:dbg
vlog/set bridge:nope:dbg
vlog/set ANY:nope:dbg
vlog/set nope:file:dbg
vlog/set PATTERN:nope:%m
vlog/set FACILITY:daemon
vlog/set FACILITY:LOCAL3
vlog/set dpif_netdev:file:dbg
vlog/set FACILITY:nope
";

/// Orders that cannot be carried out, and what their error names.
const ORDERS: [(&str, &str); 12] = [
    ("bfd/set-forwarding true", "BFD"),
    ("bond/hash 02:00:00:00:00:01", "bonds"),
    ("bond/set-active-member bond0 veth3", "bonds"),
    ("cfm/set-fault false", "CFM"),
    ("dpctl/add-flow 1 2", "flows"),
    ("dpctl/ct-set-maxconns 5", "connection tracking"),
    ("dpctl/del-if netdev@ovs-netdev veth1", "ovs-vsctl"),
    ("dpif/set-dp-features br0 ct_zone false", "dpif/show-dp-features"),
    ("ofproto/trace-packet-out br0 in_port=1 normal", "OpenFlow"),
    ("qos/show veth2", "shaping"),
    ("upcall/set-flow-limit 5", "flows"),
    ("vlog/set PATTERN:file:%m", "form"),
];

#[test]
fn what_is_not_there_is_answered_as_a_stock_switch_answers() {
    if !can_make_hosts() {
        return;
    }
    let (host, stock_host, guest) = (Host::new("host"), Host::new("stock"), Host::new("guest"));
    for name in ["veth1", "veth2", "veth3", "veth4"] {
        cable_named(&host, name, &guest, &format!("w{name}"));
    }
    cable_named(&stock_host, "veth1", &guest, "sveth1");
    let (switch, stock) = (Switch::start(&host), Stock::start(&stock_host));
    for words in [
        "add-br br0 -- set bridge br0 datapath_type=netdev",
        "add-port br0 veth1",
        "add-port br0 gone",
        "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.9 \
         options:in_key=5 options:out_key=6 options:csum=true options:tos=8 \
         options:df_default=false",
    ] {
        let _ = (switch.try_vsctl(words), stock.try_vsctl(words));
    }
    let mut differences = Vec::new();
    for words in QUESTIONS.lines().filter(|line| !line.is_empty()) {
        let (ours, theirs) = (switch.try_appctl(words), stock.try_appctl(words));
        let said =
            |outcome: &Outcome| (outcome.code, outcome.stdout.clone(), outcome.stderr.clone());
        if said(&ours) != said(&theirs) {
            differences.push(format!("{words}: {ours:?}, stock {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    // The numbers of ports are others.
    let tunnel = |text: &str| -> Vec<String> {
        text.split([' ', ',']).filter(|word| !word.starts_with("port")).map(str::to_owned).collect()
    };
    let listed = |text: String| tunnel(text.trim_end().split_once(": ").unwrap().1);
    let theirs = listed(stock.appctl("ofproto/list-tunnels"));
    assert_eq!(listed(switch.appctl("ofproto/list-tunnels")), theirs);

    switch
        .vsctl("add-port br0 veth2 -- set port veth2 qos=@q -- --id=@q create qos type=linux-htb");
    let _ = switch.try_vsctl("add-bond br0 bond0 veth3 veth4");
    for (words, named) in ORDERS {
        let outcome = switch.try_appctl(words);
        assert!(outcome.code == 2 && outcome.stderr.contains(named), "{words}: {outcome:?}");
    }
    assert_eq!(switch.appctl("bond/list"), stock.appctl("bond/list") + "\n");
    for command in ["upcall/show", "dpif-netdev/pmd-stats-show", "dpif-netdev/pmd-perf-show"] {
        assert!(!switch.appctl(command).is_empty(), "{command}");
    }
}

/// A module's level, by its name here or by that of a stock module, decides what is logged.
#[test]
fn levels_of_modules_decide_what_is_logged() {
    with_bridge(|host, switch| {
        let log = switch.rundir().join("weftd.log");
        let count = |text: &str| switch.log().lines().filter(|line| line.contains(text)).count();
        let add = |name: &str| {
            switch.vsctl(&format!("add-port br0 {name} -- set interface {name} type=internal"))
        };
        assert_eq!(count("|apply|INFO|br0: internal port is there"), 1);
        for (spec, name, is_logged) in [
            ("bridge:file:warn", "i1", false),
            ("apply:file:info", "i2", true),
            ("ANY:file:off", "i3", false),
            ("info", "i4", true),
        ] {
            assert_eq!(switch.appctl(&format!("vlog/set {spec}")), "");
            add(name);
            let text = format!("|apply|INFO|{name}: internal port is there");
            assert_eq!(count(&text), usize::from(is_logged), "{spec}: {}", switch.log());
        }
        // Somebody who speaks no JSON is worth a line for developers only.
        let socket = format!("{}/ovs-vswitchd.{}.ctl", switch.rundir().display(), switch.pid());
        let garble = || host.sh(&format!("printf '}}x' | socat -t 5 - UNIX:{socket}"));
        garble();
        assert_eq!(count("|unixctl|DBG|"), 0);
        switch.appctl("vlog/set unixctl:file:dbg");
        garble();
        // Connections of before may end as late as now, each in its own way.
        let is_logged = || count("|unixctl|DBG|control connection: expected value") == 1;
        assert!(within(Duration::from_secs(10), is_logged), "{}", switch.log());

        // Rotation, as logrotate does it.
        fs::rename(&log, log.with_extension("old")).unwrap();
        switch.appctl("vlog/reopen");
        add("i5");
        assert_eq!(count("i5: internal port is there"), 1);
        switch.appctl("vlog/close");
        add("i6");
        assert_eq!(count("i6"), 0);
    });
}

/// The pid file must be locked by the living process, or ovs-appctl does not believe it.
#[test]
fn a_dead_switch_is_not_found() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let gone = Switch::start(&host).kill_hard();
    let outcome =
        host.try_sh(&format!("OVS_RUNDIR={} ovs-appctl version", gone.rundir().display()));
    assert!(!outcome.ok());
    assert!(outcome.stderr.contains("cannot read pidfile"), "{}", outcome.stderr);
}
