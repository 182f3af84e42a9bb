//! What keeps loops out, as this daemon drives it: a spanning tree for each bridge that wants one,
//! and the loop guards of `guards.rs`.
//!
//! Time and BPDUs go in, frames, gates and flushes come out.  Gates are read when a snapshot is
//! built; a bridge without a tree has none, so that all its ports flood again when the protocol is
//! switched off.

use crate::config::desired::{Bridge, Desired, Port, Protocol};
use crate::config::names::PortName;
use crate::lower::publish::{BridgeGate, Gates};
use crate::protocols::guards::Guards;
use crate::protocols::settings::Keys;
use crate::protocols::tree_view::{TreeView, state_name};
use crate::protocols::{Errand, Turn, key_of, port_of};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;
use weft_io::ethtool::Medium;
use weft_protocols::PortKey;
use weft_protocols::rstp::Rstp;
use weft_protocols::stp::Stp;
use weft_protocols::tree::{Action, Gate, NumberError, SpanningTree, assign_numbers};
use weft_switch::PortId;
use weft_wire::loop_probe::LoopProbe;
use weft_wire::mac::MacAddr;
use weft_wire::vid::Vid;

/// How often time passes for the trees.
const TICK: Duration = Duration::from_millis(100);

/// A port that may take part, as its device and its row have it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its number in the datapath.
    pub id: PortId,
    /// The name of its interface, which `stp/show` and `rstp/show` print.
    pub interface: String,
    /// The address that its BPDUs come from.
    pub source: MacAddr,
    /// Its link is up.
    pub is_up: bool,
    /// Its speed and duplex, where the device says them.
    pub medium: Medium,
    /// The VLAN of untagged frames.
    pub vid: Vid,
    /// Its split-horizon group, 0 for none.
    pub group: u16,
}

enum Machine {
    Stp(Stp),
    Rstp(Rstp),
}

impl Machine {
    fn new(protocol: Protocol, bridge: &Bridge, address: MacAddr) -> Self {
        let keys = Keys(&bridge.other_config);
        match protocol {
            Protocol::Stp => Self::Stp(Stp::new(keys.stp(address))),
            Protocol::Rstp => Self::Rstp(Rstp::new(keys.rstp(address))),
        }
    }

    const fn protocol(&self) -> Protocol {
        match self {
            Self::Stp(_) => Protocol::Stp,
            Self::Rstp(_) => Protocol::Rstp,
        }
    }

    fn tree(&self) -> &dyn SpanningTree {
        match self {
            Self::Stp(tree) => tree,
            Self::Rstp(tree) => tree,
        }
    }

    fn tree_mut(&mut self) -> &mut dyn SpanningTree {
        match self {
            Self::Stp(tree) => tree,
            Self::Rstp(tree) => tree,
        }
    }

    fn configure(&mut self, bridge: &Bridge, address: MacAddr) {
        let keys = Keys(&bridge.other_config);
        match self {
            Self::Stp(tree) => tree.configure(keys.stp(address)),
            Self::Rstp(tree) => tree.configure(keys.rstp(address)),
        }
    }

    fn set_port(&mut self, keys: Keys<'_>, number: u16, member: &Member) {
        let Member { source, is_up, medium, .. } = member;
        let key = key_of(member.id);
        match self {
            Self::Stp(tree) => {
                let number = u8::try_from(number).unwrap_or(u8::MAX);
                tree.set_port(key, keys.stp_port(number, *source, *is_up, medium));
            }
            Self::Rstp(tree) => {
                tree.set_port(key, keys.rstp_port(number, *source, *is_up, medium));
            }
        }
    }
}

struct Tree {
    machine: Machine,
    /// The row and the name of each port that takes part.
    members: BTreeMap<PortId, (Uuid, PortName)>,
    /// The names of their interfaces.
    interfaces: BTreeMap<PortKey, String>,
    aging_secs: Option<u32>,
}

/// What the tree of a bridge lets a port do.
fn tree_gate(trees: &BTreeMap<String, Tree>, bridge: &str, port: PortId) -> Gate {
    trees.get(bridge).map_or(Gate::OPEN, |tree| tree.machine.tree().gate(key_of(port)))
}

