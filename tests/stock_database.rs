//! weftd as a client of stock ovsdb-server: the commands of guides that people follow, with traffic.

use std::time::Duration;
use weft_tests::{Host, OvsdbServer, Switch, cable_named, can_make_hosts, within};

/// A host whose switch has its database in a stock server.
struct Node<'h> {
    host: &'h Host,
    server: OvsdbServer,
    switch: Option<Switch<'h>>,
}

impl<'h> Node<'h> {
    fn start(host: &'h Host) -> Self {
        let server = OvsdbServer::start(host);
        let options = format!("--ovsdb unix:{}", server.socket().display());
        let switch = Some(Switch::start_with(host, &options));
        Self { host, server, switch }
    }

    #[track_caller]
    fn vsctl(&self, words: &str) -> String {
        let socket = self.server.socket();
        let line = format!("ovs-vsctl --timeout=10 --db=unix:{} {words}", socket.display());
        self.host.sh(&line).trim_end().to_owned()
    }

    fn appctl(&self, words: &str) -> String {
        self.switch.as_ref().map(|switch| switch.appctl(words)).unwrap_or_default()
    }

    fn kill_and_start_again(&mut self) {
        self.switch = self.switch.take().map(|switch| switch.kill_hard().start_again());
    }

    fn internal(&self, port: &str, cidr: &str) {
        self.host.sh(&format!("ip addr add {cidr} dev {port} && ip link set {port} up"));
    }
}

/// A hypervisor with a trunk, internal ports and machines in VLANs, and the switch at its other end.
fn vlans(hv: &Node<'_>, phys: &Node<'_>) {
    cable_named(hv.host, "eth0", phys.host, "ge0");
    phys.vsctl("add-br sw0");
    phys.vsctl("add-port sw0 ge0 tag=31 vlan_mode=native-untagged trunks=31,32");
    for (vlan, cidr) in [(31, "192.168.1.1/24"), (32, "192.168.2.1/24")] {
        phys.vsctl(&format!(
            "add-port sw0 gw{vlan} tag={vlan} -- set interface gw{vlan} type=internal"
        ));
        phys.internal(&format!("gw{vlan}"), cidr);
    }
    hv.vsctl("add-br vmbr0");
    hv.vsctl("-- --may-exist add-port vmbr0 eth0 tag=31 vlan_mode=native-untagged trunks=31,32");
    for (vlan, cidr) in [(31, "192.168.1.10/24"), (32, "192.168.2.25/24")] {
        hv.vsctl(&format!(
            "-- --may-exist add-port vmbr0 vlan{vlan} tag={vlan} \
             -- set Interface vlan{vlan} type=internal \
             -- set interface vlan{vlan} external-ids:iface-id=hv-vlan{vlan}-vif"
        ));
        hv.internal(&format!("vlan{vlan}"), cidr);
    }
}

/// What libvirt runs for a machine.
fn machine(hv: &Node<'_>, port: &str, vlan: u16, cidr: &str) -> Host {
    let guest = Host::new(port);
    cable_named(hv.host, port, &guest, "eth0");
    guest.address("eth0", cidr);
    hv.vsctl(&format!(
        "-- --may-exist add-port vmbr0 {port} tag={vlan} \
         -- set Interface {port} 'external-ids:attached-mac=\"52:54:00:00:00:01\"' \
         -- set Interface {port} 'external-ids:iface-id=\"0000-{port}\"' \
         -- set Interface {port} external-ids:iface-status=active"
    ));
    guest
}

/// Two hosts joined by a GRE tunnel, with the guide's mistake.
fn tunnel(hv: &Node<'_>, phys: &Node<'_>) {
    cable_named(hv.host, "ul0", phys.host, "ul0");
    for (node, own, far, inner) in [
        (hv, "192.0.2.1", "192.0.2.2", "10.244.1.0"),
        (phys, "192.0.2.2", "192.0.2.1", "10.244.2.0"),
    ] {
        node.host.address("ul0", &format!("{own}/24"));
        node.vsctl("add-br br0");
        node.vsctl(&format!(
            "add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip={far}"
        ));
        let socket = node.server.socket();
        let taken = node.host.try_sh(&format!(
            "ovs-vsctl --db=unix:{} add-port br0 gre1 -- set interface gre2 type=gre",
            socket.display()
        ));
        assert!(
            taken.stderr.contains("a port named gre1 already exists on bridge br0"),
            "{taken:?}"
        );
        node.internal("br0", &format!("{inner}/16"));
    }
    hv.host.must_reach("10.244.2.0");
    hv.vsctl("set bridge br0 stp_enable=true");
    let blocks = || hv.appctl("stp/show br0").contains("listening");
    assert!(within(Duration::from_secs(5), blocks), "{}", hv.appctl("stp/show br0"));
    hv.vsctl("set bridge br0 stp_enable=false");
    hv.host.must_reach("10.244.2.0");
    let shown = hv.vsctl("show");
    assert!(shown.contains("options: {remote_ip=\"192.0.2.2\"}"), "{shown}");
}

#[test]
fn guides_work_with_a_stock_database_server() {
    if !can_make_hosts() {
        return;
    }
    let (hv_host, phys_host) = (Host::new("hv"), Host::new("phys"));
    let (mut hv, phys) = (Node::start(&hv_host), Node::start(&phys_host));
    vlans(&hv, &phys);
    let a = machine(&hv, "vnet0", 31, "192.168.1.20/24");
    let b = machine(&hv, "vnet1", 32, "192.168.2.10/24");
    hv_host.must_reach("192.168.1.1");
    hv_host.must_reach("192.168.2.1");
    a.must_reach("192.168.1.1");
    b.must_reach("192.168.2.25");
    a.address("eth0", "192.168.2.20/24");
    assert!(!a.reaches("192.168.2.10"), "VLAN 31 reaches VLAN 32");
    hv.vsctl("set port vnet0 tag=32");
    a.must_reach("192.168.2.10");
    assert!(hv.appctl("fdb/show vmbr0").contains(&a.mac("eth0")));
    tunnel(&hv, &phys);

    let gone = hv_host
        .try_sh(&format!("ovs-vsctl --db=unix:{} add-port br0 gone", hv.server.socket().display()));
    assert!(
        gone.stderr.contains("could not open network device gone (No such device)"),
        "{gone:?}"
    );
    hv.vsctl("del-port gone");
    let ofports = "--columns=name,ofport --format=csv --no-headings list interface";
    let before = hv.vsctl(ofports);
    hv.kill_and_start_again();
    assert_eq!(hv.vsctl(ofports), before);
    a.must_reach("192.168.2.1");
    hv_host.must_reach("10.244.2.0");
    hv.vsctl("emer-reset -- --if-exists del-br vmbr0 -- del-br br0");
    assert_eq!(hv.vsctl("list-br"), "");
    assert!(!hv_host.try_sh("test -e /sys/class/net/vlan31").ok(), "an internal port stays");
}
