//! Values that are written come back: exactly in 1.5, and in each version as what writes the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;
use weft_flow::request::{
    Band, Bucket, BucketId, GroupCommand, GroupMod, GroupType, MeterCommand, MeterFlags, MeterMod,
    PortConfig, PortMod, RemovedReason, Role, SelectMethod,
};
use weft_flow::tlv::TlvOption;
use weft_flow::{Bits, GroupId, Match, MeterId, PortNo, Slot, TableId, TlvMap, Version};
use weft_openflow::message::{
    Answer, AsyncKind, AsyncMask, BucketStats, BundleControl, BundleKind, Config, CtFlush, CtTuple,
    FlowRemoved, Fragments, GroupStats, MeterStats, PacketIn, PacketInReason, PortChange, PortDesc,
    PortState, PortStats, PortStatus, QueueDesc, QueueStats, Reply, Request, RoleReply, Session,
    TableDesc, TlvMod, Vacancy,
};

fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![(1..0xff00u32).prop_map(PortNo), Just(PortNo::LOCAL)]
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..u32::MAX, 0..1_000_000_000u32).prop_map(|(s, n)| Duration::new(s.into(), n))
}

prop_compose! {
    fn port_config()(bits in any::<[bool; 4]>()) -> PortConfig {
        let [down, no_recv, no_fwd, no_packet_in] = bits;
        PortConfig { down, no_recv, no_fwd, no_packet_in, no_flood: false }
    }
}

prop_compose! {
    fn port_desc()(
        port in port(), hw_addr: [u8; 6], name in "[a-z0-9.-]{0,15}", config in port_config(),
        state in any::<[bool; 3]>(), links in any::<[u32; 6]>(),
    ) -> PortDesc {
        let [link_down, blocked, live] = state;
        let [current, advertised, supported, peer, current_kbps, max_kbps] = links;
        let state = PortState { link_down, blocked, live, stp: 0 };
        PortDesc {
            port, hw_addr, name, config, state, current, advertised, supported, peer, current_kbps,
            max_kbps,
        }
    }
}

prop_compose! {
    fn port_stats()(
        port in port(), duration in option::of(duration()), counters in any::<[u64; 12]>(),
        rmon in option::of(vec(any::<u64>(), 21)),
        custom in vec(("[a-z_]{0,20}", any::<u64>()), 0..5),
    ) -> PortStats {
        let [rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped, rest @ ..] =
            counters;
        let [rx_errors, tx_errors, rx_frame_errors, rx_over_errors, rx_crc_errors, collisions] =
            rest;
        PortStats {
            port, duration, rx_packets, tx_packets, rx_bytes, tx_bytes, rx_dropped, tx_dropped,
            rx_errors, tx_errors, rx_frame_errors, rx_over_errors, rx_crc_errors, collisions,
            rmon: rmon.map(|rmon| Box::new(rmon.try_into().unwrap())), custom,
        }
    }
}

prop_compose! {
    fn queue_stats()(
        port in port(), queue: u32, counters: [u64; 3], duration in option::of(duration()),
    ) -> QueueStats {
        let [tx_bytes, tx_packets, tx_errors] = counters;
        QueueStats { port, queue, tx_bytes, tx_packets, tx_errors, duration }
    }
}

prop_compose! {
    fn bucket()(
        weight: u16, port in port(), group in option::of(0..0xffff_ff00u32),
    ) -> Bucket {
        let watch_group = group.map_or(GroupId::ANY, GroupId);
        let id = BucketId(0);
        Bucket { id, weight, watch_port: port, watch_group, actions: Box::default() }
    }
}

fn method() -> impl Strategy<Value = SelectMethod> {
    let field = weft_flow::Field::by_name("nw_src").unwrap();
    prop_oneof![
        Just(SelectMethod::Default),
        any::<u64>().prop_map(|parameter| SelectMethod::DpHash { parameter }),
        (any::<u64>(), any::<u32>()).prop_map(move |(parameter, mask)| {
            SelectMethod::Hash { parameter, fields: [(field, mask.into())].into() }
        }),
    ]
}

prop_compose! {
    fn group_mod()(
        id in 0..0xffff_ff00u32, mut buckets in vec(bucket(), 0..5), method in method(),
        command in prop_oneof![
            Just(GroupCommand::Add), Just(GroupCommand::Modify), Just(GroupCommand::AddOrModify),
            (0..100u32).prop_map(|id| GroupCommand::InsertBucket(BucketId(id))),
        ],
    ) -> GroupMod {
        for (id, bucket) in (0..).zip(&mut buckets) {
            bucket.id = BucketId(id);
        }
        let kind = GroupType::Select;
        GroupMod { command, kind, id: GroupId(id), method, buckets: buckets.into() }
    }
}

