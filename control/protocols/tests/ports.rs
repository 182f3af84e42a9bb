//! Ports of a tree: their numbers, their costs, and those outside of it.

use weft_protocols::PortKey;
use weft_protocols::rstp::{self, Rstp, RstpPortSettings, RstpSettings};
use weft_protocols::stp::{self, Stp, StpPortSettings, StpSettings};
use weft_protocols::tree::{Action, Gate, NumberError, SpanningTree, assign_numbers};
use weft_wire::MacAddr;

fn mac(text: &str) -> MacAddr {
    text.parse().unwrap_or(MacAddr::ZERO)
}

#[test]
fn costs_follow_the_speed_of_the_link() {
    let costs = [Some(10), Some(100), Some(1000), Some(10_000), None].map(stp::path_cost);
    assert_eq!(costs, [100, 19, 4, 2, 2]);
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
        let mut a = Stp::new(StpSettings::new(mac("02:00:00:00:00:01")));
        a.set_port(PortKey(1), StpPortSettings::new(1, mac("02:00:00:00:00:02")));
        let mut b = Rstp::new(RstpSettings::new(mac("02:00:00:00:00:01")));
        b.set_port(PortKey(1), RstpPortSettings::new(1, mac("02:00:00:00:00:02")));
        [Box::new(a), Box::new(b)]
    };
    for tree in &mut trees {
        assert_eq!(tree.gate(PortKey(1)), Gate::CLOSED);
        assert_eq!(tree.gate(PortKey(2)), Gate::OPEN);
        tree.take_actions();
        tree.remove_port(PortKey(1));
        assert_eq!(tree.gate(PortKey(1)), Gate::OPEN);
        let actions = tree.take_actions();
        let opens = |a: &Action| matches!(a, Action::State { to, .. } if to.gate() == Gate::OPEN);
        assert!(actions.iter().any(opens), "{actions:?}");
        assert!(!actions.iter().any(|a| matches!(a, Action::Send { .. })), "{actions:?}");
        assert!(tree.port_status(PortKey(1)).is_none() && tree.ports().is_empty());
    }
}
