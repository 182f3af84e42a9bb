//! Flows in the words of the datapath, as `dpctl/dump-flows` prints them.

use crate::plan::Carrier;
use crate::trace::explain::Names;
use crate::trace::flow::{Arp, Flow, Ip, Net};
use crate::trace::walk::{Fate, Hop};
use std::fmt::Write as _;
use weft_switch::IfaceId;
use weft_wire::{EtherType, IpProtocol, Ipv4Header, Ipv6Header, Tag, parse_l2};

/// How flows are printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Ports by name instead of by number.
    pub names: bool,
    /// Fields that do not matter, too.
    pub all: bool,
}

/// The number of an interface as a port of the datapath: 0 is the datapath itself.
#[must_use]
pub const fn number(iface: IfaceId) -> u32 {
    iface.0 as u32 + 1
}

impl Names<'_> {
    fn odp_port(&self, iface: IfaceId, style: Style) -> String {
        if style.names { self.interface(iface).to_owned() } else { number(iface).to_string() }
    }

    /// What a datapath would be told to do: the copies of all bridges, in order.
    #[must_use]
    pub fn actions(&self, hops: &[Hop], style: Style) -> String {
        let mut actions = Vec::new();
        if let Some(first) = hops.first() {
            let mut tags = tags(&first.frame);
            self.hop_actions(hops, first, style, &mut tags, &mut actions);
        }
        // After the last copy nothing needs the frame as it was.
        if let Some(last) = actions.last_mut()
            && let Some(bare) = last.strip_prefix("clone(").and_then(|text| text.strip_suffix(')'))
        {
            *last = bare.to_owned();
        }
        if actions.is_empty() { "drop".to_owned() } else { actions.join(",") }
    }

    fn hop_actions(
        &self,
        hops: &[Hop],
        hop: &Hop,
        style: Style,
        now: &mut Vec<Tag>,
        actions: &mut Vec<String>,
    ) {
        for output in &hop.outputs {
            let Some(frame) = &output.frame else { continue };
            match &output.fate {
                Fate::Sent(link, wire) => {
                    retag(now, &tags(frame), actions);
                    let headers = wire.len().saturating_sub(frame.len());
                    match wire.get(..headers) {
                        Some(outer @ [_, ..]) => {
                            let (port, link) =
                                (self.odp_port(output.iface, style), self.link(*link));
                            actions.push(tnl_push(&port, outer, link));
                        }
                        _ => actions.push(self.odp_port(output.iface, style)),
                    }
                }
                Fate::Crossed(next) => {
                    // A patch port bounds itself, and so does this.
                    let Some(next) = hops.get(*next) else { continue };
                    if self.is_tunnel(output.iface) {
                        retag(now, &tags(frame), actions);
                        actions.push(self.through_bridge(hops, output.iface, frame, next, style));
                        continue;
                    }
                    if self.is_tunnel(next.meta.ingress.iface) {
                        let port = self.odp_port(next.meta.ingress.iface, style);
                        actions.push(format!("tnl_pop({port})"));
                        *now = tags(&next.frame);
                    }
                    self.hop_actions(hops, next, style, now, actions);
                }
                Fate::Waits | Fate::Fragmented | Fate::Dropped(_) => {}
            }
        }
    }

    /// A frame gets the headers of the tunnel `iface`, and goes on as hop `next` of the bridge that the
    /// tunnel leaves by.
    fn through_bridge(
        &self,
        hops: &[Hop],
        iface: IfaceId,
        frame: &[u8],
        next: &Hop,
        style: Style,
    ) -> String {
        let headers = next.frame.len().saturating_sub(frame.len());
        let outer = next.frame.get(..headers).unwrap_or_default();
        let port = self.odp_port(iface, style);
        let mut actions =
            vec![tnl_push(&port, outer, &self.odp_port(next.meta.ingress.iface, style))];
        self.hop_actions(hops, next, style, &mut tags(&next.frame), &mut actions);
        format!("clone({})", actions.join(","))
    }

    /// The match of a flow of `frame` that came in by `iface`.
    #[must_use]
    pub fn odp_match(&self, iface: IfaceId, frame: &[u8], style: Style) -> String {
        let mut text = String::new();
        if let Some(Carrier::Tunnel(..)) = self.planned(iface).map(|port| &port.carrier)
            && let Some(tunnel) = self.tunnel(iface)
        {
            let key = tunnel.out_key.map(|key| format!("tun_id=0x{key:x}"));
            let remote = tunnel.remote.map(|remote| format!("src={remote}"));
            let local = tunnel.local.address().map(|local| format!("dst={local}"));
            let parts: Vec<_> = key.into_iter().chain(remote).chain(local).collect();
            let _ = write!(text, "tunnel({}),", parts.join(","));
        }
        if style.all {
            text += "skb_priority(0/0),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),\
                     ct_label(0/0),";
        }
        text += "recirc_id(0),";
        if style.all {
            text += "dp_hash(0/0),";
        }
        let _ = write!(text, "in_port({}),packet_type(ns=0,id=0)", self.odp_port(iface, style));
        let flow = Flow::of_frame(None, frame);
        let _ = write!(text, ",eth(src={},dst={})", flow.source, flow.target);
        let closing = flow.tags.len();
        let mut separator = ",";
        for (tpid, tci) in &flow.tags {
            let _ = write!(text, "{separator}eth_type(0x{tpid:04x})");
            let _ = write!(text, ",vlan(vid={},pcp={}),encap(", tci & 0xfff, tci >> 13);
            separator = "";
        }
        let _ = write!(text, "{separator}eth_type(0x{:04x})", flow.ethertype);
        net(&mut text, &flow, style.all);
        text + &")".repeat(closing)
    }
}