fn band() -> impl Strategy<Value = Band> {
    any::<(bool, u32, u32, u8)>().prop_map(|(drops, rate, burst, levels)| {
        if drops { Band::Drop { rate, burst } } else { Band::DscpRemark { rate, burst, levels } }
    })
}

prop_compose! {
    fn meter_mod()(id in 1..0xffff_0000u32, flags: [bool; 3], bands in vec(band(), 0..4))
        -> MeterMod
    {
        let [kbps, burst, stats] = flags;
        let flags = MeterFlags { kbps, pktps: !kbps, burst, stats };
        MeterMod { command: MeterCommand::Modify, id: MeterId(id), flags, bands: bands.into() }
    }
}

prop_compose! {
    fn ct_tuple()(
        addresses in any::<[Option<[u8; 16]>; 2]>(), shorts in any::<[Option<u16>; 3]>(),
        bytes in any::<[Option<u8>; 2]>(),
    ) -> CtTuple {
        let [source, destination] = addresses;
        let [source_port, destination_port, icmp_id] = shorts;
        let [icmp_type, icmp_code] = bytes;
        CtTuple {
            source, destination, source_port, destination_port, icmp_id, icmp_type, icmp_code,
        }
    }
}

fn metadata() -> impl Strategy<Value = Match> {
    (port(), any::<u64>(), any::<u32>()).prop_map(|(port, metadata, register)| {
        let mut all = Match::any();
        for (slot, value) in [
            (Slot::InPort, u128::from(port.0)),
            (Slot::Metadata, metadata.into()),
            (Slot::Reg(3), register.into()),
        ] {
            all.set_slot(slot, Bits::new(value, slot.ones()));
        }
        all
    })
}

prop_compose! {
    fn packet_in()(
        packet in vec(any::<u8>(), 1..100), more: u16, reason in 0..6u8, table: u8, cookie: u64,
        metadata in metadata(), userdata in vec(any::<u8>(), 0..20),
        continuation in option::of(vec(any::<u8>(), 0..40)),
    ) -> PacketIn {
        let full_len = u32::try_from(packet.len()).unwrap() + u32::from(more) / 2;
        PacketIn {
            packet: packet.into(), full_len, buffer: None,
            reason: PacketInReason::from_number(reason).unwrap(), table: TableId(table), cookie,
            metadata, userdata: userdata.into(), continuation: continuation.map(Into::into),
        }
    }
}

prop_compose! {
    fn removed()(
        cookie: u64, priority: u16, table: u8, duration in duration(), timeouts: [u16; 2],
        counters: [u64; 2], matching in metadata(),
    ) -> FlowRemoved {
        let [idle_timeout, hard_timeout] = timeouts;
        let [packets, bytes] = counters;
        FlowRemoved {
            cookie, priority, reason: RemovedReason::MeterDelete, table: TableId(table), duration,
            idle_timeout, hard_timeout, packets, bytes, matching,
        }
    }
}

fn queue_desc() -> impl Strategy<Value = QueueDesc> {
    (port(), any::<u32>(), any::<Option<u16>>(), any::<Option<u16>>())
        .prop_map(|(port, queue, min_rate, max_rate)| QueueDesc { port, queue, min_rate, max_rate })
}

fn table_desc() -> impl Strategy<Value = TableDesc> {
    (any::<u8>(), any::<bool>(), 0..8u32, any::<Option<[u8; 3]>>()).prop_map(
        |(table, evicts, eviction, vacancy)| TableDesc {
            table: TableId(table),
            evicts,
            eviction,
            vacancy: vacancy.map(|[down, up, now]| Vacancy { down, up, now }),
        },
    )
}

