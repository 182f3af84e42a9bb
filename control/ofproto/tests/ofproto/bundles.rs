//! Bundles.

use crate::make::{Desk, add, bucket, command, group, meter, output, to_group};
use weft_flow::request::{
    FlowCommand, FlowMod, GroupCommand, MeterCommand, PacketOut, PortConfig, PortMod, Refusal,
};
use weft_flow::{GroupId, Match, PortNo, TableId};
use weft_ofproto::{
    BUNDLES_MAX, BridgeRequest, BundleFlags, BundleId, Bundled, Bundles, Failure, FlowChange, Time,
};

const BOTH: BundleFlags = BundleFlags { atomic: true, ordered: true };
const ATOMIC: BundleFlags = BundleFlags { atomic: true, ordered: false };
const ONE: BundleId = BundleId(1);

fn bundled(xid: u32) -> Bundled {
    Bundled { xid, request: BridgeRequest::Flow(add()) }
}

fn packet(actions: Box<[weft_flow::Action]>) -> BridgeRequest {
    let packet = Box::new([0; 60]);
    BridgeRequest::PacketOut(PacketOut { buffer: None, metadata: Match::any(), actions, packet })
}

// Stock: what is refused ends the bundle; opening an open one is BAD_ID, adding to a closed one
// BUNDLE_CLOSED, other flags BAD_FLAGS, METER_MOD is MSG_UNSUP, an unknown one is opened by adding.
#[test]
fn bundles_of_a_connection() {
    let mut bundles = Bundles::default();
    let now = Time(0);
    bundles.open(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.open(now, ONE, BOTH), Err(Refusal::BundleBadId));
    assert_eq!(bundles.commit(ONE, BOTH), Err(Refusal::BundleBadId));

    bundles.add(now, ONE, BOTH, bundled(1)).unwrap();
    let metered = Bundled { xid: 2, request: BridgeRequest::Meter(meter(MeterCommand::Add, 1)) };
    assert_eq!(bundles.add(now, ONE, BOTH, metered), Err(Refusal::MsgUnsup));
    bundles.add(now, ONE, BOTH, bundled(3)).unwrap();
    let xids: Vec<_> = bundles.commit(ONE, BOTH).unwrap().iter().map(|one| one.xid).collect();
    assert_eq!(xids, [1, 3], "without what was refused");

    bundles.open(now, ONE, BOTH).unwrap();
    bundles.close(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.add(now, ONE, BOTH, bundled(1)), Err(Refusal::BundleClosed));
    assert_eq!(bundles.close(now, ONE, BOTH), Err(Refusal::BundleBadId));

    bundles.open(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.add(now, ONE, ATOMIC, bundled(1)), Err(Refusal::BundleBadFlags));
    bundles.open(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.close(now, ONE, ATOMIC), Err(Refusal::BundleBadFlags));
    bundles.open(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.commit(ONE, ATOMIC), Err(Refusal::BundleBadFlags));
    bundles.open(now, ONE, BOTH).unwrap();
    bundles.close(now, ONE, BOTH).unwrap();
    assert_eq!(bundles.close(now, ONE, BOTH), Err(Refusal::BundleClosed));
    bundles.open(now, ONE, BOTH).unwrap();
    bundles.discard(ONE).unwrap();
    assert_eq!(bundles.discard(ONE), Err(Refusal::BundleBadId));
}

#[test]
fn idle_bundles_end() {
    let mut bundles = Bundles::default();
    bundles.open(Time(0), BundleId(1), BOTH).unwrap();
    bundles.open(Time(0), BundleId(2), BOTH).unwrap();
    bundles.add(Time(4000), BundleId(2), BOTH, bundled(1)).unwrap();
    assert_eq!(bundles.next_expiry(), Some(Time(10_000)));
    assert_eq!(bundles.expire(Time(9_999)), []);
    assert_eq!(bundles.expire(Time(10_000)), [BundleId(1)]);
    assert_eq!(bundles.expire(Time(14_000)), [BundleId(2)]);
    assert_eq!(bundles.next_expiry(), None);
}

#[test]
fn there_is_room_for_so_many_bundles() {
    let mut bundles = Bundles::default();
    for id in 0..BUNDLES_MAX {
        bundles.open(Time(0), BundleId(id.try_into().unwrap()), BOTH).unwrap();
    }
    assert_eq!(bundles.add(Time(0), BundleId(9999), BOTH, bundled(1)), Err(Refusal::OutOfBundles));
}