/// The fields behind the type: those that a learning bridge looks at, or all.
fn net(text: &mut String, flow: &Flow, all: bool) {
    match &flow.net {
        Net::None => {}
        Net::Arp(arp) => show_arp(text, arp, flow.target.is_group(), all),
        Net::Ip(ip) => show_ip(text, ip, all),
    }
}

fn show_arp(text: &mut String, arp: &Arp, matters: bool, all: bool) {
    let Arp { spa, tpa, op, sha, tha } = arp;
    let _ = match (matters, all) {
        (false, false) => Ok(()),
        (true, false) => write!(text, ",arp(sip={spa},tip={tpa},op={op})"),
        (_, true) => {
            let (mask, zero) = if matters { ("", "") } else { ("/0.0.0.0", "/0") };
            let none = "00:00:00:00:00:00";
            write!(
                text,
                ",arp(sip={spa}{mask},tip={tpa}{mask},op={op}{zero},sha={sha}/{none},\
                 tha={tha}/{none})"
            )
        }
    };
}

fn show_ip(text: &mut String, ip: &Ip, all: bool) {
    let is_v6 = ip.source.is_ipv6();
    let family = if is_v6 { "ipv6" } else { "ipv4" };
    let frag = ip.fragment.name();
    if !all {
        let _ = write!(text, ",{family}(frag={frag})");
        return;
    }
    let Ip { source, target, label, protocol, tos, ttl, from, to, .. } = ip;
    let _ = if is_v6 {
        write!(
            text,
            ",ipv6(src={source}/::,dst={target}/::,label={label}/0,proto={protocol}/0,\
             tclass={tos}/0,hlimit={ttl}/0,frag={frag})"
        )
    } else {
        write!(
            text,
            ",ipv4(src={source}/0.0.0.0,dst={target}/0.0.0.0,proto={protocol}/0,tos={tos}/0,\
             ttl={ttl}/0,frag={frag})"
        )
    };
    let _ = match (protocol, is_v6) {
        (6, _) => write!(text, ",tcp(src={from}/0,dst={to}/0)"),
        (17, _) => write!(text, ",udp(src={from}/0,dst={to}/0)"),
        (132, _) => write!(text, ",sctp(src={from}/0,dst={to}/0)"),
        (1, false) => write!(text, ",icmp(type={from}/0,code={to}/0)"),
        (58, true) => write!(text, ",icmpv6(type={from}/0,code={to}/0)"),
        _ => Ok(()),
    };
}

