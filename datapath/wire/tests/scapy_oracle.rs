//! Compares our readings and our frames with those of scapy, in both directions.
//!
//! `scapy_oracle.py` builds random frames, and says what it reads in them; we must read the same
//! and find every checksum right.  Then it reads frames of ours, and builds them anew with lengths
//! and checksums of its own; they must come out byte for byte.
#![expect(clippy::unwrap_used, reason = "a test")]

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use weft_wire::frames::{Spec, any_spec};
use weft_wire::{
    ArpPacket, EtherType, EthernetHeader, Geneve, Gre, IcmpHeader, IpProtocol, Ipv4Header,
    Ipv6Header, Layer, MacAddr, Show, TcpHeader, UdpHeader, Vni, Vxlan, geneve, parse_l2, vxlan,
};

const FRAMES: usize = 400;

fn script() -> Command {
    // Debian's own interpreter is the one that Debian's python3-scapy is for.
    let python = std::env::var("WEFT_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scapy_oracle.py"));
    command
}

/// Runs the script; `None`, loudly, when there is no scapy and none is demanded.
fn scapy(arguments: &[&str], input: &str) -> Option<Vec<Value>> {
    let child = script()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let result = child.map_err(|error| error.to_string()).and_then(|mut child| {
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
        let output = child.wait_with_output().unwrap();
        let _ = writer.join();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(stderr) }
    });
    match result {
        Ok(stdout) => {
            let lines = String::from_utf8(stdout).unwrap();
            Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        }
        Err(error) => {
            let is_missing = error.contains("No module named 'scapy'") || !error.contains("Trace");
            let is_demanded = std::env::var("WEFT_REQUIRE_NETNS").is_ok_and(|value| value == "1");
            assert!(is_missing && !is_demanded, "scapy (Debian: python3-scapy) failed:\n{error}");
            eprintln!("SKIPPED, nothing was compared: no scapy (Debian: python3-scapy): {error}");
            None
        }
    }
}

fn hex(data: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
    data.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}

/// All headers of a frame as we read them, in the form of the script's `read`.
fn read(frame: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    read_frame(frame, &mut out);
    out
}

fn read_frame(frame: &[u8], out: &mut Vec<Value>) {
    let (header, _) = EthernetHeader::parse(frame).unwrap();
    let l2 = parse_l2(frame).unwrap();
    let (target, source) = (l2.target.to_string(), l2.source.to_string());
    let ethertype = header.ethertype().get();
    out.push(json!({"is": "ethernet", "target": target, "source": source, "type": ethertype}));
    let next = [l2.inner_tag.map(|tag| tag.tpid), Some(l2.ethertype)];
    let mut next = next.into_iter().flatten();
    for tag in [l2.outer_tag, l2.inner_tag].into_iter().flatten() {
        let (pcp, dei, vid) = (tag.tci.pcp().get(), u8::from(tag.tci.dei()), tag.tci.vid().get());
        let next = next.next().unwrap().get();
        out.push(json!({"is": "tag", "pcp": pcp, "dei": dei, "vid": vid, "type": next}));
    }
    read_l3(l2.ethertype, frame.get(l2.l3_offset..).unwrap(), out);
}

fn read_l3(ethertype: EtherType, bytes: &[u8], out: &mut Vec<Value>) {
    match ethertype {
        EtherType::ARP => {
            let (arp, _) = ArpPacket::parse(bytes).unwrap();
            out.push(json!({
                "is": "arp",
                "op": arp.operation(),
                "sender": [arp.sender_mac.to_string(), arp.sender_ip().to_string()],
                "target": [arp.target_mac.to_string(), arp.target_ip().to_string()],
            }));
        }
        EtherType::IPV4 => read_v4(bytes, out),
        EtherType::IPV6 => read_v6(bytes, out),
        EtherType::TEB => read_frame(bytes, out),
        _ => {}
    }
}

fn read_v4(bytes: &[u8], out: &mut Vec<Value>) {
    let (header, payload) = Ipv4Header::parse(bytes).unwrap();
    out.push(json!({
        "is": "ipv4",
        "source": header.source().to_string(),
        "target": header.target().to_string(),
        "protocol": header.protocol.get(),
        "tos": header.tos,
        "ttl": header.ttl,
        "id": header.id(),
        "df": header.dont_fragment(),
        "mf": header.more_fragments(),
        "offset": header.fragment_offset_bytes(),
        "header": header.header_len_bytes(),
        "total": header.total_len_bytes(),
    }));
    if !header.is_fragment() {
        read_l4(header.protocol, payload, out);
    }
}

