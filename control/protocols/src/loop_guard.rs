//! Loop guard: finds loops that no spanning tree watches over, and opens them.
//!
//! A pure state machine, one for each bridge that asks for it.  Two signs show a loop:
//!
//! - *our own probe*: a frame that the bridge sends out of each port once a second comes back, in
//!   the VLAN that it was sent in.  See [`weft_wire::loop_probe`];
//! - *a station that moves back and forth*: heard on two ports in turns, at least
//!   [`RETURNS_MIN`] times each within [`WINDOW_MS`].  This is how a loop in a VLAN that a port
//!   carries tagged is found, for probes are untagged.
//!
//! Of the two ports the *younger* blocks: the one whose link came up last.  It stays blocked for
//! [`BLOCK_MS`], and after that on probation, blocked still but probing, for [`PROBATION_MS`].  A
//! probe that comes back then blocks it again; otherwise it is open.  When the other port loses its
//! link, probation starts at once, so that the younger one takes over soon.
//!
//! Two ports of one split-horizon group never send to each other, so what goes from one to the
//! other is no loop of this bridge.

use crate::PortKey;
use std::collections::BTreeMap;
use weft_wire::MacAddr;
use weft_wire::loop_probe::LoopProbe;
use weft_wire::vid::Vid;

/// Milliseconds between two probes of a port.
pub const PROBE_MS: u32 = 1000;
/// Milliseconds for which a port is blocked, before probation.
pub const BLOCK_MS: u32 = 30_000;
/// Milliseconds of probation: three probes, and time for the last to come back.
pub const PROBATION_MS: u32 = 3_500;
/// Milliseconds over which moves of stations are counted.
pub const WINDOW_MS: u32 = 3_000;
/// Moves in each direction that make a loop.  A station that roams moves once; two hosts that quarrel
/// over an address (VRRP, a bond that flaps) move it about once a second.
pub const RETURNS_MIN: u32 = 10;
/// Pairs of a station and two ports that are counted at a time.
const PAIRS_MAX: usize = 1024;

/// A station, as the guard tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuardedStation {
    /// Its VLAN.
    pub vid: Vid,
    /// Its address.
    pub mac: MacAddr,
}

/// A station was heard on another port than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The station.
    pub station: GuardedStation,
    /// The port where it was heard before.
    pub from: PortKey,
    /// The port where it was heard after that.
    pub to: PortKey,
    /// How many times, since the last report.
    pub count: u32,
}

/// A port that is watched, as it is outside of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardedPort {
    /// Its link is up.
    pub is_up: bool,
    /// The VLAN of untagged frames.
    pub vid: u16,
    /// Its split-horizon group, 0 for none.
    pub group: u16,
}

/// How a loop showed itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The port heard its own probe.
    Reflection,
    /// A probe went from one of the two ports to the other.
    Probe,
    /// This station moved back and forth between the two.
    Moves(GuardedStation),
}

/// Why a port is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The other port of the loop; the port itself when it hears itself.
    pub other: PortKey,
    /// How it was noticed.
    pub sign: Sign,
}

/// What the guard lets a port do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardState {
    /// Everything.
    Open,
    /// Nothing.
    Blocked(Reason),
    /// Nothing but probes.
    Probation(Reason),
}

/// Something that the owner of a guard has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardAction {
    /// Send `frame` out of `port`, whatever it may do with data.
    Send {
        /// Port to send by.
        port: PortKey,
        /// A whole untagged Ethernet frame.
        frame: Vec<u8>,
    },
    /// `port` changed its state: publish and log it.
    State {
        /// Port that changed.
        port: PortKey,
        /// Its state now.
        state: GuardState,
    },
}

#[derive(Debug)]
struct Port {
    settings: GuardedPort,
    /// False while a spanning tree keeps it from forwarding: it is part of no loop then.
    forwards: bool,
    /// Counts the links that came up; the largest is the youngest.
    came_up: u64,
    state: GuardState,
    /// Milliseconds left of a state that ends.
    left_ms: u32,
    /// Milliseconds until the next probe.
    probe_ms: u32,
}

