//! RSTP on the networks of the standards and on random ones, alone and with STP bridges.

mod stp_sim;

use proptest::prelude::*;
use std::collections::BTreeMap;
use stp_sim::random::{Bounds, build, torture, wiring};
use stp_sim::{Kind, Net, net};
use weft_protocols::PortKey;
use weft_protocols::rstp::RstpPortSettings;
use weft_protocols::tree::{PortRole, SpanningTree};

const COST: u32 = 200_000;

fn rstp(bridges: &[(u64, &str)]) -> (Net, BTreeMap<String, usize>) {
    net(Kind::Rstp, COST, bridges)
}

#[test]
fn one_bridge() {
    let (mut net, _) = rstp(&[(0x111, "a b")]);
    net.check(&["B B"]);
    // Nobody answers, so both ports are edge ports soon.
    net.run(4000);
    net.check(&["F F"]);
    assert!(net.nodes[0].is_root());
}

#[test]
fn link_failures() {
    let (mut net, lans) =
        rstp(&[(0x111, "a b"), (0x222, "a c d"), (0x333, "b c e"), (0x444, "d f"), (0x555, "e f")]);
    net.run(20_000);
    net.check(&["root", "F:200000 F F", "F:200000 B F", "F:400000 F", "F:400000 B"]);
    net.set_lan(lans["b"], false, true);
    let took = net.converge(3000).expect("a tree");
    assert!(took <= 1000, "{took} ms");
    net.run(5000);
    net.check(&["F D", "F:200000 F F", "D F:400000 F", "F:400000 F", "F:600000 B"]);
    net.set_link(4, 1, false);
    net.run(10_000);
    net.check(&["F D", "F:200000 F F", "D F:400000 F", "F:400000 F", "D F:600000"]);
    net.configure_port(4, 2, 128, 100_000);
    net.run(1000);
    assert_eq!(net.ports_of(4), "D F:500000");
    net.set_id(4, 0x7000, 0x555);
    net.run(10_000);
    assert!(net.nodes[4].is_root());
    assert!(net.is_tree());
}

#[test]
fn figures_17_4_and_17_5_of_8021d_2004() {
    let (mut net, _) = rstp(&[
        (0x111, "a b e c"),
        (0x222, "a b d f"),
        (0x333, "c d l j h g"),
        (0x444, "e f n m k i"),
        (0x555, "g i 0 0"),
        (0x666, "h k 0 0"),
        (0x777, "j m 0 0"),
        (0x888, "l n 0 0"),
    ]);
    net.run(10_000);
    let leaf = "F:400000 B F F";
    let inner = "F:200000 B F F F F";
    net.check(&["root", "F:200000 B F F", inner, inner, leaf, leaf, leaf, leaf]);
    let lan = net.add_lan();
    net.attach(7, 3, lan);
    net.attach(7, 4, lan);
    net.run(10_000);
    net.check(&["root", "F:200000 B F F", inner, inner, leaf, leaf, leaf, "F:400000 B F B"]);
    let status = net.nodes[7].tree().port_status(PortKey(4));
    assert_eq!(status.map(|status| status.role), Some(PortRole::Backup), "{status:?}");
}

#[test]
fn figure_17_6_of_8021d_2004() {
    let (mut net, _) = rstp(&[
        (0x111, "a b l"),
        (0x222, "b c d"),
        (0x333, "d e f"),
        (0x444, "f g h"),
        (0x555, "j h i"),
        (0x666, "l j k"),
    ]);
    net.run(20_000);
    net.check(&[
        "root",
        "F:200000 F F",
        "F:400000 F F",
        "F:600000 F B",
        "F:400000 F F",
        "F:200000 F F",
    ]);
}

#[test]
fn figure_17_7_of_8021d_2004() {
    let (mut net, _) =
        rstp(&[(0x000, "b"), (0x111, "a b d f h g e c"), (0x222, "g h j l n m k i")]);
    net.run(20_000);
    net.check(&["root", "F F:200000 F F F F F F", "B F:400000 F F F F F F"]);
    net.configure_port(1, 6, 112, COST);
    net.run(20_000);
    net.check(&["root", "F F:200000 F F F F F F", "F:400000 B F F F F F F"]);
}

/// The mesh of three hosts with a tunnel between any two.
#[test]
fn three_bridge_mesh_converges_in_3_s() {
    let (mut net, lans) = rstp(&[(0x222, "a b"), (0x333, "a c"), (0x111, "b c")]);
    let took = net.converge(3000).expect("a tree");
    assert!(took <= 1000, "{took} ms");
    net.run(10_000);
    net.check(&["F F:200000", "B F:200000", "root"]);
    // A tunnel that dies without a word: three hellos, and on.
    net.set_lan(lans["c"], false, false);
    let took = net.converge(9000).expect("a tree");
    assert!((3000..=7000).contains(&took), "{took} ms");
    // The root dies without a word.
    net.set_lan(lans["c"], true, false);
    net.run(10_000);
    net.nodes[2].is_alive = false;
    // Three seconds more until the LANs that it led are known to have no other bridge.
    let took = net.converge(10_000).expect("a tree");
    assert!(took <= 9100, "{took} ms");
}

