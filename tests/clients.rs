//! Programs that bring their own way to speak to Open vSwitch: ovs-docker, ifupdown, libvirt's
//! command lines, and the Python library.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use weft_tests::{Host, Switch, can_make_hosts};

/// Containers are processes with a network of their own; `docker inspect` names their process.
#[test]
fn ovs_docker_plugs_containers() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let tools = tempfile::tempdir().unwrap();
    let pids = tools.path().join("pids");
    let stub = tools.path().join("docker");
    // Called as: docker inspect -f '{{.State.Pid}}' NAME
    let script = format!("#!/bin/sh\nexec sed -n \"s/^$4 //p\" {}\n", pids.display());
    fs::write(&stub, script).unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let containers: Vec<_> = ["netsho1", "netsho2"]
        .into_iter()
        .map(|name| {
            let running = host.spawn("unshare --net sh -c 'echo pid $$; exec sleep 300'");
            running.wait_for("pid ");
            let pid = running.output().split_whitespace().nth(1).unwrap().to_owned();
            (name, pid, running)
        })
        .collect();
    let lines: Vec<_> = containers.iter().map(|(name, pid, _)| format!("{name} {pid}\n")).collect();
    fs::write(&pids, lines.concat()).unwrap();
    let docker = |words: &str| {
        let path = tools.path().display();
        switch.client(&format!("PATH={path}:$PATH ovs-docker {words}"))
    };
    let plug = |name: &str, number: u8| {
        docker(&format!(
            "add-port br-int eth0 {name} --ipaddress=10.244.1.{number}/16 \
             --macaddress=02:00:00:00:01:0{number} --mtu=1400 --gateway=10.244.0.1"
        ))
    };
    let _ = plug("netsho1", 3).expect_ok();
    let _ = plug("netsho2", 4).expect_ok();
    let inside = |index: usize, line: &str| {
        let (_, pid, _) = containers.get(index).unwrap();
        host.try_sh(&format!("nsenter -t {pid} -n {line}"))
    };
    assert!(inside(0, "ping -c 1 -W 5 10.244.1.4").ok(), "{}", switch.vsctl("show"));
    let routes = inside(0, "ip route show default").stdout;
    assert!(routes.starts_with("default via 10.244.0.1 dev eth0"), "{routes}");
    let link = inside(0, "ip link show eth0").stdout;
    assert!(link.contains("mtu 1400") && link.contains("02:00:00:00:01:03"), "{link}");
    assert!(plug("netsho1", 3).stderr.contains("Port already attached"));

    // Another VLAN parts them, the same one joins them again.
    let _ = docker("set-vlan br-int eth0 netsho1 5").expect_ok();
    assert!(!inside(0, "ping -c 1 -W 1 10.244.1.4").ok());
    let _ = docker("set-vlan br-int eth0 netsho2 5").expect_ok();
    assert!(inside(0, "ping -c 1 -W 5 10.244.1.4").ok());

    let _ = docker("del-port br-int eth0 netsho1").expect_ok();
    let _ = docker("del-ports br-int netsho2").expect_ok();
    assert_eq!(switch.vsctl("list-ports br-int"), "");
    for (_, pid, _) in &containers {
        // ovs-docker leaves the name that it gave the container's network.
        host.sh(&format!("rm -f /var/run/netns/{pid}"));
    }
}

