//! Does one action after the other, and looks packets up.

pub(super) mod action_set;
pub(super) mod choose;
pub(super) mod group;
mod headers;
mod learn;
mod output;

pub use choose::symmetric_hash;

use super::state::{List, State, Work};
use super::write::parts;
use super::{DEPTH_MAX, Event, Fact, LOOKUPS_MAX, Note, STACK_MAX, Sink, Walk};
use crate::action::{FinTimeout, Resubmit};
use crate::field::{Field, Prerequisite, ones};
use crate::program::{Context, Pending, Refused, StackItem, Step};
use crate::{Action, Bits, PortNo, Slot, Subfield, TableId};

/// What becomes of a list after one of its actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::walk) enum Then {
    /// It goes on.
    Goes,
    /// Its rest is not done.
    Ends,
}

impl<'a, S: Sink> Walk<'a, S> {
    pub(in crate::walk) fn next_action(&mut self, mut list: List<'a>, context: Context) {
        let Some(action) = list.next() else { return };
        if self.state.is_stale && reads_headers(action) {
            let actions = std::iter::once(action.clone()).chain(list.to_owned()).collect();
            self.resume_later(Pending::Actions { actions, context }, None);
            return;
        }
        let rest = self.work.len();
        let has_rest = !list.is_empty();
        if has_rest {
            self.work.push(Work::Actions(list, context));
        }
        self.event(|_| Event::Action(action));
        if self.act(action, context) == Then::Ends && has_rest {
            self.work.truncate(rest);
        }
    }

    /// What sends, looks up, copies, or ends.
    fn act(&mut self, action: &'a Action, context: Context) -> Then {
        match action {
            Action::Output { port, max_len } => self.output(*port, *max_len, context),
            Action::OutputReg { source, max_len } => {
                let number = self.read_bits(*source);
                self.output(wide_port(*source, number), *max_len, context);
            }
            Action::OutputTruncated { port, max_len } => self.output_part(*port, *max_len, context),
            Action::Controller(controller) => self.controller(controller, context),
            Action::Enqueue { port, queue } => self.enqueue(*port, *queue, context),
            Action::Bundle(bundle) => self.bundle(bundle, context),
            Action::Group(group) => self.work.push(Work::Group(*group, context)),
            Action::Resubmit(resubmit) => self.resubmit(*resubmit, context),
            Action::GotoTable(table) => self.lookup(*table, true, context),
            Action::Clone(actions) => {
                if self.begin_scope() {
                    self.work.push(Work::Actions(List::Slice(actions), context));
                }
            }
            Action::CheckPktLarger { bytes, destination } => self.branch(*bytes, *destination),
            Action::Exit => self.exit(),
            Action::Ct(_) => self.refuse(Refused::Ct),
            Action::Sample(sample) => {
                self.depends_on(Fact::Collector(sample.collector_set));
                if self.state.tables.has_collector(sample.collector_set) {
                    self.refuse(Refused::Sample);
                }
            }
            Action::DecTtl { controllers, .. } => {
                return self.dec_ttl(Prerequisite::Ip, Slot::NwTtl, controllers, context);
            }
            Action::DecMplsTtl => {
                return self.dec_ttl(Prerequisite::Mpls, Slot::MplsLse, &[0], context);
            }
            _ => self.change(action, context),
        }
        Then::Goes
    }