fn tags(frame: &[u8]) -> Vec<Tag> {
    let l2 = parse_l2(frame).ok();
    l2.map(|l2| [l2.outer_tag, l2.inner_tag].into_iter().flatten().collect()).unwrap_or_default()
}

/// The actions that make the tags of a frame those that are wanted; the outermost tag is the first.
fn retag(now: &mut Vec<Tag>, wanted: &[Tag], actions: &mut Vec<String>) {
    let common =
        now.iter().rev().zip(wanted.iter().rev()).take_while(|(now, wanted)| now == wanted).count();
    for _ in common..now.len() {
        actions.push("pop_vlan".to_owned());
    }
    let pushed = wanted.iter().rev().skip(common);
    for tag in pushed {
        let tpid = match tag.tpid {
            EtherType::C_TAG => String::new(),
            other => format!("tpid=0x{:04x},", other.0),
        };
        let (vid, pcp) = (tag.tci.vid(), tag.tci.pcp().get());
        actions.push(format!("push_vlan({tpid}vid={vid},pcp={pcp})"));
    }
    *now = wanted.to_vec();
}

/// The action that puts these outer headers in front of a frame.
fn tnl_push(port: &str, outer: &[u8], link: &str) -> String {
    let mut text = format!("tnl_push(tnl_port({port}),header(size={}", outer.len());
    let Ok(l2) = parse_l2(outer) else { return text + "))" };
    let packet = outer.get(l2.l3_offset..).unwrap_or_default();
    let (ip, protocol, payload) =
        if l2.ethertype == EtherType::IPV6 { outer_ipv6(packet) } else { outer_ipv4(packet) };
    let (kind, tunnel) = match protocol {
        IpProtocol::GRE => (3, gre(payload)),
        _ => udp_tunnel(payload),
    };
    let (source, target, ethertype) = (l2.source, l2.target, l2.ethertype.0);
    let _ = write!(
        text,
        ",type={kind},eth(dst={target},src={source},dl_type=0x{ethertype:04x}),{ip},{tunnel}),\
         out_port({link}))"
    );
    text
}

/// The header is cut off from what it carries, so its length says more than there is.
fn outer_ipv4(packet: &[u8]) -> (String, IpProtocol, &[u8]) {
    let (header, payload) = packet.split_at_checked(20).unwrap_or((packet, &[]));
    let mut whole = header.to_vec();
    if let Some(length) = whole.get_mut(2..4) {
        length.copy_from_slice(&[0, 20]);
    }
    let Ok((ip, _)) = Ipv4Header::parse(&whole) else {
        return (String::new(), IpProtocol(0), payload);
    };
    let frag = packet.get(6..8).and_then(|field| field.first_chunk::<2>());
    let frag = frag.map_or(0, |field| u16::from_be_bytes(*field));
    let text = format!(
        "ipv4(src={},dst={},proto={},tos={},ttl={},frag=0x{frag:04x})",
        ip.source(),
        ip.target(),
        ip.protocol.0,
        hex(ip.tos & 0xfc),
        ip.ttl
    );
    (text, ip.protocol, payload)
}

fn outer_ipv6(packet: &[u8]) -> (String, IpProtocol, &[u8]) {
    let (header, payload) = packet.split_at_checked(40).unwrap_or((packet, &[]));
    let mut whole = header.to_vec();
    if let Some(length) = whole.get_mut(4..6) {
        length.copy_from_slice(&[0, 0]);
    }
    let Ok((ip, _)) = Ipv6Header::parse(&whole) else {
        return (String::new(), IpProtocol(0), payload);
    };
    let protocol = packet.get(6).copied().unwrap_or(0);
    let text = format!(
        "ipv6(src={},dst={},label=0,proto={protocol},tclass={},hlimit={})",
        ip.source(),
        ip.target(),
        hex(ip.traffic_class() & 0xfc),
        ip.hop_limit
    );
    (text, IpProtocol(protocol), payload)
}