fn read_v6(bytes: &[u8], out: &mut Vec<Value>) {
    let (header, payload) = Ipv6Header::parse(bytes).unwrap();
    out.push(json!({
        "is": "ipv6",
        "source": header.source().to_string(),
        "target": header.target().to_string(),
        "next": header.next_header.get(),
        "class": header.traffic_class(),
        "flow": header.flow_label(),
        "hops": header.hop_limit,
        "payload": header.payload_len_bytes(),
    }));
    let walk = header.walk(payload).unwrap();
    if let Some(part) = walk.fragment {
        let (offset, more, id) = (part.offset_bytes, part.more, part.id);
        out.push(json!({"is": "fragment", "offset": offset, "more": more, "id": id}));
    }
    if !walk.is_fragment() {
        read_l4(walk.protocol, walk.payload, out);
    }
}

fn read_l4(protocol: IpProtocol, bytes: &[u8], out: &mut Vec<Value>) {
    match protocol {
        IpProtocol::TCP => {
            let (tcp, _) = TcpHeader::parse(bytes).unwrap();
            out.push(json!({
                "is": "tcp",
                "ports": [tcp.source_port(), tcp.target_port()],
                "seq": tcp.sequence(),
                "ack": tcp.acknowledgment(),
                "header": tcp.header_len_bytes(),
                "flags": tcp.flags().0,
                "window": tcp.window(),
                "checksum": tcp.checksum(),
            }));
        }
        IpProtocol::UDP => read_udp(bytes, out),
        IpProtocol::ICMP | IpProtocol::ICMPV6 => {
            let (icmp, _) = IcmpHeader::parse(Layer::Icmpv4, bytes).unwrap();
            let mtu = match protocol {
                IpProtocol::ICMP => icmp.next_hop_mtu_v4().map(u32::from),
                _ => icmp.next_hop_mtu_v6(),
            };
            let (kind, code, checksum) = (icmp.kind, icmp.code, icmp.checksum());
            let icmp =
                json!({"is": "icmp", "type": kind, "code": code, "checksum": checksum, "mtu": mtu});
            out.push(icmp);
        }
        IpProtocol::GRE => {
            let (gre, payload) = Gre::parse(bytes).unwrap();
            let ethertype = gre.protocol.get();
            let (checksum, key, seq) = (gre.checksum, gre.key, gre.sequence);
            out.push(json!({"is": "gre", "type": ethertype, "checksum": checksum, "key": key, "seq": seq}));
            read_l3(gre.protocol, payload, out);
        }
        _ => {}
    }
}

fn read_udp(bytes: &[u8], out: &mut Vec<Value>) {
    let (udp, payload) = UdpHeader::parse(bytes).unwrap();
    out.push(json!({
        "is": "udp",
        "ports": [udp.source_port(), udp.target_port()],
        "len": udp.len_bytes(),
        "checksum": udp.checksum(),
    }));
    if udp.target_port() == vxlan::UDP_PORT {
        let (header, inner) = Vxlan::parse(payload).unwrap();
        out.push(json!({"is": "vxlan", "vni": header.vni.get()}));
        read_frame(inner, out);
    } else if udp.target_port() == geneve::UDP_PORT {
        let (header, inner) = Geneve::parse(payload).unwrap();
        out.push(json!({
            "is": "geneve",
            "vni": header.vni.get(),
            "type": header.protocol.get(),
            "control": header.is_control,
            "critical": header.has_critical,
            "options": header.options.len(),
        }));
        read_l3(header.protocol, inner, out);
    }
}

