//! The numbers of statistics in each version.

use crate::message::kind::{Shape, check_shape};
use crate::message::wire::{Done, Wire};
use weft_flow::Version::{self, V10, V11, V12, V13, V14, V15};
use weft_flow::request::Refusal;

/// What statistics are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Desc,
    Flow,
    NiciraFlow,
    Aggregate,
    NiciraAggregate,
    Table,
    TableFeatures,
    TableDesc,
    Port,
    PortDesc,
    Queue,
    QueueDesc,
    Group,
    GroupDesc,
    GroupFeatures,
    Meter,
    MeterConfig,
    MeterFeatures,
    Monitor,
    IpfixBridge,
    IpfixFlow,
}

/// Who numbered it, and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Of(u16),
    Nx(u32),
    Onf(u32),
}
use Number::{Nx, Of, Onf};

/// The kind, the first and the last version with this number, the number.
const ROWS: &[(Kind, Version, Version, Number)] = &[
    (Kind::Desc, V10, V15, Of(0)),
    (Kind::Flow, V10, V15, Of(1)),
    (Kind::NiciraFlow, V10, V10, Nx(0)),
    (Kind::Aggregate, V10, V15, Of(2)),
    (Kind::NiciraAggregate, V10, V10, Nx(1)),
    (Kind::Table, V10, V15, Of(3)),
    (Kind::Port, V10, V15, Of(4)),
    (Kind::Queue, V10, V15, Of(5)),
    (Kind::Group, V10, V10, Nx(7)),
    (Kind::Group, V11, V15, Of(6)),
    (Kind::GroupDesc, V10, V10, Nx(8)),
    (Kind::GroupDesc, V11, V15, Of(7)),
    (Kind::GroupFeatures, V10, V11, Nx(9)),
    (Kind::GroupFeatures, V12, V15, Of(8)),
    (Kind::Meter, V13, V15, Of(9)),
    (Kind::MeterConfig, V13, V15, Of(10)),
    (Kind::MeterFeatures, V13, V15, Of(11)),
    (Kind::TableFeatures, V13, V15, Of(12)),
    (Kind::PortDesc, V10, V15, Of(13)),
    (Kind::TableDesc, V14, V15, Of(14)),
    (Kind::QueueDesc, V14, V15, Of(15)),
    (Kind::Monitor, V10, V12, Nx(2)),
    (Kind::Monitor, V13, V13, Onf(1870)),
    (Kind::Monitor, V14, V15, Of(16)),
    (Kind::IpfixBridge, V10, V15, Nx(3)),
    (Kind::IpfixFlow, V10, V15, Nx(4)),
];

const EXPERIMENTER: u16 = 0xffff;
const NICIRA: u32 = 0x0000_2320;
const ONF: u32 = 0x4f4e_4600;
/// More parts follow.
pub(super) const MORE: u16 = 1;

fn here(version: Version) -> impl Fn(&&(Kind, Version, Version, Number)) -> bool {
    move |row| (row.1..=row.2).contains(&version)
}

/// The shape of a question's body.
fn shape(kind: Kind, version: Version) -> Shape {
    let is_first = version == V10;
    match kind {
        Kind::Flow | Kind::Aggregate if is_first => (44, 0),
        Kind::Flow | Kind::Aggregate => (32, 8),
        Kind::NiciraFlow | Kind::NiciraAggregate => (8, 8),
        Kind::Monitor | Kind::TableFeatures => (0, 8),
        Kind::PortDesc if version < V15 => (0, 0),
        Kind::GroupDesc if !is_first && version < V15 => (0, 0),
        Kind::Port
        | Kind::PortDesc
        | Kind::Queue
        | Kind::QueueDesc
        | Kind::Group
        | Kind::GroupDesc
        | Kind::Meter
        | Kind::MeterConfig => (8, 0),
        _ => (0, 0),
    }
}

/// Refuses a question whose body has not the shape that its kind has.
pub(super) fn check_question(wire: &Wire<'_>, kind: Kind) -> Done {
    if wire.is_reading() {
        check_shape(wire.left().len(), shape(kind, wire.version()))
    } else {
        Ok(())
    }
}

/// Reads or writes what comes before the body: the number of the kind, and flags.
pub(super) fn header(wire: &mut Wire<'_>, kind: &mut Kind, flags: &mut u16) -> Done {
    let version = wire.version();
    let mut number = Of(0);
    if !wire.is_reading() {
        let row = ROWS.iter().filter(here(version)).find(|row| row.0 == *kind);
        number = row.ok_or(Refusal::BadStat)?.3;
    }
    let (mut of, mut who, mut subtype) = match number {
        Of(number) => (number, 0, 0),
        Nx(subtype) => (EXPERIMENTER, NICIRA, subtype),
        Onf(subtype) => (EXPERIMENTER, ONF, subtype),
    };
    wire.u16(&mut of)?;
    wire.u16(flags)?;
    if version > V10 {
        wire.pad(4)?;
    }
    if of == EXPERIMENTER {
        wire.u32(&mut who)?;
        wire.u32(&mut subtype)?;
        if version == V10 {
            wire.pad(4)?;
        }
    }
    let (number, refusal) = match (of, who) {
        (EXPERIMENTER, NICIRA) => (Nx(subtype), Refusal::BadSubtype),
        (EXPERIMENTER, ONF) => (Onf(subtype), Refusal::BadSubtype),
        (EXPERIMENTER, _) => return Err(Refusal::BadVendor),
        _ => (Of(of), Refusal::BadStat),
    };
    *kind = ROWS.iter().filter(here(version)).find(|row| row.3 == number).ok_or(refusal)?.0;
    Ok(())
}
