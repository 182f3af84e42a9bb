//! What the operator sees, to the letter: compared with what a stock switch printed.

use weft_protocols::PortKey;
use weft_protocols::rstp::{self, Rstp};
use weft_protocols::stp::{self, Action, Gate, NumberError, SpanningTree, Stp, assign_numbers};
use weft_wire::MacAddr;

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap_or(MacAddr::ZERO)
}

/// Passes the frames that `from` wants to send on to `to`; a port has the same number on both.
fn pass(from: &mut dyn SpanningTree, to: &mut dyn SpanningTree) {
    for action in from.take_actions() {
        if let Action::Send { port, frame } = action {
            to.receive(port, &frame);
        }
    }
}

fn exchange(a: &mut dyn SpanningTree, b: &mut dyn SpanningTree, secs: u32) {
    for _ in 0..secs * 10 {
        a.tick(100);
        b.tick(100);
        for _ in 0..4 {
            pass(a, b);
            pass(b, a);
        }
    }
}

fn two_stp() -> (Stp, Stp) {
    let root = stp::BridgeSettings::new(mac("32:10:dc:95:7a:4e"));
    let other = stp::BridgeSettings::new(mac("e2:af:9e:a5:ca:44"));
    let (mut root, mut other) = (Stp::new("br0", root), Stp::new("br0", other));
    for (number, name) in [(1, "gre2"), (2, "gre1")] {
        let settings = stp::PortSettings::new(name, number, mac("02:00:00:00:00:01"));
        root.set_port(PortKey(number.into()), settings.clone());
        other.set_port(PortKey(number.into()), settings);
    }
    exchange(&mut root, &mut other, 40);
    (root, other)
}

#[test]
fn stp_show_is_the_stock_text() {
    let (root, mut other) = two_stp();
    assert_eq!(
        other.show(),
        "---- br0 ----
Root ID:
  stp-priority  32768
  stp-system-id   32:10:dc:95:7a:4e
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s
  root-port       gre2
  root-path-cost  2

Bridge ID:
  stp-priority  32768
  stp-system-id   e2:af:9e:a5:ca:44
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s

  Interface  Role       State      Cost  Pri.Nbr 
  ---------- ---------- ---------- ----- -------
  gre2       root       forwarding 2     128.1
  gre1       alternate  blocking   2     128.2

"
    );
    assert!(root.show().contains(
        "  stp-fwd-delay   15s\n  This bridge is the root\n\nBridge ID:\n  stp-priority  32768\n"
    ));
    // A port without a link is not shown, a long name is cut.
    other.set_link(PortKey(2), false);
    let long = stp::PortSettings::new("a-name-of-14-b", 1, mac("02:00:00:00:00:01"));
    other.set_port(PortKey(1), long);
    assert!(!other.show().contains("gre1"));
    assert!(other.show().contains("\n  a-name-of- root       forwarding 2     128.1\n"));
}

#[test]
fn stp_status_is_the_stock_map() {
    let (root, other) = two_stp();
    let map = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let own = |pairs: Vec<(&'static str, String)>| -> Vec<(String, String)> {
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    };
    assert_eq!(
        own(other.port_status(PortKey(2))),
        map(&[
            ("stp_port_id", "32770"),
            ("stp_role", "alternate"),
            ("stp_sec_in_state", "38"),
            ("stp_state", "blocking"),
        ])
    );
    assert_eq!(
        own(other.bridge_status()),
        map(&[
            ("stp_bridge_id", "8000.e2af9ea5ca44"),
            ("stp_designated_root", "8000.3210dc957a4e"),
            ("stp_root_path_cost", "2"),
        ])
    );
    assert_eq!(own(root.port_status(PortKey(7))), map(&[]));
    let [errors, rx, tx] = root.port_statistics(PortKey(1)).try_into().unwrap();
    assert_eq!(errors, ("stp_error_count", 0));
    assert!(tx.0 == "stp_tx_count" && (20..30).contains(&tx.1), "{tx:?}");
    assert!(rx.0 == "stp_rx_count" && (1..10).contains(&rx.1), "{rx:?}");
}