/// The lines that libvirt runs when a machine starts, moves to another VLAN, is looked at, migrates
/// and stops.
#[test]
fn libvirt_plugs_moves_and_unplugs_a_machine() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let vsctl = |words: &str| switch.client(&format!("ovs-vsctl --timeout=5 {words}"));
    let _ = vsctl("add-br br0").expect_ok();
    let guests: Vec<_> = (0..2)
        .map(|n| {
            let guest = Host::new(&format!("vm{n}"));
            weft_tests::cable_named(&host, &format!("vnet{n}"), &guest, "eth0");
            guest.address("eth0", &format!("10.0.0.{}/24", n + 1));
            let line = format!(
                "-- --may-exist add-port br0 vnet{n} tag=31 \
                 -- set Interface vnet{n} 'external-ids:attached-mac=\"52:54:00:00:00:0{n}\"' \
                 -- set Interface vnet{n} 'external-ids:iface-id=\"0000-vnet{n}\"' \
                 -- set Interface vnet{n} 'external-ids:vm-id=\"vm{n}\"' \
                 -- set Interface vnet{n} external-ids:iface-status=active"
            );
            assert_eq!(vsctl(&line).expect_ok(), "");
            guest
        })
        .collect();
    let [one, _] = guests.as_slice() else { unreachable!("two were made") };
    one.must_reach("10.0.0.2");

    // Live change of VLAN.
    let update = |n: u8, tag: u16| {
        vsctl(&format!(
            "-- --if-exists clear Port vnet{n} tag -- --if-exists clear Port vnet{n} trunk \
             -- --if-exists clear Port vnet{n} vlan_mode -- --if-exists set Port vnet{n} tag={tag}"
        ))
    };
    let _ = update(0, 32).expect_ok();
    assert!(!one.reaches("10.0.0.2"), "VLAN 32 reaches VLAN 31");
    let _ = update(1, 32).expect_ok();
    one.must_reach("10.0.0.2");
    // To a trunk with a native VLAN, and back: libvirt writes the column's old name.
    let _ = vsctl(
        "-- --if-exists clear Port vnet0 tag -- --if-exists clear Port vnet0 trunk \
         -- --if-exists clear Port vnet0 vlan_mode \
         -- --if-exists set Port vnet0 tag=32 vlan_mode=native-untagged trunk=32,33",
    )
    .expect_ok();
    assert_eq!(vsctl("get port vnet0 trunks").expect_ok().trim(), "[32, 33]");
    one.must_reach("10.0.0.2");
    let _ = update(0, 32).expect_ok();

    let statistics =
        "--if-exists --format=list --data=json --no-headings --columns=statistics list Interface";
    let text = vsctl(&format!("{statistics} vnet0")).expect_ok();
    for key in ["rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets"] {
        assert!(text.contains(&format!("[\"{key}\",")), "{key} is missing: {text}");
    }
    assert_eq!(vsctl(&format!("{statistics} nope")).expect_ok(), "");
    assert_eq!(vsctl("get Interface vnet0 name").expect_ok().trim(), "vnet0");
    assert_eq!(vsctl("iface-to-br vnet0").expect_ok().trim(), "br0");
    let _ = vsctl("set Interface vnet0 external_ids:PortData='\"cG9ydA==\"'").expect_ok();
    let data = vsctl("--if-exists get Interface vnet0 external_ids:PortData").expect_ok();
    assert_eq!(data.trim(), "\"cG9ydA==\"");

    // Bandwidth limits are kept for whoever shapes one day.
    let _ = vsctl(
        "set port vnet0 qos=@qos1 -- --id=@qos1 create qos type=linux-htb \
         other_config:min-rate=1000 other_config:max-rate=2000 queues:0=@queue0 \
         -- --id=@queue0 create queue other_config:max-rate=2000 \
         -- set Interface vnet0 ingress_policing_rate=1000 ingress_policing_burst=100",
    )
    .expect_ok();
    assert_eq!(vsctl("get qos vnet0 type").expect_ok().trim(), "linux-htb");
    one.must_reach("10.0.0.2");
    let _ = vsctl("clear port vnet0 qos -- --all destroy qos -- --all destroy queue").expect_ok();

    let _ = vsctl("-- --if-exists del-port vnet0").expect_ok();
    let _ = vsctl("-- --if-exists del-port vnet0").expect_ok();
    assert!(!one.reaches("10.0.0.2"));
    assert_eq!(switch.vsctl("list-ports br0"), "vnet1");
}

/// Inserts a bridge through `ovs.db.idl`, waits until the switch has made it, and watches it go.
const IDL: &str = r#"
import sys, time
import ovs.db.idl, ovs.poller
from ovs.stream import Stream
import ovs.jsonrpc
remote = sys.argv[1]
error, stream = Stream.open_block(Stream.open(remote))
assert not error, error
rpc = ovs.jsonrpc.Connection(stream)
error, reply = rpc.transact_block(ovs.jsonrpc.Message.create_request("get_schema", ["Open_vSwitch"]))
assert not error and not reply.error, (error, reply)
rpc.close()
helper = ovs.db.idl.SchemaHelper(None, schema_json=reply.result)
helper.register_all()
idl = ovs.db.idl.Idl(remote, helper)

def until(what, probe):
    end = time.time() + 15
    while not probe():
        assert time.time() < end, what
        idl.run()
        poller = ovs.poller.Poller()
        idl.wait(poller)
        poller.timer_wait(200)
        poller.block()
        idl.run()

until("no rows", lambda: idl.tables["Open_vSwitch"].rows)
root = next(iter(idl.tables["Open_vSwitch"].rows.values()))
txn = ovs.db.idl.Transaction(idl)
interface = txn.insert(idl.tables["Interface"]); interface.name = "brp"; interface.type = "internal"
port = txn.insert(idl.tables["Port"]); port.name = "brp"; port.interfaces = [interface]
bridge = txn.insert(idl.tables["Bridge"]); bridge.name = "brp"; bridge.ports = [port]
root.addvalue("bridges", bridge)
root.increment("next_cfg")
status = txn.commit_block()
assert status == txn.SUCCESS, (status, txn.get_error())
wanted = txn.get_increment_new_value()
until("cur_cfg", lambda: root.cur_cfg >= wanted)
row = [r for r in idl.tables["Interface"].rows.values() if r.name == "brp"][0]
until("ofport", lambda: row.ofport == [65534])
print("made", row.ofport, row.link_state)
txn = ovs.db.idl.Transaction(idl)
root.delvalue("bridges", [b for b in root.bridges if b.name == "brp"][0])
assert txn.commit_block() == txn.SUCCESS
until("gone", lambda: not [r for r in idl.tables["Bridge"].rows.values() if r.name == "brp"])
print("gone")
"#;

