//! `ofproto/trace` and `weft/trace`: one frame's walk through the real stages.

use super::{Command, Family, command, trace_groups};
use crate::engine::parts::Needs;
use crate::plan::ofport::LOCAL;
use crate::plan::{Held, PlannedPort};
use crate::protocols::snooping::Snooping;
use crate::serve::unixctl::Answer;
use crate::trace::explain::Names;
use crate::trace::explain::Source;
use crate::trace::flow::{self, Flow};
use crate::trace::odp::{Style, number};
use crate::trace::walk::{Hop, hops, slow_path};
use crate::workers::Workers;
use serde_json::{Value, json};
use std::fmt::Write as _;
use weft_switch::trace::{Origin, Probe};
use weft_switch::{DropReason, IfaceId, Learned, Verdict, VlanMode};
use weft_wire::mac::MacAddr;
use weft_wire::{Show, ethernet};

/// The commands of this family.
pub(crate) enum Trace {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub source: Source<'a>,
    pub snooping: &'a Snooping,
    pub workers: &'a mut Workers,
}

impl Needs for Trace {
    type Parts<'a> = Parts<'a>;
}

impl Family for Trace {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Trace>] = &[
    command::<Trace>(
        "ofproto/trace",
        "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]",
        1,
        usize::MAX,
        ofproto_trace,
    ),
    command::<Trace>(
        "weft/trace",
        "{[bridge] port packet | bridge flow} [--learn]",
        2,
        4,
        weft_trace,
    ),
];

/// What `ofproto/trace` was asked.
struct Request {
    bridge: String,
    ingress: Option<IfaceId>,
    flow: Flow,
    frame: Vec<u8>,
    /// Side effects are wanted, which a packet implies.
    learns: bool,
    names: bool,
}

/// Bytes from hexadecimal digits.
fn packet(digits: &str) -> Result<Vec<u8>, String> {
    let garbage = || "Trailing garbage in packet data\n".to_owned();
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(garbage());
    }
    let byte = |pair: &[u8]| -> Option<u8> {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok().filter(|_| !pair.starts_with('+'))
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    let bytes = bytes.ok_or_else(garbage)?;
    if bytes.len() < ethernet::LEN_BYTES {
        return Err("Packet data too short for Ethernet\n".to_owned());
    }
    Ok(bytes)
}

fn read(source: Source<'_>, args: &[String]) -> Result<Request, String> {
    let (mut generates, mut names, mut words) = (false, false, Vec::new());
    for arg in args {
        match arg.as_str() {
            "--generate" | "-generate" => generates = true,
            "--names" => names = true,
            "--no-names" => names = false,
            option if option.starts_with('-') => return Err(format!("{option}: unknown option\n")),
            word => words.push(word),
        }
    }
    let is_bridge = |name: &str| source.desired.bridges.contains_key(name);
    let (bridge, ingress, flow, hex) = match words.as_slice() {
        [bridge, text, hex @ ..] if is_bridge(bridge) && hex.len() < 2 => {
            let flow = openflow(source, bridge, text)?;
            let ingress = port_of(source, bridge, flow.in_port);
            ((*bridge).to_owned(), ingress, flow, hex.first())
        }
        [text, hex @ ..] if text.contains('(') && hex.len() < 2 => {
            let (bridge, ingress, flow) = odp_flow(source, text)?;
            (bridge, Some(ingress), flow, hex.first())
        }
        [dp, text, hex @ ..]
            if super::datapath::is_datapath(source.desired, dp) && hex.len() < 2 =>
        {
            let (bridge, ingress, flow) = odp_flow(source, text)?;
            (bridge, Some(ingress), flow, hex.first())
        }
        [only] => return Err(format!("syntax error at {only} (or the bridge name was omitted)\n")),
        [first, ..] if is_bridge(first) => return Err("too many arguments\n".to_owned()),
        [first, ..] => return Err(format!("{first}: unknown bridge\n")),
        [] => return Err("a flow is missing\n".to_owned()),
    };
    let frame = hex.map_or_else(|| Ok(flow.to_frame()), |hex| packet(hex))?;
    let flow = if hex.is_some() { Flow::of_frame(flow.in_port, &frame) } else { flow };
    Ok(Request { bridge, ingress, flow, frame, learns: generates || hex.is_some(), names })
}

