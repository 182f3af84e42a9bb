//! `weft top` against the real daemon: in a pipe, and on a terminal.

use serde_json::Value;
use std::time::Duration;
use weft_tests::{Host, Switch, can_make_hosts, weft_program, within};

/// Broadcasts of one new station after another.
const STATIONS: &str = "import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
for n in range(3000):
    s.send(bytes(6 * [255]) + bytes([2, 0, 0, 1, n // 256, n % 256, 0x88, 0xb5]) + bytes(46))
    time.sleep(0.02)";

#[test]
fn top_shows_traffic_in_a_pipe_and_on_a_terminal() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    let _traffic = a.spawn("ping -q -i 0.02 10.0.0.2");

    let carries = |view: &Value| {
        let ports = view["ports"].as_array().cloned().unwrap_or_default();
        let port = ports.iter().find(|port| port["name"] == "veth1").cloned().unwrap_or_default();
        let rate = |name: &str| port[name].as_f64().unwrap_or(0.0);
        // 50 echo requests in a second come in, 50 replies go out, 98 bytes each.
        (5.0..200.0).contains(&rate("rx_frames_per_second"))
            && (5.0..200.0).contains(&rate("tx_frames_per_second"))
            && (4e3..2e5).contains(&rate("rx_bits_per_second"))
            && view["workers"][0]["busy_percent"].as_f64().is_some_and(|busy| busy > 0.0)
            && view["workers"][0]["rx_frames_per_second"].as_f64().is_some_and(|rate| rate > 5.0)
    };
    let seen = within(Duration::from_secs(20), || carries(&switch.weft_json("top --once")));
    assert!(seen, "{}", switch.weft_json("top --once"));

    // Addresses that are learned while it looks, and frames that are dropped.
    let _stations = b.spawn(&format!("python3 -c \"{STATIONS}\""));
    let learned = within(Duration::from_secs(20), || {
        let view = switch.weft_json("top --once --delay 0.5");
        view["bridges"][0]["learned_per_second"].as_f64().is_some_and(|rate| rate > 0.0)
    });
    assert!(learned, "no address was learned");
    a.send_frame("eth0", "Ether(dst=\"01:80:c2:00:00:03\",type=0x888e)/(b\"x\"*46)");
    let dropped = within(Duration::from_secs(10), || {
        let page = switch.try_weft("top --once -d 0.2").expect_ok();
        page.lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.starts_with(&["veth1", "br0", "rx", "reserved"]) && words.last() == Some(&"1")
        })
    });
    assert!(dropped, "{}", switch.try_weft("top --once").expect_ok());

    let weft = weft_program();
    let piped = switch.client(&format!("sh -c '{weft} top -n 3 -d 0.2 | cat'")).expect_ok();
    assert_eq!(piped.matches("worker").count(), 3, "{piped}");
    assert!(!piped.contains('\x1b'), "{piped}");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/top_pty.py");
    let outcome = switch.client(&format!("python3 {script} {weft} top -d 0.2"));
    assert!(outcome.ok(), "{outcome:?}");

    let gone = switch.kill_hard();
    let outcome = host.try_sh(&format!("{weft} --rundir {} top", gone.rundir().display()));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (3, ""), "{outcome:?}");
    assert!(outcome.stderr.contains("weftd does not answer"), "{outcome:?}");
}