#[test]
fn rstp_show_and_status_are_the_stock_ones() {
    let mut tree = Rstp::new("br2", rstp::BridgeSettings::new(mac("da:84:bf:85:b2:4f")));
    tree.set_port(PortKey(5), rstp::PortSettings::new("p1", 1, mac("02:00:00:00:00:01")));
    tree.tick(19_000);
    let bridge = "  stp-priority    32768
  stp-system-id   da:84:bf:85:b2:4f
  stp-hello-time  2s
  stp-max-age     20s
  stp-fwd-delay   15s
";
    assert_eq!(
        tree.show(),
        format!(
            "---- br2 ----
Root ID:
{bridge}  This bridge is the root

Bridge ID:
{bridge}
  Interface  Role       State      Cost     Pri.Nbr 
  ---------- ---------- ---------- -------- -------
  p1         Designated Forwarding 2000     128.1

"
        )
    );
    let text = |pairs: Vec<(&'static str, String)>| {
        pairs.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        text(tree.port_status(PortKey(5))),
        "rstp_designated_bridge_id=8.000.da84bf85b24f, rstp_designated_path_cost=0, \
         rstp_designated_port_id=8001, rstp_port_id=8001, rstp_port_role=Designated, \
         rstp_port_state=Forwarding"
    );
    assert_eq!(
        text(tree.bridge_status()),
        "rstp_bridge_id=8.000.da84bf85b24f, rstp_bridge_port_id=0000, \
         rstp_designated_id=8.000.da84bf85b24f, rstp_designated_port_id=0000, \
         rstp_root_id=8.000.da84bf85b24f, rstp_root_path_cost=0"
    );
    assert_eq!(tree.port_statistics(PortKey(5))[3], ("rstp_uptime", 19));
}

#[test]
fn rstp_shows_the_way_to_the_root() {
    let mut root = Rstp::new("br1", rstp::BridgeSettings::new(mac("02:00:00:00:00:aa")));
    let mut other = Rstp::new("br2", rstp::BridgeSettings::new(mac("02:00:00:00:00:bb")));
    for tree in [&mut root, &mut other] {
        tree.set_port(PortKey(3), rstp::PortSettings::new("x", 3, mac("02:00:00:00:00:01")));
    }
    exchange(&mut root, &mut other, 2);
    assert!(other.show().contains("  root-port       x\n  root-path-cost  2000\n\nBridge ID:"));
    assert!(other.show().contains("\n  x          Root       Forwarding 2000     128.3\n"));
    assert_eq!(other.bridge_status()[1], ("rstp_bridge_port_id", "8003".to_owned()));
}