fn openflow(source: Source<'_>, bridge: &str, text: &str) -> Result<Flow, String> {
    let by_name = |name: &str| {
        let named = planned(source).find(|(_, port)| port.bridge == bridge && port.name == name);
        named
            .map(|(_, port)| port.ofport)
            .or_else(|| name.eq_ignore_ascii_case("LOCAL").then_some(LOCAL))
    };
    let flow = flow::parse(text, by_name);
    let flow = flow.map_err(|error| format!("Bad openflow flow syntax: {text}: {error}\n"))?;
    if flow.in_port.is_none() {
        return Err(format!(
            "Bad openflow flow syntax: {text}: in_port is missing: name the port that the frame \
             comes in on\n"
        ));
    }
    Ok(flow)
}

fn odp_flow(source: Source<'_>, text: &str) -> Result<(String, IfaceId, Flow), String> {
    let bad = |why: String| format!("Bad datapath flow syntax: {text}: {why}\n");
    let (port, mut flow) = flow::parse_odp(text).map_err(|error| bad(error.to_string()))?;
    let found = planned(source).find(|(id, other)| {
        other.name == port || port.parse().is_ok_and(|wanted: u32| number(*id) == wanted)
    });
    let (id, planned) = found.ok_or_else(|| bad(format!("in_port({port}): no such port")))?;
    flow.in_port = Some(planned.ofport);
    Ok((planned.bridge.clone(), id, flow))
}

fn planned(source: Source<'_>) -> impl Iterator<Item = (IfaceId, &PlannedPort)> {
    let ports = source.plan.ports.iter();
    ports.filter_map(move |port| Some((source.ids.iface(&port.interface)?, port)))
}

fn port_of(source: Source<'_>, bridge: &str, ofport: Option<u16>) -> Option<IfaceId> {
    let mut ports = planned(source);
    ports.find(|(_, port)| port.bridge == bridge && Some(port.ofport) == ofport).map(|(id, _)| id)
}

/// Traces one frame.
fn walk(workers: &mut Workers, probe: Probe) -> Result<Vec<Hop>, String> {
    let len = probe.frame.len();
    let traced = workers.trace(vec![probe]).map_err(|error| format!("{error}\n"))?;
    let events = traced.into_iter().next().flatten();
    let events =
        events.ok_or_else(|| format!("a frame of {len} bytes finds no room in the datapath\n"))?;
    Ok(hops(events))
}

fn ofproto_trace(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let request = read(lent.source, args)?;
    let Request { ingress, frame, learns, .. } = &request;
    let hops = match ingress {
        Some(iface) => {
            let origin = Origin::Iface(*iface);
            walk(lent.workers, Probe { origin, frame: frame.clone(), learns: *learns })?
        }
        None => Vec::new(),
    };
    let names = Names::new(lent.source);
    Ok(Page { names, lent, request: &request }.text(&hops))
}

/// One answer of `ofproto/trace`.
struct Page<'a> {
    names: Names<'a>,
    lent: &'a Parts<'a>,
    request: &'a Request,
}

