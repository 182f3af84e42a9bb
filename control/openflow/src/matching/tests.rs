use super::{Form, decode, decode_nxm, encode, encode_fields};
use crate::bytes::Reader;
use weft_flow::request::Refusal;
use weft_flow::tlv::TlvOption;
use weft_flow::{Field, Match, TlvMap, Version};

fn nxm(bytes: &[u8]) -> Result<Match, Refusal> {
    let mut reader = Reader::new(bytes);
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(8), 0);
    let mut all = Reader::new(&padded);
    reader.skip(bytes.len())?;
    decode_nxm(&mut all, bytes.len(), &TlvMap::new()).map(|(matching, _)| matching)
}

#[test]
fn fields_are_refused_as_open_vswitch_does() {
    let ip = [0, 0, 6, 2, 8, 0];
    for (behind, refusal) in [
        (&[0, 0, 10, 1, 9][..], Refusal::BadValue),
        (&[0, 1, 52, 1, 4], Refusal::BadValue),
        (&[0, 1, 53, 2, 1, 0], Refusal::BadWildcards),
        (&[0, 0, 6, 2, 8, 0], Refusal::DupField),
        (&[0, 0, 18, 2, 0, 5], Refusal::BadPrereq),
        (&[0, 0, 18, 1, 0], Refusal::BadField),
        (&[0, 0, 100, 1, 0], Refusal::BadField),
        (&[0, 0, 7, 4, 8, 0, 15, 0], Refusal::BadMask),
        (&[0, 0, 10], Refusal::MatchBadLen),
        (&[0, 0, 10, 1], Refusal::MatchBadLen),
        (&[0xff, 0xff, 10, 3, 0, 0, 35, 32], Refusal::MatchBadLen),
        (&[0, 1, 80, 4, 0, 0, 0, 1], Refusal::InvalidTlvField),
        (&[0x80, 0, 1, 4, 0, 0, 0xff, 0], Refusal::BadField),
        (&[0x80, 0, 0, 4, 0, 0, 0xff, 0], Refusal::BadValue),
    ] {
        let bytes = [&ip[..], behind].concat();
        assert_eq!(nxm(&bytes), Err(refusal), "{behind:?}");
    }
}

#[test]
fn ethernet_goes_without_saying() {
    let packet_type = [0x80, 0, 88, 4, 0, 0, 0, 0];
    let ip = [0, 0, 6, 2, 8, 0];
    assert_eq!(nxm(&[&packet_type[..], &ip].concat()), nxm(&ip));
    assert_ne!(nxm(&packet_type), nxm(&[]));
    assert_eq!(nxm(&[&ip[..], &packet_type].concat()), Err(Refusal::DupField));
}

#[test]
fn options_of_any_length_come_back() {
    let option = |kind, bytes| TlvOption { class: 1, kind, bytes };
    let tlvs = TlvMap::new().with(&[(0, option(1, 4)), (5, option(2, 124))]).unwrap();
    let mut fields = vec![0, 1, 80, 4, 1, 2, 3, 4, 0, 1, 90, 124];
    fields.extend(1..=124);
    let all = |tlvs: &TlvMap| {
        let mut padded = fields.clone();
        padded.resize(fields.len().next_multiple_of(8), 0);
        decode_nxm(&mut Reader::new(&padded), fields.len(), tlvs)
    };
    let (matching, _) = all(&tlvs).unwrap();
    let mut out = Vec::new();
    encode_fields(&matching, Form::Nxm, &tlvs, &mut out);
    assert_eq!(out, fields);
    assert_eq!(all(&tlvs.without(&[5])), Err(Refusal::InvalidTlvField));
}

#[test]
fn types_and_lengths_of_matches_are_checked() {
    let tlvs = TlvMap::new();
    let say = |bytes: &[u8]| decode(Version::V13, &mut Reader::new(bytes), &tlvs);
    assert_eq!(say(&[0, 1, 0, 4, 0, 0, 0, 0]), Ok(Match::any()));
    assert_eq!(say(&[0, 1, 0, 3, 0, 0, 0, 0]), Err(Refusal::MatchBadLen));
    assert_eq!(say(&[0, 1, 0, 9, 0, 0, 0, 0]), Err(Refusal::MatchBadLen));
    assert_eq!(say(&[0, 0, 0, 8, 0, 0, 0, 0]), Err(Refusal::MatchBadLen));
    assert_eq!(say(&[0, 2, 0, 8, 0, 0, 0, 0]), Err(Refusal::MatchBadType));
    assert_eq!(say(&[0, 1, 0]), Err(Refusal::BadLen));
}

#[test]
fn registers_are_said_as_the_version_does() {
    let mut matching = Match::any();
    matching.set_exact(Field::reg(9).unwrap(), 2);
    let mut out = Vec::new();
    encode(&matching, Version::V13, &TlvMap::new(), &mut out);
    assert_eq!(out, [0, 1, 0, 12, 0, 1, 18, 4, 0, 0, 0, 2, 0, 0, 0, 0]);
    out.clear();
    encode(&matching, Version::V15, &TlvMap::new(), &mut out);
    assert_eq!(out.get(..8), Some(&[0, 1, 0, 24, 0x80, 1, 9, 16][..]));
}
