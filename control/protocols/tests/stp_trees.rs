//! STP on the networks of the standards, of known conformance suites, and on random ones.
#![allow(clippy::cast_possible_truncation, reason = "tests count small things")]

mod stp_sim;

use proptest::prelude::*;
use stp_sim::random::{Bounds, build, torture, wiring};
use stp_sim::{Kind, Net, net};

/// Listening and learning.
const TWO_DELAYS_MS: u64 = 30_000;
/// Old information is gone after 20 s; then two delays; then some BPDUs for the way.
const BOUNDS: Bounds = Bounds { tree_ms: 60_000, loop_ms: 0, silent_ms: 2_500 };
const LOSSY: Bounds = Bounds { tree_ms: 60_000, loop_ms: 0, silent_ms: 15_000 };

fn stp(bridges: &[(u64, &str)]) -> Net {
    net(Kind::Stp, 10, bridges).0
}

#[test]
fn example_of_8021d_1998() {
    let mut net = stp(&[
        (0x42, "a b"),
        (0x97, "c:5 a d:5"),
        (0x45, "b e"),
        (0x57, "b:5 e:5"),
        (0x83, "a:5 e:5"),
    ]);
    net.run(100_000);
    net.check(&["root", "F F:10 F", "F:10 B", "F:5 F", "F:5 B"]);
    assert!(net.is_tree());
}

#[test]
fn figures_17_4_and_17_5_of_8021d_2004() {
    let (mut net, _) = net(
        Kind::Stp,
        10,
        &[
            (0x111, "a b e c"),
            (0x222, "a b d f"),
            (0x333, "c d l j h g"),
            (0x444, "e f n m k i"),
            (0x555, "g i 0 0"),
            (0x666, "h k 0 0"),
            (0x777, "j m 0 0"),
            (0x888, "l n 0 0"),
        ],
    );
    net.run(100_000);
    let leaf = "F:20 B F F";
    let inner = "F:10 B F F F F";
    net.check(&["root", "F:10 B F F", inner, inner, leaf, leaf, leaf, leaf]);
    // Two ports of one bridge on one LAN.
    let lan = net.add_lan();
    net.attach(7, 3, lan);
    net.attach(7, 4, lan);
    net.run(100_000);
    net.check(&["root", "F:10 B F F", inner, inner, leaf, leaf, leaf, "F:20 B F B"]);
}

#[test]
fn figure_17_6_of_8021d_2004() {
    let mut net = stp(&[
        (0x111, "a b l"),
        (0x222, "b c d"),
        (0x333, "d e f"),
        (0x444, "f g h"),
        (0x555, "j h i"),
        (0x666, "l j k"),
    ]);
    net.run(100_000);
    net.check(&["root", "F:10 F F", "F:20 F F", "F:30 F B", "F:20 F F", "F:10 F F"]);
}

#[test]
fn link_failure_and_return() {
    let mut net = stp(&[(0x111, "a b c"), (0x222, "a b c")]);
    net.run(100_000);
    net.check(&["root", "F:10 B B"]);
    net.set_link(1, 1, false);
    net.run(100_000);
    net.check(&["root", "D F:10 B"]);
    net.set_link(1, 2, false);
    net.run(100_000);
    net.check(&["root", "D D F:10"]);
    net.set_link(1, 1, true);
    net.run(100_000);
    net.check(&["root", "F:10 D B"]);
}

#[test]
fn two_bridges_with_two_ports_each_on_one_lan() {
    let mut net = stp(&[(0x111, "a a"), (0x222, "a a")]);
    net.run(100_000);
    net.check(&["F B", "F:10 B"]);
    net.configure_port(1, 1, 0x90, 10);
    net.run(100_000);
    net.check(&["F B", "B F:10"]);
}

#[test]
fn the_root_moves_with_priority() {
    let mut net =
        stp(&[(0x111, "a b d c"), (0x222, "a b f e"), (0x333, "c d g h"), (0x444, "e f g h")]);
    let first = ["root", "F:10 B F F", "B F:10 F F", "B F:20 B B"];
    net.run(100_000);
    net.check(&first);
    net.set_id(1, 0x7000, 0x222);
    net.run(100_000);
    net.check(&["F:10 B F F", "root", "B F:20 B B", "B F:10 F F"]);
    net.set_id(2, 0x6000, 0x333);
    net.run(100_000);
    net.check(&["F F B F:10", "F:20 B B B", "root", "F F F:10 B"]);
    net.set_id(3, 0x5000, 0x444);
    net.run(100_000);
    net.check(&["B B B F:20", "F F B F:10", "F F F:10 B", "root"]);
    for (node, address) in [0x111, 0x222, 0x333, 0x444].into_iter().enumerate() {
        net.set_id(node, 0x4000 + node as u16, address);
    }
    net.run(100_000);
    net.check(&first);
}

