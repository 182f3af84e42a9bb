//! The loop guard among cables that are plugged at random.

use proptest::prelude::*;
use std::collections::BTreeMap;
use weft_protocols::PortKey;
use weft_protocols::loop_guard::{
    BLOCK_MS, GuardAction, GuardState, GuardedPort, GuardedStation, LoopGuard, Moved, PROBATION_MS,
    RETURNS_MIN, Reason, Sign, WINDOW_MS,
};
use weft_wire::MacAddr;
use weft_wire::loop_probe::LoopProbe;
use weft_wire::vid::Vid;

const TICK_MS: u32 = 100;
const NONCE: u64 = 0x1122_3344_5566_7788;
const UP: GuardedPort = GuardedPort { is_up: true, vid: 0, group: 0 };

/// A guard, and the networks outside that its ports are plugged into.
struct World {
    guard: LoopGuard,
    /// Port to network.
    plugs: BTreeMap<PortKey, u8>,
    states: BTreeMap<PortKey, GuardState>,
    probes: usize,
}

impl World {
    fn new(plugs: &[u8]) -> Self {
        let mut world = Self {
            guard: LoopGuard::new(1, NONCE),
            plugs: BTreeMap::new(),
            states: BTreeMap::new(),
            probes: 0,
        };
        for (port, network) in (1..).zip(plugs) {
            world.plug(PortKey(port), *network);
        }
        world
    }

    fn plug(&mut self, port: PortKey, network: u8) {
        self.plugs.insert(port, network);
        self.guard.set_port(port, UP);
    }

    fn unplug(&mut self, port: PortKey) {
        self.plugs.remove(&port);
        self.guard.set_port(port, GuardedPort { is_up: false, ..UP });
    }

    /// Runs, carrying probes as the networks and the switch would.
    fn run(&mut self, ms: u32) {
        for _ in 0..ms / TICK_MS {
            self.guard.tick(TICK_MS);
            self.carry();
        }
    }

    fn carry(&mut self) {
        let mut actions = self.guard.take_actions();
        while !actions.is_empty() {
            for action in actions {
                match action {
                    GuardAction::State { port, state } => drop(self.states.insert(port, state)),
                    GuardAction::Send { port, frame } => {
                        self.probes += 1;
                        let network = self.plugs.get(&port).copied();
                        assert!(network.is_some(), "a probe out of a port without a link");
                        // A port that is not open drops what comes in.
                        let hears: Vec<_> = self
                            .plugs
                            .iter()
                            .filter(|(at, plugged)| {
                                **at != port
                                    && Some(**plugged) == network
                                    && self.guard.is_open(**at)
                            })
                            .map(|(at, _)| *at)
                            .collect();
                        for at in hears {
                            self.guard.receive(at, &frame);
                        }
                    }
                }
            }
            actions = self.guard.take_actions();
        }
        for (port, state) in &self.states {
            assert_eq!(self.guard.state(*port), *state, "an action was not true");
        }
    }

    fn open(&self, network: u8) -> Vec<PortKey> {
        let here = self.plugs.iter().filter(|(_, plugged)| **plugged == network);
        here.map(|(port, _)| *port).filter(|port| self.guard.is_open(*port)).collect()
    }
}

fn blocked(state: GuardState) -> Option<Reason> {
    match state {
        GuardState::Blocked(reason) => Some(reason),
        GuardState::Open | GuardState::Probation(_) => None,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Plug(u16, u8),
    Unplug(u16),
    Pause(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..7u16, 0..3u8).prop_map(|(port, network)| Step::Plug(port, network)),
        2 => (1..7u16).prop_map(Step::Unplug),
        3 => (0..60_000u32).prop_map(Step::Pause),
    ]
}

proptest! {
    /// Whatever was plugged before: two seconds after the last change no network has two open
    /// ports, and it stays so for good but for the moment of a probation; and a probation later
    /// every network has one.
    #[test]
    fn every_network_keeps_one_open_port(
        plugs in prop::collection::vec(0..3u8, 1..6),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let mut world = World::new(&plugs);
        for step in steps {
            match step {
                // A cable that is moved to another network loses its link for a moment.
                Step::Plug(port, network) => {
                    world.unplug(PortKey(port));
                    world.plug(PortKey(port), network);
                }
                Step::Unplug(port) => world.unplug(PortKey(port)),
                Step::Pause(ms) => world.run(ms),
            }
        }
        world.run(2000);
        for _ in 0..100 {
            for network in 0..3 {
                let open = world.open(network);
                prop_assert!(open.len() <= 1, "{open:?} of network {network} are open");
            }
            world.run(1000);
        }
        for network in 0..3 {
            let is_used = world.plugs.values().any(|plugged| *plugged == network);
            prop_assert_eq!(world.open(network).len(), usize::from(is_used), "{}", network);
        }
    }

    #[test]
    fn survives_noise(frames in prop::collection::vec(any::<(u16, Vec<u8>)>(), 0..20)) {
        let mut world = World::new(&[0, 1]);
        for (at, frame) in frames {
            world.guard.receive(PortKey(at), &frame);
        }
        prop_assert_eq!(world.open(0).len() + world.open(1).len(), 2);
    }
}

