//! What the switch says of its tables, groups and meters is what stock Open vSwitch 3.1 says, but
//! for network service headers, which Weft does not know.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{conversations, hex};
use weft_flow::{TableId, TlvMap, Version};
use weft_openflow::message::{
    Answer, GroupFeatures, MeterFeatures, Reply, Session, TableFeatures, TableProperty,
    capabilities,
};

/// The class of fields of network service headers: an experimenter's.
const NSH: [u8; 4] = [0x00, 0x5a, 0xd6, 0x50];

/// A list of headers of fields without those of network service headers, which come last.
fn without_nsh(property: &TableProperty) -> String {
    let list = &property.list;
    let known = list.windows(8).position(|bytes| bytes[..2] == [0xff; 2] && bytes[4..] == NSH);
    hex(&list[..known.unwrap_or(list.len())])
}

#[test]
fn tables_can_do_what_those_of_stock_can() {
    let map = TlvMap::new();
    let mut seen = 0;
    for message in conversations().iter().flatten().filter(|message| message.is_reply) {
        let version = Version::from_wire(message.bytes[0]).unwrap();
        let decoded = Reply::decode(&message.bytes, Session::new(version, &map));
        match decoded.unwrap().1 {
            Reply::Multipart(Answer::TableFeatures(tables)) => {
                for stock in tables {
                    let mut ours =
                        TableFeatures::of_switch(version, stock.table, stock.name.clone());
                    for (ours, stock) in ours.properties.iter().zip(&stock.properties) {
                        assert_eq!(ours.kind, stock.kind);
                        assert_eq!(hex(&ours.list), without_nsh(stock), "{version:?}");
                    }
                    ours.properties.clone_from(&stock.properties);
                    assert_eq!(ours, stock);
                    seen |= 1 << version as u8;
                }
            }
            Reply::Multipart(Answer::GroupFeatures(stock)) => {
                assert_eq!(GroupFeatures::of_switch(version), stock);
            }
            Reply::Multipart(Answer::MeterFeatures(stock)) => {
                assert_eq!(MeterFeatures::OF_SWITCH, stock);
            }
            Reply::Features(stock) if stock.auxiliary_id == 0 => {
                assert_eq!(capabilities(version), stock.capabilities, "{version:?}");
            }
            _ => {}
        }
    }
    assert_eq!(seen, 0x70, "a version was not recorded");
}

#[test]
fn the_last_table_leads_nowhere() {
    let last = TableFeatures::of_switch(Version::V15, TableId(253), String::new());
    assert_eq!(hex(&last.properties[0].list), "00020004000300040004000400050004");
    assert!(last.properties[1].list.is_empty());
    let before = TableFeatures::of_switch(Version::V13, TableId(252), String::new());
    assert_eq!(hex(&before.properties[1].list), "fd");
}

#[test]
fn features_of_all_tables_come_in_parts() {
    let map = TlvMap::new();
    let session = Session::new(Version::V15, &map);
    let tables: Vec<_> = (0..TableId::COUNT)
        .map(|table| TableFeatures::of_switch(Version::V15, TableId(table), format!("t{table}")))
        .collect();
    let mut out = Vec::new();
    let answer = Answer::TableFeatures(tables.clone());
    Reply::Multipart(answer).encode(session, 7, &mut out).unwrap();
    let mut framer = weft_openflow::frame::Framer::new();
    framer.push(&out);
    let mut read = Vec::new();
    let mut parts = Vec::new();
    while let Some(message) = framer.next_message().unwrap() {
        let (xid, reply, has_more) = Reply::decode(message, session).unwrap();
        let Reply::Multipart(Answer::TableFeatures(some)) = reply else { panic!("{reply:?}") };
        assert_eq!(xid, 7);
        read.extend(some);
        parts.push(has_more);
    }
    assert_eq!(read, tables);
    assert!(parts.len() > 15);
    assert_eq!(parts.iter().position(|has_more| !has_more), Some(parts.len() - 1));
}