#[test]
fn stations_are_forgotten_where_the_way_changed() {
    let (mut net, lans) = rstp(&[(0x111, "a b"), (0x222, "a c"), (0x333, "b c")]);
    net.run(20_000);
    net.check(&["root", "F:200000 F", "F:200000 B"]);
    let before: Vec<_> = net.nodes.iter().map(|node| node.flushes).collect();
    net.run(30_000);
    let calm: Vec<_> = net.nodes.iter().map(|node| node.flushes).collect();
    assert_eq!(before, calm);
    net.set_lan(lans["b"], false, true);
    net.run(2000);
    for (node, before) in net.nodes.iter().zip(before) {
        assert!(node.flushes > before);
    }
}

#[test]
fn an_edge_port_forwards_at_once_and_changes_no_topology() {
    let (mut net, _) = rstp(&[(0x111, "a"), (0x222, "a")]);
    net.run(10_000);
    let before: Vec<_> = net.nodes.iter().map(|node| node.flushes).collect();
    let lan = net.add_lan();
    net.lans[lan].members.push((1, 9));
    net.nodes[1].ports.insert(9, lan);
    let stp_sim::Tree::Rstp(tree) = &mut net.nodes[1].tree else { panic!("RSTP") };
    let edge = RstpPortSettings::new(9, stp_sim::mac(1, 9));
    let edge = RstpPortSettings { admin_edge: true, ..edge };
    tree.set_port(PortKey(9), edge);
    let is_edge = |tree: &dyn SpanningTree| tree.port_status(PortKey(9)).unwrap().is_edge;
    assert!(tree.gate(PortKey(9)).forwards && is_edge(&**tree));
    net.run(5000);
    assert_eq!(before, net.nodes.iter().map(|node| node.flushes).collect::<Vec<_>>());
    // A BPDU makes it an ordinary port.
    let stp_sim::Tree::Rstp(tree) = &mut net.nodes[1].tree else { panic!("RSTP") };
    let mut frame = [0; 60];
    let len =
        weft_wire::stp::Bpdu::TopologyChange.write_frame(stp_sim::mac(9, 9), &mut frame).unwrap();
    tree.receive(PortKey(9), &frame[..len]);
    assert!(!is_edge(&**tree));
}

#[test]
fn ports_that_hear_themselves_discard() {
    let (mut net, lans) = rstp(&[(0x111, "a b c"), (0x222, "c")]);
    for lan in ["a", "b"] {
        net.lans[lans[lan]].reflects = true;
    }
    assert_eq!(net.longest_loop(60_000), 0);
    net.check(&["B B F", "F:200000"]);
    net.lans[lans["a"]].reflects = false;
    net.run(40_000);
    net.check(&["F B F", "F:200000"]);
}

/// An RSTP bridge falls back to STP on the LAN with a bridge that speaks nothing else, and
/// `mcheck` brings it back when that bridge is gone.
#[test]
fn speaks_stp_to_stp_bridges() {
    let mut net = Net { seed: 3, ..Net::default() };
    let (a, b) = (net.add_lan(), net.add_lan());
    let old = net.add_node(Kind::Stp, 0x8000, 0x333);
    let new = net.add_node(Kind::Rstp, 0x8000, 0x111);
    for lan in [a, b] {
        net.add_port(old, lan, 10);
        net.add_port(new, lan, 10);
    }
    for port in [1, 2] {
        net.configure_port(new, port, 128, 10);
    }
    assert_eq!(net.longest_loop(70_000), 0);
    net.check(&["F:10 B", "F F"]);
    assert!(net.is_tree());
    // The old one refuses the first RST BPDUs, then no more come.
    let errors = |net: &Net| net.nodes[old].tree().port_counts(PortKey(1)).unwrap().error;
    let before = errors(&net);
    assert!(before > 0);
    net.run(20_000);
    assert_eq!(errors(&net), before);
    let stp_sim::Tree::Rstp(tree) = &mut net.nodes[new].tree else { panic!("RSTP") };
    let again = RstpPortSettings {
        path_cost: 10,
        mcheck: true,
        ..RstpPortSettings::new(1, stp_sim::mac(new, 1))
    };
    tree.set_port(PortKey(1), again);
    net.run(3000);
    assert!(errors(&net) > before);
}

/// A cable carries frames in one direction only: the bridge that hears nothing leads the LAN and
/// forwards, and the root, which hears that, must not (802.1Q calls it a dispute).
#[test]
fn a_one_way_cable_makes_no_loop() {
    let (mut net, lans) = rstp(&[(0x111, "a b"), (0x222, "a c"), (0x333, "b c")]);
    net.run(10_000);
    net.check(&["root", "F:200000 F", "F:200000 B"]);
    net.lans[lans["a"]].deaf.push((1, 1));
    // Three hellos until the silence is noticed, and a moment in which both ends forward.
    net.run(10_000);
    assert!(!net.has_loop(), "{}", net.describe());
    assert_eq!(net.longest_loop(60_000), 0);
    net.check(&["B F", "F F:400000", "F:200000 F"]);
    net.lans[lans["a"]].deaf.clear();
    net.run(10_000);
    net.check(&["root", "F:200000 F", "F:200000 B"]);
}

