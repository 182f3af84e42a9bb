//! Named fixtures for the XDP programs, run by `BPF_PROG_TEST_RUN`: a frame, the action, the counter.
//!
//! The frames are built with `etherparse`, which shares no code with the programs, and bent by hand where they
//! have to be wrong. Each runs through both variants of the program, and exactly one counter moves by one.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, SingleVlanHeader, UdpHeader, VlanId,
};
use rustix::net::{AddressFamily, SocketType, socket};
use support::Loaded;
use weft_ebpf::{MapError, Program, QUEUES_MAX, Reason, Role, VTEPS_MAX};

const PASS: u32 = 2;
const REDIRECT: u32 = 4;

const VTEP4: [u8; 4] = [192, 0, 2, 1];
const OTHER4: [u8; 4] = [192, 0, 2, 2];
const VTEP6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const OTHER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const VXLAN: u16 = 4789;
const GENEVE: u16 = 6081;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;

/// GRE without options, carrying Ethernet, and some of it.
const GRE_TEB: &[u8] = &[0, 0, 0x65, 0x58, 1, 2, 3, 4, 5, 6, 7, 8];

struct Fixture {
    name: &'static str,
    frame: Vec<u8>,
    action: u32,
    reason: Reason,
}

fn pass(name: &'static str, frame: Vec<u8>, reason: Reason) -> Fixture {
    Fixture { name, frame, action: PASS, reason }
}

fn ours(name: &'static str, frame: Vec<u8>) -> Fixture {
    Fixture { name, frame, action: REDIRECT, reason: Reason::Redirected }
}

/// Ethernet with these tags (each by its TPID).
fn ethernet(tags: &[u16], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let types: Vec<u16> = tags.iter().copied().chain([ether_type]).collect();
    let header = Ethernet2Header {
        source: [2, 0, 0, 0, 0, 1],
        destination: [2, 0, 0, 0, 0, 2],
        ether_type: EtherType(types[0]),
    };
    let mut frame = header.to_bytes().to_vec();
    for next in &types[1..] {
        let tag = SingleVlanHeader {
            vlan_id: VlanId::try_new(7).unwrap(),
            ether_type: EtherType(*next),
            ..Default::default()
        };
        frame.extend(tag.to_bytes());
    }
    frame.extend(payload);
    frame
}

/// An IPv4 header, changed by `bend`, and its payload.
fn ipv4(protocol: u8, target: [u8; 4], payload: &[u8], bend: impl Fn(&mut Ipv4Header)) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut header = Ipv4Header::new(length, 64, IpNumber(protocol), OTHER4, target).unwrap();
    bend(&mut header);
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    packet
}

fn plain4(protocol: u8, target: [u8; 4], payload: &[u8]) -> Vec<u8> {
    ethernet(&[], IPV4, &ipv4(protocol, target, payload, |_| {}))
}

fn bent4(protocol: u8, target: [u8; 4], payload: &[u8], bend: impl Fn(&mut Ipv4Header)) -> Vec<u8> {
    ethernet(&[], IPV4, &ipv4(protocol, target, payload, bend))
}

fn options4(bytes: usize) -> Vec<u8> {
    bent4(GRE, VTEP4, GRE_TEB, |header| {
        header.options = Ipv4Options::try_from(&vec![1; bytes][..]).unwrap();
    })
}

fn fragment4(protocol: u8, target: [u8; 4], offset: u16, more: bool) -> Vec<u8> {
    bent4(protocol, target, GRE_TEB, |header| {
        header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        header.more_fragments = more;
        header.dont_fragment = false;
    })
}

fn udp(port: u16) -> Vec<u8> {
    let header = UdpHeader { source_port: 50000, destination_port: port, length: 12, checksum: 0 };
    let mut datagram = header.to_bytes().to_vec();
    datagram.extend([8, 0, 0, 0]);
    datagram
}

fn plain6(next: u8, target: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        payload_length: u16::try_from(payload.len()).unwrap(),
        next_header: IpNumber(next),
        hop_limit: 64,
        source: OTHER6,
        destination: target,
        ..Default::default()
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend(payload);
    ethernet(&[], IPV6, &packet)
}