/// The guard of one bridge.
#[derive(Debug)]
pub struct LoopGuard {
    bridge: u64,
    nonce: u64,
    ports: BTreeMap<PortKey, Port>,
    links_seen: u64,
    /// Moves of a station between two ports, by direction; the smaller port number stands first.
    pairs: BTreeMap<(GuardedStation, PortKey, PortKey), [u32; 2]>,
    window_ms: u32,
    actions: Vec<GuardAction>,
}

impl LoopGuard {
    /// A guard without ports.  `bridge` names it in probes, `nonce` is random.
    #[must_use]
    pub const fn new(bridge: u64, nonce: u64) -> Self {
        Self {
            bridge,
            nonce,
            ports: BTreeMap::new(),
            links_seen: 0,
            pairs: BTreeMap::new(),
            window_ms: WINDOW_MS,
            actions: Vec::new(),
        }
    }

    /// What all probes of this guard have in them, and those of no other.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Adds a port, or changes one.
    pub fn set_port(&mut self, id: PortKey, settings: GuardedPort) {
        let was_up = self.ports.get(&id).is_some_and(|port| port.settings.is_up);
        let port = self.ports.entry(id).or_insert(Port {
            settings,
            forwards: true,
            came_up: 0,
            state: GuardState::Open,
            left_ms: 0,
            probe_ms: 0,
        });
        port.settings = settings;
        match (was_up, settings.is_up) {
            (false, true) => {
                self.links_seen += 1;
                (port.came_up, port.probe_ms) = (self.links_seen, 0);
            }
            (true, false) => self.link_lost(id),
            _ => {}
        }
    }

    /// Says whether a spanning tree lets a port forward.
    pub fn set_forwards(&mut self, id: PortKey, forwards: bool) {
        if let Some(port) = self.ports.get_mut(&id) {
            port.forwards = forwards;
        }
    }

    /// A port left the bridge.
    pub fn remove_port(&mut self, id: PortKey) {
        self.link_lost(id);
        self.ports.remove(&id);
    }

    /// A port without a link loops nothing, and where it was half of a loop there is none any more.
    fn link_lost(&mut self, id: PortKey) {
        self.set_state(id, GuardState::Open);
        let freed: Vec<_> = self
            .ports
            .iter()
            .filter_map(|(other, port)| match port.state {
                GuardState::Blocked(reason) if reason.other == id => Some((*other, reason)),
                _ => None,
            })
            .collect();
        for (other, reason) in freed {
            self.set_state(other, GuardState::Probation(reason));
        }
    }

    /// What a port may do.  Open for a port that is not watched.
    #[must_use]
    pub fn state(&self, id: PortKey) -> GuardState {
        self.ports.get(&id).map_or(GuardState::Open, |port| port.state)
    }

    /// True when data frames may enter and leave by the port.
    #[must_use]
    pub fn is_open(&self, id: PortKey) -> bool {
        self.state(id) == GuardState::Open
    }

    /// Takes a frame that came in on `at`.  What is no probe of this guard is ignored.
    pub fn receive(&mut self, at: PortKey, frame: &[u8]) {
        let Some(probe) = LoopProbe::parse_frame(frame) else { return };
        if probe.nonce != self.nonce {
            return;
        }
        let from = PortKey(probe.port);
        let sign = if from == at { Sign::Reflection } else { Sign::Probe };
        self.looped(from, at, sign);
    }

