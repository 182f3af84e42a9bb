//! What becomes of ports whose devices come and go, and of bridges that must not forward.

use std::time::Duration;
use weft_tests::{Host, Switch, cable_named, can_make_hosts, within};

fn bridge(host: &Host) -> Switch<'_> {
    let switch = Switch::start(host);
    switch.vsctl("add-br br0");
    switch
}

/// Waits until a column of an interface has a value.
#[track_caller]
fn becomes(switch: &Switch<'_>, interface: &str, column: &str, value: &str) {
    let get = || switch.vsctl(&format!("get interface {interface} {column}"));
    let came = within(Duration::from_secs(5), || get() == value);
    assert!(came, "{column} of {interface} is {}, not {value}", get());
}

/// `secure` stops a bridge at once, also one that forwards, with and without a controller; any other
/// mode lets it forward at once.
#[test]
fn fail_mode_secure_is_in_force_at_once() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let refused = |switch: &Switch<'_>| {
        assert_eq!(a.pings(3, "10.0.0.2"), 0);
        // On a busy machine, the pings may all have come before the port was open.
        let drops =
            || a.pings(1, "10.0.0.2") == 0 && switch.drops().contains_key("veth1 rx port_blocked");
        assert!(within(Duration::from_secs(10), drops), "{:?}", switch.drops());
        let page = switch.try_weft("show").expect_ok();
        assert!(page.contains("bridge br0: does not forward (fail_mode secure)"), "{page}");
    };
    a.must_reach("10.0.0.2");
    switch.vsctl("set-fail-mode br0 secure");
    refused(&switch);
    switch.vsctl("set-controller br0 tcp:127.0.0.1:6653");
    refused(&switch);
    switch.vsctl("set-fail-mode br0 standalone");
    a.must_reach("10.0.0.2");
    switch.vsctl("set-fail-mode br0 secure");
    refused(&switch);
    switch.vsctl("del-controller br0");
    refused(&switch);

    let switch = switch.exit("").start_again();
    refused(&switch);
    switch.vsctl("del-fail-mode br0");
    a.must_reach("10.0.0.2");
    let page = switch.try_weft("show").expect_ok();
    assert!(page.contains("bridge br0: forwards, "), "{page}");
}

/// A device that is renamed, moved away or removed is a port no more, and says why; when one of the
/// name is there again, it is the port that it was.
#[test]
fn a_device_that_goes_away_and_returns_is_taken_back() {
    const GONE: &str = "\"could not open network device veth1 (No such device)\"";
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    b.must_reach("10.0.0.1");
    let ofport = switch.vsctl("get interface veth1 ofport");
    let goes = || {
        becomes(&switch, "veth1", "error", GONE);
        becomes(&switch, "veth1", "ofport", "-1");
        becomes(&switch, "veth1", "link_state", "[]");
        becomes(&switch, "veth1", "statistics", "{}");
        assert!(!b.reaches("10.0.0.1"));
    };
    let returns = || {
        becomes(&switch, "veth1", "error", "[]");
        becomes(&switch, "veth1", "ofport", &ofport);
        becomes(&switch, "veth1", "link_state", "up");
        b.must_reach("10.0.0.1");
    };
    host.sh("ip link set veth1 down && ip link set veth1 name veth9");
    goes();
    assert!(switch.log().contains("veth1: its device is called veth9 now"), "{}", switch.log());
    host.sh("ip link set veth9 name veth1 && ip link set veth1 up");
    returns();

    let away = Host::new("away");
    host.sh(&format!("ip link set veth1 netns {}", away.netns()));
    goes();
    let said = "veth1: its device was removed, or moved to another namespace";
    assert!(switch.log().contains(said), "{}", switch.log());
    away.sh(&format!("ip link set veth1 netns {}", host.netns()));
    host.sh("ip link set veth1 up");
    returns();

    host.sh("ip link del veth1");
    goes();
    cable_named(&host, "veth1", &a, "eth0");
    a.address("eth0", "10.0.0.1/24");
    // It has another address now.
    b.sh("ip neigh flush all");
    returns();
    assert!(!switch.log().contains("refused our status"), "{}", switch.log());
}

/// Administrative state and carrier are followed as they change.
#[test]
fn admin_and_link_state_are_followed() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let states = |admin: &str, link: &str| {
        becomes(&switch, "veth1", "admin_state", admin);
        becomes(&switch, "veth1", "link_state", link);
    };
    states("up", "up");
    a.sh("ip link set eth0 down");
    states("up", "down");
    host.sh("ip link set veth1 down");
    states("down", "down");
    host.sh("ip link set veth1 up");
    a.sh("ip link set eth0 up");
    states("up", "up");
}

