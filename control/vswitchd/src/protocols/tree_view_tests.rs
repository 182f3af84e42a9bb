//! What the operator sees of a tree, to the letter: compared with what a stock switch printed.

use super::*;
use weft_protocols::rstp::{Rstp, RstpPortSettings, RstpSettings};
use weft_protocols::stp::{Stp, StpPortSettings, StpSettings};
use weft_protocols::tree::Action;
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

/// The names of interfaces, by port.
fn names(names: &[(u16, &str)]) -> BTreeMap<PortKey, String> {
    names.iter().map(|(port, name)| (PortKey(*port), (*name).to_owned())).collect()
}

fn view<'a>(
    protocol: Protocol,
    bridge: &'a str,
    tree: &'a dyn SpanningTree,
    interfaces: &'a BTreeMap<PortKey, String>,
) -> TreeView<'a> {
    TreeView { protocol, bridge, tree, interfaces }
}

fn two_stp() -> (Stp, Stp) {
    let root = StpSettings::new(mac("32:10:dc:95:7a:4e"));
    let other = StpSettings::new(mac("e2:af:9e:a5:ca:44"));
    let (mut root, mut other) = (Stp::new(root), Stp::new(other));
    for number in [1, 2] {
        let settings = StpPortSettings::new(number, mac("02:00:00:00:00:01"));
        root.set_port(PortKey(number.into()), settings);
        other.set_port(PortKey(number.into()), settings);
    }
    exchange(&mut root, &mut other, 40);
    (root, other)
}

#[test]
fn stp_show_is_the_stock_text() {
    let (root, mut other) = two_stp();
    let interfaces = names(&[(1, "gre2"), (2, "gre1")]);
    assert_eq!(
        view(Protocol::Stp, "br0", &other, &interfaces).show(),
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
    assert!(view(Protocol::Stp, "br0", &root, &interfaces).show().contains(
        "  stp-fwd-delay   15s\n  This bridge is the root\n\nBridge ID:\n  stp-priority  32768\n"
    ));
    // A port without a link is not shown, a long name is cut.
    other.set_link(PortKey(2), false);
    let interfaces = names(&[(1, "a-name-of-14-b"), (2, "gre1")]);
    let text = view(Protocol::Stp, "br0", &other, &interfaces).show();
    assert!(!text.contains("gre1"));
    assert!(text.contains("\n  a-name-of- root       forwarding 2     128.1\n"));
}

#[test]
fn stp_status_is_the_stock_map() {
    let (root, other) = two_stp();
    let interfaces = names(&[]);
    let [root, other] = [&root, &other].map(|tree| view(Protocol::Stp, "br0", tree, &interfaces));
    let map = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let own = |pairs: Vec<(&'static str, String)>| -> Vec<(String, String)> {
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    };
    assert_eq!(
        own(other.port_status(PortId(2))),
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
    assert_eq!(own(root.port_status(PortId(7))), map(&[]));
    let [errors, rx, tx] = root.port_statistics(PortId(1)).try_into().unwrap();
    assert_eq!(errors, ("stp_error_count", 0));
    assert!(tx.0 == "stp_tx_count" && (20..30).contains(&tx.1), "{tx:?}");
    assert!(rx.0 == "stp_rx_count" && (1..10).contains(&rx.1), "{rx:?}");
}

#[test]
fn rstp_show_and_status_are_the_stock_ones() {
    let mut tree = Rstp::new(RstpSettings::new(mac("da:84:bf:85:b2:4f")));
    tree.set_port(PortKey(5), RstpPortSettings::new(1, mac("02:00:00:00:00:01")));
    tree.tick(19_000);
    let interfaces = names(&[(5, "p1")]);
    let tree = view(Protocol::Rstp, "br2", &tree, &interfaces);
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
        text(tree.port_status(PortId(5))),
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
    assert_eq!(tree.port_statistics(PortId(5))[3], ("rstp_uptime", 19));
}

#[test]
fn rstp_shows_the_way_to_the_root() {
    let mut root = Rstp::new(RstpSettings::new(mac("02:00:00:00:00:aa")));
    let mut other = Rstp::new(RstpSettings::new(mac("02:00:00:00:00:bb")));
    for tree in [&mut root, &mut other] {
        tree.set_port(PortKey(3), RstpPortSettings::new(3, mac("02:00:00:00:00:01")));
    }
    exchange(&mut root, &mut other, 2);
    let interfaces = names(&[(3, "x")]);
    let other = view(Protocol::Rstp, "br2", &other, &interfaces);
    assert!(other.show().contains("  root-port       x\n  root-path-cost  2000\n\nBridge ID:"));
    assert!(other.show().contains("\n  x          Root       Forwarding 2000     128.3\n"));
    assert_eq!(other.bridge_status()[1], ("rstp_bridge_port_id", "8003".to_owned()));
}
