//! Actions: words with commas between them.

mod ct;
mod fields;
mod learn;
mod select;
mod sends;

use super::words::{Word, word, words};
use super::{ReadError, value};
use crate::Names;
use std::net::Ipv4Addr;
use weft_flow::action::{Conjunction, FinTimeout};
use weft_flow::{Action, MeterId, TableId};

/// Actions may be inside others so deep.
const DEPTH_MAX: u32 = 16;

/// Reads a list of actions.
pub(super) fn read(text: &str, names: &dyn Names) -> Result<Vec<Action>, ReadError> {
    list(text, &Reader { names, depth: 0 })
}

/// What is at hand while actions are read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    names: &'a dyn Names,
    depth: u32,
}

impl Reader<'_> {
    /// The same, one list further inside.
    fn inside(self) -> Result<Self, ReadError> {
        if self.depth < DEPTH_MAX {
            Ok(Self { depth: self.depth + 1, ..self })
        } else {
            Err(ReadError::TooDeep)
        }
    }
}

fn list(text: &str, reader: &Reader<'_>) -> Result<Vec<Action>, ReadError> {
    let all: Vec<&str> = words(text).collect();
    if all == ["drop"] {
        return Ok(Vec::new());
    }
    let mut actions = Vec::new();
    for text in all {
        if text == "drop" {
            return Err(ReadError::DropWithOthers);
        }
        actions.push(one(word(text), reader)?);
    }
    Ok(actions)
}

/// Actions inside an action.
fn nested(text: &str, reader: &Reader<'_>) -> Result<Box<[Action]>, ReadError> {
    Ok(list(text, &reader.inside()?)?.into())
}

fn one(word: Word<'_>, reader: &Reader<'_>) -> Result<Action, ReadError> {
    let name = word.name.to_ascii_lowercase();
    let found = match name.as_str() {
        "ct" => Some(ct::ct(word.argument, reader)?),
        "nat" => Some(ct::nat(word.argument)?),
        "learn" => Some(learn::learn(word.argument, reader.names)?),
        "bundle" => Some(select::bundle(word.argument, false, reader.names)?),
        "bundle_load" => Some(select::bundle(word.argument, true, reader.names)?),
        "multipath" => Some(select::multipath(word.argument)?),
        "sample" => Some(sends::sample(word.argument, reader.names)?),
        "clone" => Some(Action::Clone(nested(word.argument, reader)?)),
        "write_actions" => Some(Action::WriteActions(nested(word.argument, reader)?)),
        _ => None,
    };
    if let Some(action) = found {
        return Ok(action);
    }
    if let Some(action) = fields::read(&name, word, reader.names)? {
        return Ok(action);
    }
    if let Some(action) = plain(&name, word.argument, reader.names)? {
        return Ok(action);
    }
    sends::read(&name, word, reader.names)
}

/// A number of at most `max`.
fn number<T: TryFrom<u128>>(text: &str, what: &'static str) -> Result<T, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: what };
    let number = value::number(text).ok_or_else(invalid)?;
    T::try_from(number).map_err(|_| invalid())
}

/// A table by its number or name.
fn table(text: &str, names: &dyn Names) -> Result<TableId, ReadError> {
    let number = value::number(text).and_then(|number| u8::try_from(number).ok()).map(TableId);
    let found = number.or_else(|| names.table_number(text.trim_matches('"')));
    found.ok_or_else(|| ReadError::UnknownTable(text.to_owned()))
}

/// Bytes in hexadecimal digits, with dots between them or not.
fn bytes(text: &str) -> Result<Box<[u8]>, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "hex digits" };
    let digits: Vec<char> = text.chars().filter(|c| *c != '.').collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => {
            let high = high.to_digit(16).ok_or_else(invalid)?;
            let low = low.to_digit(16).ok_or_else(invalid)?;
            u8::try_from(high << 4 | low).map_err(|_| invalid())
        }
        _ => Err(invalid()),
    });
    pairs.collect()
}

