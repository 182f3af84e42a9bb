//! Whether actions fit the packets that a flow takes.

use super::bits;
use super::nicira::hash::member;
use weft_flow::action::{Ct, Learn, LearnDestination, LearnSource, Nat, NatAddresses, ZoneSource};
use weft_flow::field::{Prerequisite, ones};
use weft_flow::request::Refusal;
use weft_flow::{Action, Bits, Field, Match, PortNo, Slot, Subfield, TableId, Version};

/// What the switch has, and where the actions are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The version of the message: 1.0 takes actions that no packet of the flow has the headers for.
    pub version: Version,
    /// Ports have numbers below this one.
    pub port_end: u32,
    /// The flow's table; [`TableId::ALL`]: it is not in one yet.
    pub table: TableId,
    /// How many tables there are.
    pub tables: u8,
}

/// Refuses a port that actions cannot send to, where ports have numbers below `end`.
pub(super) fn port(port: PortNo, end: u32) -> Result<(), Refusal> {
    const RESERVED: std::ops::RangeInclusive<u32> = PortNo::IN_PORT.0..=PortNo::LOCAL.0;
    let is_port = port.0 < end || RESERVED.contains(&port.0);
    if is_port { Ok(()) } else { Err(Refusal::BadOutPort) }
}

/// Refuses actions that the packets of a match have no headers for, ports and tables that are not
/// there.  Notes in actions what they can count on: a tag, the protocol.
///
/// # Errors
/// The first that does not fit.
pub fn check(actions: &mut [Action], matching: &Match, limits: &Limits) -> Result<(), Refusal> {
    let mut packet = Packet {
        matching: matching.clone(),
        tags: u8::from(matching.has(Prerequisite::Vlan)),
        limits,
    };
    actions.iter_mut().try_for_each(|action| packet.check(action))
}

/// What is sure of a packet, as actions change it.
struct Packet<'a> {
    matching: Match,
    tags: u8,
    limits: &'a Limits,
}