impl Page<'_> {
    fn text(&self, hops: &[Hop]) -> String {
        let Request { bridge, flow, names, .. } = self.request;
        let mut text = format!("Flow: {}\n", self.named(flow.to_string()));
        if hops.is_empty() {
            self.heading(&mut text, bridge, true);
            let number = flow.in_port.unwrap_or(0);
            let _ = writeln!(text, "     >>>> received packet on unknown port {number} <<<<");
            text += "     >> no input bundle, dropping\n";
        }
        for hop in hops {
            let bridge =
                self.names.planned(hop.meta.ingress.iface).map_or(bridge, |port| &port.bridge);
            self.hop(&mut text, bridge, hops, hop);
        }
        let actions = self.names.actions(hops, Style { names: *names, all: false });
        let megaflow = self.named(flow.megaflow(actions.contains("_vlan")));
        let _ = write!(
            text,
            "\nFinal flow: unchanged\nMegaflow: {megaflow}\nDatapath actions: {actions}\n"
        );
        if let Some(slow) = slow_path(hops) {
            let why = if slow == "stp" {
                "Consists of STP packets"
            } else {
                "Uses action(s) not supported by datapath"
            };
            let because = "This flow is handled by the userspace slow path because it";
            let _ = writeln!(text, "{because}:\n  - {why}.");
        }
        text
    }

    /// With the name of the interface instead of its number, if that is wanted.
    fn named(&self, text: String) -> String {
        let Request { ingress, flow, names, .. } = self.request;
        match (ingress, flow.in_port) {
            (Some(iface), Some(number)) if *names && number != LOCAL => {
                let name = self.names.interface(*iface);
                text.replacen(&format!("in_port={number},"), &format!("in_port={name},"), 1)
            }
            _ => text,
        }
    }

    /// `is_normal` is false for a frame that is dealt with before the flow table.
    fn heading(&self, text: &mut String, bridge: &str, is_normal: bool) {
        let title = format!("bridge(\"{bridge}\")");
        let _ = writeln!(text, "\n{title}\n{}", "-".repeat(title.len()));
        let forwards =
            self.lent.source.desired.bridges.get(bridge).is_none_or(|known| known.forwards);
        *text += match (forwards, is_normal) {
            (true, true) => " 0. priority 0\n    NORMAL\n",
            (true, false) => " 0. priority 0\n",
            (false, _) => " 0. No match.\n    drop\n",
        };
    }

    /// First what a stock switch says, then what it keeps to itself.
    fn hop(&self, text: &mut String, bridge: &str, hops: &[Hop], hop: &Hop) {
        let is_early = matches!(hop.meta.verdict, Verdict::Drop(DropReason::MirrorPort));
        let is_normal = !(hop.learned.is_none() && is_early || hop.meta.verdict == Verdict::Punt);
        self.heading(text, bridge, is_normal);
        for line in self.stock_lines(hop) {
            let _ = writeln!(text, "     {line}");
        }
        for step in self.names.steps(hops, hop, self.request.learns) {
            if step.stage != "parse" {
                let _ = writeln!(text, "     - {}: {}", step.stage, step.text);
            }
        }
    }

    fn stock_lines(&self, hop: &Hop) -> Vec<String> {
        let mut lines = Vec::new();
        let (port, vid) = (self.names.port(hop.meta.ingress.port), hop.meta.vid);
        let has_learned = matches!(hop.learned, Some(Learned::New | Learned::Moved(_)));
        if has_learned && self.request.learns {
            let mac = MacAddr::from_u64(hop.meta.source);
            lines.push(format!("-> learned that {mac} is on port {port} in VLAN {vid}"));
        }
        if let Some(of_group) = trace_groups::lines(self.lent, hop) {
            lines.extend(of_group);
            return lines;
        }
        match hop.meta.verdict {
            Verdict::Flood => {
                lines.push("-> no learned MAC for destination, flooding".to_owned());
            }
            Verdict::Forward(_) => lines.push("-> forwarding to learned port".to_owned()),
            Verdict::Drop(DropReason::Reflection) => {
                lines.push("-> learned port is input port, dropping".to_owned());
            }
            Verdict::Drop(DropReason::Reserved) => {
                lines.push("-> packet has reserved destination MAC, dropping".to_owned());
            }
            Verdict::Drop(DropReason::MirrorPort) if hop.learned.is_some() => {
                lines.push(">> learned port is a mirror port, dropping".to_owned());
            }
            Verdict::Drop(DropReason::MirrorPort) => lines.push(format!(
                ">>>> dropping packet received on port {port}, which is reserved exclusively for \
                 mirroring <<<<"
            )),
            Verdict::Drop(DropReason::IngressVlan) => lines.extend(self.wrong_vlan(hop)),
            _ => {}
        }
        lines
    }

    fn wrong_vlan(&self, hop: &Hop) -> [String; 2] {
        let vid = hop.meta.vid;
        let port = self.names.planned(hop.meta.ingress.iface);
        let name = port.map_or("?", |port| port.port.as_str());
        let why = match port.map(|port| &port.vlan) {
            Some(vlan) if vlan.mode == VlanMode::Access => format!(
                "dropping VLAN {vid} tagged packet received on port {name} configured as VLAN {} \
                 access port",
                vlan.tag
            ),
            _ => format!(
                "dropping VLAN {vid} packet received on port {name} not configured for trunking \
                 VLAN {vid}"
            ),
        };
        [
            format!(">>>> {why} <<<<"),
            ">> disallowed VLAN VID for this input port, dropping".to_owned(),
        ]
    }
}

