//! What the fuzzer runs, which must not panic on any bytes.
//!
//! The functions also assert what the codec promises, so that a wrong answer is found like a panic.
//! They are called by the crate in `fuzz/`, and by `tests/fuzz_bodies.rs` on recorded messages and
//! on a fixed number of mutations of them.

use crate::frame::{Framer, HEADER_BYTES, MESSAGE_MAX_BYTES};
use crate::message::{Reply, Request, Session};
use crate::{error, hello};
use weft_flow::request::Refusal;
use weft_flow::tlv::TlvOption;
use weft_flow::{TlvMap, Version};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name; the name is that of the binary in `fuzz/`.
pub const ALL: [(&str, Target); 3] = [("framer", framer), ("request", request), ("reply", reply)];

/// Runs the target called `name`; data longer than a message is cut.
///
/// # Panics
///
/// When there is no such target, or it finds a defect.
pub fn run(name: &str, data: &[u8]) {
    let target = ALL.iter().find(|(known, _)| *known == name);
    assert!(target.is_some(), "no target {name}");
    if let Some((_, target)) = target {
        target(data.get(..MESSAGE_MAX_BYTES).unwrap_or(data));
    }
}

/// A map with options of several lengths.
///
/// # Panics
/// Never: the options fit.
#[must_use]
pub fn map() -> TlvMap {
    let option = |kind, bytes| TlvOption { class: 0x102, kind, bytes };
    let options = [(0, option(0x80, 4)), (5, option(0x81, 8)), (9, option(0x82, 64))];
    TlvMap::new().with(&options).unwrap_or_default()
}

/// Messages of the stream are as long as they say.
fn framer(data: &[u8]) {
    let mut framer = Framer::new();
    let mut taken = 0;
    for piece in data.chunks(13) {
        framer.push(piece);
        while let Ok(Some(message)) = framer.next_message() {
            assert!(message.len() >= HEADER_BYTES);
            taken += message.len();
        }
        assert!(framer.waiting_bytes() + taken <= data.len());
    }
}

/// The version of a message, and the message with a length that is true.
fn fitted(data: &[u8]) -> Option<(Version, Vec<u8>)> {
    let version = Version::from_wire(*data.first()?)?;
    let mut message = data.to_vec();
    let length = u16::try_from(message.len()).ok()?;
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Some((version, message))
}

/// What is read can be written, and what was written reads as what writes the same.
fn check<T>(
    message: &[u8],
    decode: impl Fn(&[u8]) -> Result<(u32, T), Refusal>,
    encode: impl Fn(T, u32, &mut Vec<u8>) -> Result<(), Refusal>,
) {
    let Ok((xid, value)) = decode(message) else { return };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    if encode(value, xid, &mut first).is_err() {
        assert!(first.is_empty());
        return;
    }
    // Statistics may need more parts than they came in.
    if usize::from(u16::from_be_bytes([
        first.get(2).copied().unwrap_or_default(),
        first.get(3).copied().unwrap_or_default(),
    ])) != first.len()
    {
        return;
    }
    let again = decode(&first);
    assert!(again.is_ok(), "{message:02x?} was written as {first:02x?}: {:?}", again.err());
    if let Ok((xid, value)) = again {
        assert!(encode(value, xid, &mut second).is_ok());
        assert_eq!(first, second);
    }
}

fn request(data: &[u8]) {
    let Some((version, message)) = fitted(data) else { return };
    let map = map();
    for has_table_ids in [false, true] {
        let session = Session { has_table_ids, ..Session::new(version, &map) };
        check(
            &message,
            |bytes| Request::decode(bytes, session),
            |request, xid, out| request.encode(session, xid, out),
        );
        if let Err(refusal) = Request::decode(&message, session) {
            let mut out = Vec::new();
            error::encode(refusal, version, &message, &mut out);
            assert!(error::decode(&out).is_ok_and(|error| message.starts_with(error.quote())));
        }
    }
    let _ = hello::decode(data);
}

fn reply(data: &[u8]) {
    let Some((version, message)) = fitted(data) else { return };
    let map = map();
    let session = Session { has_table_ids: true, ..Session::new(version, &map) };
    check(
        &message,
        |bytes| Reply::decode(bytes, session).map(|(xid, reply, _)| (xid, reply)),
        |reply, xid, out| reply.encode(session, xid, out),
    );
}