/// Frames that scapy builds: we read the same, and every checksum is right.
#[test]
fn reads_what_scapy_builds() {
    let seed = "20260101";
    let Some(lines) = scapy(&["generate", seed, &FRAMES.to_string()], "") else { return };
    assert_eq!(lines.len(), FRAMES);
    let mut kinds = std::collections::BTreeMap::new();
    for line in &lines {
        let frame = unhex(line["hex"].as_str().unwrap());
        let reading = Value::from(read(&frame));
        assert_eq!(reading, line["reading"], "{}\n{}", Show(&frame), hex(&frame));
        let shown = Show(&frame).to_string();
        assert!(
            !shown.contains("(bad") && !shown.contains("malformed"),
            "{shown}\n{}",
            hex(&frame)
        );
        for header in reading.as_array().unwrap() {
            *kinds.entry(header["is"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let expected = [
        "arp", "ethernet", "fragment", "geneve", "gre", "icmp", "ipv4", "ipv6", "tag", "tcp",
        "udp", "vxlan",
    ];
    assert!(kinds.keys().eq(expected.iter()), "{kinds:?}");
    assert!(kinds.values().all(|&count| count >= 10), "too few of some: {kinds:?}");
}

/// Puts a frame into a tunnel, chosen by `number`.
fn tunnelled(inner: &[u8], number: u32) -> Vec<u8> {
    let some = |bit: u32, value: u32| (number & bit != 0).then_some(value);
    let vni = Vni::try_from(number & 0xff_ffff).unwrap();
    let mut head = vec![0; 64];
    let (protocol, port, len) = match number % 3 {
        0 => {
            let gre = Gre {
                protocol: EtherType::TEB,
                checksum: some(8, 0).map(|_| 0),
                key: some(16, number),
                sequence: some(32, !number),
            };
            (IpProtocol::GRE, 0, gre.write(&mut head).unwrap())
        }
        1 => (IpProtocol::UDP, vxlan::UDP_PORT, Vxlan { vni }.write(&mut head).unwrap()),
        _ => {
            let header = Geneve::new(vni, EtherType::TEB);
            (IpProtocol::UDP, geneve::UDP_PORT, header.write(&mut head).unwrap())
        }
    };
    head.truncate(len);
    head.extend(inner);
    Gre::fill_checksum(if port == 0 { &mut head } else { &mut [] });
    let mut frame = vec![0; 14 + 40 + 8];
    let is_v6 = number & 64 != 0;
    let l3_len = if is_v6 { 40 } else { 20 };
    let udp_len = if port == 0 { 0 } else { 8 };
    let ethertype = if is_v6 { EtherType::IPV6 } else { EtherType::IPV4 };
    let ethernet = EthernetHeader::new(MacAddr([2; 6]), MacAddr([4; 6]), ethertype);
    let at_l3 = ethernet.write(&mut frame).unwrap();
    let l3 = frame.get_mut(at_l3..).unwrap();
    let above = udp_len + head.len();
    let address = u128::from(number) << 64 | 0xfd00 << 112;
    let pseudo = if is_v6 {
        let header = Ipv6Header::new(address.into(), (!address).into(), protocol);
        header.write(l3, above).unwrap();
        header.pseudo_sum(protocol, u32::try_from(above).unwrap())
    } else {
        let mut header = Ipv4Header::new(number.into(), (!number).into(), protocol);
        header.set_dont_fragment(true);
        header.write(l3, above).unwrap();
        header.pseudo_sum(protocol, u16::try_from(above).unwrap())
    };
    frame.truncate(at_l3 + l3_len + udp_len);
    if port != 0 {
        let mut udp = UdpHeader::new(50_000, port);
        let mut bytes = [0; 8];
        udp.write(&mut bytes, head.len()).unwrap();
        let sum = weft_wire::checksum::sum(&bytes) + weft_wire::checksum::sum(&head) + pseudo;
        udp.set_checksum(weft_wire::checksum::finish_udp(sum));
        udp.write(frame.get_mut(at_l3 + l3_len..).unwrap(), head.len()).unwrap();
    }
    frame.extend(head);
    frame
}

/// Frames that we build: scapy reads what we read, and would have built the same bytes.
#[test]
fn scapy_builds_what_we_build() {
    let mut runner = TestRunner::deterministic();
    let frames: Vec<Vec<u8>> = (0..FRAMES)
        .map(|number| {
            let spec = any_spec().new_tree(&mut runner).unwrap().current();
            // Ports that name no protocol to scapy.
            let seed = 0xc350_9c40 | spec.seed & 0x000f_000f;
            let inner = Spec { seed, ..spec }.build();
            let number = u32::try_from(number).unwrap();
            if number % 4 == 0 {
                inner
            } else {
                tunnelled(&inner, number.wrapping_mul(0x9e37_79b1))
            }
        })
        .collect();
    let input: String = frames.iter().map(|frame| hex(frame) + "\n").collect();
    let Some(lines) = scapy(&["read"], &input) else { return };
    assert_eq!(lines.len(), frames.len());
    for (line, frame) in lines.iter().zip(&frames) {
        assert_eq!(Value::from(read(frame)), line["reading"], "{}\n{}", Show(frame), hex(frame));
        let (theirs, ours) = (line["hex"].as_str().unwrap(), hex(frame));
        assert!(theirs == ours, "{}\nours {ours}\nscapy's {theirs}", Show(frame));
        let shown = Show(frame).to_string();
        assert!(!shown.contains("(bad") && !shown.contains("malformed"), "{shown}");
    }
}
