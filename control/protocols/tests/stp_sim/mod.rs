//! Networks of bridges in virtual time: LANs that lose frames, links and bridges that fail.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

pub mod random;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use weft_protocols::PortKey;
use weft_protocols::rstp::{Rstp, RstpPortSettings, RstpSettings};
use weft_protocols::stp::{Stp, StpPortSettings, StpSettings};
use weft_protocols::tree::{Action, Gate, PortRole, PortState, SpanningTree};
use weft_wire::MacAddr;
use weft_wire::stp::BridgeIdentifier;

/// Milliseconds between two ticks, as the control thread has them.
pub const TICK_MS: u32 = 100;
/// Rounds of delivery in one tick: a frame and its answers need some milliseconds each.
const ROUNDS_MAX: usize = 30;

/// The protocol that a bridge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stp,
    Rstp,
}

pub enum Tree {
    Stp(Box<Stp>),
    Rstp(Box<Rstp>),
}

pub struct Node {
    pub tree: Tree,
    pub id: BridgeIdentifier,
    pub is_alive: bool,
    /// Port number to LAN.
    pub ports: BTreeMap<u16, usize>,
    /// What the actions said.
    pub gates: BTreeMap<u16, Gate>,
    costs: BTreeMap<u16, u32>,
    /// Flushes and changes of ageing, as they came.
    pub flushes: usize,
    pub aging: Option<u32>,
}

impl Node {
    pub fn tree(&self) -> &dyn SpanningTree {
        match &self.tree {
            Tree::Stp(tree) => &**tree,
            Tree::Rstp(tree) => &**tree,
        }
    }

    pub fn tree_mut(&mut self) -> &mut dyn SpanningTree {
        match &mut self.tree {
            Tree::Stp(tree) => &mut **tree,
            Tree::Rstp(tree) => &mut **tree,
        }
    }

    pub fn is_root(&self) -> bool {
        self.tree().bridge_status().root_port.is_none()
    }
}

#[derive(Default)]
pub struct Lan {
    pub is_up: bool,
    /// Frames come back to the port that sent them.
    pub reflects: bool,
    pub members: Vec<(usize, u16)>,
    /// Ports that send into it and hear nothing: a cable with one broken fibre.
    pub deaf: Vec<(usize, u16)>,
}

#[derive(Default)]
pub struct Net {
    pub nodes: Vec<Node>,
    pub lans: Vec<Lan>,
    /// Chance that a frame is lost, of 1000.
    pub loss: u64,
    pub seed: u64,
    pub now_ms: u64,
    /// Frames under way.
    pub queue: VecDeque<(usize, u16, Vec<u8>)>,
}

pub fn mac(node: usize, port: u16) -> MacAddr {
    MacAddr([2, 0, 0, u8::try_from(node).unwrap(), (port >> 8) as u8, (port & 0xff) as u8])
}

impl Net {
    pub fn add_lan(&mut self) -> usize {
        self.lans.push(Lan { is_up: true, ..Lan::default() });
        self.lans.len() - 1
    }

    pub fn add_node(&mut self, kind: Kind, priority: u16, address: u64) -> usize {
        let id = BridgeIdentifier::new(priority, MacAddr::from_u64(address));
        let tree = match kind {
            Kind::Stp => {
                let settings = StpSettings::new(id.address());
                let settings = StpSettings { identifier: id, ..settings };
                Tree::Stp(Box::new(Stp::new(settings)))
            }
            Kind::Rstp => {
                let settings = RstpSettings::new(id.address());
                let settings = RstpSettings { identifier: id, ..settings };
                Tree::Rstp(Box::new(Rstp::new(settings)))
            }
        };
        self.nodes.push(Node {
            tree,
            id,
            is_alive: true,
            ports: BTreeMap::new(),
            gates: BTreeMap::new(),
            costs: BTreeMap::new(),
            flushes: 0,
            aging: None,
        });
        self.nodes.len() - 1
    }

    pub fn set_id(&mut self, node: usize, priority: u16, address: u64) {
        let id = BridgeIdentifier::new(priority, MacAddr::from_u64(address));
        self.nodes[node].id = id;
        match &mut self.nodes[node].tree {
            Tree::Stp(tree) => {
                let settings = StpSettings::new(id.address());
                tree.configure(StpSettings { identifier: id, ..settings });
            }
            Tree::Rstp(tree) => {
                let settings = RstpSettings::new(id.address());
                tree.configure(RstpSettings { identifier: id, ..settings });
            }
        }
        self.collect(node);
    }

    /// Puts a port on a LAN; its number is the next one.
    pub fn add_port(&mut self, node: usize, lan: usize, cost: u32) -> u16 {
        let port = u16::try_from(self.nodes[node].ports.len() + 1).unwrap();
        self.lans[lan].members.push((node, port));
        self.nodes[node].ports.insert(port, lan);
        self.nodes[node].costs.insert(port, cost);
        self.configure_port(node, port, 128, cost);
        port
    }