    /// What changes the packet, or what goes along with it.
    fn change(&mut self, action: &'a Action, context: Context) {
        match action {
            Action::SetField { field, value, mask, .. } => self.set_field(*field, *value, *mask),
            Action::SetLong(long) => {
                for part in parts(Subfield::whole(long.field)) {
                    let word = usize::from(part.offset / 128);
                    let at = |words: &[u128; 8]| words.get(word).copied().unwrap_or_default();
                    self.write_long(part, Bits::new(at(&long.value), at(&long.mask)));
                }
            }
            Action::Move { source, destination, .. } => self.copy(*source, *destination),
            Action::Push(source) => self.push(*source),
            Action::Pop(destination) => self.pop(*destination),
            Action::DeleteField(field) => self.delete(*field),
            Action::SetTunnel { id, .. } => {
                self.write(Slot::TunId, Bits::new((*id).into(), Slot::TunId.ones()));
            }
            Action::SetQueue(queue) => self.state.queue = Some(*queue),
            Action::PopQueue => self.state.queue = None,
            Action::WriteMetadata { value, mask } => {
                self.write(Slot::Metadata, Bits::new((*value).into(), (*mask).into()));
            }
            Action::ClearActions => self.clear_actions(),
            Action::WriteActions(actions) => self.write_actions(actions),
            Action::CtClear => self.clear_connection(),
            Action::Multipath(multipath) => self.multipath(multipath),
            Action::Learn(learn) => self.learn(learn),
            Action::FinTimeout(timeout) => self.fin_timeout(*timeout, context),
            Action::Meter(meter) => {
                self.depends_on(Fact::Meter(*meter));
                if self.state.tables.has_meter(*meter) {
                    self.builder.push(Step::Meter(*meter));
                } else {
                    self.note(Note::NoMeter);
                }
            }
            _ => self.change_header(action),
        }
    }

    /// Actions of old versions, and those of tags and MPLS.
    fn change_header(&mut self, action: &Action) {
        let mac = |octets: &[u8; 6]| {
            let number = octets.iter().fold(0, |number, octet| number << 8 | u128::from(*octet));
            Bits::new(number, ones(48))
        };
        let ipv4 = |octets: &[u8; 4]| Bits::new(u32::from_be_bytes(*octets).into(), ones(32));
        match action {
            Action::SetVlanVid { vid, pushes, .. } => self.write_old_tag(*vid, 0xfff, *pushes),
            Action::SetVlanPcp { pcp, pushes, .. } => {
                self.write_old_tag(u16::from(*pcp) << 13, 0xe000, *pushes);
            }
            Action::StripVlan => self.strip_tag(),
            Action::PushVlan { ethertype } => self.push_tag(*ethertype),
            Action::SetEthSrc(octets) => self.write(Slot::EthSrc, mac(octets)),
            Action::SetEthDst(octets) => self.write(Slot::EthDst, mac(octets)),
            Action::SetIpv4Src(octets) => {
                self.write_if(Prerequisite::Ipv4, Slot::NwSrc, ipv4(octets));
            }
            Action::SetIpv4Dst(octets) => {
                self.write_if(Prerequisite::Ipv4, Slot::NwDst, ipv4(octets));
            }
            Action::SetIpDscp(tos) => self.write_ip(Slot::NwTos, *tos, 0xfc),
            Action::SetIpEcn(ecn) => self.write_ip(Slot::NwTos, *ecn, 0x03),
            Action::SetIpTtl(ttl) => self.write_ip(Slot::NwTtl, *ttl, 0xff),
            Action::SetL4SrcPort { port, .. } => self.write_port(Slot::TpSrc, *port),
            Action::SetL4DstPort { port, .. } => self.write_port(Slot::TpDst, *port),
            Action::SetMplsLabel(label) => self.write_mpls(*label << 12, 0xffff_f000),
            Action::SetMplsTc(class) => self.write_mpls(u32::from(*class) << 9, 0xe00),
            Action::SetMplsTtl(ttl) => self.write_mpls((*ttl).into(), 0xff),
            Action::PushMpls { ethertype } => self.push_mpls(*ethertype),
            Action::PopMpls { ethertype } => self.pop_mpls(*ethertype),
            // Conjunctions are the classifier's; notes are nobody's; `nat` is part of `ct`.
            _ => {}
        }
    }

    fn write_ip(&mut self, slot: Slot, value: u8, mask: u8) {
        self.write_if(Prerequisite::Ip, slot, Bits::new(value.into(), mask.into()));
    }

    fn set_field(&mut self, field: Field, value: u128, mask: u128) {
        if self.has(field.prerequisite()) {
            self.write_masked(field, value, mask);
        } else {
            self.note(Note::Prerequisite);
        }
    }

