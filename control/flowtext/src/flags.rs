//! Sets of flags by their names: `+trk-new`.

use weft_flow::field::ones;

/// States of connection tracking, bit 0 first.
pub(crate) const CT_STATE: &[&str] = &["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
/// Flags of TCP, bit 0 first.
pub(crate) const TCP: &[&str] =
    &["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
/// Flags of tunnels, bit 0 first.
pub(crate) const TUNNEL: &[&str] = &["oam"];

/// The flags that count, each with its sign, in the order of bits.
pub(crate) fn signed(value: u128, mask: u128, names: &[&str]) -> String {
    let mut out = String::new();
    for (bit, name) in names.iter().enumerate() {
        if mask >> bit & 1 == 1 {
            out.push(if value >> bit & 1 == 1 { '+' } else { '-' });
            out.push_str(name);
        }
    }
    out
}

/// Flags of TCP.
pub(crate) fn tcp(value: u128, mask: u128) -> String {
    whole(value, mask, ones(12), TCP)
}

/// State of connection tracking.
pub(crate) fn ct_state(value: u128, mask: u128) -> String {
    whole(value, mask, ones(8), CT_STATE)
}

/// When all flags count, those that are set, with bars between them.
fn whole(value: u128, mask: u128, all: u128, names: &[&str]) -> String {
    if mask != all {
        return signed(value, mask, names);
    }
    let is_set = |bit: usize| value >> bit & 1 == 1;
    let set = names.iter().enumerate().filter(|(bit, _)| is_set(*bit));
    let set: Vec<&str> = set.map(|(_, name)| *name).collect();
    if set.is_empty() { "0".to_owned() } else { set.join("|") }
}
