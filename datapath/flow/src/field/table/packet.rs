//! Fields of headers.

use super::super::Prerequisite as Pre;
use super::super::Style::{Decimal, Ethernet, Fragment, Hexadecimal, Ipv4, Ipv6, TcpFlags};
use super::super::{Class, Row, Slot};
use super::{BOTH, EXACT, MASK, SET, p, row};
use crate::Version::{V12, V13, V15};

/// From Ethernet to neighbour discovery.
pub(super) static PACKET: &[Row] = &[
    row(&["eth_src", "dl_src"], 48, BOTH, Ethernet, Pre::None, &[p(Slot::EthSrc, 0, 0, 48)])
        .nxm(Class::Nxm0, 2, "ETH_SRC")
        .oxm(Class::Basic, 4, "ETH_SRC", V12),
    row(&["eth_dst", "dl_dst"], 48, BOTH, Ethernet, Pre::None, &[p(Slot::EthDst, 0, 0, 48)])
        .nxm(Class::Nxm0, 1, "ETH_DST")
        .oxm(Class::Basic, 3, "ETH_DST", V12),
    row(&["eth_type", "dl_type"], 16, EXACT, Hexadecimal, Pre::None, &[p(Slot::EthType, 0, 0, 16)])
        .nxm(Class::Nxm0, 3, "ETH_TYPE")
        .oxm(Class::Basic, 5, "ETH_TYPE", V12),
    row(&["vlan_tci"], 16, BOTH, Hexadecimal, Pre::None, &[p(Slot::VlanTci, 0, 0, 16)]).nxm(
        Class::Nxm0,
        4,
        "VLAN_TCI",
    ),
    row(&["dl_vlan"], 12, SET, Decimal, Pre::None, &[p(Slot::VlanTci, 0, 0, 12)]),
    row(&["vlan_vid"], 13, BOTH, Decimal, Pre::None, &[p(Slot::VlanTci, 0, 0, 13)]).oxm(
        Class::Basic,
        6,
        "VLAN_VID",
        V12,
    ),
    row(&["dl_vlan_pcp"], 3, SET, Decimal, Pre::None, &[p(Slot::VlanTci, 13, 0, 3)]),
    row(&["vlan_pcp"], 3, SET, Decimal, Pre::Vlan, &[p(Slot::VlanTci, 13, 0, 3)]).oxm(
        Class::Basic,
        7,
        "VLAN_PCP",
        V12,
    ),
    row(&["mpls_label"], 20, SET, Decimal, Pre::Mpls, &[p(Slot::MplsLse, 12, 0, 20)]).oxm(
        Class::Basic,
        34,
        "MPLS_LABEL",
        V12,
    ),
    row(&["mpls_tc"], 3, SET, Decimal, Pre::Mpls, &[p(Slot::MplsLse, 9, 0, 3)]).oxm(
        Class::Basic,
        35,
        "MPLS_TC",
        V12,
    ),
    row(&["mpls_bos"], 1, EXACT, Decimal, Pre::Mpls, &[p(Slot::MplsLse, 8, 0, 1)]).oxm(
        Class::Basic,
        36,
        "MPLS_BOS",
        V13,
    ),
    row(&["mpls_ttl"], 8, SET, Decimal, Pre::Mpls, &[p(Slot::MplsLse, 0, 0, 8)]).nxm(
        Class::Nxm1,
        30,
        "MPLS_TTL",
    ),
    row(&["ip_src", "nw_src"], 32, BOTH, Ipv4, Pre::Ipv4, &[p(Slot::NwSrc, 0, 0, 32)])
        .nxm(Class::Nxm0, 7, "IP_SRC")
        .oxm(Class::Basic, 11, "IPV4_SRC", V12),
    row(&["ip_dst", "nw_dst"], 32, BOTH, Ipv4, Pre::Ipv4, &[p(Slot::NwDst, 0, 0, 32)])
        .nxm(Class::Nxm0, 8, "IP_DST")
        .oxm(Class::Basic, 12, "IPV4_DST", V12),
    row(&["ipv6_src"], 128, BOTH, Ipv6, Pre::Ipv6, &[p(Slot::Ipv6Src, 0, 0, 128)])
        .nxm(Class::Nxm1, 19, "IPV6_SRC")
        .oxm(Class::Basic, 26, "IPV6_SRC", V12),
    row(&["ipv6_dst"], 128, BOTH, Ipv6, Pre::Ipv6, &[p(Slot::Ipv6Dst, 0, 0, 128)])
        .nxm(Class::Nxm1, 20, "IPV6_DST")
        .oxm(Class::Basic, 27, "IPV6_DST", V12),
    row(&["ipv6_label"], 20, BOTH, Hexadecimal, Pre::Ipv6, &[p(Slot::Ipv6Label, 0, 0, 20)])
        .nxm(Class::Nxm1, 27, "IPV6_LABEL")
        .oxm(Class::Basic, 28, "IPV6_FLABEL", V12),
    row(&["nw_proto", "ip_proto"], 8, EXACT, Decimal, Pre::Ip, &[p(Slot::NwProto, 0, 0, 8)])
        .nxm(Class::Nxm0, 6, "IP_PROTO")
        .oxm(Class::Basic, 10, "IP_PROTO", V12),
    row(&["nw_tos"], 8, SET, Decimal, Pre::Ip, &[p(Slot::NwTos, 2, 2, 6)]).nxm(
        Class::Nxm0,
        5,
        "IP_TOS",
    ),
    row(&["ip_dscp"], 6, SET, Decimal, Pre::Ip, &[p(Slot::NwTos, 2, 0, 6)]).oxm(
        Class::Basic,
        8,
        "IP_DSCP",
        V12,
    ),
    row(&["nw_ecn", "ip_ecn"], 2, SET, Decimal, Pre::Ip, &[p(Slot::NwTos, 0, 0, 2)])
        .nxm(Class::Nxm1, 28, "IP_ECN")
        .oxm(Class::Basic, 9, "IP_ECN", V12),
    row(&["nw_ttl"], 8, SET, Decimal, Pre::Ip, &[p(Slot::NwTtl, 0, 0, 8)]).nxm(
        Class::Nxm1,
        29,
        "IP_TTL",
    ),
    row(&["ip_frag", "nw_frag"], 8, MASK, Fragment, Pre::Ip, &[p(Slot::NwFrag, 0, 0, 8)]).nxm(
        Class::Nxm1,
        26,
        "IP_FRAG",
    ),
    row(&["arp_op"], 16, SET, Decimal, Pre::Arp, &[p(Slot::NwProto, 0, 0, 8)])
        .nxm(Class::Nxm0, 15, "ARP_OP")
        .oxm(Class::Basic, 21, "ARP_OP", V12),
    row(&["arp_spa"], 32, BOTH, Ipv4, Pre::Arp, &[p(Slot::NwSrc, 0, 0, 32)])
        .nxm(Class::Nxm0, 16, "ARP_SPA")
        .oxm(Class::Basic, 22, "ARP_SPA", V12),
    row(&["arp_tpa"], 32, BOTH, Ipv4, Pre::Arp, &[p(Slot::NwDst, 0, 0, 32)])
        .nxm(Class::Nxm0, 17, "ARP_TPA")
        .oxm(Class::Basic, 23, "ARP_TPA", V12),
    row(&["arp_sha"], 48, BOTH, Ethernet, Pre::Arp, &[p(Slot::ArpSha, 0, 0, 48)])
        .nxm(Class::Nxm1, 17, "ARP_SHA")
        .oxm(Class::Basic, 24, "ARP_SHA", V12),
    row(&["arp_tha"], 48, BOTH, Ethernet, Pre::Arp, &[p(Slot::ArpTha, 0, 0, 48)])
        .nxm(Class::Nxm1, 18, "ARP_THA")
        .oxm(Class::Basic, 25, "ARP_THA", V12),
    row(&["tcp_src"], 16, BOTH, Decimal, Pre::Tcp, &[p(Slot::TpSrc, 0, 0, 16)])
        .nxm(Class::Nxm0, 9, "TCP_SRC")
        .oxm(Class::Basic, 13, "TCP_SRC", V12),
    row(&["tcp_dst"], 16, BOTH, Decimal, Pre::Tcp, &[p(Slot::TpDst, 0, 0, 16)])
        .nxm(Class::Nxm0, 10, "TCP_DST")
        .oxm(Class::Basic, 14, "TCP_DST", V12),
    row(&["tcp_flags"], 12, MASK, TcpFlags, Pre::Tcp, &[p(Slot::TcpFlags, 0, 0, 12)])
        .nxm(Class::Nxm1, 34, "TCP_FLAGS")
        .onf(42, "TCP_FLAGS")
        .oxm(Class::Basic, 42, "TCP_FLAGS", V15),
    row(&["udp_src"], 16, BOTH, Decimal, Pre::Udp, &[p(Slot::TpSrc, 0, 0, 16)])
        .nxm(Class::Nxm0, 11, "UDP_SRC")
        .oxm(Class::Basic, 15, "UDP_SRC", V12),
    row(&["udp_dst"], 16, BOTH, Decimal, Pre::Udp, &[p(Slot::TpDst, 0, 0, 16)])
        .nxm(Class::Nxm0, 12, "UDP_DST")
        .oxm(Class::Basic, 16, "UDP_DST", V12),
    row(&["sctp_src"], 16, BOTH, Decimal, Pre::Sctp, &[p(Slot::TpSrc, 0, 0, 16)]).oxm(
        Class::Basic,
        17,
        "SCTP_SRC",
        V12,
    ),
    row(&["sctp_dst"], 16, BOTH, Decimal, Pre::Sctp, &[p(Slot::TpDst, 0, 0, 16)]).oxm(
        Class::Basic,
        18,
        "SCTP_DST",
        V12,
    ),
    row(&["icmp_type"], 8, SET, Decimal, Pre::Icmpv4, &[p(Slot::TpSrc, 0, 0, 8)])
        .nxm(Class::Nxm0, 13, "ICMP_TYPE")
        .oxm(Class::Basic, 19, "ICMPV4_TYPE", V12),
    row(&["icmp_code"], 8, SET, Decimal, Pre::Icmpv4, &[p(Slot::TpDst, 0, 0, 8)])
        .nxm(Class::Nxm0, 14, "ICMP_CODE")
        .oxm(Class::Basic, 20, "ICMPV4_CODE", V12),
    row(&["icmpv6_type"], 8, SET, Decimal, Pre::Icmpv6, &[p(Slot::TpSrc, 0, 0, 8)])
        .nxm(Class::Nxm1, 21, "ICMPV6_TYPE")
        .oxm(Class::Basic, 29, "ICMPV6_TYPE", V12),
    row(&["icmpv6_code"], 8, SET, Decimal, Pre::Icmpv6, &[p(Slot::TpDst, 0, 0, 8)])
        .nxm(Class::Nxm1, 22, "ICMPV6_CODE")
        .oxm(Class::Basic, 30, "ICMPV6_CODE", V12),
    row(&["nd_target"], 128, BOTH, Ipv6, Pre::Nd, &[p(Slot::NdTarget, 0, 0, 128)])
        .nxm(Class::Nxm1, 23, "ND_TARGET")
        .oxm(Class::Basic, 31, "IPV6_ND_TARGET", V12),
    row(&["nd_sll"], 48, BOTH, Ethernet, Pre::NdSolicit, &[p(Slot::ArpSha, 0, 0, 48)])
        .nxm(Class::Nxm1, 24, "ND_SLL")
        .oxm(Class::Basic, 32, "IPV6_ND_SLL", V12),
    row(&["nd_tll"], 48, BOTH, Ethernet, Pre::NdAdvert, &[p(Slot::ArpTha, 0, 0, 48)])
        .nxm(Class::Nxm1, 25, "ND_TLL")
        .oxm(Class::Basic, 33, "IPV6_ND_TLL", V12),
    row(&["nd_reserved"], 32, SET, Decimal, Pre::Nd, &[p(Slot::NdReserved, 0, 0, 32)]).oxm(
        Class::Ericsson,
        1,
        "ICMPV6_ND_RESERVED",
        V13,
    ),
    row(&["nd_options_type"], 8, SET, Decimal, Pre::Nd, &[p(Slot::NdOptionsType, 0, 0, 8)]).oxm(
        Class::Ericsson,
        2,
        "ICMPV6_ND_OPTIONS_TYPE",
        V13,
    ),
];
