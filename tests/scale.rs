//! Many ports: nothing is forgotten, nothing is left behind, and what is not concerned goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot read an answer should stop at once")]

use std::time::Duration;
use weft_tests::{Host, Switch, can_make_hosts, within};

/// Patch ports that one transaction adds.
const PATCHES: usize = 2_000;

/// NICs that are added, and removed, one by one.
const NICS: usize = 12;

/// Tunnels with keys to one remote end, and internal ports.
const TUNNELS: usize = 300;
const TAPS: usize = 30;

fn descriptors(switch: &Switch<'_>) -> usize {
    switch.host().sh(&format!("ls /proc/{}/fd", switch.pid())).lines().count()
}

/// ovs-vsctl complains of its own slowness when there is much to list: that is not asked about here.
fn vsctl(switch: &Switch<'_>, words: &str) -> String {
    switch.vsctl(&format!("-vconsole:off --timeout=60 {words}"))
}

/// Runs `command` for each patch port, many in one transaction.
fn vsctl_of(switch: &Switch<'_>, command: impl Fn(usize) -> String) {
    for first in (0..PATCHES).step_by(500) {
        let commands: Vec<_> = (first..first + 500).map(&command).collect();
        vsctl(switch, &commands.join(" -- "));
    }
}

/// `ofport`, and whether there is an `error`, of every interface.
fn numbers(switch: &Switch<'_>) -> Vec<(String, String)> {
    let list = vsctl(switch, "--format=csv --no-headings --columns=name,ofport list interface");
    let pairs = list.lines().filter_map(|line| line.split_once(','));
    pairs.map(|(name, number)| (name.to_owned(), number.to_owned())).collect()
}

/// Ports that were planned so far.
fn planned(switch: &Switch<'_>) -> u64 {
    switch.appctl("coverage/read-counter port_planned").trim().parse().unwrap()
}

/// Only what has to do with a change is planned anew: the port, and its other end.
fn a_change_is_planned_alone(switch: &Switch<'_>) {
    let before = planned(switch);
    vsctl(switch, "add-port br1 r -- set interface r type=patch options:peer=p11");
    vsctl(switch, "set interface r options:peer=p13 -- set port r tag=7");
    vsctl(switch, "del-port br1 r");
    let count = planned(switch) - before;
    assert!((3..30).contains(&count), "{count} ports were planned");
}

/// NICs among the other ports leave nothing behind.
fn nics_come_and_go(host: &Host, switch: &Switch<'_>) {
    let pins_before = switch.pins().len();
    for number in 0..NICS {
        host.sh(&format!("ip link add n{number} type veth peer name m{number}"));
        vsctl(switch, &format!("add-port br0 n{number}"));
    }
    assert_eq!(switch.pins().len(), pins_before + NICS);
    for number in 0..NICS {
        vsctl(switch, &format!("del-port br0 n{number}"));
    }
    let links = host.sh("ip -d link show");
    for number in 0..NICS {
        let line = links.lines().find(|line| line.contains(&format!(" n{number}@"))).unwrap();
        assert!(!line.contains("xdp") && !line.contains("PROMISC"), "{line}");
    }
    assert_eq!(switch.pins().len(), pins_before);
}

/// NICs that one transaction adds, of which every third cannot be a port.
const AT_ONCE: usize = 60;