// Stock: `group add 1; flow add group:1; flow add group:2` leaves neither group nor flow, and the
// error is that of the third message, BAD_OUT_GROUP; then MSG_FAILED follows for the bundle.
#[test]
fn a_failure_leaves_all_as_it_was() {
    let mut desk = Desk::default();
    desk.bridge.set_port(PortNo(1), [0; 6], true);
    desk.flow(FlowMod { priority: 9, cookie: 4, ..add() }).unwrap();
    let before = desk.flows();
    let down = PortConfig { down: true, ..PortConfig::default() };
    let port = PortMod { port: PortNo(1), hw_addr: [0; 6], config: down, mask: down, advertise: 0 };
    let requests = |last: u32| {
        [
            BridgeRequest::Flow(FlowMod { table: TableId::ALL, ..command(FlowCommand::Delete) }),
            BridgeRequest::Group(group(GroupCommand::Add, 1, &[bucket(0, output(2))])),
            BridgeRequest::Port(port),
            BridgeRequest::Flow(FlowMod { actions: to_group(1), ..add() }),
            packet(to_group(1)),
            BridgeRequest::Flow(FlowMod { priority: 2, actions: to_group(last), ..add() }),
        ]
    };
    let failure = desk.bridge.commit(desk.now, requests(2), None).unwrap_err();
    assert_eq!(failure, Failure { place: 5, refusal: Refusal::BadOutGroup });
    assert_eq!(desk.flows(), before);
    assert_eq!(desk.bridge.groups(GroupId::ALL).count(), 0);
    assert!(!desk.bridge.port(PortNo(1)).unwrap().config.down);

    let outcome = desk.bridge.commit(desk.now, requests(1), None).unwrap();
    let kinds: Vec<_> = outcome.changes.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 6);
    assert!(matches!(outcome.changes[4], FlowChange::PacketOut(_)), "in order");
    assert_eq!(desk.places(), [(0, 1), (0, 2)]);
    assert!(desk.bridge.port(PortNo(1)).unwrap().config.down);
}

#[test]
fn failures_leave_no_numbers_behind() {
    let mut desk = Desk::default();
    for _ in 0..3 {
        let flows = (0..5).map(|priority| FlowMod { priority, ..add() });
        let fails = FlowMod { actions: to_group(9), ..add() };
        let requests = flows.chain([fails]).map(BridgeRequest::Flow);
        desk.bridge.commit(desk.now, requests, None).unwrap_err();
    }
    desk.flow(add()).unwrap();
    assert!(desk.only().id().0 < 5, "numbers are small, so that arrays may be indexed by them");
}

#[test]
fn packets_that_cannot_be() {
    let mut desk = Desk::default();
    let refused = desk.bridge.request(desk.now, packet(to_group(9)), None);
    assert_eq!(refused, Err(Refusal::BadOutGroup));
    let BridgeRequest::PacketOut(of) = packet(output(1)) else { panic!("no packet") };
    let buffered = BridgeRequest::PacketOut(PacketOut { buffer: Some(5), ..of });
    assert_eq!(desk.bridge.request(desk.now, buffered, None), Err(Refusal::BufferUnknown));
}

#[test]
fn ports_of_messages() {
    let mut desk = Desk::default();
    let down = PortConfig { down: true, ..PortConfig::default() };
    let no_flood = PortConfig { no_flood: true, ..PortConfig::default() };
    let hw_addr = [2, 0, 0, 0, 0, 1];
    let port = PortMod { port: PortNo(1), hw_addr, config: down, mask: down, advertise: 0 };
    let ask = |desk: &mut Desk, request| {
        desk.bridge.request(desk.now, BridgeRequest::Port(request), None)
    };
    assert_eq!(ask(&mut desk, port), Err(Refusal::PortModBadPort));
    desk.bridge.set_port(PortNo(1), hw_addr, true);
    let other = PortMod { hw_addr: [2; 6], ..port };
    assert_eq!(ask(&mut desk, other), Err(Refusal::BadHwAddr));
    let outcome = ask(&mut desk, port).unwrap();
    assert_eq!(outcome.changes, [FlowChange::PortSet(PortNo(1), down)]);
    assert!(ask(&mut desk, port).unwrap().is_empty(), "nothing new");
    let flood = PortMod { config: no_flood, mask: no_flood, hw_addr: [0; 6], ..port };
    ask(&mut desk, flood).unwrap();
    assert!(!desk.bridge.set_port(PortNo(1), hw_addr, true), "nothing new");
    let both = PortConfig { no_flood: true, ..down };
    let state = *desk.bridge.port(PortNo(1)).unwrap();
    assert_eq!((state.config, state.is_live()), (both, false));
    desk.bridge.remove_port(PortNo(1));
    assert_eq!(desk.bridge.port(PortNo(1)), None);
}
