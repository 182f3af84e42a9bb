//! What a switch costs while nothing happens.

use std::time::{Duration, Instant};

use weft_tests::{Host, Switch, can_make_hosts, tcp_transfer, within};

/// Four ports after traffic: under 2 % of one core, under 150 MiB.
#[test]
fn an_idle_switch_sleeps_and_stays_small() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    let _c = switch.plug("br0", "veth3", "10.0.0.3/24");
    a.must_reach("10.0.0.2");
    tcp_transfer(&a, &b, "10.0.0.2:5001", 20_000_000);
    // Neighbour probes of the hosts end a few seconds after the last packet.
    std::thread::sleep(Duration::from_secs(2));

    let start = Instant::now();
    let before = switch.cpu_ticks();
    std::thread::sleep(Duration::from_secs(6));
    let used = switch.cpu_ticks() - before;
    let ticks_per_second: u64 = host.sh("getconf CLK_TCK").trim().parse().unwrap();
    let percent = 100.0 * f64::from(u32::try_from(used).unwrap())
        / (start.elapsed().as_secs_f64() * f64::from(u32::try_from(ticks_per_second).unwrap()));
    let resident = switch.resident_kib();
    eprintln!("idle with 4 ports: {percent:.2} % of a core, {resident} KiB resident");
    assert!(percent < 2.0, "{percent:.2} % of a core while idle");
    assert!(resident < 150 * 1024, "{resident} KiB resident");
}

/// A sleeping switch wakes for the first frame: round trips are not made of time-outs.
#[test]
fn a_sleeping_switch_answers_at_once() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let _b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    // Other tests may hold the processors for a while, so the best of some rounds counts.
    let quick = within(Duration::from_secs(10), || {
        std::thread::sleep(Duration::from_millis(400));
        let report = a.sh("ping -n -c 3 -i 0.3 10.0.0.2");
        let line = report.lines().last().unwrap_or_default();
        let average = line.split('/').nth(4).and_then(|number| number.parse::<f64>().ok());
        average.is_some_and(|milliseconds| milliseconds < 2.0)
    });
    assert!(quick, "{}", a.sh("ping -n -c 5 -i 0.3 10.0.0.2"));
}