#[test]
fn the_python_library_reads_writes_and_watches() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let script = tempfile::NamedTempFile::new().unwrap();
    fs::write(script.path(), IDL).unwrap();
    // Debian's own Python has the library.
    let said = host.sh(&format!(
        "/usr/bin/python3 {} unix:{}/db.sock",
        script.path().display(),
        switch.rundir().display()
    ));
    assert!(said.starts_with("made [65534]") && said.ends_with("gone\n"), "{said}");
}

/// The stanzas of `/etc/network/interfaces` that Open vSwitch's hook understands, and ours, which
/// is in its place when the package is.
const STANZAS: &str = "
allow-ovs vmbr0
iface vmbr0 inet manual
    ovs_type OVSBridge
    ovs_ports eth0 vlan31 gre0 patch0 bond0
    ovs_extra set bridge ${IFACE} other_config:forward-bpdu=true -- br-set-external-id ${IFACE} made-by ifup

allow-vmbr0 eth0
iface eth0 inet manual
    ovs_bridge vmbr0
    ovs_type OVSPort
    ovs_options tag=31 vlan_mode=native-untagged trunks=31,32

allow-vmbr0 vlan31
iface vlan31 inet static
    ovs_type OVSIntPort
    ovs_bridge vmbr0
    ovs_options tag=31
    ovs_extra set interface ${IFACE} external-ids:iface-id=host-${IFACE}
    address 192.168.1.10
    netmask 255.255.255.0

allow-vmbr0 gre0
iface gre0 inet manual
    ovs_bridge vmbr0
    ovs_type OVSTunnel
    ovs_tunnel_type gre
    ovs_tunnel_options options:remote_ip=192.0.2.9 options:key=7

allow-vmbr0 patch0
iface patch0 inet manual
    ovs_bridge vmbr0
    ovs_type OVSPatchPort
    ovs_patch_peer patch1

allow-vmbr0 bond0
iface bond0 inet manual
    ovs_bridge vmbr0
    ovs_type OVSBond
    ovs_bonds eth1 eth2
    ovs_options bond_mode=active-backup
";

/// What the stanzas come to, in rows.
const ROWS: &str = "--columns=name,tag,trunks,vlan_mode,bond_mode list port \
     -- --columns=name,type,options,external_ids,error list interface \
     -- --columns=name,external_ids,other_config list bridge";

#[test]
fn ifupdown_brings_a_bridge_up_and_down() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let peer = Host::new("peer");
    weft_tests::cable_named(&host, "eth0", &peer, "eth0");
    for spare in ["eth1", "eth2"] {
        weft_tests::cable_named(&host, spare, &peer, spare);
    }
    peer.sh("ip link set eth0 up; ip addr add 192.168.1.1/24 dev eth0");
    let stanzas = tempfile::NamedTempFile::new().unwrap();
    fs::write(stanzas.path(), STANZAS).unwrap();
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../control/deb/ifupdown");
    let mut rows = Vec::new();
    for hook in ["/usr/share/openvswitch/scripts/ifupdown.sh", ours] {
        // ifupdown reads one file and empties the environment: both are where it looks, in a mount
        // namespace of their own.
        let state = tempfile::tempdir().unwrap();
        let run = |line: &str| {
            host.try_sh(&format!(
                "mkdir -p /run/openvswitch /run/network; unshare --mount sh -c \
                 'mount --bind {} /run/openvswitch && mount --bind {} /etc/network/interfaces && \
                  mount --bind {hook} /usr/share/openvswitch/scripts/ifupdown.sh && \
                  mount --bind {} /run/network && {line}'",
                switch.rundir().display(),
                stanzas.path().display(),
                state.path().display(),
            ))
        };
        let outcome = run("ifup --allow=ovs vmbr0");
        assert!(outcome.ok(), "{hook}: {outcome:?}");
        assert!(
            outcome.stderr.contains("bonds are not supported yet: give port bond0 one interface"),
            "{hook}: {}",
            outcome.stderr
        );
        assert_eq!(switch.vsctl("list-ports vmbr0"), "bond0\neth0\ngre0\npatch0\nvlan31");
        assert_eq!(switch.vsctl("get interface vlan31 external-ids:iface-id"), "host-vlan31");
        // A port made anew has another MAC address than the one that the peer remembers.
        peer.sh("ip neigh flush dev eth0");
        peer.must_reach("192.168.1.10");
        let text = switch.vsctl(ROWS);
        let mut all: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        all.sort();
        rows.push(all);
        let _ = run("ifdown --allow=ovs vmbr0").expect_ok();
        assert_eq!(switch.vsctl("list-br"), "", "{hook}");
    }
    assert_eq!(rows.first(), rows.last());
}