fn group_stats() -> impl Strategy<Value = GroupStats> {
    let bucket = any::<[u64; 2]>().prop_map(|[packets, bytes]| BucketStats { packets, bytes });
    (any::<[u32; 2]>(), any::<[u64; 2]>(), duration(), vec(bucket, 0..4)).prop_map(
        |([id, references], [packets, bytes], duration, buckets)| GroupStats {
            id: GroupId(id),
            references,
            packets,
            bytes,
            duration,
            buckets,
        },
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        vec(port_desc(), 0..5).prop_map(|all| Reply::Multipart(Answer::PortDesc(all))),
        vec(port_stats(), 0..5).prop_map(|all| Reply::Multipart(Answer::Port(all))),
        vec(queue_stats(), 0..5).prop_map(|all| Reply::Multipart(Answer::Queue(all))),
        vec(queue_desc(), 0..5).prop_map(|all| Reply::Multipart(Answer::QueueDesc(all))),
        vec(table_desc(), 0..5).prop_map(|all| Reply::Multipart(Answer::TableDesc(all))),
        vec(group_stats(), 0..5).prop_map(|all| Reply::Multipart(Answer::Group(all))),
        (any::<[u32; 2]>(), duration()).prop_map(|([id, flows], duration)| {
            let stats = MeterStats { id: MeterId(id), flows, duration, ..MeterStats::default() };
            Reply::Multipart(Answer::Meter(vec![stats]))
        }),
        port_desc().prop_map(|port| {
            Reply::PortStatus(PortStatus { change: PortChange::Modified, port })
        }),
        packet_in().prop_map(Reply::NiciraPacketIn2),
        removed().prop_map(Reply::FlowRemoved),
        any::<Option<u32>>().prop_map(|generation| {
            let generation = generation.map(u64::from);
            Reply::Role(RoleReply { role: Role::Slave, generation })
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let options =
        (0..64u8, any::<(u16, u8)>(), 0..=31u8).prop_map(|(number, (class, kind), len)| {
            (number, TlvOption { class, kind, bytes: len * 4 })
        });
    prop_oneof![
        group_mod().prop_map(Request::GroupMod),
        meter_mod().prop_map(Request::MeterMod),
        vec(options, 0..5).prop_map(|options| Request::TlvMod(TlvMod::Add(options))),
        (any::<(u8, Option<u16>)>(), option::of(ct_tuple()), option::of(ct_tuple())).prop_map(
            |((protocol, zone), original, reply)| {
                Request::CtFlush(CtFlush { protocol, original, reply, zone })
            }
        ),
        (port(), any::<[u8; 6]>(), port_config(), port_config(), any::<u32>()).prop_map(
            |(port, hw_addr, config, mask, advertise)| {
                Request::PortMod(PortMod { port, hw_addr, config, mask, advertise })
            }
        ),
        any::<(u32, u16)>().prop_map(|(id, flags)| {
            let kind = BundleKind::CommitRequest;
            Request::BundleControl(BundleControl { id, kind, flags })
        }),
        any::<u16>().prop_map(|miss_send_len| {
            let fragments = Fragments::NxMatch;
            Request::SetConfig(Config { fragments, sends_invalid_ttl: false, miss_send_len })
        }),
        (0..6usize, any::<bool>(), any::<u32>()).prop_map(|(at, is_master, mask)| {
            let kind = AsyncKind::ALL[at];
            let mask = mask & kind.bits(Version::V15);
            Request::SetAsync(vec![AsyncMask { kind, is_master, mask }])
        }),
        packet_in().prop_map(Request::Resume),
        any::<u16>().prop_map(Request::CtFlushZone),
        any::<u32>().prop_map(Request::MonitorCancel),
    ]
}

proptest! {
    #[test]
    fn replies_come_back(reply in reply(), xid: u32) {
        let map = TlvMap::new();
        for version in Version::ALL {
            let session = Session::new(version, &map);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            if reply.clone().encode(session, xid, &mut first).is_err() {
                prop_assert!(version < Version::V15);
                continue;
            }
            let (read_xid, read, has_more) = Reply::decode(&first, session).unwrap();
            prop_assert_eq!((read_xid, has_more), (xid, false));
            if version == Version::V15 {
                prop_assert_eq!(&read, &reply);
            }
            read.encode(session, xid, &mut second).unwrap();
            prop_assert_eq!(first, second);
        }
    }

    #[test]
    fn requests_come_back(request in request(), xid: u32) {
        let map = TlvMap::new();
        for version in Version::ALL {
            let session = Session::new(version, &map);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            if request.clone().encode(session, xid, &mut first).is_err() {
                let is_old = matches!(request, Request::MonitorCancel(_));
                prop_assert!(version < Version::V15 || is_old);
                continue;
            }
            let (read_xid, read) = Request::decode(&first, session).unwrap();
            prop_assert_eq!(read_xid, xid);
            if version == Version::V15 {
                prop_assert_eq!(&read, &request);
            }
            read.encode(session, xid, &mut second).unwrap();
            prop_assert_eq!(first, second);
        }
    }
}