/// Options headers of `bytes` each (6, 14, 22 …), the last followed by `next`.
fn extensions(kinds: &[u8], bytes: usize, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    for position in 0..kinds.len() {
        let next = kinds.get(position + 1).copied().unwrap_or(next);
        let header = Ipv6RawExtHeader::new_raw(IpNumber(next), &vec![0; bytes]).unwrap();
        packet.extend(header.to_bytes());
    }
    packet.extend(payload);
    packet
}

fn fragment6(next: u8, offset: u16, more: bool) -> Vec<u8> {
    let offset = IpFragOffset::try_new(offset).unwrap();
    let mut packet = Ipv6FragmentHeader::new(IpNumber(next), offset, more, 1).to_bytes().to_vec();
    packet.extend(GRE_TEB);
    packet
}

/// Changes one byte.
fn patch(mut frame: Vec<u8>, position: usize, value: u8) -> Vec<u8> {
    frame[position] = value;
    frame
}

/// What goes to userspace, with the bytes that the decision needs.
fn tunnels() -> Vec<(Fixture, usize)> {
    let (v4, v6) = (14 + 20, 14 + 40);
    let inner4 = ipv4(GRE, VTEP4, GRE_TEB, |_| {});
    let two = extensions(&[HOP_BY_HOP, OPTIONS], 6, GRE, GRE_TEB);
    let four = extensions(&[HOP_BY_HOP, OPTIONS, OPTIONS, OPTIONS], 6, UDP, &udp(GENEVE));
    let long = extensions(&[HOP_BY_HOP], 255 * 8 + 6, GRE, GRE_TEB);
    vec![
        (ours("gre over ipv4", plain4(GRE, VTEP4, GRE_TEB)), v4 + 4),
        (
            ours("gre with key, checksum and reserved bits", {
                plain4(GRE, VTEP4, &[0xbf, 0xf8, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 7])
            }),
            v4 + 4,
        ),
        (ours("gre of any inner protocol", plain4(GRE, VTEP4, &[0, 0, 8, 0])), v4 + 4),
        (ours("ipv4 with one word of options", options4(4)), v4 + 4 + 4),
        (ours("ipv4 with the longest options", options4(40)), v4 + 40 + 4),
        (
            ours(
                "ipv4 with don't fragment",
                bent4(GRE, VTEP4, GRE_TEB, |header| {
                    header.dont_fragment = true;
                }),
            ),
            v4 + 4,
        ),
        (ours("ipv4 with the reserved flag", patch(plain4(GRE, VTEP4, GRE_TEB), 20, 0xc0)), v4 + 4),
        (ours("one tag", ethernet(&[VLAN], IPV4, &inner4)), v4 + 4 + 4),
        (ours("one service tag", ethernet(&[QINQ], IPV4, &inner4)), v4 + 4 + 4),
        (ours("two tags", ethernet(&[QINQ, VLAN], IPV4, &inner4)), v4 + 8 + 4),
        (ours("udp to the first port", plain4(UDP, VTEP4, &udp(VXLAN))), v4 + 8),
        (ours("udp to the second port", plain4(UDP, VTEP4, &udp(GENEVE))), v4 + 8),
        (ours("gre over ipv6", plain6(GRE, VTEP6, GRE_TEB)), v6 + 4),
        (ours("udp over ipv6", plain6(UDP, VTEP6, &udp(VXLAN))), v6 + 8),
        (ours("ipv6 with two extension headers", plain6(HOP_BY_HOP, VTEP6, &two)), v6 + 16 + 4),
        (ours("ipv6 with four extension headers", plain6(HOP_BY_HOP, VTEP6, &four)), v6 + 32 + 8),
        (ours("ipv6 with the longest one", plain6(HOP_BY_HOP, VTEP6, &long)), v6 + 2048 + 4),
    ]
}

/// What stays with the host, and why.
fn passes() -> Vec<Fixture> {
    [malformed(), no_tunnel(), not_for_us(), fragments(), extended()]
        .into_iter()
        .flatten()
        .collect()
}