/// A new root proposes; the bridge below it has a port to a shared LAN, whose bridges cannot agree.
/// It blocks that port first and then agrees at once, so that the root need not wait for timers.
#[test]
fn a_proposal_is_answered_by_blocking_what_is_not_in_step() {
    let (mut net, _) = rstp(&[(0x222, "a"), (0x333, "a"), (0x444, "a")]);
    for node in 0..3 {
        net.configure_port(node, 1, 128, COST);
    }
    net.run(20_000);
    net.check(&["root", "F:200000", "F:200000"]);
    let root = net.add_node(Kind::Rstp, 0x8000, 0x111);
    let cable = net.add_lan();
    let up = net.add_port(0, cable, COST);
    let down = net.add_port(root, cable, COST);
    for (node, port) in [(0, up), (root, down)] {
        net.configure_port(node, port, 128, COST);
    }
    net.tick();
    net.tick();
    assert_eq!(net.ports_of(root), "F", "the root waits for timers");
    assert_eq!(net.ports_of(0), "B F:200000", "what was not in step still forwards");
    net.run(5000);
    net.check(&["F F:200000", "F:400000", "F:400000", "root"]);
}

/// Every bridge in a ring, with `chords` from some to the one opposite.
fn ring(bridges: usize, chords: usize) -> Net {
    let mut net = Net { seed: 7, ..Net::default() };
    for node in 0..bridges {
        net.add_node(Kind::Rstp, 0x8000, (node as u64 + 1) * 0x111);
    }
    let around = (0..bridges).map(|node| (node, (node + 1) % bridges));
    let across = (0..chords).map(|node| (node, (node + bridges / 2) % bridges));
    for (a, b) in around.chain(across) {
        let lan = net.add_lan();
        net.add_port(a, lan, COST);
        net.add_port(b, lan, COST);
    }
    net
}

/// A root dies without a word.  Its claims are passed on between the others until their message
/// age, one more at each bridge, reaches max age (802.1D-2004 sections 17.21.23 and 17.19.21): three
/// hellos until the neighbours notice, and then at most one hop for each BPDU that the transmit hold
/// count lets go each second.
#[test]
fn the_claims_of_a_dead_root_die_of_age() {
    const GHOST_MAX_MS: u64 = (3 * 2 + 20) * 1000;
    for bridges in [3, 4, 5, 6, 8, 12, 16] {
        for chords in 0..4 {
            let mut net = ring(bridges, chords);
            net.run(20_000);
            assert!(net.is_tree(), "{}", net.describe());
            let dead = net.nodes[0].id;
            net.nodes[0].is_alive = false;
            let looped = net.longest_loop(GHOST_MAX_MS);
            let what = format!("{bridges} bridges, {chords} chords\n{}", net.describe());
            assert!(looped <= 3000, "a loop for {looped} ms: {what}");
            let believes = |node: &stp_sim::Node| {
                node.is_alive
                    && matches!(&node.tree, stp_sim::Tree::Rstp(tree) if tree.bridge_status().root == dead)
            };
            assert!(!net.nodes.iter().any(believes), "a ghost: {what}");
            let took = net.converge(3000);
            assert!(took.is_some(), "no tree: {what}");
            assert_eq!(net.longest_loop(10_000), 0, "{what}");
        }
    }
}

/// When a root dies without a word, its claims live on for some seconds in the others' memory, and
/// RSTP is known to make loops until they are gone; they must not last.
const BOUNDS: Bounds = Bounds { tree_ms: 60_000, loop_ms: 6_000, silent_ms: 6_000 };
const LOSSY: Bounds = Bounds { tree_ms: 60_000, loop_ms: 15_000, silent_ms: 15_000 };
/// Among STP bridges a dead root's claims live for 20 s and go on from RSTP bridge to RSTP bridge, a
/// second older each time and told again every 2 s: another 40 s at most.  Two delays of 15 s follow.
const MIXED: Bounds = Bounds { tree_ms: 90_000, ..BOUNDS };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_networks_become_trees(wiring in wiring(0)) {
        torture(&mut build(&wiring, |_| Kind::Rstp), &wiring, BOUNDS);
    }

    #[test]
    fn lost_bpdus_do_not_last(wiring in wiring(200)) {
        torture(&mut build(&wiring, |_| Kind::Rstp), &wiring, LOSSY);
    }

    #[test]
    fn mixed_networks_become_trees(wiring in wiring(0), kinds: u32) {
        let kind = |node: usize| if kinds >> node & 1 == 1 { Kind::Stp } else { Kind::Rstp };
        torture(&mut build(&wiring, kind), &wiring, MIXED);
    }
}
