//! Many veth ports on one bridge share one worker's memory.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::time::Duration;

use weft_tests::{Host, Switch, can_make_hosts, within};

/// Ports on the bridge.
const PORTS: usize = 40;

/// Broadcasts of each port.
const ROUNDS: usize = 20;

/// Sends from `e1`..`eN`, all in one namespace: broadcasts of each port, then a frame from each
/// port to each other one.  All ports take turns, so that no port sends a burst: a worker may have to
/// wait for its processor longer than a quiet port has memory for.
const TALK: &str = r#"
import socket, struct, sys, time
ports, rounds = int(sys.argv[1]), int(sys.argv[2])
mac = lambda number: bytes([2, 0, 0, 0, 1, number])
sockets = []
for number in range(1, ports + 1):
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    one.bind(("e%d" % number, 0))
    sockets.append(one)
def send(number, to):
    sockets[number - 1].send(to + mac(number) + b"\x88\xb5" + bytes(86))
    time.sleep(0.0005)
for _ in range(rounds):
    for number in range(1, ports + 1):
        send(number, b"\xff" * 6)
for other in range(1, ports + 1):
    for number in range(1, ports + 1):
        if other != number:
            send(number, mac(other))
"#;

/// Frames that each of `e1`..`eN` received.
fn received(guests: &Host) -> Vec<u64> {
    let line =
        format!("for i in $(seq {PORTS}); do cat /sys/class/net/e$i/statistics/rx_packets; done");
    guests.sh(&line).lines().map(|line| line.trim().parse().unwrap()).collect()
}

/// Each of forty ports hears every broadcast and every frame to its address: none lacks chunks to
/// receive into, and none of the copies lacks one to be made in.
#[test]
fn forty_ports_share_a_workers_memory() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.sh("ip link set br0 up");
    let guests = Host::new("guests");
    let (here, there) = (host.netns(), guests.netns());
    let mut devices = String::new();
    for number in 1..=PORTS {
        writeln!(
            devices,
            "ip link add v{number} netns {here} up type veth peer name e{number} netns {there} &&"
        )
        .unwrap();
    }
    host.sh(&format!("{devices} true"));
    guests.sh(&format!("for i in $(seq {PORTS}); do ip link set e$i up; done"));
    for number in 1..=PORTS {
        // One by one, as users add them: each finds the memory as those before it left it.
        switch.vsctl(&format!("add-port br0 v{number}"));
    }
    let before = received(&guests);
    guests.sh(&format!("python3 - {PORTS} {ROUNDS} <<'END'\n{TALK}\nEND"));
    let wanted = ((PORTS - 1) * (ROUNDS + 1)) as u64;
    let heard = || -> Vec<u64> {
        received(&guests).iter().zip(&before).map(|(after, before)| after - before).collect()
    };
    let all = within(Duration::from_secs(10), || heard().iter().all(|&frames| frames == wanted));
    assert!(all, "{wanted} for each, not {:?}: {:?}", heard(), (switch.drops(), switch.missed()));
    assert!(switch.drops().is_empty(), "{:?}", switch.drops());
    assert!(switch.missed().is_empty(), "{:?}", switch.missed());
}