/// Not IP, too short, or contradicting itself.
fn malformed() -> Vec<Fixture> {
    use Reason::{PassBadIp, PassNotIp, PassShort};
    let inner4 = ipv4(GRE, VTEP4, GRE_TEB, |_| {});
    vec![
        pass("arp", ethernet(&[], 0x0806, &[0; 28]), PassNotIp),
        pass("tagged arp", ethernet(&[VLAN], 0x0806, &[0; 28]), PassNotIp),
        pass("an 802.3 length", ethernet(&[], 46, &[0x42; 46]), PassNotIp),
        pass("three tags", ethernet(&[QINQ, VLAN, VLAN], IPV4, &inner4), PassNotIp),
        pass("nothing behind the ethertype", ethernet(&[], IPV4, &[]), PassShort),
        pass("half a tag", ethernet(&[], VLAN, &[0, 7]), PassShort),
        pass("half a second tag", ethernet(&[QINQ], VLAN, &[0, 7, 8]), PassShort),
        pass("ipv4 that says version 6", patch(plain4(GRE, VTEP4, GRE_TEB), 14, 0x65), PassBadIp),
        pass("ipv4 that says 16 bytes", patch(plain4(GRE, VTEP4, GRE_TEB), 14, 0x44), PassBadIp),
        pass("ipv4 that says 0 bytes", patch(plain4(GRE, VTEP4, GRE_TEB), 14, 0x40), PassBadIp),
        pass("options beyond the end", patch(plain4(GRE, VTEP4, GRE_TEB), 14, 0x4f), PassShort),
        pass("ipv6 that says version 4", patch(plain6(GRE, VTEP6, GRE_TEB), 14, 0x40), PassBadIp),
    ]
}

/// Protocols and ports that carry no tunnel.
fn no_tunnel() -> Vec<Fixture> {
    use Reason::PassNotTunnel;
    vec![
        pass("tcp", plain4(TCP, VTEP4, &[0; 20]), PassNotTunnel),
        pass("icmp", plain4(1, VTEP4, &[0; 20]), PassNotTunnel),
        pass("esp", plain4(50, VTEP4, &[0; 20]), PassNotTunnel),
        pass("tcp over ipv6", plain6(TCP, VTEP6, &[0; 20]), PassNotTunnel),
        pass("icmpv6", plain6(58, VTEP6, &[0; 20]), PassNotTunnel),
        pass("no next header", plain6(59, VTEP6, &[]), PassNotTunnel),
        pass(
            "a routing header",
            plain6(ROUTING, VTEP6, &[GRE, 0, 0, 0, 0, 0, 0, 0]),
            PassNotTunnel,
        ),
        pass("udp to the port below", plain4(UDP, VTEP4, &udp(VXLAN - 1)), PassNotTunnel),
        pass("udp to the port above", plain4(UDP, VTEP4, &udp(VXLAN + 1)), PassNotTunnel),
        pass("udp to the port 64 above", plain4(UDP, VTEP4, &udp(VXLAN + 64)), PassNotTunnel),
        pass(
            "udp to the port with its bytes swapped",
            plain4(UDP, VTEP4, &udp(VXLAN.swap_bytes())),
            PassNotTunnel,
        ),
        pass(
            "udp *from* the port",
            patch(patch(plain4(UDP, VTEP4, &udp(53)), 34, 0x12), 35, 0xb5),
            PassNotTunnel,
        ),
    ]
}

/// GRE and UDP tunnels, but not of ours.
fn not_for_us() -> Vec<Fixture> {
    use Reason::{PassGreVersion, PassNotVtep};
    let version = |low| [0, low, 0x88, 0x0b, 0, 0, 0, 0];
    vec![
        pass("gre version 1 (pptp)", plain4(GRE, VTEP4, &version(1)), PassGreVersion),
        pass("gre version 4", plain4(GRE, VTEP4, &version(4)), PassGreVersion),
        pass("gre version 7 over ipv6", plain6(GRE, VTEP6, &version(7)), PassGreVersion),
        pass("gre to another address", plain4(GRE, OTHER4, GRE_TEB), PassNotVtep),
        pass(
            "gre from our address",
            patch(plain4(GRE, [9; 4], GRE_TEB), 29, VTEP4[3]),
            PassNotVtep,
        ),
        pass("udp to another address", plain4(UDP, OTHER4, &udp(VXLAN)), PassNotVtep),
        pass("gre to another ipv6 address", plain6(GRE, OTHER6, GRE_TEB), PassNotVtep),
        pass(
            "tagged gre to another address",
            ethernet(&[VLAN], IPV4, &ipv4(GRE, OTHER4, GRE_TEB, |_| {})),
            PassNotVtep,
        ),
    ]
}