    pub fn configure_port(&mut self, node: usize, port: u16, priority: u8, cost: u32) {
        let lan = &self.lans[self.nodes[node].ports[&port]];
        let point_to_point = lan.members.len() <= 2;
        let source = mac(node, port);
        self.nodes[node].costs.insert(port, cost);
        match &mut self.nodes[node].tree {
            Tree::Stp(tree) => {
                let number = u8::try_from(port).unwrap();
                let settings = StpPortSettings::new(number, source);
                let path_cost = u16::try_from(cost).unwrap();
                tree.set_port(PortKey(port), StpPortSettings { priority, path_cost, ..settings });
            }
            Tree::Rstp(tree) => {
                let settings = RstpPortSettings {
                    priority,
                    path_cost: cost,
                    point_to_point,
                    ..RstpPortSettings::new(port, source)
                };
                tree.set_port(PortKey(port), settings);
            }
        }
        self.collect(node);
    }

    /// Moves a port to another LAN, without its link going down.
    pub fn attach(&mut self, node: usize, port: u16, lan: usize) {
        let old = self.nodes[node].ports.insert(port, lan).unwrap();
        self.lans[old].members.retain(|&member| member != (node, port));
        self.lans[lan].members.push((node, port));
    }

    pub fn set_link(&mut self, node: usize, port: u16, is_up: bool) {
        self.nodes[node].tree_mut().set_link(PortKey(port), is_up);
        self.collect(node);
    }

    /// A LAN fails or recovers; `is_seen`: its ports notice.
    pub fn set_lan(&mut self, lan: usize, is_up: bool, is_seen: bool) {
        self.lans[lan].is_up = is_up;
        for (node, port) in self.lans[lan].members.clone() {
            if (is_seen || is_up) && self.nodes[node].is_alive {
                self.set_link(node, port, is_up);
            }
        }
    }

    fn random(&mut self) -> u64 {
        // Marsaglia's xorshift.
        let mut x = self.seed | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed = x;
        x
    }

    /// Hands a frame to a port; the number of actions that it caused.
    pub fn inject(&mut self, node: usize, port: u16, frame: &[u8]) -> usize {
        self.nodes[node].tree_mut().receive(PortKey(port), frame);
        self.collect(node)
    }

    /// Carries out the actions of a bridge; their number.
    fn collect(&mut self, index: usize) -> usize {
        let node = &mut self.nodes[index];
        let actions = node.tree_mut().take_actions();
        let count = actions.len();
        for action in actions {
            match action {
                Action::Send { port, frame } => self.queue.push_back((index, port.0, frame)),
                Action::State { port, to, .. } => {
                    node.gates.insert(port.0, to.gate());
                }
                Action::FlushBridge | Action::FlushPort { .. } => node.flushes += 1,
                Action::Aging { secs } => node.aging = secs,
            }
        }
        // What the actions said is what there is.
        for (&port, &gate) in &node.gates {
            assert_eq!(node.tree().gate(PortKey(port)), gate, "node {index} port {port}");
        }
        count
    }

    fn deliver(&mut self, from: usize, port: u16, frame: &[u8]) {
        let lan = &self.lans[self.nodes[from].ports[&port]];
        if !lan.is_up || !self.nodes[from].is_alive {
            return;
        }
        let reflects = lan.reflects;
        for (node, at) in lan.members.clone() {
            let is_sender = (node, at) == (from, port);
            let is_lost = self.random() % 1000 < self.loss;
            let is_deaf = self.lans[self.nodes[node].ports[&at]].deaf.contains(&(node, at));
            let is_deaf = is_deaf || !self.nodes[node].is_alive;
            if is_lost || is_deaf || is_sender != (is_sender && reflects) {
                continue;
            }
            self.nodes[node].tree_mut().receive(PortKey(at), frame);
            self.collect(node);
        }
    }