/// Of NICs that are opened at a time, some cannot be, and some are removed meanwhile: each has its own error, all
/// others work, and nothing is left of any.
#[test]
fn many_at_once_fail_one_by_one() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    let a = switch.plug("br0", "vif0", "10.0.0.1/24");
    let b = switch.plug("br0", "vif1", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let before = (descriptors(&switch), switch.pins());
    let names: Vec<_> = (0..AT_ONCE).map(|number| format!("n{number}")).collect();
    let is_taken = |number: usize| number.is_multiple_of(3);
    // Such an MTU takes an XDP program, but no socket.
    host.sh(&format!(
        "for n in $(seq 0 {}); do ip link add n$n type veth peer name m$n; ip link set n$n up; \
         [ $((n % 3)) != 0 ] || ip link set n$n mtu 60000; done",
        AT_ONCE - 1
    ));
    let add = |name: &String| format!("add-port br0 {name}");
    let all: Vec<_> = names.iter().map(add).collect();
    let said = switch.try_vsctl(&format!("--timeout=60 {}", all.join(" -- "))).stderr;
    for (number, name) in names.iter().enumerate() {
        let error = vsctl(&switch, &format!("get interface {name} error"));
        assert_eq!(error != "[]", is_taken(number), "{name}: {error}");
        assert_eq!(said.contains(&format!("'{name}'")), is_taken(number), "{said}");
        assert!(error == "[]" || error.contains(name.as_str()), "{name}: {error}");
    }
    assert_eq!(switch.pins().len(), before.1.len() + AT_ONCE - AT_ONCE / 3);
    a.must_reach("10.0.0.2");

    // They come again, and go while they come.
    let del: Vec<_> = names.iter().map(|name| format!("del-port br0 {name}")).collect();
    vsctl(&switch, &del.join(" -- "));
    assert_eq!(switch.pins(), before.1);
    let client = format!("env OVS_RUNDIR={} ovs-vsctl --timeout=60", switch.rundir().display());
    let adding = host.spawn(&format!("{client} {}", all.join(" -- ")));
    host.sh(&format!("for n in $(seq 0 2 {}); do ip link del n$n; done", AT_ONCE - 1));
    drop(adding.finish());
    b.must_reach("10.0.0.1");
    vsctl(&switch, &del.join(" -- "));
    assert!(within(Duration::from_secs(10), || switch.pins() == before.1), "{:?}", switch.pins());
    assert!(within(Duration::from_secs(10), || descriptors(&switch) == before.0));
    for number in (1..AT_ONCE).step_by(2) {
        let link = host.sh(&format!("ip -d link show n{number}"));
        assert!(!link.contains("xdp") && !link.contains("PROMISC"), "{link}");
    }
    b.must_reach("10.0.0.1");
}

#[test]
fn two_thousand_ports_come_and_go() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    vsctl(&switch, "add-br br0");
    let a = switch.plug("br0", "vif0", "10.0.0.1/24");
    let _b = switch.plug("br0", "vif1", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let descriptors_before = descriptors(&switch);

    // In pairs, p0 with p1: a frame that is flooded into one comes out of the other, so they stay
    // on two bridges.
    vsctl(&switch, "add-br br1 -- add-br br2");
    vsctl_of(&switch, |number| {
        let bridge = 1 + number % 2;
        let peer = number ^ 1;
        format!(
            "add-port br{bridge} p{number} -- set interface p{number} type=patch options:peer=p{peer}"
        )
    });
    let all = numbers(&switch);
    assert_eq!(all.len(), PATCHES + 5);
    for (name, number) in all.iter().filter(|(name, _)| name.starts_with('p')) {
        let number: u16 = number.parse().unwrap();
        assert!((1..=1000).contains(&number), "{name}: {number}");
    }
    a.must_reach("10.0.0.2");

    a_change_is_planned_alone(&switch);

    // One more gets the lowest free number, the others keep theirs.
    switch
        .vsctl("del-port br1 p10 -- add-port br1 q -- set interface q type=patch options:peer=p11");
    let changed = numbers(&switch);
    let of = |list: &[(String, String)], name: &str| {
        list.iter().find(|(other, _)| other == name).map(|(_, number)| number.clone())
    };
    assert_eq!(of(&changed, "q"), of(&all, "p10"));
    let moved =
        changed.iter().filter(|(name, number)| of(&all, name).is_some_and(|old| old != *number));
    assert_eq!(moved.count(), 0);
    vsctl(
        &switch,
        "del-port br1 q -- add-port br1 p10 -- set interface p10 type=patch options:peer=p11",
    );
    assert_eq!(vsctl(&switch, "get interface p10 ofport"), of(&all, "p10").unwrap());
    assert_eq!(vsctl(&switch, "get interface p10 error"), "[]");

    nics_come_and_go(&host, &switch);

    // All are there again after a restart, with their numbers.
    let switch = switch.kill_hard().start_again();
    assert!(within(Duration::from_secs(10), || a.reaches("10.0.0.2")));
    let again = numbers(&switch);
    assert_eq!(again.len(), all.len());
    assert!(
        again.iter().all(|(name, number)| of(&all, name).as_ref() == Some(number)),
        "{again:?}"
    );

    vsctl(&switch, "del-br br1 -- del-br br2");
    assert_eq!(numbers(&switch).len(), 3);
    let ports = switch.weft_json("show");
    assert!(!ports.to_string().contains("\"p10\""));
    // A program that was taken over needs fewer of them.
    assert!(within(Duration::from_secs(5), || descriptors(&switch) <= descriptors_before));
    a.must_reach("10.0.0.2");
    assert_eq!(switch.missed().len(), 0);
}

