//! A trace in words, stage by stage.

use crate::config::desired::Desired;
use crate::config::names::PortName;
use crate::host::links::Links;
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, PlannedPort};
use crate::protocols::spanning::Spanning;
use crate::trace::walk::{Fate, Hop, Output};
use std::collections::BTreeSet;
use weft_switch::{
    DropReason, FdbRecord, IfaceId, Learned, LinkId, Meta, MirrorId, PortConf, PortId, Snapshot,
    TunnelConf, Verdict, VlanMode, trace,
};
use weft_wire::mac::MacAddr;
use weft_wire::{Show, parse_l2};

/// What one stage did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub stage: &'static str,
    /// One line.
    pub text: String,
}

/// Where the words for a trace come from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was published last.
    pub plan: &'a Installed,
    /// Open links.
    pub links: &'a Links,
    /// Numbers.
    pub ids: &'a Ids,
    /// What keeps ports from forwarding.
    pub spanning: &'a Spanning,
    /// What the workers forward by.
    pub snapshot: &'a Snapshot,
}

/// Names for the numbers of a trace, each looked up when it is needed: there may be thousands of ports.
pub struct Names<'a> {
    source: Source<'a>,
}

impl<'a> Names<'a> {
    /// Of what is published now.
    #[must_use]
    pub const fn new(source: Source<'a>) -> Self {
        Self { source }
    }

    /// An interface.
    #[must_use]
    pub fn planned(&self, iface: IfaceId) -> Option<&'a PlannedPort> {
        self.source.plan.ports.get(self.source.ids.row(iface)?)
    }

    /// The name of a port.
    #[must_use]
    pub fn port(&self, port: PortId) -> &'a str {
        self.source.ids.ports.key(port.0).map_or("a port that is gone", PortName::as_str)
    }

    /// The name of the port of an interface.
    #[must_use]
    pub fn port_of(&self, iface: IfaceId) -> &'a str {
        self.planned(iface).map_or("a port that is gone", |port| port.port.as_str())
    }

    /// The name of an interface.
    #[must_use]
    pub fn interface(&self, iface: IfaceId) -> &'a str {
        self.planned(iface).map_or("a port that is gone", |port| &port.name)
    }

    /// The name of a link.
    #[must_use]
    pub fn link(&self, id: LinkId) -> &'a str {
        let named = self.source.links.iter().find(|(_, link)| link.id == id);
        named.map_or("a link that is gone", |(name, _)| name)
    }

    /// The name of a mirror.
    fn mirror(&self, id: MirrorId) -> &'a str {
        let bridges = self.source.desired.bridges.values();
        let row = self.source.ids.mirrors.key(id.0);
        let mut mirrors = bridges.flat_map(|bridge| &bridge.mirrors);
        let named = mirrors.find(|mirror| Some(&mirror.uuid) == row);
        named.map_or("that is gone", |mirror| &mirror.name)
    }

    /// True for a tunnel.
    #[must_use]
    pub fn is_tunnel(&self, iface: IfaceId) -> bool {
        let carrier = self.planned(iface).map(|port| &port.carrier);
        matches!(carrier, Some(Carrier::Tunnel(..)))
    }

    /// How the datapath has a tunnel.
    #[must_use]
    pub fn tunnel(&self, iface: IfaceId) -> Option<&'a TunnelConf> {
        self.source.snapshot.tunnel(iface)
    }

    /// How the datapath has a port.
    fn conf(&self, port: PortId) -> Option<&'a PortConf> {
        self.source.snapshot.port(port)
    }
}

/// A drop reason in a few words.
#[must_use]
pub fn reason(reason: DropReason) -> String {
    let words = match reason {
        DropReason::Truncated => "it is shorter than its headers",
        DropReason::GroupSource => "its source is a group address",
        DropReason::Reflection => "its destination is on the port that it came from",
        DropReason::Reserved => "its destination is a link-local group address",
        DropReason::IngressVlan => "the port is not in its VLAN",
        DropReason::EgressVlan => "not in its VLAN",
        DropReason::PortBlocked => "the port, or its bridge, does not forward",
        DropReason::MirrorPort => "reserved for the copies of a mirror",
        DropReason::SplitHorizon => "of the same split-horizon group as the ingress port",
        DropReason::NoMember => "there is no other port to send it to",
        DropReason::NoPort => "the link has no port",
        DropReason::ExceedsMtu => "it is too long",
        DropReason::NoRoute => "the remote end cannot be reached",
        other => return format!("dropped as {}", other.name()),
    };
    format!("{words} ({})", reason.name())
}

