//! Does actions one by one on bytes, and reads the frame anew before each.

use super::bridge::{Bridge, Net, PATCH};
use super::packet::{Packet, chosen_by};
use super::record::{Sent, clear_tunnel, registers};
use crate::action::Bundle;
use crate::field::Prerequisite;
use crate::program::{BridgeId, Reason, Target};
use crate::request::{Bucket, GroupType};
use crate::walk::FlowBridge;
use crate::walk::act::action_set;
use crate::{Action, Bits, GroupId, Key, PortNo, Slot, TableId};

/// More work than this is no test.
const WORK_MAX: u32 = 400;

/// How a list ended.
#[derive(PartialEq, Eq)]
enum Flow {
    Goes,
    Ends,
    Exits,
}

pub(super) struct Naive<'n> {
    net: &'n Net,
    log: Vec<Sent>,
    work: u32,
    /// Keys show two tags at most, and take what is cut off for zeros that can be set.
    is_beyond_keys: bool,
}

impl<'n> Naive<'n> {
    pub(super) fn new(net: &'n Net) -> Self {
        Self { net, log: Vec::new(), work: 0, is_beyond_keys: false }
    }

    /// `None` when it is too much, or when keys cannot show it.
    pub(super) fn translate(mut self, frame: &[u8], key: &Key) -> Option<Vec<Sent>> {
        let mut packet = Packet::new(frame, key);
        self.lookup(&mut packet, TableId(0), Reason::Action, None);
        self.finish(packet)
    }

    pub(super) fn execute(mut self, frame: &[u8], key: &Key, list: &[Action]) -> Option<Vec<Sent>> {
        let mut packet = Packet::new(frame, key);
        self.list(&mut packet, list.iter(), TableId(0), Reason::PacketOut);
        self.finish(packet)
    }

    fn finish(mut self, mut packet: Packet) -> Option<Vec<Sent>> {
        self.action_set(&mut packet);
        (self.work < WORK_MAX && !self.is_beyond_keys).then_some(self.log)
    }