/// Fragments, which the host reassembles.
fn fragments() -> Vec<Fixture> {
    use Reason::{OuterFrag, PassNotTunnel, PassNotVtep, PassShort};
    let fragment_behind = extensions(&[OPTIONS], 6, FRAGMENT, &fragment6(GRE, 0, true));
    vec![
        pass("first fragment of gre", fragment4(GRE, VTEP4, 0, true), OuterFrag),
        pass("middle fragment of gre", fragment4(GRE, VTEP4, 185, true), OuterFrag),
        pass("last fragment of gre", fragment4(GRE, VTEP4, 1, false), OuterFrag),
        pass("the farthest fragment", fragment4(GRE, VTEP4, 0x1fff, false), OuterFrag),
        pass(
            "a fragment whose offset's low byte is 0",
            fragment4(GRE, VTEP4, 256, false),
            OuterFrag,
        ),
        pass("fragment of udp", fragment4(UDP, VTEP4, 185, false), OuterFrag),
        pass("fragment of tcp", fragment4(TCP, VTEP4, 185, false), PassNotTunnel),
        pass("fragment to another address", fragment4(GRE, OTHER4, 0, true), PassNotVtep),
        pass(
            "first fragment over ipv6",
            plain6(FRAGMENT, VTEP6, &fragment6(GRE, 0, true)),
            OuterFrag,
        ),
        pass(
            "last fragment over ipv6",
            plain6(FRAGMENT, VTEP6, &fragment6(UDP, 9, false)),
            OuterFrag,
        ),
        pass(
            "atomic fragment over ipv6",
            plain6(FRAGMENT, VTEP6, &fragment6(GRE, 0, false)),
            OuterFrag,
        ),
        pass("fragment behind options", plain6(OPTIONS, VTEP6, &fragment_behind), OuterFrag),
        pass(
            "fragment of tcp over ipv6",
            plain6(FRAGMENT, VTEP6, &fragment6(TCP, 0, true)),
            PassNotTunnel,
        ),
        pass(
            "fragment to another ipv6 address",
            plain6(FRAGMENT, OTHER6, &fragment6(GRE, 0, true)),
            PassNotVtep,
        ),
        pass("half a fragment header", plain6(FRAGMENT, VTEP6, &[GRE, 0, 0, 1]), PassShort),
    ]
}

/// IPv6 extension headers that do not end in a tunnel.
fn extended() -> Vec<Fixture> {
    use Reason::{PassExtensions, PassNotTunnel, PassShort};
    let five = extensions(&[HOP_BY_HOP, OPTIONS, OPTIONS, OPTIONS, OPTIONS], 6, GRE, GRE_TEB);
    let tcp_behind = extensions(&[HOP_BY_HOP], 6, TCP, GRE_TEB);
    vec![
        pass("tcp behind an extension header", plain6(0, VTEP6, &tcp_behind), PassNotTunnel),
        pass("five extension headers", plain6(HOP_BY_HOP, VTEP6, &five), PassExtensions),
        pass(
            "an extension header beyond the end",
            plain6(HOP_BY_HOP, VTEP6, &[GRE, 200, 0, 0, 0, 0, 0, 0]),
            PassShort,
        ),
        pass("half an extension header", plain6(OPTIONS, VTEP6, &[GRE, 0, 0]), PassShort),
    ]
}

/// The programs of a role, with a VTEP of each family and two ports.
fn loaded(role: Role, frags: bool) -> (Loaded, Program) {
    let mut programs = Loaded::new();
    let program = Program { role, frags };
    programs.object.verify(program).unwrap();
    if role == Role::Underlay {
        programs.nic.set_vteps(&[VTEP4.into(), VTEP6.into()]).unwrap();
        programs.nic.set_tunnel_ports(&[VXLAN, GENEVE]).unwrap();
    }
    (programs, program)
}

/// The kernel wants the family only: nothing is received here.
fn afxdp() -> OwnedFd {
    socket(AddressFamily::XDP, SocketType::RAW, None).unwrap()
}