impl Packet<'_> {
    fn has(&self, prerequisite: Prerequisite) -> bool {
        match prerequisite {
            Prerequisite::Vlan => self.tags > 0,
            _ => self.matching.has(prerequisite),
        }
    }

    /// Refuses what does not fit, unless the version is not so strict.
    fn needs(&self, fits: bool) -> Result<(), Refusal> {
        if fits || self.limits.version == Version::V10 {
            Ok(())
        } else {
            Err(Refusal::MatchInconsistent)
        }
    }

    /// Refuses a field that packets do not have, in every version.
    fn part(&self, part: Subfield) -> Result<(), Refusal> {
        if self.has(part.field.prerequisite()) { Ok(()) } else { Err(Refusal::MatchInconsistent) }
    }

    fn nested(&self, actions: &mut [Action]) -> Result<(), Refusal> {
        let mut inside = Packet { matching: self.matching.clone(), ..*self };
        actions.iter_mut().try_for_each(|action| inside.check(action))
    }

    fn check(&mut self, action: &mut Action) -> Result<(), Refusal> {
        match action {
            Action::Output { port: to, .. } | Action::OutputTruncated { port: to, .. } => {
                port(*to, self.limits.port_end)
            }
            Action::Enqueue { port, .. } => {
                let is_special = [PortNo::IN_PORT, PortNo::LOCAL].contains(port);
                let is_port = is_special || port.0 < self.limits.port_end;
                if is_port { Ok(()) } else { Err(Refusal::BadOutPort) }
            }
            Action::Bundle(of) => {
                of.destination.map_or(Ok(()), |to| self.part(to))?;
                of.members.iter().try_for_each(|to| member(*to, self.limits.port_end).map(drop))
            }
            Action::Multipath(of) => self.part(of.destination),
            Action::OutputReg { source: part, .. }
            | Action::Push(part)
            | Action::Pop(part)
            | Action::CheckPktLarger { destination: part, .. } => self.part(*part),
            Action::Move { source, destination, .. } => {
                self.part(*source)?;
                self.part(*destination)
            }
            Action::SetField { field, value, has_vlan, .. } => {
                *has_vlan = self.tags > 0;
                self.set(*field, *value)
            }
            Action::Resubmit(to) if to.with_ct && !self.has(Prerequisite::Ct) => {
                Err(Refusal::MatchInconsistent)
            }
            Action::Learn(of) => self.learn(of),
            Action::Clone(actions) => self.nested(actions),
            Action::Ct(of) => self.ct(of),
            Action::Nat(of) => self.nat(of),
            _ => self.headers(action),
        }
    }

    /// Actions that work on a header of their own.
    fn headers(&mut self, action: &mut Action) -> Result<(), Refusal> {
        match action {
            Action::SetVlanVid { pushes, has_vlan, .. }
            | Action::SetVlanPcp { pushes, has_vlan, .. } => {
                *has_vlan = self.tags > 0;
                self.needs(*pushes || self.tags > 0)?;
                self.tags = self.tags.max(1);
                Ok(())
            }
            Action::StripVlan => {
                self.needs(self.tags > 0)?;
                self.tags = self.tags.saturating_sub(1);
                Ok(())
            }
            Action::PushVlan { .. } if self.tags >= 2 => Err(Refusal::BadTag),
            Action::PushVlan { .. } => {
                self.tags += 1;
                Ok(())
            }
            Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => {
                self.needs(self.has(Prerequisite::Ipv4))
            }
            Action::SetIpDscp(_)
            | Action::SetIpEcn(_)
            | Action::SetIpTtl(_)
            | Action::DecTtl { .. } => self.needs(self.has(Prerequisite::Ip)),
            Action::SetL4SrcPort { protocol, .. } | Action::SetL4DstPort { protocol, .. } => {
                let of = self.matching.slot(Slot::NwProto);
                *protocol = u8::try_from(of.value).unwrap_or_default();
                let has = [Prerequisite::Tcp, Prerequisite::Udp, Prerequisite::Sctp];
                self.needs(has.into_iter().any(|has| self.has(has)))
            }
            Action::SetMplsLabel(_)
            | Action::SetMplsTc(_)
            | Action::SetMplsTtl(_)
            | Action::DecMplsTtl => self.needs(self.has(Prerequisite::Mpls)),
            Action::PushMpls { ethertype } => {
                self.becomes(*ethertype);
                self.matching.set_slot(Slot::NwProto, Bits::default());
                Ok(())
            }
            Action::PopMpls { ethertype } => {
                self.needs(self.has(Prerequisite::Mpls))?;
                self.becomes(*ethertype);
                Ok(())
            }
            Action::FinTimeout(_) => self.needs(self.matching.slot(Slot::NwProto).value == 6),
            _ => self.instructions(action),
        }
    }

    fn instructions(&self, action: &mut Action) -> Result<(), Refusal> {
        match action {
            // What an action set works on cannot be told: only hard refusals count.
            Action::WriteActions(actions) => {
                let limits = Limits { version: Version::V10, ..*self.limits };
                let inside =
                    Packet { matching: self.matching.clone(), tags: self.tags, limits: &limits };
                inside.nested(actions)
            }
            Action::Meter(meter) if meter.0 == 0 || *meter > weft_flow::MeterId::MAX => {
                Err(Refusal::InvalidMeter)
            }
            Action::GotoTable(to) => {
                let Limits { table, tables, .. } = *self.limits;
                let is_back = table != TableId::ALL && *to <= table;
                if is_back || to.0 >= tables { Err(Refusal::InstBadTableId) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn becomes(&mut self, ethertype: u16) {
        self.matching.set_slot(Slot::EthType, Bits::new(ethertype.into(), 0xffff));
    }

    fn set(&mut self, field: Field, value: u128) -> Result<(), Refusal> {
        let needs_tag = field.name() == "vlan_vid";
        self.needs(self.has(field.prerequisite()) && (!needs_tag || self.tags > 0))?;
        if field.name() == "vlan_tci" {
            self.tags = u8::from(value & 0x1000 != 0).max(self.tags.saturating_sub(1));
        }
        Ok(())
    }

    fn learn(&self, of: &Learn) -> Result<(), Refusal> {
        let mut learned = Packet { matching: Match::any(), tags: 0, limits: self.limits };
        for spec in &of.specs {
            if let LearnSource::Field(source) = spec.source {
                inside(source)?;
                self.part(source)?;
            }
            match (spec.destination, &spec.source) {
                (LearnDestination::Match(to), source) => {
                    inside(to)?;
                    learned.part(to)?;
                    if let LearnSource::Value(value) = source {
                        learned.asks(to, *value);
                    }
                }
                (LearnDestination::Load(to), _) => {
                    inside(to)?;
                    learned.part(to)?;
                    if !to.field.is_writable() {
                        return Err(Refusal::BadSetArgument);
                    }
                }
                (LearnDestination::Output, _) => {}
            }
        }
        Ok(())
    }

    fn asks(&mut self, part: Subfield, value: u128) {
        let shifted = |bits: u128| bits.checked_shl(part.offset.into()).unwrap_or_default();
        self.matching.set(part.field, shifted(value), shifted(ones(part.bits.into())));
        self.tags = u8::from(self.matching.has(Prerequisite::Vlan));
    }

    fn ct(&self, of: &mut Ct) -> Result<(), Refusal> {
        const INVALID: u128 = 0x10;
        const FTP: u16 = 21;
        const TFTP: u16 = 69;
        let protocol = self.matching.slot(Slot::NwProto).value;
        let is_invalid = self.matching.slot(Slot::CtState).value & INVALID != 0;
        if !self.has(Prerequisite::Ip)
            || is_invalid && of.commits
            || of.helper == FTP && protocol != 6
            || of.helper == TFTP && protocol != 17
        {
            return Err(Refusal::MatchInconsistent);
        }
        if let ZoneSource::Field(part) = of.zone {
            self.part(part)?;
        }
        self.nested(&mut of.actions)
    }

    fn nat(&self, of: &Nat) -> Result<(), Refusal> {
        let needed = match of.addresses {
            NatAddresses::None => Prerequisite::Ip,
            NatAddresses::V4(..) => Prerequisite::Ipv4,
            NatAddresses::V6(..) => Prerequisite::Ipv6,
        };
        if self.has(needed) { Ok(()) } else { Err(Refusal::MatchInconsistent) }
    }
}

/// Refuses bits that a field does not have.
fn inside(part: Subfield) -> Result<(), Refusal> {
    let end = u32::from(part.offset) + u32::from(part.bits);
    let fits = part.bits > 0 && end <= bits::plain_width(part.field);
    if fits { Ok(()) } else { Err(Refusal::BadSetLen) }
}

#[cfg(test)]
mod tests;