#[test]
fn settings_are_read_as_ovs_reads_them() {
    let address = mac("02:00:00:00:00:01");
    let read = |pairs: &[(&str, &'static str)]| {
        let pairs: Vec<_> = pairs.iter().map(|&(k, v)| (k.to_owned(), v)).collect();
        move |key: &str| pairs.iter().find(|(k, _)| k == key).map(|&(_, v)| v)
    };
    let plain = stp::BridgeSettings::from_other_config(read(&[]), address);
    assert_eq!(plain, stp::BridgeSettings::new(address));
    let set = stp::BridgeSettings::from_other_config(
        read(&[
            ("stp-priority", "0x7000"),
            ("stp-system-id", "00:11:22:33:44:55"),
            ("stp-hello-time", "1"),
            ("stp-max-age", "6"),
            ("stp-forward-delay", "4"),
        ]),
        address,
    );
    assert_eq!(set.identifier.to_string(), "7000.001122334455");
    assert_eq!((set.hello_time_secs, set.max_age_secs, set.forward_delay_secs), (1, 6, 4));
    let wild = stp::BridgeSettings::from_other_config(
        read(&[("stp-hello-time", "999"), ("stp-max-age", "x"), ("stp-forward-delay", "0")]),
        address,
    );
    assert_eq!((wild.hello_time_secs, wild.max_age_secs, wild.forward_delay_secs), (10, 22, 12));

    let port = stp::PortSettings::from_other_config(
        read(&[("stp-port-priority", "16"), ("stp-path-cost", "77")]),
        "p",
        3,
        address,
        Some(1000),
    );
    assert_eq!((port.identifier().0, port.path_cost), (0x1003, 77));
    let costs = [Some(10), Some(100), Some(1000), Some(10_000), None].map(stp::path_cost);
    assert_eq!(costs, [100, 19, 4, 2, 2]);

    let set = rstp::BridgeSettings::from_other_config(
        read(&[
            ("rstp-priority", "4097"),
            ("rstp-max-age", "40"),
            ("rstp-forward-delay", "5"),
            ("rstp-force-protocol-version", "0"),
            ("rstp-transmit-hold-count", "11"),
        ]),
        address,
    );
    assert_eq!(set.identifier.priority(), 4096);
    assert_eq!((set.max_age_secs, set.forward_delay_secs, set.transmit_hold_count), (40, 21, 6));
    assert!(set.force_stp);
    let link = rstp::Link { is_up: true, speed_mbps: Some(1000), is_full_duplex: false };
    let port = rstp::PortSettings::from_other_config(
        read(&[
            ("rstp-port-priority", "100"),
            ("rstp-port-admin-edge", "TRUE"),
            ("rstp-port-auto-edge", "false"),
            ("rstp-admin-p2p-mac", "2"),
        ]),
        "p",
        0x123,
        address,
        link,
    );
    assert_eq!((port.identifier().0, port.path_cost), (0x6123, 20_000));
    assert!(port.admin_edge && !port.auto_edge && !port.point_to_point && port.is_up);
    let costs = [Some(10), Some(100), Some(10_000), Some(100_000), None].map(rstp::path_cost);
    assert_eq!(costs, [2_000_000, 200_000, 2000, 200, 2000]);
}

#[test]
fn numbers_are_given_out() {
    use NumberError::{Duplicate, Invalid, TooMany};
    let numbers = assign_numbers(&[None, Some(1), None, Some(1), Some(256), Some(0)], 255);
    let wanted = [Ok(2), Ok(1), Ok(3), Err(Duplicate(1)), Err(Invalid(256)), Err(Invalid(0))];
    assert_eq!(numbers, wanted);
    let many = assign_numbers(&[None; 256], 255);
    assert_eq!((many[254], many[255]), (Ok(255), Err(TooMany)));
}

/// A port that the tree does not know, or does not know any more, is open.
#[test]
fn ports_outside_the_tree_forward() {
    let mut trees: [Box<dyn SpanningTree>; 2] = {
        let mut a = Stp::new("br0", stp::BridgeSettings::new(mac("02:00:00:00:00:01")));
        a.set_port(PortKey(1), stp::PortSettings::new("p1", 1, mac("02:00:00:00:00:02")));
        let mut b = Rstp::new("br0", rstp::BridgeSettings::new(mac("02:00:00:00:00:01")));
        b.set_port(PortKey(1), rstp::PortSettings::new("p1", 1, mac("02:00:00:00:00:02")));
        [Box::new(a), Box::new(b)]
    };
    for tree in &mut trees {
        assert_eq!(tree.gate(PortKey(1)), Gate::CLOSED);
        assert_eq!(tree.gate(PortKey(2)), Gate::OPEN);
        tree.take_actions();
        tree.remove_port(PortKey(1));
        assert_eq!(tree.gate(PortKey(1)), Gate::OPEN);
        let actions = tree.take_actions();
        let is_open = |a: &Action| matches!(a, Action::State { gate: Gate::OPEN, .. });
        assert!(actions.iter().any(is_open), "{actions:?}");
        assert!(!actions.iter().any(|a| matches!(a, Action::Send { .. })), "{actions:?}");
        assert!(tree.port_status(PortKey(1)).is_empty());
    }
}