impl Names<'_> {
    /// The way through one bridge, which is one of `hops`, stage by stage.  `learns` says that the
    /// trace leaves its mark.
    #[must_use]
    pub fn steps(&self, hops: &[Hop], hop: &Hop, learns: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut step = |stage, text| steps.push(Step { stage, text });
        step("parse", Show(&hop.frame).to_string());
        step("ingress", self.ingress(hop));
        if let Some(learned) = hop.learned {
            step("learn", self.learn(hop, learned, learns));
        }
        if hop.is_punted {
            step("punt", "a control frame: the control thread gets it".to_owned());
        }
        if hop.learned.is_some() || !hop.outputs.is_empty() {
            step("forward", self.forward(hop));
        }
        if let Some(why) = hop.dropped {
            step("drop", self.why_dropped(hop, why));
        }
        for output in &hop.outputs {
            step("egress", self.egress(hops, hop, output));
        }
        for text in self.left_out(hop) {
            step("egress", text);
        }
        steps
    }

    /// Why a frame has no copy at all.
    fn why_dropped(&self, hop: &Hop, why: DropReason) -> String {
        let target = hop.target.map(|record| record.port).filter(|_| hop.learned.is_some());
        let ends = [Some(hop.meta.ingress.port), target].into_iter().flatten();
        let why_at = ends.filter_map(|port| self.blocked(port));
        let text = why_at.map(|text| format!("{text} ({})", why.name())).next();
        text.filter(|_| why == DropReason::PortBlocked).unwrap_or_else(|| reason(why))
    }

    /// Why a port does not get a copy.
    fn why_not(&self, port: PortId, why: DropReason) -> String {
        let text = self.blocked(port).filter(|_| why == DropReason::PortBlocked);
        text.map_or_else(|| reason(why), |text| format!("{text} ({})", why.name()))
    }

    /// What keeps a port from forwarding: its bridge, a spanning tree or a loop guard.
    fn blocked(&self, port: PortId) -> Option<String> {
        let planned = self.source.plan.ports.by_port(self.source.ids.ports.key(port.0)?)?;
        let bridge = self.source.desired.bridges.get(&planned.bridge)?;
        if !bridge.forwards {
            return Some(format!("bridge {} forwards nothing, as fail_mode has it", bridge.name));
        }
        let why = self.source.spanning.blocked(&planned.bridge, port)?;
        Some(format!("{} is blocked, {why}", planned.port))
    }

    fn ingress(&self, hop: &Hop) -> String {
        let Some(port) = self.planned(hop.meta.ingress.iface) else {
            return "no port takes it".to_owned();
        };
        let kind = match port.vlan.mode {
            VlanMode::Access => format!("access port of VLAN {}", port.vlan.tag),
            VlanMode::Trunk => "trunk port".to_owned(),
            VlanMode::NativeTagged => format!("native-tagged port of VLAN {}", port.vlan.tag),
            VlanMode::NativeUntagged => format!("native-untagged port of VLAN {}", port.vlan.tag),
            VlanMode::Dot1qTunnel => format!("dot1q-tunnel port of VLAN {}", port.vlan.tag),
        };
        let place = format!("{} of bridge {}, {kind}", port.port, port.bridge);
        match hop.meta.verdict {
            Verdict::Drop(DropReason::IngressVlan | DropReason::Truncated) => place,
            _ => format!("{place}: the frame is in VLAN {}", hop.meta.vid),
        }
    }

    fn learn(&self, hop: &Hop, learned: Learned, learns: bool) -> String {
        let (mac, vid) = (MacAddr::from_u64(hop.meta.source), hop.meta.vid);
        let port = self.port(hop.meta.ingress.port);
        let here = format!("{mac} in VLAN {vid}");
        let tense = if learns { "learned" } else { "would be learned" };
        match (learned, hop.source) {
            (Learned::New, _) => format!("{here} is new: {tense} on {port}"),
            (Learned::Moved(was), _) => {
                format!("{here} was on {}: {tense} on {port}", self.port(was))
            }
            (_, Some(FdbRecord { age_secs: None, port, .. })) => {
                format!("{here} is static on {}", self.port(port))
            }
            _ => format!("{here} is known on {port}"),
        }
    }

    fn forward(&self, hop: &Hop) -> String {
        let Meta { target, vid, .. } = hop.meta;
        let mac = MacAddr::from_u64(target);
        if mac.is_group() {
            return match hop.meta.verdict {
                Verdict::Multicast(_) => {
                    let members: Vec<_> = hop.members.iter().map(|port| self.port(*port)).collect();
                    let members =
                        if members.is_empty() { "none".to_owned() } else { members.join(", ") };
                    format!("{mac}: to the ports that snooping knows: {members}")
                }
                Verdict::Flood => format!("{mac} is a group address: to all ports of VLAN {vid}"),
                _ => format!("{mac} is a group address"),
            };
        }
        match hop.target {
            Some(FdbRecord { port, age_secs: Some(age), .. }) => {
                format!("{mac} was heard on {} {age} s ago", self.port(port))
            }
            Some(FdbRecord { port, age_secs: None, .. }) => {
                format!("{mac} is static on {}", self.port(port))
            }
            None => format!("{mac} is not known: to all ports of VLAN {vid}"),
        }
    }

    fn egress(&self, hops: &[Hop], hop: &Hop, output: &Output) -> String {
        let mut port = self.port_of(output.iface).to_owned();
        let id = self.source.snapshot.ingress(output.iface).port;
        if let Some(mirror) = output.mirror {
            port = format!("mirror {} to {port}", self.mirror(mirror));
        }
        let form = output.frame.as_deref().map(form).unwrap_or_default();
        match &output.fate {
            Fate::Sent(_, _) if id == hop.meta.ingress.port && output.mirror.is_none() => {
                format!("{port}: an answer to the sender: {}", shown(output.frame.as_deref()))
            }
            Fate::Sent(_, wire) if Some(wire) == output.frame.as_ref() => format!("{port}: {form}"),
            Fate::Sent(link, wire) => {
                format!("{port}: {form}, by {} as {}", self.link(*link), Show(wire))
            }
            Fate::Crossed(next) => {
                let Some(next) = hops.get(*next) else { return format!("{port}: {form}") };
                let bridge = self.planned(next.meta.ingress.iface).map_or("?", |port| &port.bridge);
                let way = if self.is_tunnel(output.iface) {
                    format!("into bridge {bridge} as {}", Show(&next.frame))
                } else if self.is_tunnel(next.meta.ingress.iface) {
                    let tunnel = self.port(next.meta.ingress.port);
                    format!("a packet of tunnel {tunnel}, into bridge {bridge} without its headers")
                } else {
                    format!("into bridge {bridge}")
                };
                format!("{port}: {form}, {way}")
            }
            Fate::Waits => format!("{port}: waits until the next hop's address is known"),
            Fate::Fragmented => format!("{port}: too long, goes in fragments"),
            Fate::Dropped(why) => format!("not {port}: {}", self.why_not(id, *why)),
        }
    }

    /// The ports of the bridge that a frame for many ports does not go to.
    fn left_out(&self, hop: &Hop) -> Vec<String> {
        let Some(ingress) = self.conf(hop.meta.ingress.port).filter(|_| hop.is_for_many()) else {
            return Vec::new();
        };
        let own = hop.outputs.iter().filter(|output| output.mirror.is_none());
        let of = |output: &Output| self.source.snapshot.ingress(output.iface).port;
        let sent: BTreeSet<_> = own.map(of).collect();
        let ports = self.source.ids.ports.all().map(|(id, name)| (PortId(id), name));
        ports
            .filter(|(id, _)| *id != hop.meta.ingress.port && !sent.contains(id))
            .filter_map(|(id, name)| Some((id, name, self.conf(id)?)))
            .filter(|(_, _, conf)| conf.bridge == ingress.bridge)
            .map(|(id, name, conf)| {
                let why = trace::why_not(ingress, conf, &hop.meta);
                let why = why.map(|why| self.why_not(id, why));
                let why = why.unwrap_or_else(|| "not one of the frame's ports".to_owned());
                format!("not {name}: {why}")
            })
            .collect()
    }
}

fn shown(frame: Option<&[u8]>) -> String {
    frame.map(|frame| Show(frame).to_string()).unwrap_or_default()
}

/// Tags and length.
fn form(frame: &[u8]) -> String {
    let tags = parse_l2(frame).map(|l2| [l2.outer_tag, l2.inner_tag]).unwrap_or_default();
    let tags: Vec<_> = tags
        .into_iter()
        .flatten()
        .map(|tag| format!("VLAN {} priority {}", tag.tci.vid(), tag.tci.pcp().get()))
        .collect();
    let tags = if tags.is_empty() { "untagged".to_owned() } else { tags.join(" in ") };
    format!("{tags}, {} bytes", frame.len())
}