/// What has one argument at most, which is a number or an address.
fn plain(name: &str, text: &str, names: &dyn Names) -> Result<Option<Action>, ReadError> {
    let action = match name {
        "strip_vlan" | "pop_vlan" => Action::StripVlan,
        "push_vlan" => Action::PushVlan { ethertype: number(text, "ethertype")? },
        "mod_vlan_vid" | "set_vlan_vid" => Action::SetVlanVid {
            vid: number::<u16>(text, "VLAN VID")
                .and_then(|vid| at_most(vid, 4095, text, "VLAN VID"))?,
            pushes: name == "mod_vlan_vid",
            has_vlan: false,
        },
        "mod_vlan_pcp" | "set_vlan_pcp" => Action::SetVlanPcp {
            pcp: number::<u8>(text, "VLAN PCP")
                .and_then(|pcp| at_most(pcp, 7, text, "VLAN PCP"))?,
            pushes: name == "mod_vlan_pcp",
            has_vlan: false,
        },
        "mod_dl_src" => Action::SetEthSrc(mac(text)?),
        "mod_dl_dst" => Action::SetEthDst(mac(text)?),
        "mod_nw_src" => Action::SetIpv4Src(ipv4(text)?),
        "mod_nw_dst" => Action::SetIpv4Dst(ipv4(text)?),
        "mod_nw_tos" => Action::SetIpDscp(number(text, "TOS")?),
        "mod_nw_ecn" => Action::SetIpEcn(number(text, "ECN")?),
        "mod_nw_ttl" => Action::SetIpTtl(number(text, "TTL")?),
        "mod_tp_src" => Action::SetL4SrcPort { port: number(text, "source port")?, protocol: 0 },
        "mod_tp_dst" => {
            Action::SetL4DstPort { port: number(text, "destination port")?, protocol: 0 }
        }
        "dec_ttl" => dec_ttl(text)?,
        "set_mpls_label" => Action::SetMplsLabel(number(text, "label")?),
        "set_mpls_tc" => Action::SetMplsTc(number(text, "traffic class")?),
        "set_mpls_ttl" => Action::SetMplsTtl(number(text, "TTL")?),
        "dec_mpls_ttl" => Action::DecMplsTtl,
        "push_mpls" => Action::PushMpls { ethertype: number(text, "ethertype")? },
        "pop_mpls" => Action::PopMpls { ethertype: number(text, "ethertype")? },
        "set_tunnel" => {
            let id: u64 = number(text, "tunnel id")?;
            Action::SetTunnel { id, is_wide: id > u32::MAX.into() }
        }
        "set_tunnel64" => Action::SetTunnel { id: number(text, "tunnel id")?, is_wide: true },
        "set_queue" => Action::SetQueue(number(text, "queue")?),
        "pop_queue" => Action::PopQueue,
        "fin_timeout" => Action::FinTimeout(fin_timeout(text)?),
        "conjunction" => Action::Conjunction(conjunction(text)?),
        "note" => Action::Note(note(text)?),
        "exit" => Action::Exit,
        "ct_clear" => Action::CtClear,
        "meter" => Action::Meter(MeterId(number(text, "meter")?)),
        "clear_actions" => Action::ClearActions,
        "write_metadata" => {
            let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffffffffffff"));
            Action::WriteMetadata {
                value: number(value, "metadata")?,
                mask: number(mask, "metadata mask")?,
            }
        }
        "goto_table" => Action::GotoTable(table(text, names)?),
        _ => return Ok(None),
    };
    Ok(Some(action))
}

fn at_most<T: PartialOrd + Copy>(
    number: T,
    max: T,
    text: &str,
    expected: &'static str,
) -> Result<T, ReadError> {
    if number > max {
        return Err(ReadError::Invalid { value: text.to_owned(), expected });
    }
    Ok(number)
}

fn mac(text: &str) -> Result<[u8; 6], ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "Ethernet address" };
    let [_, _, _, _, _, _, _, _, _, _, mac @ ..] =
        value::mac(text).ok_or_else(invalid)?.to_be_bytes();
    Ok(mac)
}

fn ipv4(text: &str) -> Result<[u8; 4], ReadError> {
    let invalid = |_| ReadError::Invalid { value: text.to_owned(), expected: "IP address" };
    text.parse::<Ipv4Addr>().map(|address| address.octets()).map_err(invalid)
}

fn dec_ttl(text: &str) -> Result<Action, ReadError> {
    if text.is_empty() {
        return Ok(Action::DecTtl { controllers: Box::new([0]), lists_ids: false });
    }
    let ids: Result<Vec<u16>, _> = words(text).map(|id| number(id, "controller id")).collect();
    Ok(Action::DecTtl { controllers: ids?.into(), lists_ids: true })
}

fn fin_timeout(text: &str) -> Result<FinTimeout, ReadError> {
    let mut of = FinTimeout { idle: 0, hard: 0 };
    for part in words(text).map(word) {
        match part.name {
            "idle_timeout" => of.idle = number(part.argument, "timeout")?,
            "hard_timeout" => of.hard = number(part.argument, "timeout")?,
            _ => return Err(unknown("fin_timeout", part.name)),
        }
    }
    Ok(of)
}

/// `5,1/3`: clauses are counted from 1.
fn conjunction(text: &str) -> Result<Conjunction, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "conjunction" };
    let (id, rest) = text.split_once(',').ok_or_else(invalid)?;
    let (clause, clauses) = rest.split_once('/').ok_or_else(invalid)?;
    let clause: u8 = number(clause.trim(), "conjunction")?;
    let clauses: u8 = number(clauses.trim(), "conjunction")?;
    if !(2..=64).contains(&clauses) || !(1..=clauses).contains(&clause) {
        return Err(invalid());
    }
    Ok(Conjunction { id: number(id.trim(), "conjunction")?, clause: clause - 1, clauses })
}

/// Bytes, padded to where the next action begins on the wire.
fn note(text: &str) -> Result<Box<[u8]>, ReadError> {
    /// What is in front of a note on the wire.
    const HEADER_BYTES: usize = 10;
    let mut bytes = bytes(text)?.into_vec();
    bytes.resize((HEADER_BYTES + bytes.len()).next_multiple_of(8) - HEADER_BYTES, 0);
    Ok(bytes.into())
}

/// An argument that an action does not have.
fn unknown(action: &'static str, argument: &str) -> ReadError {
    ReadError::UnknownArgument { action, argument: argument.to_owned() }
}