/// Where a frame for `weft trace` comes in: a port, or an interface that tunnels leave by.
fn place(source: Source<'_>, bridge: Option<&str>, name: &str) -> Result<Origin, String> {
    if let Some(bridge) = bridge
        && !source.desired.bridges.contains_key(bridge)
    {
        return Err(format!("no bridge named {bridge}\n"));
    }
    let port = source.plan.ports.by_port_or_interface(name);
    let port = port.filter(|port| bridge.is_none_or(|bridge| port.bridge == bridge));
    if let Some(id) = port.and_then(|port| source.ids.iface(&port.interface)) {
        return Ok(Origin::Iface(id));
    }
    let link = source.links.get(name).filter(|link| link.held == Held::Underlay);
    match (link, bridge) {
        (Some(link), None) => Ok(Origin::Link(link.id)),
        (_, Some(bridge)) => Err(format!("bridge {bridge} has no port named {name}\n")),
        (None, None) => Err(format!("no port or underlay interface named {name}\n")),
    }
}

/// True for a text that is no packet in hexadecimal digits.
fn is_flow(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace())
}

/// Where a frame comes in, the name of that, and the frame.
fn asked(source: Source<'_>, words: &[&str]) -> Result<(Origin, String, Vec<u8>), String> {
    let (bridge, name, hex) = match words {
        [bridge, text] if is_flow(text) => {
            if !source.desired.bridges.contains_key(*bridge) {
                return Err(format!("no bridge named {bridge}\n"));
            }
            let flow = openflow(source, bridge, text)?;
            let in_port = flow.in_port.unwrap_or_default();
            let id = port_of(source, bridge, flow.in_port);
            let id = id.ok_or_else(|| format!("bridge {bridge} has no port {in_port}\n"))?;
            let name = Names::new(source).interface(id).to_owned();
            return Ok((Origin::Iface(id), name, flow.to_frame()));
        }
        [port, hex] => (None, *port, *hex),
        [bridge, port, hex] => (Some(*bridge), *port, *hex),
        _ => return Err("give a port and a packet, or a bridge and a flow\n".to_owned()),
    };
    Ok((place(source, bridge, name)?, name.to_owned(), packet(hex)?))
}

fn weft_trace(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let learns = args.iter().any(|arg| arg == "--learn");
    let words: Vec<&str> =
        args.iter().map(String::as_str).filter(|word| *word != "--learn").collect();
    let (origin, name, frame) = asked(lent.source, &words)?;
    let outer = matches!(origin, Origin::Link(_)).then(|| Show(&frame).to_string());
    let hops = walk(lent.workers, Probe { origin, frame, learns })?;
    let names = Names::new(lent.source);
    let value = json!({
        "port": name,
        "outer": outer,
        "hops": hops.iter().map(|hop| hop_json(&names, &hops, hop, learns)).collect::<Vec<_>>(),
        "actions": names.actions(&hops, Style { names: true, all: false }),
    });
    Ok(format!("{value}\n"))
}

fn hop_json(names: &Names<'_>, hops: &[Hop], hop: &Hop, learns: bool) -> Value {
    let steps = names.steps(hops, hop, learns);
    let steps: Vec<_> =
        steps.iter().map(|step| json!({"stage": step.stage, "text": step.text})).collect();
    let port = names.planned(hop.meta.ingress.iface);
    json!({
        "bridge": port.map(|port| &port.bridge),
        "port": port.map(|port| port.port.as_str()),
        "vlan": hop.meta.vid.get(),
        "steps": steps,
    })
}

#[cfg(test)]
mod tests {
    use super::packet;

    #[test]
    fn packets_are_digits() {
        assert_eq!(packet("0200 0000000202000000000708 00").unwrap().len(), 14);
        assert_eq!(packet("zz").unwrap_err(), "Trailing garbage in packet data\n");
        assert_eq!(packet("+1").unwrap_err(), "Trailing garbage in packet data\n");
        assert_eq!(packet("aab").unwrap_err(), "Trailing garbage in packet data\n");
        assert_eq!(packet("aabb").unwrap_err(), "Packet data too short for Ethernet\n");
    }
}