    /// A part of an option of tunnels.
    fn write_long(&mut self, part: Subfield, bits: Bits) {
        if bits.mask == ones(part.bits.into()) {
            self.write_bits(part, bits.value);
        } else if bits.mask != 0 {
            // The bits between those that are set stay what they are, and decide.
            let old = self.read_bits(part);
            self.write_bits(part, old & !bits.mask | bits.value);
        }
    }

    /// Takes an option of tunnels out.
    fn delete(&mut self, field: Field) {
        parts(Subfield::whole(field)).for_each(|part| self.write_bits(part, 0));
        if let Some(number) = field.tun_metadata_number() {
            self.write(Slot::TunPresent, Bits::new(0, 1 << number));
        }
    }

    fn copy(&mut self, source: Subfield, destination: Subfield) {
        let needs = [source.field.prerequisite(), destination.field.prerequisite()];
        if !needs.into_iter().all(|needed| self.has(needed)) {
            self.note(Note::Prerequisite);
            return;
        }
        for (from, to) in parts(source).zip(parts(destination)) {
            let value = self.read_bits(from);
            self.write_bits(to, value);
            self.note(Note::Value(value));
        }
    }

    fn push(&mut self, source: Subfield) {
        for part in parts(source) {
            let value = self.read_bits(part);
            self.state.push(StackItem { value, bits: part.bits });
            self.note(Note::Value(value));
        }
        if self.state.stack_bytes > STACK_MAX {
            self.fail(Refused::StackFull);
        }
    }

    fn pop(&mut self, destination: Subfield) {
        for part in parts(destination).rev() {
            match self.state.pop() {
                Some(item) if self.has(destination.field.prerequisite()) => {
                    self.write_bits(part, item.value);
                    self.note(Note::Value(item.value));
                }
                Some(_) => self.note(Note::Prerequisite),
                None => self.note(Note::StackEmpty),
            }
        }
    }

    pub(in crate::walk) fn clear_connection(&mut self) {
        const CONNECTION: [Slot; 11] = [
            Slot::CtState,
            Slot::CtZone,
            Slot::CtMark,
            Slot::CtLabel,
            Slot::CtNwProto,
            Slot::CtNwSrc,
            Slot::CtNwDst,
            Slot::CtIpv6Src,
            Slot::CtIpv6Dst,
            Slot::CtTpSrc,
            Slot::CtTpDst,
        ];
        for slot in CONNECTION {
            self.write(slot, Bits::new(0, slot.ones()));
        }
    }

    /// The flow's timeouts shrink when a packet ends its connection.
    fn fin_timeout(&mut self, timeout: FinTimeout, context: Context) {
        const FIN_OR_RST: u128 = 0x5;
        let Some(rule) = context.rule else { return };
        if self.has(Prerequisite::Tcp) {
            self.reads.cover(Slot::TcpFlags, FIN_OR_RST);
            if self.state.key.get(Slot::TcpFlags) & FIN_OR_RST != 0 {
                let FinTimeout { idle, hard } = timeout;
                self.builder.push(Step::Shorten { rule, idle, hard });
            }
        }
    }

    /// Looks up as if the packet had come in elsewhere, or had its connection's addresses.
    fn resubmit(&mut self, resubmit: Resubmit, context: Context) {
        let table = if resubmit.table == TableId::ALL { context.table } else { resubmit.table };
        let depth = context.depth + u16::from(table <= context.table);
        let context = Context { depth, ..context };
        if self.state.is_stale {
            let actions = Box::new([Action::Resubmit(Resubmit { table, ..resubmit })]);
            self.resume_later(Pending::Actions { actions, context }, None);
            return;
        }
        if resubmit.in_port == PortNo::IN_PORT && !resubmit.with_ct {
            self.lookup(table, false, context);
            return;
        }
        let key = self.state.key.clone();
        if resubmit.in_port != PortNo::IN_PORT {
            self.state.key.set(Slot::InPort, resubmit.in_port.0.into());
        }
        if resubmit.with_ct && !self.swap_addresses() {
            self.note(Note::NotTracked);
            self.state.key = key;
            return;
        }
        self.lookup_with(table, false, context, Some(key));
    }

