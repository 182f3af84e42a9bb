//! Changes while traffic runs: whoever is not concerned notices nothing.

use weft_tests::{Flow, Host, Switch, Tally, cable_named, can_make_hosts, introduce};

/// Two guests that talk all the time, and a switch to change under them.
fn undisturbed(change: impl FnOnce(&Host, &Switch<'_>)) -> Tally {
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let flow = Flow::start(&a, &b, "10.0.0.2:9000");
    change(&host, &switch);
    let tally = flow.finish();
    assert!(tally.sent > 100, "{tally:?}");
    assert_eq!((tally.received, tally.duplicates), (tally.sent, 0), "{tally:?}");
    tally
}

#[test]
fn ports_come_and_go_without_loss_to_others() {
    if !can_make_hosts() {
        return;
    }
    undisturbed(|host, switch| {
        let far = Host::new("far");
        cable_named(host, "veth3", &far, "eth0");
        for _ in 0..5 {
            switch.vsctl("add-port br0 veth3");
            switch.vsctl("del-port br0 veth3");
        }
        for _ in 0..3 {
            switch.vsctl("add-port br0 int0 -- set interface int0 type=internal");
            switch.vsctl("del-port br0 int0");
        }
        // An interface that vanishes by itself, and comes back.
        switch.vsctl("add-port br0 veth3");
        host.sh("ip link del veth3");
        cable_named(host, "veth3", &far, "eth0");
        far.address("eth0", "10.0.0.3/24");
        far.must_reach("10.0.0.1");
    });
}

#[test]
fn tunnels_come_and_go_without_loss_to_others() {
    if !can_make_hosts() {
        return;
    }
    undisturbed(|host, switch| {
        let far = Host::new("far");
        cable_named(host, "eth0", &far, "eth0");
        host.address("eth0", "192.0.2.1/24");
        far.address("eth0", "192.0.2.2/24");
        for _ in 0..3 {
            switch.vsctl(
                "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.2",
            );
            switch.vsctl("set interface gre0 options:key=5");
            switch.vsctl("set interface gre0 options:remote_ip=192.0.2.3");
            switch.vsctl("del-port gre0");
        }
    });
}

#[test]
fn settings_and_bridges_change_without_loss() {
    if !can_make_hosts() {
        return;
    }
    undisturbed(|_, switch| {
        for round in 0..3 {
            switch.vsctl("add-br br1");
            switch.vsctl(&format!("set bridge br0 other_config:mac-aging-time={}", 300 + round));
            switch.vsctl(&format!("set bridge br0 other_config:mac-table-size={}", 4096 + round));
            switch.vsctl("set port veth1 external_ids:note=hello");
            switch.vsctl("del-br br1");
        }
        switch.vsctl("clear bridge br0 other_config");
    });
}

/// What a port's change is for: it obeys the new setting when ovs-vsctl returns.
#[test]
fn a_change_holds_when_the_client_returns() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    introduce(&a, "10.0.0.1", &b, "10.0.0.2");
    for _ in 0..5 {
        switch.vsctl("del-port veth2");
        assert_eq!(a.pings(3, "10.0.0.2"), 0, "a removed port forwards");
        switch.vsctl("add-port br0 veth2");
        assert_eq!(a.pings(10, "10.0.0.2"), 10, "an added port does not forward yet");
    }
}