    fn bridge(&self, packet: &Packet) -> &'n Bridge {
        self.net.bridge(packet.bridge)
    }

    fn action_set(&mut self, packet: &mut Packet) {
        let set = std::mem::take(&mut packet.set);
        let actions = action_set::picked(set.iter());
        self.list(packet, actions.into_iter().rev(), TableId(0), Reason::ActionSet);
    }

    fn lookup(
        &mut self,
        packet: &mut Packet,
        table: TableId,
        reason: Reason,
        in_port: Option<PortNo>,
    ) -> Flow {
        let mut key = packet.key();
        if let Some(port) = in_port {
            key.set(Slot::InPort, port.0.into());
        }
        match self.bridge(packet).rule(table, &key) {
            Some(rule) => self.list(packet, rule.actions.iter(), table, reason),
            None => Flow::Goes,
        }
    }

    fn list<'x>(
        &mut self,
        packet: &mut Packet,
        actions: impl Iterator<Item = &'x Action>,
        table: TableId,
        reason: Reason,
    ) -> Flow {
        for action in actions {
            self.work += 1;
            if self.work > WORK_MAX {
                return Flow::Exits;
            }
            self.is_beyond_keys |= packet.has_third_tag() || packet.is_malformed();
            match self.act(packet, action, table, reason) {
                Flow::Goes => {}
                Flow::Ends => return Flow::Goes,
                Flow::Exits => return Flow::Exits,
            }
        }
        Flow::Goes
    }

    fn act(
        &mut self,
        packet: &mut Packet,
        action: &Action,
        table: TableId,
        reason: Reason,
    ) -> Flow {
        match action {
            Action::Output { port, max_len } => {
                let _ = max_len;
                return self.output(packet, *port, table, reason);
            }
            Action::OutputReg { source, .. } => {
                let port = u32::try_from(packet.read(*source)).unwrap();
                return self.output(packet, PortNo(port), table, reason);
            }
            Action::OutputTruncated { port, max_len } if port.0 < 100 => {
                let old = packet.max_len;
                packet.max_len = *max_len as usize;
                self.output(packet, *port, table, reason);
                packet.max_len = old;
            }
            Action::Enqueue { port, queue } => {
                let old = packet.queue.replace(*queue);
                self.output(packet, *port, table, reason);
                packet.queue = old;
            }
            Action::Controller(_) => self.punt(packet, 1, reason_of(action, reason), table),
            Action::Bundle(bundle) => return self.bundle(packet, bundle, table, reason),
            Action::Group(group) => self.group(packet, *group, table),
            Action::Resubmit(resubmit) => {
                let port = Some(resubmit.in_port).filter(|port| *port != PortNo::IN_PORT);
                return self.lookup(packet, resubmit.table, reason, port);
            }
            Action::GotoTable(table) => return self.lookup(packet, *table, reason, None),
            Action::Clone(list) => {
                self.list(&mut packet.clone(), list.iter(), table, reason);
            }
            Action::Exit => return Flow::Exits,
            Action::DecTtl { controllers, .. } if packet.has(Prerequisite::Ip) => {
                return self.dec_ttl(packet, Slot::NwTtl, controllers, table);
            }
            Action::DecMplsTtl if packet.has(Prerequisite::Mpls) => {
                return self.dec_ttl(packet, Slot::MplsLse, &[0], table);
            }
            Action::Multipath(multipath) => packet.multipath(multipath),
            Action::WriteActions(list) => packet.set.extend(list.iter().cloned()),
            Action::ClearActions => packet.set.clear(),
            _ => packet.change(action),
        }
        Flow::Goes
    }

    fn dec_ttl(
        &mut self,
        packet: &mut Packet,
        slot: Slot,
        controllers: &[u16],
        table: TableId,
    ) -> Flow {
        let ttl = packet.key().get(slot) & 0xff;
        if ttl > 1 {
            packet.set_slot(slot, Bits::new(ttl - 1, 0xff));
            return Flow::Goes;
        }
        for controller in controllers {
            self.punt(packet, *controller, Reason::InvalidTtl as u8, table);
        }
        Flow::Ends
    }

    fn punt(&mut self, packet: &Packet, controller: u16, reason: u8, table: TableId) {
        self.log.push(Sent::Punt {
            controller,
            reason,
            table: table.0,
            bytes: packet.frame.clone(),
            registers: registers(&packet.meta),
        });
    }

    fn send(&mut self, packet: &Packet, target: Target) {
        let len = packet.frame.len().min(packet.max_len);
        self.log.push(Sent::Frame {
            target,
            bytes: packet.frame[..len].to_vec(),
            queue: packet.queue,
            tun_id: packet.meta.get(Slot::TunId),
            mark: packet.meta.get(Slot::PktMark),
        });
    }

    fn output(
        &mut self,
        packet: &mut Packet,
        port: PortNo,
        table: TableId,
        reason: Reason,
    ) -> Flow {
        let in_port = PortNo(u32::try_from(packet.meta.get(Slot::InPort)).unwrap());
        match port {
            PortNo::IN_PORT => self.send_to(packet, in_port),
            PortNo::NORMAL => self.send(packet, Target::Normal(packet.bridge)),
            PortNo::FLOOD | PortNo::ALL => {
                let flood = if port == PortNo::ALL { Target::All } else { Target::Flood };
                self.send(packet, flood(packet.bridge));
                if packet.bridge.0 == 0 && in_port != PATCH {
                    self.send_to(packet, PATCH);
                }
            }
            PortNo::CONTROLLER => self.punt(packet, 0, reason as u8, table),
            port if port != in_port => self.send_to(packet, port),
            _ => {}
        }
        Flow::Goes
    }

    fn send_to(&mut self, packet: &Packet, port: PortNo) {
        match self.bridge(packet).port(port) {
            Some(facts) if !facts.no_forward => {}
            _ => return,
        }
        if packet.bridge.0 == 0 && port == PATCH {
            self.enter_peer(packet.clone());
        } else {
            self.send(packet, Target::Port(packet.bridge, port));
        }
    }

    fn enter_peer(&mut self, mut packet: Packet) {
        packet.bridge = BridgeId(1);
        packet.stack.clear();
        packet.set.clear();
        (0..16).for_each(|number| packet.meta.set(Slot::Reg(number), 0));
        packet.meta.set(Slot::Metadata, 0);
        packet.meta.set(Slot::InPort, PATCH.0.into());
        clear_tunnel(&mut packet.meta);
        self.lookup(&mut packet, TableId(0), Reason::Action, None);
        self.action_set(&mut packet);
    }

    fn bundle(
        &mut self,
        packet: &mut Packet,
        bundle: &Bundle,
        table: TableId,
        reason: Reason,
    ) -> Flow {
        // The choice itself is tested elsewhere: here it is made of a key that was read anew.
        let chosen = Action::Bundle(Box::new(Bundle {
            destination: Some(super::generate::bits("reg1", 0, 16)),
            ..bundle.clone()
        }));
        let port = chosen_by(&packet.key(), self.bridge(packet), &chosen, Slot::Reg(1)) & 0xffff;
        match bundle.destination {
            Some(place) => packet.write(place, port),
            None => {
                return self.output(packet, PortNo(u32::try_from(port).unwrap()), table, reason);
            }
        }
        Flow::Goes
    }

    fn group(&mut self, packet: &mut Packet, id: GroupId, table: TableId) {
        let Some(group) = self.bridge(packet).group(id) else { return };
        let is_live = |bucket: &&Bucket| [PortNo::ANY, PortNo(1)].contains(&bucket.watch_port);
        let buckets: Vec<&Bucket> = match group.kind {
            GroupType::All => group.buckets.iter().collect(),
            GroupType::Indirect => group.buckets.iter().take(1).collect(),
            GroupType::FastFailover => group.buckets.iter().filter(is_live).take(1).collect(),
            GroupType::Select => packet.select(group).filter(is_live).into_iter().collect(),
        };
        for bucket in buckets {
            let list = action_set::picked(bucket.actions.iter());
            let list = list.into_iter().rev();
            self.list(&mut packet.clone(), list, table, Reason::Group);
        }
    }
}

fn reason_of(action: &Action, reason: Reason) -> u8 {
    match action {
        Action::Controller(controller) => controller.reason,
        _ => reason as u8,
    }
}
