//! Fields of what comes before headers, and of tunnels.

use super::super::Prerequisite as Pre;
use super::super::Style::{Decimal, Hexadecimal, Ipv4, Ipv6, PacketType, TunnelFlags};
use super::super::{Class, Row, Slot};
use super::{BOTH, EXACT, FIRST, MASK, p, row};
use crate::Version::{V13, V15};

/// Recirculation, the type of a packet, tunnels but for options.
pub(super) static TUNNEL: &[Row] = &[
    FIRST,
    row(&["recirc_id"], 32, EXACT, Decimal, Pre::None, &[p(Slot::RecircId, 0, 0, 32)]).nxm(
        Class::Nxm1,
        36,
        "RECIRC_ID",
    ),
    row(&["packet_type"], 32, EXACT, PacketType, Pre::None, &[p(Slot::PacketType, 0, 0, 32)]).oxm(
        Class::Basic,
        44,
        "PACKET_TYPE",
        V15,
    ),
    row(&["conj_id"], 32, EXACT, Decimal, Pre::None, &[p(Slot::ConjId, 0, 0, 32)]).nxm(
        Class::Nxm1,
        37,
        "CONJ_ID",
    ),
    row(&["tun_id", "tunnel_id"], 64, BOTH, Hexadecimal, Pre::None, &[p(Slot::TunId, 0, 0, 64)])
        .nxm(Class::Nxm1, 16, "TUN_ID")
        .oxm(Class::Basic, 38, "TUNNEL_ID", V13),
    row(&["tun_src"], 32, BOTH, Ipv4, Pre::None, &[p(Slot::TunSrc, 0, 0, 32)]).nxm(
        Class::Nxm1,
        31,
        "TUN_IPV4_SRC",
    ),
    row(&["tun_dst"], 32, BOTH, Ipv4, Pre::None, &[p(Slot::TunDst, 0, 0, 32)]).nxm(
        Class::Nxm1,
        32,
        "TUN_IPV4_DST",
    ),
    row(&["tun_ipv6_src"], 128, BOTH, Ipv6, Pre::None, &[p(Slot::TunIpv6Src, 0, 0, 128)]).nxm(
        Class::Nxm1,
        109,
        "TUN_IPV6_SRC",
    ),
    row(&["tun_ipv6_dst"], 128, BOTH, Ipv6, Pre::None, &[p(Slot::TunIpv6Dst, 0, 0, 128)]).nxm(
        Class::Nxm1,
        110,
        "TUN_IPV6_DST",
    ),
    row(&["tun_flags"], 16, BOTH, TunnelFlags, Pre::None, &[p(Slot::TunFlags, 0, 0, 16)]).nxm(
        Class::Nxm1,
        104,
        "TUN_FLAGS",
    ),
    row(&["tun_ttl"], 8, EXACT, Decimal, Pre::None, &[p(Slot::TunTtl, 0, 0, 8)]),
    row(&["tun_tos"], 8, EXACT, Decimal, Pre::None, &[p(Slot::TunTos, 0, 0, 8)]),
    row(&["tun_gbp_id"], 16, BOTH, Decimal, Pre::None, &[p(Slot::TunGbpId, 0, 0, 16)]).nxm(
        Class::Nxm1,
        38,
        "TUN_GBP_ID",
    ),
    row(&["tun_gbp_flags"], 8, BOTH, Hexadecimal, Pre::None, &[p(Slot::TunGbpFlags, 0, 0, 8)]).nxm(
        Class::Nxm1,
        39,
        "TUN_GBP_FLAGS",
    ),
    row(&["tun_erspan_idx"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::TunErspanIdx, 0, 0, 32)])
        .oxm(Class::Nicira, 11, "ERSPAN_IDX", V15),
    row(&["tun_erspan_ver"], 8, BOTH, Decimal, Pre::None, &[p(Slot::TunErspanVer, 0, 0, 8)]).oxm(
        Class::Nicira,
        12,
        "ERSPAN_VER",
        V15,
    ),
    row(&["tun_erspan_dir"], 8, BOTH, Decimal, Pre::None, &[p(Slot::TunErspanDir, 0, 0, 8)]).oxm(
        Class::Nicira,
        13,
        "ERSPAN_DIR",
        V15,
    ),
    row(&["tun_erspan_hwid"], 8, BOTH, Hexadecimal, Pre::None, &[p(Slot::TunErspanHwid, 0, 0, 8)])
        .oxm(Class::Nicira, 14, "ERSPAN_HWID", V15),
    row(&["tun_gtpu_flags"], 8, MASK, Hexadecimal, Pre::None, &[p(Slot::TunGtpuFlags, 0, 0, 8)])
        .oxm(Class::Nicira, 15, "GTPU_FLAGS", V15),
    row(&["tun_gtpu_msgtype"], 8, MASK, Decimal, Pre::None, &[p(Slot::TunGtpuMsgtype, 0, 0, 8)])
        .oxm(Class::Nicira, 16, "GTPU_MSGTYPE", V15),
];