/// The trees of all bridges, and the guards.
#[derive(Default)]
pub struct Spanning {
    trees: BTreeMap<String, Tree>,
    /// The loop guards.
    pub guards: Guards,
    /// Up to when time has passed; none while there is neither a tree nor a guard.
    ticked: Option<Instant>,
}

impl Gates for Spanning {
    fn port(&self, bridge: &str, port: PortId) -> Gate {
        if self.guards.is_open(bridge, port) {
            tree_gate(&self.trees, bridge, port)
        } else {
            Gate::CLOSED
        }
    }

    fn bridge(&self, bridge: &str) -> BridgeGate {
        BridgeGate {
            fdb_age_secs: self.trees.get(bridge).and_then(|tree| tree.aging_secs),
            takes_bpdus: self.runs(bridge),
            loop_guard: self.guards.nonce(bridge),
        }
    }
}

impl Spanning {
    /// True when time has to pass for a tree or a guard.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.trees.is_empty() || self.guards.is_active()
    }

    /// When time is to pass for the trees and guards, if there are some.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        Some(self.ticked? + TICK)
    }

    /// True when a bridge takes part, and its BPDUs are to be handed up.
    #[must_use]
    pub fn runs(&self, bridge: &str) -> bool {
        self.trees.contains_key(bridge)
    }

    /// Why a port forwards nothing for now, in words; none for a port that forwards.
    #[must_use]
    pub fn blocked(&self, bridge: &str, port: PortId) -> Option<String> {
        if let Some(reason) = self.guards.reason(bridge, port) {
            return Some(format!("loop guard: {reason}"));
        }
        let tree = self.trees.get(bridge)?;
        let protocol = tree.machine.protocol().name();
        (!tree.machine.tree().gate(key_of(port)).forwards)
            .then(|| format!("{protocol} keeps it out"))
    }

    /// Makes the trees fit the configuration, at `now`.  `address` gives a bridge's own address, `member`
    /// a port of a bridge that is planned and may take part.
    pub fn configure(
        &mut self,
        desired: &Desired,
        now: Instant,
        address: impl Fn(&Bridge) -> Option<MacAddr>,
        member: impl Fn(&Bridge, &Port) -> Option<Member>,
    ) {
        self.trees.retain(|name, tree| {
            let protocol = desired.bridges.get(name).and_then(|bridge| bridge.spanning);
            protocol == Some(tree.machine.protocol())
        });
        for (name, bridge) in &desired.bridges {
            let (Some(protocol), Some(address)) = (bridge.spanning, address(bridge)) else {
                continue;
            };
            let tree = self.trees.entry(name.clone()).or_insert_with(|| {
                tracing::info!("{name}: {} starts", protocol.name());
                Tree {
                    machine: Machine::new(protocol, bridge, address),
                    members: BTreeMap::new(),
                    interfaces: BTreeMap::new(),
                    aging_secs: None,
                }
            });
            tree.machine.configure(bridge, address);
            tree.configure_ports(bridge, &member);
        }
        self.guards.configure(desired, &member);
        self.ticked = self.is_active().then(|| self.ticked.unwrap_or(now));
    }

    /// Takes a frame that came in on `port` of a bridge.
    pub fn receive(&mut self, bridge: &str, port: PortId, frame: &[u8]) {
        if LoopProbe::parse_frame(frame).is_some() {
            self.guards.receive(bridge, port, frame);
        } else if let Some(tree) = self.trees.get_mut(bridge) {
            tree.machine.tree_mut().receive(key_of(port), frame);
        }
    }

    /// Takes a turn: lets time pass up to `now`.
    pub fn turn(&mut self, now: Instant) -> Turn {
        if let Some(ticked) = &mut self.ticked {
            let elapsed = now.saturating_duration_since(std::mem::replace(ticked, now));
            self.pass(u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX));
        }
        self.take_turn()
    }

    fn pass(&mut self, millis: u32) {
        for tree in self.trees.values_mut() {
            tree.machine.tree_mut().tick(millis);
        }
        let trees = &self.trees;
        self.guards.tick(millis, |bridge, port| tree_gate(trees, bridge, port).forwards);
    }

    fn take_turn(&mut self) -> Turn {
        let (mut errands, mut changed) = (Vec::new(), false);
        for (name, tree) in &mut self.trees {
            for action in tree.machine.tree_mut().take_actions() {
                match action {
                    Action::Send { port, frame } => {
                        errands.push(Errand::Send(port_of(port), frame));
                    }
                    Action::FlushBridge => errands.push(Errand::Flush(name.clone(), None)),
                    Action::FlushPort { port } => {
                        errands.push(Errand::Flush(name.clone(), Some(port_of(port))));
                    }
                    Action::State { port, from, to } => {
                        changed = true;
                        let protocol = tree.machine.protocol();
                        let [from, to] = [from, to].map(|state| state_name(protocol, state));
                        if let Some((_, port)) = tree.members.get(&port_of(port)) {
                            tracing::info!("{name}: {port}: {from} -> {to}");
                        }
                    }
                    Action::Aging { secs } => {
                        changed |= tree.aging_secs != secs;
                        tree.aging_secs = secs;
                    }
                }
            }
        }
        changed |= self.guards.take_errands(&mut errands);
        Turn { errands, gates_changed: changed }
    }

    /// The trees of one protocol, by bridge.
    pub fn trees(&self, protocol: Protocol) -> impl Iterator<Item = (&str, TreeView<'_>)> {
        self.trees
            .iter()
            .filter(move |(_, tree)| tree.machine.protocol() == protocol)
            .map(|(name, tree)| (name.as_str(), tree.view(name)))
    }

    /// Acts on one bridge, or all of one protocol, as if the topology had changed; false when
    /// there is none.
    pub fn force_topology_change(&mut self, protocol: Protocol, bridge: Option<&str>) -> bool {
        let mut any = false;
        for (name, tree) in &mut self.trees {
            if tree.machine.protocol() == protocol && bridge.is_none_or(|bridge| bridge == name) {
                tree.machine.tree_mut().force_topology_change();
                any = true;
            }
        }
        any
    }

    /// All ports that a tree or a guard may close.
    pub fn all_members(&self) -> impl Iterator<Item = PortId> + '_ {
        let trees = self.trees.values().flat_map(|tree| tree.members.keys());
        trees.copied().chain(self.guards.members())
    }

    /// The rows of ports that take part, with their numbers, of one bridge.
    pub fn members(&self, bridge: &str) -> impl Iterator<Item = (PortId, Uuid)> {
        let tree = self.trees.get(bridge);
        tree.into_iter().flat_map(|tree| tree.members.iter().map(|(id, (row, _))| (*id, *row)))
    }
}