/// Waits until nothing is planned any more; how many ports were so far.
fn settled(switch: &Switch<'_>) -> u64 {
    let mut last = planned(switch);
    assert!(within(Duration::from_secs(20), || {
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut last, planned(switch)) == last
    }));
    last
}

/// Of many tunnels and internal ports, one that comes, changes or goes is planned alone; what they
/// share is still that of all.
#[test]
fn one_of_many_tunnels_and_internal_ports_is_planned_alone() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    host.sh("ip link add u0 type veth peer name u1 && ip link set u0 up && ip link set u1 up");
    host.sh("ip addr add 10.9.0.1/24 dev u0");
    for last in [2, 3] {
        host.sh(&format!("ip neigh add 10.9.0.{last} lladdr 02:00:00:00:00:0{last} dev u0"));
    }
    let switch = Switch::start(&host);
    vsctl(&switch, "add-br br0");
    let a = switch.plug("br0", "vif0", "10.0.0.1/24");
    let _b = switch.plug("br0", "vif1", "10.0.0.2/24");
    let tunnel = |name: &str, last: u8, key: usize| {
        let options = format!("options:remote_ip=10.9.0.{last} options:key={key}");
        format!("add-port br0 {name} -- set interface {name} type=gre {options}")
    };
    let internal =
        |name: &str| format!("add-port br0 {name} -- set interface {name} type=internal");
    let mut commands: Vec<_> = (1..=TUNNELS).map(|n| tunnel(&format!("t{n}"), 2, n)).collect();
    commands.push(tunnel("other", 3, 1));
    commands.extend((1..=TAPS).map(|n| internal(&format!("i{n}"))));
    vsctl(&switch, &commands.join(" -- "));
    let mtu = |port: &str| host.sh(&format!("cat /sys/class/net/{port}/mtu")).trim().to_owned();
    assert!(within(Duration::from_secs(10), || mtu("i1") == "1458" && mtu("br0") == "1458"));

    let alone = |what: &str, change: &dyn Fn()| {
        let before = settled(&switch);
        change();
        let count = settled(&switch) - before;
        assert!((1..20).contains(&count), "{what}: {count} ports were planned");
    };
    alone("a tunnel", &|| drop(vsctl(&switch, &tunnel("x", 2, 1000))));
    alone("its key", &|| drop(vsctl(&switch, "set interface x options:key=1001")));
    alone("its end", &|| drop(vsctl(&switch, "del-port br0 x")));
    alone("an internal port", &|| drop(vsctl(&switch, &internal("y"))));
    assert_eq!(mtu("y"), "1458");
    alone("its state and address", &|| drop(host.sh("ip link set y up address 02:00:00:00:00:77")));
    assert!(
        within(Duration::from_secs(5), || vsctl(&switch, "get interface y admin_state") == "up")
    );
    alone("its end", &|| drop(vsctl(&switch, "del-port br0 y")));
    alone("a neighbour", &|| {
        host.sh("ip neigh replace 10.9.0.3 lladdr 02:00:00:00:00:99 dev u0");
    });
    assert!(within(Duration::from_secs(5), || {
        switch.weft_json("show").to_string().contains("02:00:00:00:00:99")
    }));

    // A narrower way of one tunnel is a narrower bridge.
    host.sh("ip route add 10.9.0.3/32 dev u0 mtu 1400");
    assert!(within(Duration::from_secs(5), || mtu("i1") == "1358" && mtu("br0") == "1358"));
    vsctl(&switch, "del-port br0 other");
    assert!(within(Duration::from_secs(5), || mtu("i1") == "1458" && mtu("br0") == "1458"));

    // What one gives up another gets that waited for it.
    // ovs-vsctl says so, too.
    drop(switch.try_vsctl(&tunnel("again", 2, 7)));
    assert!(vsctl(&switch, "get interface again error").contains("File exists"));
    vsctl(&switch, "del-port br0 t7");
    assert_eq!(vsctl(&switch, "get interface again error"), "[]");
    a.must_reach("10.0.0.2");

    // The last tunnel takes the program off the NIC.
    let commands: Vec<_> = (1..=TUNNELS)
        .filter(|n| *n != 7)
        .map(|n| format!("del-port br0 t{n}"))
        .chain(std::iter::once("del-port br0 again".to_owned()))
        .collect();
    vsctl(&switch, &commands.join(" -- "));
    assert!(within(Duration::from_secs(5), || !host.sh("ip -d link show u0").contains("xdp")));
    assert!(within(Duration::from_secs(5), || mtu("i1") == "1500"));
    a.must_reach("10.0.0.2");
}

