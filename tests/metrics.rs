//! The page for Prometheus.
#![expect(clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use weft_tests::{Host, Switch, can_make_hosts, within};

const DASHBOARD: &str = include_str!("../control/vswitchd/grafana.json");

/// The samples of a page by name and labels; every line must be well-formed, and every sample
/// stand under its own type.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut family = "";
    let mut all = BTreeMap::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap_or("");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("name and value");
        assert_eq!(name.split('{').next(), Some(family), "{line}");
        let before = all.insert(name.to_owned(), value.parse().expect("a number"));
        assert_eq!(before, None, "twice: {line}");
    }
    all
}

#[test]
fn the_page_counts_what_passes() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let plain = Switch::start(&host);
    assert_eq!(host.sh("ss -Hltn"), "", "nobody asked for a page");
    drop(plain);
    let refused = host.try_sh(&format!("{} --metrics 0.0.0.0:9475", weft_tests::weftd_program()));
    assert!(refused.stderr.contains("not a loopback address"), "{}", refused.stderr);

    let switch = Switch::start_with(&host, "--metrics 127.0.0.1:9475");
    let busy = host.try_sh(&format!(
        "d=$(mktemp -d); {} --rundir $d --db $d/conf.db --metrics 127.0.0.1:9475; rm -r $d",
        weft_tests::weftd_program()
    ));
    let words = "weftd: --metrics 127.0.0.1:9475: another program listens there";
    assert!(busy.stderr.contains(words), "{}", busy.stderr);
    switch.vsctl("add-br br0");
    let (left, right) =
        (switch.plug("br0", "veth1", "10.0.0.1/24"), switch.plug("br0", "veth2", "10.0.0.2/24"));
    switch.vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.9");
    let get = |path: &str| {
        let ask =
            format!("printf 'GET {path} HTTP/1.1\\r\\n\\r\\n' | socat -t5 - TCP:127.0.0.1:9475");
        let answer = host.sh(&ask);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.lines().next().unwrap_or("").to_owned(), body.to_owned())
    };
    assert_eq!(left.pings(5, "10.0.0.2"), 5);
    drop(right);
    let sample = |name: &str| {
        let (status, page) = get("/metrics");
        assert_eq!(status, "HTTP/1.0 200 OK");
        samples(&page).get(name).copied()
    };
    let port = |name: &str| sample(&format!("weft_port_{name}{{bridge=\"br0\",port=\"veth1\"}}"));
    assert!(port("rx_frames_total") >= Some(5.0), "{}", get("/metrics").1);
    assert!(port("tx_bytes_total") >= Some(5.0 * 98.0));
    assert_eq!(port("up"), Some(1.0));
    assert_eq!(sample("weft_tunnel_ready{bridge=\"br0\",port=\"gre0\"}"), Some(0.0));
    assert!(sample("weft_fdb_entries{bridge=\"br0\",worker=\"0\"}") >= Some(1.0));
    // A guest whose link goes is seen.
    let down = || sample("weft_port_up{bridge=\"br0\",port=\"veth1\"}") == Some(0.0);
    left.sh("ip link set eth0 down");
    assert!(within(std::time::Duration::from_secs(5), down));

    assert_eq!(get("/nope").0, "HTTP/1.0 404 Not Found");
    let nonsense = host.sh("printf 'hello\\r\\n\\r\\n' | socat -t5 - TCP:127.0.0.1:9475");
    assert!(nonsense.starts_with("HTTP/1.0 400"), "{nonsense}");

    // Every metric that the dashboard draws exists, but those that need a drop or a miss.
    let (_, page) = get("/metrics");
    let there: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let drawn = DASHBOARD.split(|c| !is_word(c)).filter(|word| word.starts_with("weft_"));
    for metric in drawn.filter(|name| !name.contains("dropped") && !name.contains("missed")) {
        assert!(there.contains(metric), "{metric} is not on the page");
    }
}
