//! Random networks, and what may happen to them.

use super::{Kind, Net};
use proptest::prelude::*;

/// A random network: who speaks, how they are wired, and how the frames fare.
#[derive(Clone, Debug)]
pub struct Wiring {
    parents: Vec<prop::sample::Index>,
    extra: Vec<(prop::sample::Index, prop::sample::Index)>,
    shared: Vec<prop::sample::Index>,
    addresses: Vec<u16>,
    loss: u64,
    seed: u64,
    fail: Vec<(prop::sample::Index, bool, bool)>,
    crash: prop::sample::Index,
    reflectors: u8,
}

/// Any network of up to 32 bridges, with a loss of up to `loss_max` of 1000 frames.
pub fn wiring(loss_max: u64) -> impl Strategy<Value = Wiring> {
    let nodes = prop_oneof![4 => 1..8_usize, 1 => 8..32_usize];
    let extra = prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..20);
    (
        nodes.prop_flat_map(|n| prop::collection::vec(any::<prop::sample::Index>(), n)),
        extra,
        prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        prop::collection::vec(any::<u16>(), 33),
        0..=loss_max,
        any::<u64>(),
        prop::collection::vec(any::<(prop::sample::Index, bool, bool)>(), 1..4),
        any::<prop::sample::Index>(),
        0..3u8,
    )
        .prop_map(
            |(parents, extra, shared, addresses, loss, seed, fail, crash, reflectors)| Wiring {
                parents,
                extra,
                shared,
                addresses,
                loss,
                seed,
                fail,
                crash,
                reflectors,
            },
        )
}

/// Builds it.  `kind` says what the n-th bridge speaks.
pub fn build(wiring: &Wiring, kind: impl Fn(usize) -> Kind) -> Net {
    let mut net = Net { seed: wiring.seed, loss: wiring.loss, ..Net::default() };
    let count = wiring.parents.len() + 1;
    for node in 0..count {
        let address = u64::from(wiring.addresses[node]) << 8 | node as u64;
        net.add_node(kind(node), 0x8000, address);
    }
    let mut plan: Vec<Vec<usize>> = Vec::new();
    for (at, parent) in wiring.parents.iter().enumerate() {
        plan.push(vec![at + 1, parent.index(at + 1)]);
    }
    // Parallel links and cables from a bridge to itself among them.
    plan.extend(wiring.extra.iter().map(|(a, b)| vec![a.index(count), b.index(count)]));
    if !wiring.shared.is_empty() {
        plan.push(wiring.shared.iter().map(|node| node.index(count)).collect());
    }
    let wires = plan.len();
    plan.extend((0..wiring.reflectors).map(|_| vec![0]));
    for (at, members) in plan.iter().enumerate() {
        let lan = net.add_lan();
        net.lans[lan].reflects = at >= wires;
        // Twice, so that each port knows how many share its LAN.
        let ports: Vec<_> =
            members.iter().map(|&node| (node, net.add_port(node, lan, 10))).collect();
        for (node, port) in ports {
            net.configure_port(node, port, 128, 10);
        }
    }
    net
}

/// What is asked of a network, in milliseconds.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit comes last")]
pub struct Bounds {
    /// Time after which there must be a tree.
    pub tree_ms: u64,
    /// The longest time for which there may be a loop.
    pub loop_ms: u64,
    /// The same, after a link that nobody saw fail comes back: both its ends forward then, until
    /// the first BPDU.
    pub silent_ms: u64,
}

/// Fails links and a bridge, one after the other, and brings them back.
pub fn torture(net: &mut Net, wiring: &Wiring, bounds: Bounds) {
    // Where nothing is lost and nothing old is remembered, there is no loop for a moment.
    let start_ms = if net.loss == 0 { 0 } else { bounds.loop_ms };
    settle(net, Bounds { loop_ms: start_ms, ..bounds }, "start");
    for (lan, is_seen, comes_back) in &wiring.fail {
        let lan = lan.index(net.lans.len().max(1));
        if net.lans.is_empty() {
            break;
        }
        net.set_lan(lan, false, *is_seen);
        settle(net, bounds, "link failure");
        if *comes_back || !*is_seen {
            net.set_lan(lan, true, *is_seen);
            let loop_ms = if *is_seen { bounds.loop_ms } else { bounds.silent_ms };
            settle(net, Bounds { loop_ms, ..bounds }, "link return");
        }
    }
    let node = wiring.crash.index(net.nodes.len());
    net.nodes[node].is_alive = false;
    settle(net, bounds, "bridge failure");
}

fn settle(net: &mut Net, bounds: Bounds, what: &str) {
    let looped = net.longest_loop(bounds.tree_ms);
    assert!(looped <= bounds.loop_ms, "{what}: a loop for {looped} ms\n{}", net.describe());
    // While BPDUs get lost some port of a large network is always just recovering.  What must hold
    // is that no loss does lasting harm: a while without any, and the tree is whole.
    let loss = std::mem::take(&mut net.loss);
    let more = if loss > 0 { bounds.tree_ms } else { 0 };
    assert!(
        net.converge(more).is_some(),
        "{what}: no tree after {} ms\n{}",
        net.now_ms,
        net.describe()
    );
    net.loss = loss;
}