/// Files that the daemon may have open, and internal ports that are more than that.
const FILES: usize = 80;
const TOO_MANY: usize = 60;

/// Ports that find no descriptor say so, clients are served all the same, and what others do is
/// none of their business.
#[test]
fn clients_are_served_when_no_port_gets_a_descriptor() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    vsctl(&switch, "add-br br0");
    host.sh(&format!("prlimit --pid {} --nofile={FILES}:{FILES}", switch.pid()));
    let add =
        |name: &str, kind: &str| format!("add-port br0 {name} -- set interface {name} {kind}");
    let ports: Vec<_> = (0..TOO_MANY).map(|it| add(&format!("t{it}"), "type=internal")).collect();
    // It names those that have an error, and ends well.
    let all = |words: &str| drop(switch.try_vsctl(&format!("--timeout=60 {words}")).expect_ok());
    all(&ports.join(" -- "));
    let error = |name: &str| vsctl(&switch, &format!("get interface {name} error"));
    let list = vsctl(&switch, "--format=csv --no-headings --columns=name,error list interface");
    let rows = list.lines().filter_map(|line| line.split_once(','));
    let (open, failed): (Vec<_>, Vec<_>) =
        rows.filter(|(name, _)| name.starts_with('t')).partition(|(_, error)| *error == "[]");
    assert!(!open.is_empty() && !failed.is_empty(), "{list}");
    let (some, text) = failed.first().unwrap();
    assert!(text.contains("all but 20 of 80 descriptors are in use"), "{text}");

    host.sh("ip link add n0 type veth peer name m0");
    all("add-port br0 n0");
    assert_ne!(error("n0"), "[]");
    // Every ten seconds or so those that failed are tried again, and all is planned: not each time.
    let planned_for_two = || {
        let before = planned(&switch);
        vsctl(&switch, &add("r0", "type=patch options:peer=r1"));
        vsctl(&switch, "del-port br0 r0");
        planned(&switch) - before
    };
    let fewest = (0..5).map(|_| planned_for_two()).min().unwrap();
    assert!(fewest < 10, "{fewest} ports were planned");

    // Room for one, and one that is touched is tried at once.
    let (open, _) = open.first().unwrap();
    vsctl(&switch, &format!("del-port br0 {open} -- set interface {some} mtu_request=1400"));
    assert_eq!(error(some), "[]");
    assert_eq!(vsctl(&switch, &format!("get interface {some} mtu")), "1400");
}

/// Clock ticks that the threads of that name have used.
fn ticks(switch: &Switch, name: &str) -> u64 {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", switch.pid())).unwrap().flatten() {
        let text = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let (start, rest) = text.rsplit_once(')').unwrap_or_default();
        if start.ends_with(&format!("({name}")) {
            let times = rest.split_whitespace().skip(11).take(2);
            all += times.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>();
        }
    }
    all
}

/// What a client makes the database do is done by its thread; control has BPDUs to send.
#[test]
fn a_huge_transaction_costs_control_nothing() {
    const SCRIPT: &str = r#"
import json, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
insert = {"op": "insert", "table": "Queue", "row": {"external_ids": ["map", [["k", "v" * 230]]]}}
request = {"id": 1, "method": "transact", "params": ["Open_vSwitch"] + [insert] * 100000}
client.sendall(json.dumps(request).encode())
answer = b""
while not answer.endswith(b'"error":null}'):
    answer += client.recv(1 << 20)
print(len(json.loads(answer)["result"]))
"#;
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    switch.vsctl("set bridge br0 rstp_enable=true");
    let used = || ["weftd", "weft-database"].map(|name| ticks(&switch, name));
    let before = used();
    let socket = switch.rundir().join("db.sock");
    let script = switch.rundir().join("huge.py");
    std::fs::write(&script, SCRIPT).unwrap();
    let inserted = host.sh(&format!("python3 {} {}", script.display(), socket.display()));
    assert_eq!(inserted.trim(), "100000");
    let after = used();
    let [control, database] = [0, 1].map(|thread| after[thread] - before[thread]);
    assert!(database >= 20, "the database did it in {database} ticks");
    assert!(control * 4 < database, "control used {control} ticks, the database {database}");
    assert!(switch.appctl("rstp/show br0").contains("This bridge is the root"));
}