    /// Lets one tick pass; a bridge that failed sees no time.
    pub fn tick(&mut self) {
        self.now_ms += u64::from(TICK_MS);
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_alive {
                self.nodes[index].tree_mut().tick(TICK_MS);
                self.collect(index);
            }
        }
        for _ in 0..ROUNDS_MAX {
            for (from, port, frame) in std::mem::take(&mut self.queue) {
                self.deliver(from, port, &frame);
            }
        }
    }

    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms / u64::from(TICK_MS) {
            self.tick();
        }
    }

    /// Runs until the tree is whole; the time that took, in milliseconds, or none after `max_ms`.
    pub fn converge(&mut self, max_ms: u64) -> Option<u64> {
        let start = self.now_ms;
        while self.now_ms - start <= max_ms {
            if self.is_tree() {
                return Some(self.now_ms - start);
            }
            self.tick();
        }
        None
    }

    /// Runs for `ms` and gives the longest time for which there was a loop without a break.
    pub fn longest_loop(&mut self, ms: u64) -> u64 {
        let (mut longest, mut since) = (0, None);
        for _ in 0..ms / u64::from(TICK_MS) {
            self.tick();
            if self.has_loop() {
                let start = *since.get_or_insert(self.now_ms - u64::from(TICK_MS));
                longest = longest.max(self.now_ms - start);
            } else {
                since = None;
            }
        }
        longest
    }

    fn live_members(&self, lan: usize) -> impl Iterator<Item = (usize, u16)> + '_ {
        let is_up = self.lans[lan].is_up;
        let members = self.lans[lan].members.iter().copied();
        members.filter(move |&(node, _)| is_up && self.nodes[node].is_alive)
    }

    fn forwards(&self, node: usize, port: u16) -> bool {
        self.nodes[node].tree().gate(PortKey(port)).forwards
    }

    /// Where a broadcast could circle: found by joining bridges and LANs over forwarding ports.
    pub fn has_loop(&self) -> bool {
        self.join(Self::forwards).1
    }

    fn join(&self, uses: impl Fn(&Self, usize, u16) -> bool) -> (Vec<usize>, bool) {
        fn find(sets: &mut [usize], mut at: usize) -> usize {
            while sets[at] != at {
                sets[at] = sets[sets[at]];
                at = sets[at];
            }
            at
        }
        let count = self.nodes.len();
        let mut sets: Vec<usize> = (0..count + self.lans.len()).collect();
        let mut has_loop = false;
        for lan in 0..self.lans.len() {
            for (node, port) in self.live_members(lan) {
                if uses(self, node, port) {
                    let (a, b) = (find(&mut sets, node), find(&mut sets, count + lan));
                    has_loop |= a == b || self.lans[lan].reflects;
                    sets[a] = b;
                }
            }
        }
        ((0..sets.len()).map(|at| find(&mut sets, at)).collect(), has_loop)
    }

    /// No loop, and everything that has a cable to something reaches it.
    pub fn is_tree(&self) -> bool {
        let (active, has_loop) = self.join(Self::forwards);
        if has_loop {
            return false;
        }
        let count = self.nodes.len();
        let (wired, _) = self.join(|_, _, _| true);
        let alive: Vec<_> = (0..count).filter(|&node| self.nodes[node].is_alive).collect();
        let together = |a: usize, b: usize| (wired[a] == wired[b]) == (active[a] == active[b]);
        alive.iter().all(|&a| alive.iter().all(|&b| together(a, b)))
            && (0..self.lans.len()).filter(|&lan| !self.lans[lan].reflects).all(|lan| {
                self.live_members(lan).next().is_none_or(|(node, _)| together(node, count + lan))
            })
    }

    /// Each port in short: F forwards, Le learns, Li listens, B blocks or discards, D has no link;
    /// the root port with the cost of the way to the root.
    pub fn ports_of(&self, node: usize) -> String {
        let node = &self.nodes[node];
        let texts: Vec<String> = node
            .ports
            .keys()
            .map(|&port| {
                let id = PortKey(port);
                let status = node.tree().port_status(id).unwrap();
                let short = match status.state {
                    PortState::Forwarding => "F",
                    PortState::Learning => "Le",
                    PortState::Listening => "Li",
                    PortState::Disabled => "D",
                    PortState::Blocking | PortState::Discarding => "B",
                };
                let is_root = status.role == PortRole::Root;
                let cost = node.tree().bridge_status().root_path_cost;
                if is_root { format!("{short}:{cost}") } else { short.to_owned() }
            })
            .collect();
        texts.join(" ")
    }

    /// Everything, for a test that failed.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let kind = if matches!(node.tree, Tree::Stp(_)) { "STP" } else { "RSTP" };
            let life = if node.is_alive { "" } else { ", dead" };
            let (id, ports) = (node.id, self.ports_of(index));
            let _ = writeln!(text, "bridge {index} {kind} {id}{life}: {ports} on {:?}", node.ports);
        }
        for (index, lan) in self.lans.iter().enumerate() {
            let _ = writeln!(text, "LAN {index} up {} {:?}", lan.is_up, lan.members);
        }
        text
    }

    /// Asserts what [`Net::ports_of`] says of each bridge; `root` is for the root.
    #[track_caller]
    pub fn check(&self, want: &[&str]) {
        for (node, want) in want.iter().enumerate() {
            if *want == "root" {
                assert!(self.nodes[node].is_root(), "bridge {node} is not the root");
            } else {
                assert_eq!(self.ports_of(node), *want, "bridge {node}");
            }
        }
    }
}

/// A network from text: per bridge its address and its LANs by letter, `a:5` with a path cost;
/// `0` is a LAN of its own.
pub fn net(kind: Kind, cost: u32, bridges: &[(u64, &str)]) -> (Net, BTreeMap<String, usize>) {
    let mut net = Net { seed: 7, ..Net::default() };
    let mut lans = BTreeMap::new();
    // All LANs first, so that ports know how many share theirs.
    let mut plan = Vec::new();
    for (address, ports) in bridges {
        let node = net.add_node(kind, 0x8000, *address);
        for port in ports.split_whitespace() {
            let (letter, own_cost) = port.split_once(':').unwrap_or((port, ""));
            let lan = if letter == "0" {
                net.add_lan()
            } else {
                *lans.entry(letter.to_owned()).or_insert_with(|| net.add_lan())
            };
            plan.push((node, lan, own_cost.parse().unwrap_or(cost)));
        }
    }
    for (node, lan, cost) in plan {
        net.add_port(node, lan, cost);
    }
    (net, lans)
}
