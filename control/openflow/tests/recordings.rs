//! Recorded messages are read and come out byte for byte; what stock Open vSwitch refuses without
//! looking at its tables is refused with the same error.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Message, conversations, hex};
use weft_flow::request::Refusal;
use weft_flow::{TlvMap, Version};
use weft_openflow::error;
use weft_openflow::message::{Reply, Request, Session};

/// What comes out otherwise than it came in, because values keep less than messages: which type, in
/// which versions, and why.
fn is_kept(message: &[u8]) -> bool {
    let nicira = || message.len() >= 16 && message[8..12] == [0, 0, 0x23, 0x20];
    match (message[0], message[1]) {
        // TABLE_MOD: properties say how to evict and when a table is full; 1.1's say what happens
        // to packets that no flow takes.
        (_, 17) if message[0] > 1 => false,
        // Nicira's form of roles has no generation; that of 1.3 has words, later ones properties.
        (4.., 4) if nicira() => message[15] != 19,
        // A role that is not asked for has no generation.
        (3.., 24) => message[11] != 1,
        _ => true,
    }
}

/// What is wrong with a message, if anything is.
type Finding = Result<(), String>;

fn same(is: &str, should: &str, message: &Message) -> Finding {
    if is == should {
        return Ok(());
    }
    Err(format!("{}\n    is {is}\nshould {should}", message.place))
}

fn check_request(message: &Message, session: &mut Session<'_>, next: Option<&Message>) -> Finding {
    match Request::decode(&message.bytes, *session) {
        Ok((xid, request)) => {
            if let Request::FlowModTableId(is_on) = request {
                session.has_table_ids = is_on;
            }
            let mut out = Vec::new();
            let written = request.clone().encode(*session, xid, &mut out);
            written.map_err(|refusal| format!("{}: not written: {refusal}", message.place))?;
            if is_kept(&message.bytes) {
                return same(&hex(&out), &hex(&message.bytes), message);
            }
            let again = Request::decode(&out, *session);
            same(&format!("{again:?}"), &format!("{:?}", Ok::<_, ()>((xid, request))), message)
        }
        Err(refusal) => {
            let mut out = Vec::new();
            error::encode(refusal, session.version, &message.bytes, &mut out);
            let said = next.map_or_else(String::new, |next| hex(&next.bytes));
            same(&hex(&out), &said, message).map_err(|text| format!("{text} {refusal}"))
        }
    }
}

fn check_reply(message: &Message, session: Session<'_>) -> Finding {
    let (xid, reply, has_more) = Reply::decode(&message.bytes, session)
        .map_err(|refusal| format!("{}: {refusal}: {}", message.place, hex(&message.bytes)))?;
    let mut out = Vec::new();
    let written = reply.encode(session, xid, &mut out);
    written.map_err(|refusal| format!("{}: not written: {refusal}", message.place))?;
    if has_more {
        out[11] = 1;
    }
    same(&hex(&out), &hex(&message.bytes), message)
}

#[test]
fn recordings_come_out_as_they_came_in() {
    let map = TlvMap::new();
    let mut findings = Vec::new();
    for conversation in conversations() {
        let mut has_table_ids = false;
        for (at, message) in conversation.iter().enumerate() {
            let version = Version::from_wire(message.bytes[0]).unwrap();
            let mut session = Session { has_table_ids, ..Session::new(version, &map) };
            let finding = if message.is_reply {
                check_reply(message, session)
            } else {
                check_request(message, &mut session, conversation.get(at + 1))
            };
            findings.extend(finding.err());
            has_table_ids = session.has_table_ids;
        }
    }
    assert!(findings.is_empty(), "{} messages: {}", findings.len(), findings.join("\n\n"));
}

/// Every way to cut a recorded message short is refused, or is a shorter message of the same type.
#[test]
fn what_is_cut_short_is_refused_or_shorter() {
    let map = TlvMap::new();
    for message in conversations().iter().flatten().filter(|message| !message.is_reply) {
        let version = Version::from_wire(message.bytes[0]).unwrap();
        let session = Session::new(version, &map);
        for len in 0..message.bytes.len().min(200) {
            let mut bytes = message.bytes[..len].to_vec();
            // As it was announced.
            let refused = Request::decode(&bytes, session);
            assert_eq!(refused, Err(Refusal::BadLen), "{} {len}", message.place);
            // With a length that is true.
            if let Some(length) = bytes.get_mut(2..4) {
                length.copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                let _ = Request::decode(&bytes, session);
            }
        }
        let mut longer = message.bytes.clone();
        longer.push(0);
        assert_eq!(Request::decode(&longer, session), Err(Refusal::BadLen));
    }
}
