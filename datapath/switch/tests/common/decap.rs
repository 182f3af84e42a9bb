//! The body of the fuzz target for decapsulation: a switch with tunnels of every type gets one
//! packet from the underlay.

use crate::common::Switch;
use crate::tunnels::*;
use weft_switch::{Csum, DropReason, InKey, LinkId, Tick, TunnelConf};

/// Tunnels of every type from `ends`, with keys and without, and one that takes from anyone.
fn switch() -> Switch {
    let mut tunnels = Vec::new();
    for encap in ENCAPS {
        for is_v6 in [false, true] {
            let [remote, local] = ends(is_v6);
            tunnels.push(tunnel(encap, local, remote));
            let mut keyed = tunnel(encap, local, remote);
            (keyed.in_key, keyed.csum) = (InKey::Exact(7), Csum::Off);
            tunnels.push(keyed);
        }
    }
    let mut any = TunnelConf::new(GENEVE, None);
    any.in_key = InKey::Any;
    tunnels.push(any);
    // What a frame to its own sender teaches is another matter.
    Switch::new(bridge(1, &tunnels, false))
}

/// Runs one frame; says what became of it.
pub fn run(data: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
    let mut far = switch();
    let sent = far.receive(UNDERLAY, &[data.to_vec()], Tick(0));
    let dropped: u64 = DropReason::ALL
        .iter()
        .map(|&reason| {
            let counters = far.datapath.counters();
            let ifaces = (0..20).filter_map(|id| counters.iface(weft_switch::IfaceId(id)));
            ifaces.map(|iface| iface.rx_drops[reason as usize]).sum::<u64>()
                + counters.link(UNDERLAY).unwrap().rx_drops[reason as usize]
        })
        .sum();
    assert!(dropped <= 1, "dropped twice");
    assert!(dropped == 1 || !sent.is_empty(), "neither forwarded nor counted");
    // What the VIF gets is a piece of what came in, but for ECN bits and the sum over them.
    for (_, inner) in sent.iter().filter(|(link, _)| *link == VIF) {
        let payload = &inner[inner.len().min(40)..];
        let end = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let is_part = data.windows(end.max(1)).any(|window| window[..end] == payload[..end]);
        assert!(is_part, "bytes that did not come in go out");
    }
    sent
}