    /// Takes in that a station moved.
    pub fn moved(&mut self, moved: &Moved) {
        let Moved { station, from, to, .. } = *moved;
        let is_watched = |id: PortKey| self.ports.contains_key(&id);
        // A station of the host itself moves as often as somebody reflects its frames.
        if from == to || !is_watched(from) || !is_watched(to) {
            return;
        }
        let goes_up = from < to;
        let (low, high) = if goes_up { (from, to) } else { (to, from) };
        let key = (station, low, high);
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&key) {
            return;
        }
        let counts = self.pairs.entry(key).or_default();
        let [up, down] = counts;
        let count = if goes_up { up } else { down };
        *count = count.saturating_add(moved.count);
        if counts.iter().all(|count| *count >= RETURNS_MIN) {
            self.looped(low, high, Sign::Moves(station));
        }
    }

    /// Two ports are joined outside of this bridge.
    fn looped(&mut self, a: PortKey, b: PortKey, sign: Sign) {
        let (Some(first), Some(second)) = (self.ports.get(&a), self.ports.get(&b)) else { return };
        let is_live = |port: &Port| port.settings.is_up && port.forwards;
        let is_apart =
            a != b && first.settings.group != 0 && first.settings.group == second.settings.group;
        if is_apart || !is_live(first) || !is_live(second) {
            return;
        }
        let (blocks, other) = match (first.state, second.state) {
            // It is open already; what came in was on its way.
            (GuardState::Blocked(_), _) | (_, GuardState::Blocked(_)) => return,
            (GuardState::Probation(_), GuardState::Open) => (a, b),
            (GuardState::Open, GuardState::Probation(_)) => (b, a),
            (GuardState::Probation(_), GuardState::Probation(_))
            | (GuardState::Open, GuardState::Open) => {
                if first.came_up >= second.came_up {
                    (a, b)
                } else {
                    (b, a)
                }
            }
        };
        self.set_state(blocks, GuardState::Blocked(Reason { other, sign }));
    }

    fn set_state(&mut self, id: PortKey, state: GuardState) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        if port.state == state {
            return;
        }
        port.state = state;
        port.probe_ms = 0;
        port.left_ms = match state {
            GuardState::Open => 0,
            GuardState::Blocked(_) => BLOCK_MS,
            GuardState::Probation(_) => PROBATION_MS,
        };
        // Moves from before say nothing about what is now.
        self.pairs.clear();
        self.actions.push(GuardAction::State { port: id, state });
    }

    /// Lets `elapsed_ms` milliseconds pass.
    pub fn tick(&mut self, elapsed_ms: u32) {
        self.window_ms = self.window_ms.saturating_sub(elapsed_ms);
        if self.window_ms == 0 {
            self.window_ms = WINDOW_MS;
            self.pairs.clear();
        }
        let ids: Vec<_> = self.ports.keys().copied().collect();
        for id in ids {
            self.tick_port(id, elapsed_ms);
        }
    }

    fn tick_port(&mut self, id: PortKey, elapsed_ms: u32) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        port.left_ms = port.left_ms.saturating_sub(elapsed_ms);
        port.probe_ms = port.probe_ms.saturating_sub(elapsed_ms);
        let (state, is_over) = (port.state, port.left_ms == 0);
        match state {
            GuardState::Blocked(reason) if is_over => {
                self.set_state(id, GuardState::Probation(reason));
            }
            GuardState::Probation(_) if is_over => self.set_state(id, GuardState::Open),
            _ => {}
        }
        self.probe(id);
    }

    /// Sends a probe, when one is due.
    fn probe(&mut self, id: PortKey) {
        let (bridge, nonce) = (self.bridge, self.nonce);
        let Some(port) = self.ports.get_mut(&id) else { return };
        let may_send =
            port.settings.is_up && port.forwards && !matches!(port.state, GuardState::Blocked(_));
        if port.probe_ms > 0 || !may_send {
            return;
        }
        port.probe_ms = PROBE_MS;
        let probe = LoopProbe { bridge, nonce, port: id.0, vid: port.settings.vid };
        let frame = probe.frame(source(nonce, id)).to_vec();
        self.actions.push(GuardAction::Send { port: id, frame });
    }

    /// Takes what is to be done, oldest first.
    pub fn take_actions(&mut self) -> Vec<GuardAction> {
        std::mem::take(&mut self.actions)
    }
}

/// An address of local administration that nobody else has: were it one of the bridge's own, other
/// bridges would learn from a probe of a blocked port that the bridge is to be found there.
fn source(nonce: u64, port: PortKey) -> MacAddr {
    let [a, b, c, ..] = nonce.to_be_bytes();
    let [hi, lo] = port.0.to_be_bytes();
    MacAddr([0x02, a, b, c, hi, lo])
}
