//! The table of fields: a row for each, in the order in which texts list them.
//!
//! Numbers and names are those of the `OpenFlow` specifications and of Open vSwitch's fields
//! (ovs-fields(7)).

use super::Prerequisite as Pre;
use super::Style::{
    CtState, Decimal, Ethernet, Fragment, Hexadecimal, Ipv4, Ipv6, PacketType, Port, PortWide,
    TcpFlags, TunnelFlags,
};
use super::{Class, Header, Place, Row, Slot, Style};
use crate::Version;
use Version::{V12, V13, V15};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A header.
const fn h(class: Class, number: u8, name: &'static str) -> Header {
    Header { class, number, name }
}

/// Bits of a slot.
const fn p(slot: Slot, slot_bit: u32, field_bit: u32, bits: u32) -> Place {
    Place { slot, slot_bit, field_bit, bits }
}

/// Whether matches may have a mask, and whether actions may set it.
type Uses = (bool, bool);
/// Matched exactly, never set.
const EXACT: Uses = (false, false);
/// Matched exactly, may be set.
const SET: Uses = (false, true);
/// Matched with masks, never set.
const MASK: Uses = (true, false);
/// Matched with masks, may be set.
const BOTH: Uses = (true, true);

/// A row without headers.
const fn row(
    names: &'static [&'static str],
    bits: u32,
    (maskable, writable): Uses,
    style: Style,
    prerequisite: Pre,
    places: &'static [Place],
) -> Row {
    Row {
        names,
        bits,
        maskable,
        writable,
        style,
        prerequisite,
        nxm: None,
        onf: None,
        oxm: None,
        places,
    }
}

impl Row {
    /// With a header of NXM.
    const fn nxm(mut self, class: Class, number: u8, name: &'static str) -> Self {
        self.nxm = Some(h(class, number, name));
        self
    }

    /// With a header of the Open Networking Foundation, since 1.3.
    const fn onf(mut self, number: u8, name: &'static str) -> Self {
        self.onf = Some((h(Class::Onf, number, name), V13));
        self
    }

    /// With a header of OXM, since a version.
    const fn oxm(mut self, class: Class, number: u8, name: &'static str, since: Version) -> Self {
        self.oxm = Some((h(class, number, name), since));
        self
    }
}

/// Answers where a number has no row, which cannot be.
pub(super) const FIRST: Row =
    row(&["dp_hash"], 32, MASK, Hexadecimal, Pre::None, &[p(Slot::DpHash, 0, 0, 32)]).nxm(
        Class::Nxm1,
        35,
        "DP_HASH",
    );

/// A tunnel option: its name, its number, the name of its header.
macro_rules! tun_metadata {
    ($name:literal, $number:literal, $header:literal) => {
        row(
            &[$name],
            992,
            BOTH,
            Hexadecimal,
            Pre::None,
            &[
                p(Slot::TunMetadata($number, 0), 0, 0, 128),
                p(Slot::TunMetadata($number, 1), 0, 128, 128),
                p(Slot::TunMetadata($number, 2), 0, 256, 128),
                p(Slot::TunMetadata($number, 3), 0, 384, 128),
                p(Slot::TunMetadata($number, 4), 0, 512, 128),
                p(Slot::TunMetadata($number, 5), 0, 640, 128),
                p(Slot::TunMetadata($number, 6), 0, 768, 128),
                p(Slot::TunMetadata($number, 7), 0, 896, 96),
            ],
        )
        .nxm(Class::Nxm1, 40 + $number, $header)
    };
}

