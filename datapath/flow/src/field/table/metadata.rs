//! Fields that go along with a packet: ports, metadata, connection tracking.

use super::super::Prerequisite as Pre;
use super::super::Style::{CtState, Decimal, Hexadecimal, Ipv4, Ipv6, Port, PortWide};
use super::super::{Class, Row, Slot};
use super::{BOTH, EXACT, MASK, SET, p, row};
use crate::Version::{V12, V15};

/// All but registers.
pub(super) static METADATA: &[Row] = &[
    row(&["metadata"], 64, BOTH, Hexadecimal, Pre::None, &[p(Slot::Metadata, 0, 0, 64)]).oxm(
        Class::Basic,
        2,
        "METADATA",
        V12,
    ),
    row(&["in_port"], 16, SET, Port, Pre::None, &[p(Slot::InPort, 0, 0, 16)]).nxm(
        Class::Nxm0,
        0,
        "IN_PORT",
    ),
    row(&["in_port_oxm"], 32, SET, PortWide, Pre::None, &[p(Slot::InPort, 0, 0, 32)]).oxm(
        Class::Basic,
        0,
        "IN_PORT",
        V12,
    ),
    row(&["actset_output"], 32, EXACT, PortWide, Pre::None, &[p(Slot::ActsetOutput, 0, 0, 32)])
        .onf(43, "ACTSET_OUTPUT")
        .oxm(Class::Basic, 43, "ACTSET_OUTPUT", V15),
    row(&["pkt_mark"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::PktMark, 0, 0, 32)]).nxm(
        Class::Nxm1,
        33,
        "PKT_MARK",
    ),
    row(&["ct_state"], 32, MASK, CtState, Pre::None, &[p(Slot::CtState, 0, 0, 32)]).nxm(
        Class::Nxm1,
        105,
        "CT_STATE",
    ),
    row(&["ct_zone"], 16, EXACT, Hexadecimal, Pre::None, &[p(Slot::CtZone, 0, 0, 16)]).nxm(
        Class::Nxm1,
        106,
        "CT_ZONE",
    ),
    row(&["ct_mark"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::CtMark, 0, 0, 32)]).nxm(
        Class::Nxm1,
        107,
        "CT_MARK",
    ),
    row(&["ct_label"], 128, BOTH, Hexadecimal, Pre::None, &[p(Slot::CtLabel, 0, 0, 128)]).nxm(
        Class::Nxm1,
        108,
        "CT_LABEL",
    ),
    row(&["ct_nw_proto"], 8, EXACT, Decimal, Pre::Ct, &[p(Slot::CtNwProto, 0, 0, 8)]).nxm(
        Class::Nxm1,
        119,
        "CT_NW_PROTO",
    ),
    row(&["ct_nw_src"], 32, MASK, Ipv4, Pre::CtIpv4, &[p(Slot::CtNwSrc, 0, 0, 32)]).nxm(
        Class::Nxm1,
        120,
        "CT_NW_SRC",
    ),
    row(&["ct_nw_dst"], 32, MASK, Ipv4, Pre::CtIpv4, &[p(Slot::CtNwDst, 0, 0, 32)]).nxm(
        Class::Nxm1,
        121,
        "CT_NW_DST",
    ),
    row(&["ct_ipv6_src"], 128, MASK, Ipv6, Pre::CtIpv6, &[p(Slot::CtIpv6Src, 0, 0, 128)]).nxm(
        Class::Nxm1,
        122,
        "CT_IPV6_SRC",
    ),
    row(&["ct_ipv6_dst"], 128, MASK, Ipv6, Pre::CtIpv6, &[p(Slot::CtIpv6Dst, 0, 0, 128)]).nxm(
        Class::Nxm1,
        123,
        "CT_IPV6_DST",
    ),
    row(&["ct_tp_src"], 16, MASK, Decimal, Pre::Ct, &[p(Slot::CtTpSrc, 0, 0, 16)]).nxm(
        Class::Nxm1,
        124,
        "CT_TP_SRC",
    ),
    row(&["ct_tp_dst"], 16, MASK, Decimal, Pre::Ct, &[p(Slot::CtTpDst, 0, 0, 16)]).nxm(
        Class::Nxm1,
        125,
        "CT_TP_DST",
    ),
];