    /// Puts the addresses of the connection's original direction in the place of the packet's.
    fn swap_addresses(&mut self) -> bool {
        let protocol = self.read(Slot::CtNwProto);
        if protocol == 0 || !self.has(Prerequisite::Ip) {
            return false;
        }
        let pairs = [
            (Slot::NwProto, Slot::CtNwProto),
            (Slot::NwSrc, Slot::CtNwSrc),
            (Slot::NwDst, Slot::CtNwDst),
            (Slot::Ipv6Src, Slot::CtIpv6Src),
            (Slot::Ipv6Dst, Slot::CtIpv6Dst),
            (Slot::TpSrc, Slot::CtTpSrc),
            (Slot::TpDst, Slot::CtTpDst),
        ];
        for (slot, connection) in pairs {
            // The look-up covers the packet's slot in the place of this one.
            let value = self.read(connection);
            self.state.key.set(slot, value);
        }
        true
    }

    /// Looks the packet up; its rule's actions are next.
    pub(in crate::walk) fn lookup(&mut self, table: TableId, honors_miss: bool, context: Context) {
        self.lookup_with(table, honors_miss, context, None);
    }

    /// The same with a key that is another for this look-up: `key` is the packet's.
    fn lookup_with(
        &mut self,
        table: TableId,
        honors_miss: bool,
        context: Context,
        key: Option<crate::Key>,
    ) {
        if self.state.is_stale {
            self.resume_later(Pending::Lookup { table, honors_miss, context }, None);
            return;
        }
        let State { tables, key: now, .. } = &self.state;
        let mut rule = tables.lookup(table, now, &mut self.reads, &mut self.visited);
        if let Some(key) = key {
            self.state.key = key;
        }
        if honors_miss && rule.is_none() {
            self.depends_on(Fact::Miss(table));
            rule = self.state.tables.miss(table);
        }
        self.event(|_| Event::Table { table, rule: rule.map(AsRef::as_ref) });
        let Some(rule) = rule else { return };
        self.lookups += 1;
        if context.depth >= DEPTH_MAX {
            self.fail(Refused::TooDeep);
        } else if self.lookups > LOOKUPS_MAX {
            self.fail(Refused::TooManyLookups);
        } else {
            self.builder.count_rule(rule.id);
            let context = Context {
                table,
                cookie: rule.cookie,
                rule: Some(rule.id),
                is_miss: rule.priority == 0 && rule.matching.is_any(),
                ..context
            };
            self.work.push(Work::Actions(List::Slice(&rule.actions), context));
        }
    }
}

/// The port that bits of a field name: 16 of them are a number of 1.0.
fn wide_port(source: Subfield, number: u128) -> PortNo {
    match (source.bits, u16::try_from(number)) {
        (..=16, Ok(narrow)) => PortNo::from_u16(narrow),
        _ => PortNo(u32::try_from(number).unwrap_or(PortNo::ANY.0)),
    }
}

/// True when an action needs more of the headers than their addresses.
fn reads_headers(action: &Action) -> bool {
    let is_header = |field: Field| {
        let mut places = field.places().iter();
        places.any(|place| {
            place.slot.is_header() && place.slot != Slot::EthDst && place.slot != Slot::EthSrc
        })
    };
    match action {
        Action::SetField { field, .. } => is_header(*field),
        Action::Move { source, destination, .. } => {
            is_header(source.field) || is_header(destination.field)
        }
        Action::Push(part) | Action::Pop(part) => is_header(part.field),
        Action::OutputReg { source, .. } => is_header(source.field),
        Action::Output { .. }
        | Action::OutputTruncated { .. }
        | Action::Controller(_)
        | Action::Enqueue { .. }
        | Action::SetEthSrc(_)
        | Action::SetEthDst(_)
        | Action::SetTunnel { .. }
        | Action::SetQueue(_)
        | Action::PopQueue
        | Action::Note(_)
        | Action::Exit
        | Action::Resubmit(_)
        | Action::GotoTable(_)
        | Action::Clone(_)
        | Action::Group(_)
        | Action::WriteActions(_)
        | Action::ClearActions
        | Action::WriteMetadata { .. }
        | Action::Meter(_)
        | Action::CtClear => false,
        _ => true,
    }
}