/// Runs one frame, and says what moved.
#[track_caller]
fn check(programs: &mut Loaded, program: Program, fixture: &Fixture) {
    let before = programs.nic.counters().unwrap();
    let action = programs.object.test_run(program, &fixture.frame, None).unwrap();
    let after = programs.nic.counters().unwrap();
    let moved: Vec<_> = after
        .iter()
        .zip(&before)
        .filter(|(after, before)| after.1 != before.1)
        .map(|(after, before)| (after.0, after.1 - before.1))
        .collect();
    let name = fixture.name;
    assert_eq!((action, moved), (fixture.action, vec![(fixture.reason, 1)]), "{name}, {program:?}");
}

#[test]
fn steer_sends_tunnel_packets_to_userspace() {
    if !support::privileged("steer_sends_tunnel_packets_to_userspace") {
        return;
    }
    for frags in [false, true] {
        let (mut programs, program) = loaded(Role::Underlay, frags);
        let socket = afxdp();
        programs.nic.set_socket(0, &socket).unwrap();
        for (fixture, _) in tunnels() {
            check(&mut programs, program, &fixture);
        }
    }
}

#[test]
fn steer_passes_tunnel_packets_without_a_socket() {
    if !support::privileged("steer_passes_tunnel_packets_without_a_socket") {
        return;
    }
    for frags in [false, true] {
        let (mut programs, program) = loaded(Role::Underlay, frags);
        for (fixture, _) in tunnels() {
            let fixture = pass(fixture.name, fixture.frame, Reason::NoSocket);
            check(&mut programs, program, &fixture);
        }
    }
}

#[test]
fn steer_passes_the_rest_by_reason() {
    if !support::privileged("steer_passes_the_rest_by_reason") {
        return;
    }
    for frags in [false, true] {
        let (mut programs, program) = loaded(Role::Underlay, frags);
        let socket = afxdp();
        programs.nic.set_socket(0, &socket).unwrap();
        for fixture in passes() {
            check(&mut programs, program, &fixture);
        }
    }
}

#[test]
fn each_reason_has_a_fixture() {
    let fixtures = passes();
    for reason in Reason::ALL {
        let counted = matches!(reason, Reason::Redirected | Reason::NoSocket)
            || fixtures.iter().any(|fixture| fixture.reason == reason);
        assert!(counted, "{}", reason.name());
    }
}

/// Every truncation: short of what the decision needs is "short", and from there on it is ours. Below
/// Ethernet's 14 bytes the kernel runs no test (nor would a driver hand it over).
#[test]
fn steer_passes_every_truncation() {
    if !support::privileged("steer_passes_every_truncation") {
        return;
    }
    for frags in [false, true] {
        let (mut programs, program) = loaded(Role::Underlay, frags);
        let socket = afxdp();
        programs.nic.set_socket(0, &socket).unwrap();
        for (whole, needed) in tunnels() {
            for length in 14..=whole.frame.len() {
                let frame = whole.frame[..length].to_vec();
                let fixture = if length < needed {
                    pass(whole.name, frame, Reason::PassShort)
                } else {
                    ours(whole.name, frame)
                };
                check(&mut programs, program, &fixture);
            }
        }
    }
}

#[test]
fn port_sends_everything_to_userspace() {
    if !support::privileged("port_sends_everything_to_userspace") {
        return;
    }
    for frags in [false, true] {
        let (mut programs, program) = loaded(Role::Port, frags);
        let frames: Vec<_> = passes().into_iter().map(|fixture| fixture.frame).collect();
        for frame in &frames {
            let fixture = pass("without a socket", frame.clone(), Reason::NoSocket);
            check(&mut programs, program, &fixture);
        }
        let socket = afxdp();
        programs.nic.set_socket(0, &socket).unwrap();
        for frame in &frames {
            check(&mut programs, program, &ours("with a socket", frame.clone()));
        }
        programs.nic.clear_socket(0).unwrap();
        check(&mut programs, program, &pass("cleared", frames[0].clone(), Reason::NoSocket));
        programs.nic.clear_socket(0).unwrap();
        programs.nic.set_socket(0, &socket).unwrap();
        check(&mut programs, program, &ours("set again", frames[0].clone()));
        drop(socket);
        // The kernel takes a closed socket out; a grace period later at the latest.
        let deadline = Instant::now() + Duration::from_secs(10);
        while programs.object.test_run(program, &frames[0], None).unwrap() != PASS
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        check(&mut programs, program, &pass("closed", frames[0].clone(), Reason::NoSocket));
    }
}

