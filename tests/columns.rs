//! The columns of a live switch: those that a stock switch fills, and nothing written twice.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop there"
)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use weft_tests::{Host, Stock, Switch, cable_named, can_make_hosts, within};

/// The lines that set up the same switch on both.
const LINES: [&str; 5] = [
    "add-br br0 -- set bridge br0 datapath_type=netdev",
    "add-port br0 veth1",
    "add-port br0 int0 -- set interface int0 type=internal",
    "add-port br0 patch0 -- set interface patch0 type=patch options:peer=patch1 \
     -- add-port br0 patch1 -- set interface patch1 type=patch options:peer=patch0",
    "add-port br0 gone",
];

/// A frame now and then.
const TRAFFIC: &str = "import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
while True:
    s.send(bytes(6 * [255]) + bytes([2, 0, 0, 0, 0, 1, 0x88, 0xb5]) + bytes(46))
    print('sent', flush=True)
    time.sleep(0.05)";

/// What is the same from one switch to the next: whether an address or a number is there, and the
/// names of counters.
fn plain(column: &str, value: &Value) -> String {
    match (column, value) {
        ("_uuid" | "ports" | "interfaces" | "datapath_id", _) => "uuid".to_owned(),
        ("mac_in_use", Value::String(_)) => "an address".to_owned(),
        ("ifindex", Value::Number(number)) => (number.as_u64() > Some(0)).to_string(),
        ("statistics", _) => format!("{:?}", pairs(value).into_keys().collect::<Vec<_>>()),
        _ => value.to_string(),
    }
}

fn pairs(map: &Value) -> BTreeMap<String, String> {
    let pair = |pair: &Value| {
        let word = |index: usize| pair[index].as_str().map(str::to_owned);
        Some((word(0)?, word(1).unwrap_or_else(|| pair[1].to_string())))
    };
    map[1].as_array().into_iter().flatten().filter_map(pair).collect()
}

/// The rows of a table by name.
fn rows(vsctl: &dyn Fn(&str) -> String, table: &str) -> BTreeMap<String, BTreeMap<String, Value>> {
    let list: Value = serde_json::from_str(&vsctl(&format!("--format=json list {table}"))).unwrap();
    let headings: Vec<&str> =
        list["headings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let row = |row: &Value| -> BTreeMap<String, Value> {
        let values = row.as_array().unwrap().iter().cloned();
        headings.iter().map(|name| (*name).to_owned()).zip(values).collect()
    };
    let rows = list["data"].as_array().unwrap().iter().map(row);
    rows.map(|row| (row["name"].as_str().unwrap_or("").to_owned(), row)).collect()
}

/// Where ours and theirs say different things.
fn differences(ours: &dyn Fn(&str) -> String, theirs: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["bridge", "port", "interface"] {
        let (ours, theirs) = (rows(ours, table), rows(theirs, table));
        for (name, row) in &theirs {
            for (column, value) in row {
                let got = &ours[name][column];
                let is_same = match column.as_str() {
                    // Ours says more: how AF_XDP works.
                    "status" => {
                        let got = pairs(got);
                        pairs(value).iter().all(|(key, value)| got.get(key) == Some(value))
                    }
                    _ => plain(column, got) == plain(column, value),
                };
                if !is_same {
                    all.push(format!("{table} {name} {column}: {got}, stock {value}"));
                }
            }
        }
    }
    all
}

/// The columns that a monitor of everything heard to change.
fn changed(lines: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for update in lines.lines() {
        let update: Value = serde_json::from_str(update).unwrap();
        let table = update["caption"].as_str().unwrap();
        let headings = update["headings"].as_array().unwrap();
        for row in update["data"].as_array().unwrap() {
            match row[1].as_str() {
                // All that was there when it began, and what a change made of a row.
                Some("initial" | "new") => {}
                // Of what changed, this row has the old values, and nothing of the rest.
                Some("old") => {
                    let cells = headings.iter().zip(row.as_array().unwrap()).skip(2);
                    let changed =
                        cells.filter(|(name, cell)| *name != "_version" && !cell.is_null());
                    all.extend(
                        changed.map(|(name, _)| format!("{table}.{}", name.as_str().unwrap())),
                    );
                }
                other => drop(all.insert(format!("{table}: {other:?}"))),
            }
        }
    }
    all
}

