//! Meters: their commands, what they refuse, and the flows that go with them.

use crate::make::{Desk, add, meter, metered, tells};
use weft_flow::MeterId;
use weft_flow::request::{
    Band, FlowMod, MeterCommand, MeterFlags, MeterMod, Refusal, RemovedReason,
};
use weft_ofproto::{FlowChange, Time};

// Stock: METER_EXISTS, UNKNOWN_METER; a deletion of an unknown meter is no error, a question for
// its statistics is.
#[test]
fn meters_are_there_or_not() {
    let mut desk = Desk::default();
    desk.meter(meter(MeterCommand::Add, 1)).unwrap();
    assert_eq!(desk.meter(meter(MeterCommand::Add, 1)), Err(Refusal::MeterExists));
    assert_eq!(desk.meter(meter(MeterCommand::Modify, 2)), Err(Refusal::UnknownMeter));
    assert!(desk.meter(meter(MeterCommand::Delete, 77)).unwrap().is_empty());
    assert_eq!(desk.bridge.meters(MeterId(77)).err(), Some(Refusal::UnknownMeter));
    desk.meter(meter(MeterCommand::Add, MeterId::CONTROLLER.0)).unwrap();
    desk.meter(meter(MeterCommand::Add, MeterId::SLOWPATH.0)).unwrap();
    assert_eq!(desk.bridge.meters(MeterId::ALL).unwrap().count(), 3);
    let outcome = desk.meter(meter(MeterCommand::Delete, MeterId::ALL.0)).unwrap();
    assert_eq!(outcome.changes.len(), 3);
    assert!(outcome.changes.contains(&FlowChange::MeterRemoved(MeterId(1))));
    assert_eq!(desk.bridge.meters(MeterId::ALL).unwrap().count(), 0);
}

// Stock: INVALID_METER for ids that cannot be, BAD_FLAGS for both units or none, BAD_BAND for
// dscp_remark, BAD_RATE for rate 0, OUT_OF_BANDS for no band and for nine.
#[test]
fn meters_that_cannot_be() {
    let mut desk = Desk::default();
    let mut refuses = |request: MeterMod| desk.meter(request).err();
    let good = meter(MeterCommand::Add, 1);
    let bands = |bands: &[Band]| MeterMod { bands: bands.into(), ..good.clone() };
    let remark = Band::DscpRemark { rate: 1, burst: 0, levels: 1 };
    let drop = Band::Drop { rate: 1, burst: 0 };
    assert_eq!(refuses(meter(MeterCommand::Add, 0)), Some(Refusal::InvalidMeter));
    assert_eq!(refuses(meter(MeterCommand::Add, 0xffff_0001)), Some(Refusal::InvalidMeter));
    assert_eq!(refuses(bands(&[remark])), Some(Refusal::BadBand));
    assert_eq!(refuses(bands(&[Band::Drop { rate: 0, burst: 0 }])), Some(Refusal::BadRate));
    assert_eq!(refuses(meter(MeterCommand::Add, MeterId::ALL.0)), Some(Refusal::InvalidMeter));
    assert_eq!(refuses(bands(&[])), Some(Refusal::OutOfBands));
    assert_eq!(refuses(bands(&[drop; 9])), Some(Refusal::OutOfBands));
    let flags = MeterFlags { pktps: true, ..good.flags };
    assert_eq!(refuses(MeterMod { flags, ..good.clone() }), Some(Refusal::MeterBadFlags));
    let flags = MeterFlags::default();
    assert_eq!(refuses(MeterMod { flags, ..good.clone() }), Some(Refusal::MeterBadFlags));
    assert_eq!(refuses(bands(&[drop; 8])), None);
}

#[test]
fn there_is_room_for_so_many_meters() {
    let mut desk = Desk::default();
    for id in 1..=weft_ofproto::METERS_MAX {
        desk.meter(meter(MeterCommand::Add, id)).unwrap();
    }
    let next = meter(MeterCommand::Add, weft_ofproto::METERS_MAX + 1);
    assert_eq!(desk.meter(next), Err(Refusal::OutOfMeters));
    desk.meter(meter(MeterCommand::Modify, 1)).unwrap();
}

// Stock: the flows with the instruction go; one whose `controller` names the meter stays.
#[test]
fn flows_go_with_meters() {
    let mut desk = Desk::default();
    desk.meter(meter(MeterCommand::Add, 1)).unwrap();
    desk.flow(FlowMod { actions: metered(1), flags: tells(), ..add() }).unwrap();
    let controller =
        weft_flow::action::Controller { meter: Some(MeterId(1)), ..Default::default() };
    let actions = Box::new([weft_flow::Action::Controller(Box::new(controller))]);
    desk.flow(FlowMod { priority: 2, actions, flags: tells(), ..add() }).unwrap();
    assert_eq!(desk.bridge.flows_of_meter(MeterId(1)), 1);
    let outcome = desk.meter(meter(MeterCommand::Delete, 1)).unwrap();
    let reasons: Vec<_> = outcome.removed.iter().map(|removed| removed.reason).collect();
    assert_eq!(reasons, [RemovedReason::MeterDelete]);
    assert_eq!(desk.places(), [(0, 2)]);
}

// Stock: a change keeps the age of the meter, and its counters begin anew.
#[test]
fn changes_keep_the_age() {
    let mut desk = Desk::default();
    desk.meter(meter(MeterCommand::Add, 1)).unwrap();
    desk.bridge.add_meter_use(MeterId(1), 5, 300);
    desk.bridge.add_band_use(MeterId(1), 0, 2, 120);
    desk.bridge.add_band_use(MeterId(1), 1, 2, 120);
    desk.wait(1000);
    let before = desk.bridge.meters(MeterId(1)).unwrap().next().unwrap().clone();
    assert_eq!((before.packets, before.bytes, before.bands), (5, 300, vec![(2, 120)]));
    let two = [Band::Drop { rate: 1, burst: 0 }, Band::Drop { rate: 2, burst: 0 }];
    let change = MeterMod { bands: two.into(), ..meter(MeterCommand::Modify, 1) };
    desk.meter(change).unwrap();
    let entry = desk.bridge.meters(MeterId(1)).unwrap().next().unwrap().clone();
    assert_eq!((entry.created, entry.packets, entry.bytes), (Time(0), 0, 0));
    assert_eq!(entry.bands, [(0, 0), (0, 0)]);
}