/// As `%#x` of C: zero has no prefix.
fn hex(byte: u8) -> String {
    if byte == 0 { "0".to_owned() } else { format!("0x{byte:x}") }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    field.map_or(0, |field| u16::from_be_bytes(*field))
}

fn gre(header: &[u8]) -> String {
    let (flags, protocol) = (word(header, 0), word(header, 2));
    let mut text = format!("gre((flags=0x{flags:x},proto=0x{protocol:x})");
    let mut at = 4;
    if flags & 0x8000 != 0 {
        text += ",csum=0x0";
        at += 4;
    }
    if flags & 0x2000 != 0 {
        let key = u32::from(word(header, at)) << 16 | u32::from(word(header, at + 2));
        let _ = write!(text, ",key=0x{key:x}");
    }
    text + ")"
}

/// Type and text of a tunnel over UDP.
fn udp_tunnel(datagram: &[u8]) -> (u8, String) {
    let (port, csum) = (word(datagram, 2), word(datagram, 6));
    let csum = if csum == 0 { 0 } else { 0xffff };
    let vni = u32::from(word(datagram, 12)) << 8 | u32::from(word(datagram, 14)) >> 8;
    let udp = format!("udp(src=0,dst={port},csum=0x{csum:x})");
    // VXLAN has a flag for its VNI in the first byte, where Geneve has version and length.
    if word(datagram, 8) & 0x0800 != 0 && word(datagram, 10) == 0 {
        (4, format!("{udp},vxlan(flags=0x8000000,vni=0x{vni:x})"))
    } else {
        (5, format!("{udp},geneve(vni=0x{vni:x})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_wire::Tag;

    fn tag(tpid: u16, tci: u16) -> Tag {
        Tag { tpid: EtherType(tpid), tci: weft_wire::vid::Tci::from_wire(tci) }
    }

    fn change(now: &[Tag], wanted: &[Tag]) -> String {
        let mut actions = Vec::new();
        retag(&mut now.to_vec(), wanted, &mut actions);
        actions.join(",")
    }

    #[test]
    fn tags_change_as_in_stock_flows() {
        let (ten, twenty) = (tag(0x8100, 10), tag(0x8100, 0x6014));
        assert_eq!(change(&[], &[ten]), "push_vlan(vid=10,pcp=0)");
        assert_eq!(change(&[ten], &[]), "pop_vlan");
        assert_eq!(change(&[ten], &[ten]), "");
        assert_eq!(change(&[ten], &[twenty]), "pop_vlan,push_vlan(vid=20,pcp=3)");
        let service = tag(0x88a8, 100);
        assert_eq!(change(&[ten], &[service, ten]), "push_vlan(tpid=0x88a8,vid=100,pcp=0)");
        assert_eq!(change(&[service, ten], &[ten]), "pop_vlan");
    }

    #[test]
    fn outer_headers_read_as_in_stock_flows() {
        let mut outer = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        outer.extend([0x45, 0, 0, 100, 0, 0, 0x40, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        outer.extend([0x20, 0, 0x65, 0x58, 0, 0, 1, 0xc8]);
        assert_eq!(
            tnl_push("3", &outer, "eth0"),
            "tnl_push(tnl_port(3),header(size=42,type=3,eth(dst=02:00:00:00:00:02,\
             src=02:00:00:00:00:01,dl_type=0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=47,\
             tos=0,ttl=64,frag=0x4000),gre((flags=0x2000,proto=0x6558),key=0x1c8)),\
             out_port(eth0))"
        );
    }
}
