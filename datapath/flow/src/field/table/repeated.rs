//! Fields of which there are many: options of tunnels, and registers.

use super::super::Prerequisite as Pre;
use super::super::Style::Hexadecimal;
use super::super::{Class, Row, Slot};
use super::{BOTH, p, row};
use crate::Version::V13;

/// Rows of tunnel options, by their numbers.
macro_rules! options {
    ($($number:literal)*) => {
        &[$(row(
            &[concat!("tun_metadata", $number)],
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
        .nxm(Class::Nxm1, 40 + $number, concat!("TUN_METADATA", $number)),)*]
    };
}

/// A row of a register, a pair (the first in the high bits) or four of them: its number, and the
/// numbers of its registers.
macro_rules! register {
    ($number:literal) => {
        row(
            &[concat!("reg", $number)],
            32,
            BOTH,
            Hexadecimal,
            Pre::None,
            &[p(Slot::Reg($number), 0, 0, 32)],
        )
        .nxm(Class::Nxm1, $number, concat!("REG", $number))
    };
    ($number:literal, $first:literal $second:literal) => {
        row(
            &[concat!("xreg", $number)],
            64,
            BOTH,
            Hexadecimal,
            Pre::None,
            &[p(Slot::Reg($second), 0, 0, 32), p(Slot::Reg($first), 0, 32, 32)],
        )
        .oxm(Class::PacketRegisters, $number, stringify!($number), V13)
    };
    ($number:literal, $first:literal $second:literal $third:literal $fourth:literal) => {
        row(
            &[concat!("xxreg", $number)],
            128,
            BOTH,
            Hexadecimal,
            Pre::None,
            &[
                p(Slot::Reg($fourth), 0, 0, 32),
                p(Slot::Reg($third), 0, 32, 32),
                p(Slot::Reg($second), 0, 64, 32),
                p(Slot::Reg($first), 0, 96, 32),
            ],
        )
        .nxm(Class::Nxm1, 111 + $number, concat!("XXREG", $number))
    };
}

/// Options of tunnels.
pub(super) static OPTIONS: &[Row] = options![
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
];

/// Registers, pairs of them, and fours.
pub(super) static REGISTERS: &[Row] = &[
    register!(0),
    register!(1),
    register!(2),
    register!(3),
    register!(4),
    register!(5),
    register!(6),
    register!(7),
    register!(8),
    register!(9),
    register!(10),
    register!(11),
    register!(12),
    register!(13),
    register!(14),
    register!(15),
    register!(0, 0 1),
    register!(1, 2 3),
    register!(2, 4 5),
    register!(3, 6 7),
    register!(4, 8 9),
    register!(5, 10 11),
    register!(6, 12 13),
    register!(7, 14 15),
    register!(0, 0 1 2 3),
    register!(1, 4 5 6 7),
    register!(2, 8 9 10 11),
    register!(3, 12 13 14 15),
];