fn no_number(error: NumberError) -> String {
    match error {
        NumberError::Invalid(number) => format!("invalid port number {number}"),
        NumberError::Duplicate(number) => format!("duplicate port number {number}"),
        NumberError::TooMany => "too many ports".to_owned(),
    }
}

impl Tree {
    fn view<'a>(&'a self, bridge: &'a str) -> TreeView<'a> {
        TreeView {
            protocol: self.machine.protocol(),
            bridge,
            tree: self.machine.tree(),
            interfaces: &self.interfaces,
        }
    }

    fn configure_ports(
        &mut self,
        bridge: &Bridge,
        member: &impl Fn(&Bridge, &Port) -> Option<Member>,
    ) {
        let protocol = self.machine.protocol();
        let wanted: Vec<_> = bridge
            .ports
            .values()
            .filter(|port| {
                port.other_config.get(protocol.enable_key()).is_none_or(|v| v != "false")
            })
            .filter_map(|port| Some((port, member(bridge, port)?)))
            .collect();
        let wishes: Vec<Option<u64>> = wanted
            .iter()
            .map(|(port, _)| port.other_config.get(protocol.number_key())?.parse().ok())
            .collect();
        let numbers = assign_numbers(&wishes, protocol.numbers_max());
        let mut stay = BTreeMap::new();
        self.interfaces.clear();
        for ((port, member), number) in wanted.iter().zip(numbers) {
            match number {
                Ok(number) => {
                    self.machine.set_port(Keys(&port.other_config), number, member);
                    stay.insert(member.id, (port.uuid, port.name.clone()));
                    self.interfaces.insert(key_of(member.id), member.interface.clone());
                }
                Err(error) => {
                    let why = no_number(error);
                    tracing::warn!("{}: {}: {why}", port.name, protocol.number_key());
                }
            }
        }
        for gone in self.members.keys().filter(|id| !stay.contains_key(*id)) {
            self.machine.tree_mut().remove_port(key_of(*gone));
        }
        self.members = stay;
    }
}