#[test]
fn the_dummy_passes_and_counts_nothing() {
    if !support::privileged("the_dummy_passes_and_counts_nothing") {
        return;
    }
    let (programs, program) = loaded(Role::Pass, true);
    assert_eq!(programs.object.test_run(program, &[0; 64], None).unwrap(), PASS);
    assert!(programs.nic.counters().unwrap().iter().all(|(_, count)| *count == 0));
}

#[test]
fn vteps_are_exactly_those_last_set() {
    if !support::privileged("vteps_are_exactly_those_last_set") {
        return;
    }
    let (mut programs, program) = loaded(Role::Underlay, false);
    let to = |target| plain4(GRE, target, GRE_TEB);
    let (yes, no) = (Reason::NoSocket, Reason::PassNotVtep);
    programs.nic.set_vteps(&[OTHER4.into()]).unwrap();
    check(&mut programs, program, &pass("removed", to(VTEP4), no));
    check(&mut programs, program, &pass("added", to(OTHER4), yes));
    let mapped = Ipv4Addr::from(VTEP4).to_ipv6_mapped();
    programs.nic.set_vteps(&[IpAddr::V6(mapped)]).unwrap();
    check(&mut programs, program, &pass("a mapped address is the ipv4 one", to(VTEP4), yes));
    check(&mut programs, program, &pass("removed again", to(OTHER4), no));
    // The most there may be, then as many others: both sets are in the map for a moment.
    for block in [1_u16, 2] {
        let many: Vec<IpAddr> = (0..u16::try_from(VTEPS_MAX).unwrap())
            .map(|host| Ipv6Addr::new(0x2001, 0xdb8, block, 0, 0, 0, 0, host).into())
            .collect();
        programs.nic.set_vteps(&many).unwrap();
    }
    let too_many: Vec<IpAddr> =
        (0..=VTEPS_MAX).map(|host| Ipv4Addr::from(0x0a00_0000 + host).into()).collect();
    let refused = programs.nic.set_vteps(&too_many);
    assert!(matches!(refused, Err(MapError::TooManyVteps { count: 513 })), "{refused:?}");
    programs.nic.set_vteps(&[]).unwrap();
    check(&mut programs, program, &pass("none", to(VTEP4), no));
}

#[test]
fn tunnel_ports_are_exactly_those_last_set() {
    if !support::privileged("tunnel_ports_are_exactly_those_last_set") {
        return;
    }
    let (mut programs, program) = loaded(Role::Underlay, true);
    let interesting = [0_u16, 1, 63, 64, 65, 4788, 4789, 4790, 6081, 8472, 65534, 65535];
    let sets: [&[u16]; 6] = [&[0], &[65535, 63, 64], &[63], &[4789, 4790], &[4790, 8472], &[]];
    for set in sets {
        programs.nic.set_tunnel_ports(set).unwrap();
        for port in interesting {
            let open = set.contains(&port);
            let reason = if open { Reason::NoSocket } else { Reason::PassNotTunnel };
            let name = if open { "in the set" } else { "not in the set" };
            check(&mut programs, program, &pass(name, plain4(UDP, VTEP4, &udp(port)), reason));
        }
    }
}

#[test]
fn what_is_no_afxdp_socket_or_queue_is_refused() {
    if !support::privileged("what_is_no_afxdp_socket_or_queue_is_refused") {
        return;
    }
    let (mut programs, _) = loaded(Role::Port, false);
    let inet = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    let refused = programs.nic.set_socket(0, &inet).unwrap_err();
    assert!(matches!(refused, MapError::Kernel { map: "XSKS", .. }));
    // The whole chain, down to the error number.
    assert!(refused.to_string().contains("os error"), "{refused}");
    let socket = afxdp();
    programs.nic.set_socket(QUEUES_MAX - 1, &socket).unwrap();
    let beyond = programs.nic.set_socket(QUEUES_MAX, &socket);
    assert!(
        matches!(beyond, Err(MapError::QueueOutOfRange { queue: QUEUES_MAX, .. })),
        "{beyond:?}"
    );
    assert!(matches!(programs.nic.clear_socket(QUEUES_MAX), Err(MapError::QueueOutOfRange { .. })));
}