/// The clients refuse to put one device into two bridges, as stock ones do; an edit of the database
/// that does so leaves the device where it is.
#[test]
fn one_device_is_in_one_bridge() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    switch.vsctl("add-br br1 -- add-br a0");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    assert_eq!(
        switch.try_vsctl("add-port br1 veth1").stderr,
        "ovs-vsctl: cannot create a port named veth1 because a port named veth1 already exists on \
         bridge br0\n"
    );
    let port = switch.vsctl("get port veth1 _uuid");
    for other in ["br1", "a0"] {
        let edit = format!(
            r#"["Open_vSwitch",{{"op":"mutate","table":"Bridge","where":[["name","==","{other}"]],"mutations":[["ports","insert",["uuid","{port}"]]]}}]"#
        );
        let socket = switch.rundir().join("db.sock");
        let line = format!("ovsdb-client transact unix:{} '{edit}'", socket.display());
        assert!(switch.client(&line).expect_ok().contains("\"count\":1"));
        let said =
            format!("Bridge {other}: ports=veth1: the interface is in another port or bridge");
        assert!(within(Duration::from_secs(5), || switch.log().contains(&said)));
    }
    assert_eq!(a.pings(5, "10.0.0.2"), 5);
    assert_eq!(switch.vsctl("get interface veth1 error"), "[]");
    // When its bridge goes, it is where it still stands; the first by name has it.
    assert!(switch.try_vsctl("del-br br0").ok());
    let moved = || {
        switch.weft_json("show")["bridges"].as_array().unwrap().iter().any(|bridge| {
            let ports = bridge["ports"].as_array().unwrap();
            bridge["name"] == "a0" && ports.iter().any(|port| port["name"] == "veth1")
        })
    };
    assert!(within(Duration::from_secs(5), moved), "{}", switch.try_weft("show").stdout);
}

/// Columns that have no effect are kept and named in the log, each once.
#[test]
fn columns_without_effect_are_named_once() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    let _a = switch.plug("br0", "veth1", "");
    switch.vsctl(
        "set interface veth1 lldp:enable=true ingress_policing_rate=1000 mac=\\\"02:00:00:00:00:07\\\" \
         -- set bridge br0 protocols=OpenFlow13 other_config:hwaddr=02:00:00:00:00:09",
    );
    // Other changes, which make everything be read anew.
    for tag in 1..4 {
        switch.vsctl(&format!("set port veth1 tag={tag}"));
    }
    let log = switch.log();
    for said in [
        "Interface veth1: lldp={enable=\"true\"}: has no effect yet; kept",
        "Interface veth1: ingress_policing_rate=1000: has no effect yet; kept",
        "Interface veth1: mac=02:00:00:00:00:07: has no effect: only internal ports",
        "Bridge br0: protocols=OpenFlow13: has no effect yet; kept",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said} in {log}");
    }
    assert_eq!(log.matches("has no effect").count(), 4, "{log}");
    assert_eq!(switch.vsctl("get interface veth1 lldp"), "{enable=\"true\"}");
    becomes(&switch, "br0", "mac_in_use", "\"02:00:00:00:00:09\"");
}

/// What a port or bridge asks for in vain is the `error` of an interface that works all the same.
#[test]
fn what_is_not_in_force_is_an_error_of_a_port_that_works() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = bridge(&host);
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    switch.vsctl(
        "set interface veth1 ingress_policing_rate=1000 ingress_policing_burst=100 \
         -- set port veth1 qos=@q -- --id=@q create qos type=linux-htb \
         -- set interface veth2 ingress_policing_burst=100 \
         -- set bridge br0 netflow=@n sflow=@s \
         -- --id=@n create netflow targets=\\\"10.0.0.9:2055\\\" \
         -- --id=@s create sflow targets=\\\"10.0.0.9:6343\\\"",
    );
    let lacks = |name: &str, what: &str| {
        let start = format!("{name}: not supported yet, so not in force");
        format!("\"{start}: {what}; frames are forwarded without\"")
    };
    let of_port = lacks("veth1", "Interface ingress_policing_rate, Port qos");
    becomes(&switch, "veth1", "error", &of_port);
    becomes(&switch, "br0", "error", &lacks("br0", "Bridge netflow, Bridge sflow"));
    becomes(&switch, "veth2", "error", "[]");
    for interface in ["veth1", "veth2", "br0"] {
        assert_ne!(switch.vsctl(&format!("get interface {interface} ofport")), "-1");
    }
    a.must_reach("10.0.0.2");
    let said = switch.try_weft("doctor").stdout;
    assert!(said.contains("warn  veth1 on br0: veth1: not supported yet"), "{said}");

    switch.vsctl("clear port veth1 qos -- clear bridge br0 netflow -- clear bridge br0 sflow");
    becomes(&switch, "br0", "error", "[]");
    becomes(&switch, "veth1", "error", &lacks("veth1", "Interface ingress_policing_rate"));
    switch.vsctl("set interface veth1 ingress_policing_rate=0 mtu_request=99999");
    let refused = "\"veth1: the device does not take mtu_request=99999 (";
    let error = || switch.vsctl("get interface veth1 error");
    assert!(within(Duration::from_secs(5), || error().starts_with(refused)), "{}", error());
    becomes(&switch, "veth1", "mtu", "1500");
    a.must_reach("10.0.0.2");
    switch.vsctl("set interface veth1 mtu_request=1400");
    becomes(&switch, "veth1", "mtu", "1400");
    becomes(&switch, "veth1", "error", "[]");

    switch.vsctl("add-br fake br0 9");
    let log = switch.log();
    assert_eq!(log.matches("veth1: mtu 99999").count(), 1, "{log}");
    assert!(!log.contains("fake_bridge"), "{log}");
}