#[test]
fn ports_listen_and_learn_for_fifteen_seconds_each() {
    let mut net = stp(&[(0x123, "a b")]);
    net.check(&["Li Li"]);
    net.run(14_900);
    net.check(&["Li Li"]);
    net.run(200);
    net.check(&["Le Le"]);
    net.run(14_700);
    net.check(&["Le Le"]);
    net.run(300);
    net.check(&["F F"]);
    assert!(net.nodes[0].flushes > 0 && net.nodes[0].aging == Some(15));
    // Max age and forward delay later the change is over.
    net.run(36_000);
    assert_eq!(net.nodes[0].aging, None);
}

/// Two ports on one LAN hear each other.  When the root port fails, what the second heard from the
/// first is this bridge's own claim, and leads to no root.
#[test]
fn the_own_claim_is_no_way_to_the_root() {
    let mut net = stp(&[(0x111, "a"), (0x222, "a b b")]);
    net.run(60_000);
    net.check(&["root", "F:10 F B"]);
    net.set_link(1, 1, false);
    assert!(net.nodes[1].is_root(), "{}", net.describe());
}

/// The mesh of three hosts with a tunnel between any two.
#[test]
fn three_bridge_mesh_converges_in_35_s() {
    let mut net = net(Kind::Stp, 2, &[(0x222, "a b"), (0x333, "a c"), (0x111, "b c")]).0;
    let took = net.converge(35_000).expect("converges");
    assert!((TWO_DELAYS_MS..=31_000).contains(&took), "{took} ms");
    net.run(10_000);
    net.check(&["F F:2", "B F:2", "root"]);
    let blocked: usize = (0..3).map(|node| net.ports_of(node).matches('B').count()).sum();
    assert_eq!(blocked, 1);
}

#[test]
fn a_change_is_told_to_all_and_stations_age_fast() {
    let mut net = stp(&[(0x111, "a"), (0x222, "a b"), (0x333, "b c d"), (0x444, "c d")]);
    net.run(120_000);
    net.check(&["root", "F:10 F", "F:20 F F", "F:30 B"]);
    assert!(net.nodes.iter().all(|node| node.aging.is_none()));
    let before: Vec<_> = net.nodes.iter().map(|node| node.flushes).collect();
    net.set_lan(net.nodes[3].ports[&1], false, true);
    net.run(32_000);
    net.check(&["root", "F:10 F", "F:20 D F", "D F:30"]);
    for (node, before) in net.nodes.iter().zip(before) {
        assert_eq!(node.aging, Some(15));
        assert!(node.flushes > before);
    }
    net.run(40_000);
    assert!(net.nodes.iter().all(|node| node.aging.is_none()));
}

/// Without the rule of this implementation both ports would forward, and a broadcast would
/// circle for ever.
#[test]
fn ports_that_hear_themselves_block() {
    let mut net = stp(&[(0x111, "a b c"), (0x222, "c")]);
    net.lans[0].reflects = true;
    net.lans[1].reflects = true;
    assert_eq!(net.longest_loop(100_000), 0);
    net.check(&["B B F", "F:10"]);
    net.lans[0].reflects = false;
    net.run(60_000);
    net.check(&["F B F", "F:10"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Where no BPDU is lost, STP never has a loop, not for a moment.
    #[test]
    fn random_networks_become_trees(wiring in wiring(0)) {
        torture(&mut build(&wiring, |_| Kind::Stp), &wiring, BOUNDS);
    }

    #[test]
    fn lost_bpdus_do_not_matter(wiring in wiring(200)) {
        torture(&mut build(&wiring, |_| Kind::Stp), &wiring, LOSSY);
    }

    /// Whatever arrives, there is no panic, no action without bound, and time goes on.
    #[test]
    fn survives_noise(
        frames in prop::collection::vec((1..4u16, prop::collection::vec(any::<u8>(), 0..70)), 0..40),
        bpdus in prop::collection::vec((1..4u16, any::<[u8; 53]>(), 0..3usize), 0..40),
    ) {
        for kind in [Kind::Stp, Kind::Rstp] {
            let mut net = net(kind, 10, &[(0x111, "a b c")]).0;
            for (port, frame) in &frames {
                net.inject(0, *port, frame);
                net.tick();
            }
            for (port, noise, kind) in &bpdus {
                let mut frame = *noise;
                frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]);
                frame[12..20].copy_from_slice(&[0, 39, 0x42, 0x42, 3, 0, 0, 2]);
                frame[20] = [0, 2, 0x80][*kind];
                // Message age below max age.
                frame[44] = 0;
                frame[46] |= 1;
                let actions = net.inject(0, *port, &frame);
                prop_assert!(actions < 50, "{actions} actions for one frame");
                net.run(300);
            }
            net.nodes[0].tree_mut().tick(u32::MAX);
            // The noise aged out.
            prop_assert!(net.nodes[0].is_root());
        }
    }
}
