//! Programs do what the actions of the tables do one by one, for every packet of their mask.

mod bridge;
mod cases;
mod generate;
mod hashes;
mod naive;
mod packet;
mod record;

use super::{Walked, execute, translate};
use crate::frames::any_frame;
use crate::program::Refused;
use crate::rewrite::Layout;
use crate::{Bits, Key, PortNo, Slot};
use bridge::{Net, any_net};
use generate::any_actions;
use naive::Naive;
use proptest::prelude::*;
use record::{Recorder, Sent};

/// The key of a frame, with some of what goes along.
fn key(frame: &[u8], in_port: u32, tun_id: u8) -> Key {
    let mut key = Key::parse(frame, PortNo(in_port), 2);
    key.set(Slot::TunId, tun_id.into());
    key
}

/// What is sent when a program is run.
fn sent(net: &Net, outcome: &Walked, key: &Key, frame: &[u8]) -> Vec<Sent> {
    let mut recorder = Recorder::new(net, key.clone());
    outcome.program.run(&mut frame.to_vec(), &mut recorder);
    recorder.finish()
}

/// A frame that differs where the mask says that nobody looked.
fn like(frame: &[u8], mask: &crate::Mask, noise: u128) -> Vec<u8> {
    let mut other = frame.to_vec();
    let slots = [
        Slot::EthDst,
        Slot::EthSrc,
        Slot::VlanTci,
        Slot::InnerTci,
        Slot::NwSrc,
        Slot::NwDst,
        Slot::Ipv6Src,
        Slot::Ipv6Dst,
        Slot::Ipv6Label,
        Slot::NwTos,
        Slot::NwTtl,
        Slot::TpDst,
        Slot::ArpSha,
        Slot::ArpTha,
        Slot::NdTarget,
        Slot::MplsLse,
    ];
    let layout = Layout::of(frame, 2);
    for slot in slots {
        let free = slot.ones() & !mask.get(slot);
        layout.set(&mut other, slot, Bits::new(noise, free));
    }
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 6))]

    #[test]
    fn programs_do_what_actions_do(
        net in any_net(), frame in any_frame(), in_port in 1u32..4, tun_id in 0u8..3, noise: u128,
    ) {
        let first = key(&frame, in_port, tun_id);
        let outcome = translate(&net.0, &first, &mut ());
        let Some(want) = Naive::new(&net).translate(&frame, &first) else { return Ok(()) };
        let got = sent(&net, &outcome, &first, &frame);
        // Branches may be too many, also where the packet goes on.
        prop_assume!(!got.contains(&Sent::Dropped(Refused::TooLong)));
        prop_assert_eq!(got, want, "{:#?}", outcome.program);

        // Another packet of the same mask.
        let other = like(&frame, &outcome.reads, noise);
        let second = key(&other, in_port, tun_id);
        if outcome.reads.equal(&first, &second) {
            prop_assert_eq!(&translate(&net.0, &second, &mut ()).program, &outcome.program);
            if let Some(want) = Naive::new(&net).translate(&other, &second) {
                prop_assert_eq!(sent(&net, &outcome, &second, &other), want);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 8))]

    #[test]
    fn packet_outs_do_what_their_actions_do(
        net in any_net(), frame in any_frame(), actions in any_actions(0),
    ) {
        let first = key(&frame, PortNo::CONTROLLER.0, 0);
        let outcome = execute(&net.0, &first, &actions, &mut ());
        if let Some(want) = Naive::new(&net).execute(&frame, &first, &actions) {
            let got = sent(&net, &outcome, &first, &frame);
            prop_assume!(!got.contains(&Sent::Dropped(Refused::TooLong)));
            prop_assert_eq!(got, want, "{:#?}", outcome.program);
        }
    }
}
