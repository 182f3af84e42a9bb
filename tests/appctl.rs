//! The unmodified ovs-appctl, and the formats that people and scripts parse.

use weft_tests::{Host, Switch, can_make_hosts};

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
        let aged = weft_tests::within(std::time::Duration::from_secs(20), || {
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
        assert!(switch.appctl("coverage/show").contains("total: "));
        assert!(switch.appctl("memory/show").contains("ports:"));
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