#[test]
fn the_younger_port_blocks_and_takes_over_when_the_other_goes() {
    let mut world = World::new(&[0, 1]);
    world.run(5000);
    assert_eq!(world.probes, 10, "one probe a second and port");
    world.plug(PortKey(9), 0);
    world.run(TICK_MS);
    let reason = Reason { other: PortKey(1), sign: Sign::Probe };
    assert_eq!(blocked(world.guard.state(PortKey(9))), Some(reason));
    // The older port's link comes anew: it is the younger one now, but what is blocked stays so.
    world.run(BLOCK_MS + PROBATION_MS);
    assert_eq!(world.open(0), [PortKey(1)]);
    world.unplug(PortKey(1));
    assert_eq!(world.guard.state(PortKey(9)), GuardState::Probation(reason));
    world.run(PROBATION_MS + TICK_MS);
    assert_eq!(world.open(0), [PortKey(9)]);
    world.plug(PortKey(1), 0);
    world.run(TICK_MS);
    assert_eq!(world.open(0), [PortKey(9)]);
}

#[test]
fn a_loop_that_is_gone_is_open_after_probation() {
    let mut world = World::new(&[0, 0]);
    world.run(1000);
    assert_eq!(world.open(0), [PortKey(1)]);
    // The networks are parted, and no link of ours shows it.
    world.plugs.insert(PortKey(2), 1);
    world.run(BLOCK_MS - 2000);
    assert!(!world.guard.is_open(PortKey(2)));
    world.run(PROBATION_MS + 3000);
    assert!(world.guard.is_open(PortKey(2)));
}

#[test]
fn a_port_that_hears_itself_blocks() {
    let mut guard = LoopGuard::new(1, NONCE);
    guard.set_port(PortKey(1), UP);
    guard.tick(TICK_MS);
    let Some(GuardAction::Send { frame, .. }) = guard.take_actions().pop() else { panic!() };
    guard.receive(PortKey(1), &frame);
    let reason = Reason { other: PortKey(1), sign: Sign::Reflection };
    assert_eq!(guard.state(PortKey(1)), GuardState::Blocked(reason));
}

#[test]
fn probes_of_others_and_of_ports_out_of_the_tree_mean_nothing() {
    let probe = |nonce| LoopProbe { bridge: 1, nonce, port: 1, vid: 0 };
    let source = MacAddr([2, 0, 0, 0, 0, 1]);
    let mut world = World::new(&[0, 1, 2]);
    world.guard.receive(PortKey(2), &probe(NONCE + 1).frame(source));
    assert!(world.guard.is_open(PortKey(2)));
    world.guard.set_forwards(PortKey(2), false);
    world.guard.receive(PortKey(2), &probe(NONCE).frame(source));
    assert!(world.guard.is_open(PortKey(2)));
    world.probes = 0;
    world.run(1000);
    assert_eq!(world.probes, 2, "one of the three ports is out of the tree");
    for port in [1, 3] {
        world.guard.set_port(PortKey(port), GuardedPort { group: 7, ..UP });
    }
    world.guard.receive(PortKey(3), &probe(NONCE).frame(source));
    assert!(world.guard.is_open(PortKey(3)), "ports of one split-horizon group make no loop");
    world.guard.set_forwards(PortKey(2), true);
    world.guard.receive(PortKey(2), &probe(NONCE).frame(source));
    assert!(!world.guard.is_open(PortKey(2)));
}

#[test]
fn a_station_that_moves_back_and_forth_is_a_loop_and_one_that_roams_is_none() {
    let (vid, mac) = (Vid::try_from(7).unwrap(), MacAddr([2, 0, 0, 0, 0, 1]));
    let station = GuardedStation { vid, mac };
    let moved = |from, to, count| Moved { station, from: PortKey(from), to: PortKey(to), count };
    let mut guard = LoopGuard::new(1, NONCE);
    for port in [1, 2] {
        guard.set_port(PortKey(port), UP);
    }
    // Ever to the same side, or too slowly, or by way of a port that is not watched.
    guard.moved(&moved(1, 2, 1000));
    guard.moved(&moved(2, 1, RETURNS_MIN - 1));
    guard.moved(&moved(3, 1, 1000));
    guard.moved(&moved(1, 3, 1000));
    guard.tick(WINDOW_MS);
    guard.moved(&moved(2, 1, RETURNS_MIN));
    assert!(guard.is_open(PortKey(1)) && guard.is_open(PortKey(2)));
    // Two workers see half each.
    guard.moved(&moved(1, 2, RETURNS_MIN / 2));
    guard.moved(&moved(1, 2, RETURNS_MIN / 2));
    let reason = Reason { other: PortKey(1), sign: Sign::Moves(station) };
    assert_eq!(guard.state(PortKey(2)), GuardState::Blocked(reason));
}