/// All fields.
pub(super) static ROWS: &[Row] = &[
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
    tun_metadata!("tun_metadata0", 0, "TUN_METADATA0"),
    tun_metadata!("tun_metadata1", 1, "TUN_METADATA1"),
    tun_metadata!("tun_metadata2", 2, "TUN_METADATA2"),
    tun_metadata!("tun_metadata3", 3, "TUN_METADATA3"),
    tun_metadata!("tun_metadata4", 4, "TUN_METADATA4"),
    tun_metadata!("tun_metadata5", 5, "TUN_METADATA5"),
    tun_metadata!("tun_metadata6", 6, "TUN_METADATA6"),
    tun_metadata!("tun_metadata7", 7, "TUN_METADATA7"),
    tun_metadata!("tun_metadata8", 8, "TUN_METADATA8"),
    tun_metadata!("tun_metadata9", 9, "TUN_METADATA9"),
    tun_metadata!("tun_metadata10", 10, "TUN_METADATA10"),
    tun_metadata!("tun_metadata11", 11, "TUN_METADATA11"),
    tun_metadata!("tun_metadata12", 12, "TUN_METADATA12"),
    tun_metadata!("tun_metadata13", 13, "TUN_METADATA13"),
    tun_metadata!("tun_metadata14", 14, "TUN_METADATA14"),
    tun_metadata!("tun_metadata15", 15, "TUN_METADATA15"),
    tun_metadata!("tun_metadata16", 16, "TUN_METADATA16"),
    tun_metadata!("tun_metadata17", 17, "TUN_METADATA17"),
    tun_metadata!("tun_metadata18", 18, "TUN_METADATA18"),
    tun_metadata!("tun_metadata19", 19, "TUN_METADATA19"),
    tun_metadata!("tun_metadata20", 20, "TUN_METADATA20"),
    tun_metadata!("tun_metadata21", 21, "TUN_METADATA21"),
    tun_metadata!("tun_metadata22", 22, "TUN_METADATA22"),
    tun_metadata!("tun_metadata23", 23, "TUN_METADATA23"),
    tun_metadata!("tun_metadata24", 24, "TUN_METADATA24"),
    tun_metadata!("tun_metadata25", 25, "TUN_METADATA25"),
    tun_metadata!("tun_metadata26", 26, "TUN_METADATA26"),
    tun_metadata!("tun_metadata27", 27, "TUN_METADATA27"),
    tun_metadata!("tun_metadata28", 28, "TUN_METADATA28"),
    tun_metadata!("tun_metadata29", 29, "TUN_METADATA29"),
    tun_metadata!("tun_metadata30", 30, "TUN_METADATA30"),
    tun_metadata!("tun_metadata31", 31, "TUN_METADATA31"),
    tun_metadata!("tun_metadata32", 32, "TUN_METADATA32"),
    tun_metadata!("tun_metadata33", 33, "TUN_METADATA33"),
    tun_metadata!("tun_metadata34", 34, "TUN_METADATA34"),
    tun_metadata!("tun_metadata35", 35, "TUN_METADATA35"),
    tun_metadata!("tun_metadata36", 36, "TUN_METADATA36"),
    tun_metadata!("tun_metadata37", 37, "TUN_METADATA37"),
    tun_metadata!("tun_metadata38", 38, "TUN_METADATA38"),
    tun_metadata!("tun_metadata39", 39, "TUN_METADATA39"),
    tun_metadata!("tun_metadata40", 40, "TUN_METADATA40"),
    tun_metadata!("tun_metadata41", 41, "TUN_METADATA41"),
    tun_metadata!("tun_metadata42", 42, "TUN_METADATA42"),
    tun_metadata!("tun_metadata43", 43, "TUN_METADATA43"),
    tun_metadata!("tun_metadata44", 44, "TUN_METADATA44"),
    tun_metadata!("tun_metadata45", 45, "TUN_METADATA45"),
    tun_metadata!("tun_metadata46", 46, "TUN_METADATA46"),
    tun_metadata!("tun_metadata47", 47, "TUN_METADATA47"),
    tun_metadata!("tun_metadata48", 48, "TUN_METADATA48"),
    tun_metadata!("tun_metadata49", 49, "TUN_METADATA49"),
    tun_metadata!("tun_metadata50", 50, "TUN_METADATA50"),
    tun_metadata!("tun_metadata51", 51, "TUN_METADATA51"),
    tun_metadata!("tun_metadata52", 52, "TUN_METADATA52"),
    tun_metadata!("tun_metadata53", 53, "TUN_METADATA53"),
    tun_metadata!("tun_metadata54", 54, "TUN_METADATA54"),
    tun_metadata!("tun_metadata55", 55, "TUN_METADATA55"),
    tun_metadata!("tun_metadata56", 56, "TUN_METADATA56"),
    tun_metadata!("tun_metadata57", 57, "TUN_METADATA57"),
    tun_metadata!("tun_metadata58", 58, "TUN_METADATA58"),
    tun_metadata!("tun_metadata59", 59, "TUN_METADATA59"),
    tun_metadata!("tun_metadata60", 60, "TUN_METADATA60"),
    tun_metadata!("tun_metadata61", 61, "TUN_METADATA61"),
    tun_metadata!("tun_metadata62", 62, "TUN_METADATA62"),
    tun_metadata!("tun_metadata63", 63, "TUN_METADATA63"),
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
    row(&["reg0"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(0), 0, 0, 32)]).nxm(
        Class::Nxm1,
        0,
        "REG0",
    ),
    row(&["reg1"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(1), 0, 0, 32)]).nxm(
        Class::Nxm1,
        1,
        "REG1",
    ),
    row(&["reg2"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(2), 0, 0, 32)]).nxm(
        Class::Nxm1,
        2,
        "REG2",
    ),
    row(&["reg3"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(3), 0, 0, 32)]).nxm(
        Class::Nxm1,
        3,
        "REG3",
    ),
    row(&["reg4"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(4), 0, 0, 32)]).nxm(
        Class::Nxm1,
        4,
        "REG4",
    ),
    row(&["reg5"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(5), 0, 0, 32)]).nxm(
        Class::Nxm1,
        5,
        "REG5",
    ),
    row(&["reg6"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(6), 0, 0, 32)]).nxm(
        Class::Nxm1,
        6,
        "REG6",
    ),
    row(&["reg7"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(7), 0, 0, 32)]).nxm(
        Class::Nxm1,
        7,
        "REG7",
    ),
    row(&["reg8"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(8), 0, 0, 32)]).nxm(
        Class::Nxm1,
        8,
        "REG8",
    ),
    row(&["reg9"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(9), 0, 0, 32)]).nxm(
        Class::Nxm1,
        9,
        "REG9",
    ),
    row(&["reg10"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(10), 0, 0, 32)]).nxm(
        Class::Nxm1,
        10,
        "REG10",
    ),
    row(&["reg11"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(11), 0, 0, 32)]).nxm(
        Class::Nxm1,
        11,
        "REG11",
    ),
    row(&["reg12"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(12), 0, 0, 32)]).nxm(
        Class::Nxm1,
        12,
        "REG12",
    ),
    row(&["reg13"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(13), 0, 0, 32)]).nxm(
        Class::Nxm1,
        13,
        "REG13",
    ),
    row(&["reg14"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(14), 0, 0, 32)]).nxm(
        Class::Nxm1,
        14,
        "REG14",
    ),
    row(&["reg15"], 32, BOTH, Hexadecimal, Pre::None, &[p(Slot::Reg(15), 0, 0, 32)]).nxm(
        Class::Nxm1,
        15,
        "REG15",
    ),
    row(
        &["xreg0"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(1), 0, 0, 32), p(Slot::Reg(0), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 0, "0", V13),
    row(
        &["xreg1"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(3), 0, 0, 32), p(Slot::Reg(2), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 1, "1", V13),
    row(
        &["xreg2"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(5), 0, 0, 32), p(Slot::Reg(4), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 2, "2", V13),
    row(
        &["xreg3"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(7), 0, 0, 32), p(Slot::Reg(6), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 3, "3", V13),
    row(
        &["xreg4"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(9), 0, 0, 32), p(Slot::Reg(8), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 4, "4", V13),
    row(
        &["xreg5"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(11), 0, 0, 32), p(Slot::Reg(10), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 5, "5", V13),
    row(
        &["xreg6"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(13), 0, 0, 32), p(Slot::Reg(12), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 6, "6", V13),
    row(
        &["xreg7"],
        64,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[p(Slot::Reg(15), 0, 0, 32), p(Slot::Reg(14), 0, 32, 32)],
    )
    .oxm(Class::PacketRegisters, 7, "7", V13),
    row(
        &["xxreg0"],
        128,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[
            p(Slot::Reg(3), 0, 0, 32),
            p(Slot::Reg(2), 0, 32, 32),
            p(Slot::Reg(1), 0, 64, 32),
            p(Slot::Reg(0), 0, 96, 32),
        ],
    )
    .nxm(Class::Nxm1, 111, "XXREG0"),
    row(
        &["xxreg1"],
        128,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[
            p(Slot::Reg(7), 0, 0, 32),
            p(Slot::Reg(6), 0, 32, 32),
            p(Slot::Reg(5), 0, 64, 32),
            p(Slot::Reg(4), 0, 96, 32),
        ],
    )
    .nxm(Class::Nxm1, 112, "XXREG1"),
    row(
        &["xxreg2"],
        128,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[
            p(Slot::Reg(11), 0, 0, 32),
            p(Slot::Reg(10), 0, 32, 32),
            p(Slot::Reg(9), 0, 64, 32),
            p(Slot::Reg(8), 0, 96, 32),
        ],
    )
    .nxm(Class::Nxm1, 113, "XXREG2"),
    row(
        &["xxreg3"],
        128,
        BOTH,
        Hexadecimal,
        Pre::None,
        &[
            p(Slot::Reg(15), 0, 0, 32),
            p(Slot::Reg(14), 0, 32, 32),
            p(Slot::Reg(13), 0, 64, 32),
            p(Slot::Reg(12), 0, 96, 32),
        ],
    )
    .nxm(Class::Nxm1, 114, "XXREG3"),
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

/// The number of the row with each name.
static NAMES: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| {
    let rows = (0u16..).zip(ROWS);
    rows.flat_map(|(number, row)| row.names.iter().map(move |name| (*name, number))).collect()
});

/// The number of the row with each header.
static HEADERS: LazyLock<HashMap<(Class, u8), u16>> = LazyLock::new(|| {
    let headers = |row: &'static Row| {
        let newer = row.onf.into_iter().chain(row.oxm).map(|(header, _)| header);
        row.nxm.into_iter().chain(newer)
    };
    let rows = (0u16..).zip(ROWS);
    rows.flat_map(|(number, row)| {
        headers(row).map(move |header| ((header.class, header.number), number))
    })
    .collect()
});

/// The number of the row with a name.
pub(super) fn by_name(name: &str) -> Option<u16> {
    NAMES.get(name).copied()
}

/// The number of the row with a header.
pub(super) fn by_header(class: Class, number: u8) -> Option<u16> {
    HEADERS.get(&(class, number)).copied()
}