/// Waits until both say the same of devices that are down, and of the same when they are up.
fn say_the_same(hosts: [&Host; 2], ours: &dyn Fn(&str) -> String, theirs: &dyn Fn(&str) -> String) {
    for state in ["down", "up"] {
        for host in hosts {
            host.sh(&format!("ip link set br0 {state} && ip link set int0 {state}"));
        }
        let differ = || differences(ours, theirs);
        assert!(
            within(Duration::from_secs(15), || differ().is_empty()),
            "{state}: {:#?}",
            differ()
        );
    }
}

#[test]
fn columns_are_those_of_a_stock_switch_and_stay_quiet() {
    if !can_make_hosts() {
        return;
    }
    let (host, stock_host, guest) = (Host::new("host"), Host::new("stock"), Host::new("guest"));
    cable_named(&host, "veth1", &guest, "eth0");
    cable_named(&stock_host, "veth1", &guest, "eth1");
    let (switch, stock) = (Switch::start(&host), Stock::start(&stock_host));
    for line in LINES {
        let _ = (switch.try_vsctl(line), stock.try_vsctl(line));
    }
    let ours = |words: &str| switch.vsctl(words);
    let theirs = |words: &str| stock.vsctl(words);
    say_the_same([&host, &stock_host], &ours, &theirs);

    // Links that come and go are counted.
    let resets = || switch.vsctl("get interface veth1 link_resets").parse::<u32>().unwrap();
    let before = resets();
    for state in ["down", "up"] {
        guest.sh(&format!("ip link set eth0 {state}"));
        let seen = || switch.vsctl("get interface veth1 link_state") == state;
        assert!(within(Duration::from_secs(5), seen));
    }
    assert!(resets() > before);

    // Figures of the machine come when asked for, by the names that stock has, and go again.
    let datapath =
        "-- --id=@d create datapath datapath_version=x -- set open . datapaths:netdev=@d";
    let names = |vsctl: &dyn Fn(&str) -> String, words: &str| -> BTreeSet<String> {
        let map: Value = serde_json::from_str(&vsctl(words)).unwrap();
        pairs(&map["data"][0][0]).into_keys().collect()
    };
    let machine = "--format=json --columns=statistics list open";
    let capabilities = "--format=json --columns=capabilities list datapath";
    for vsctl in [&ours as &dyn Fn(&str) -> String, &theirs] {
        vsctl("set open . other_config:enable-statistics=true");
        vsctl(datapath);
    }
    // Stock was not told of its database's pid file.
    let expected = ["cpu", "file_systems", "load_average", "memory", "process_ovs-vswitchd"];
    for (words, extra) in [(machine, Some("process_ovsdb-server")), (capabilities, None)] {
        let agree = || {
            let (mut ours, theirs) = (names(&ours, words), names(&theirs, words));
            !theirs.is_empty() && extra.is_none_or(|extra| ours.remove(extra)) && ours == theirs
        };
        assert!(
            within(Duration::from_secs(15), agree),
            "{:?}, stock {:?}",
            names(&ours, words),
            names(&theirs, words)
        );
    }
    assert!(expected.iter().all(|name| names(&ours, machine).contains(*name)));
    switch.vsctl("remove open . other_config enable-statistics");
    let gone = || switch.vsctl("get open . statistics") == "{}";
    assert!(within(Duration::from_secs(10), gone));

    // Counters are told at the end of an interval, which ends sooner when it is made shorter.
    let traffic = guest.spawn(&format!("python3 -c \"{TRAFFIC}\""));
    traffic.wait_for("sent");
    let told = || switch.vsctl("get interface veth1 statistics:rx_packets").parse::<u64>().unwrap();
    let hears_of_more = |millis: u32| {
        let before = told();
        switch.vsctl(&format!("set open . other_config:stats-update-interval={millis}"));
        within(Duration::from_secs(20), || told() > before)
    };
    assert!(hears_of_more(3_600_000), "the interval that ran already does not end");
    assert!(hears_of_more(5_000), "the interval of an hour goes on");
    drop(traffic);

    // Two intervals of statistics: nothing else is written while nothing happens.
    let watch = "timeout 11 ovsdb-client --format=json monitor ALL";
    let lines = switch.client(watch).stdout;
    let quiet: BTreeSet<String> = ["Interface.statistics".to_owned()].into();
    assert!(changed(&lines).is_subset(&quiet), "{:?}", changed(&lines));
}
