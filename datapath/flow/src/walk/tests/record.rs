//! Runs programs, and notes what they send.

use super::bridge::Net;
use crate::action::FinTimeout;
use crate::program::{Continuation, Effects, Punt, Refused, Target};
use crate::request::FlowMod;
use crate::walk::{resume, symmetric_hash};
use crate::{Bits, Key, MeterId, RuleId, Slot};
use std::sync::Arc;

/// What left the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Frame { target: Target, bytes: Vec<u8>, queue: Option<u32>, tun_id: u128, mark: u128 },
    Punt { controller: u16, reason: u8, table: u8, bytes: Vec<u8>, registers: [u128; 3] },
    Learned(FlowMod),
    Shortened(RuleId, FinTimeout),
    Dropped(Refused),
}

/// What controllers see of the registers.
pub(super) fn registers(key: &Key) -> [u128; 3] {
    [Slot::Reg(0), Slot::Reg(1), Slot::Metadata].map(|slot| key.get(slot))
}

/// Slots of tunnels go.
pub(super) fn clear_tunnel(key: &mut Key) {
    for slot in [Slot::TunId, Slot::TunSrc, Slot::TunDst, Slot::TunPresent] {
        key.set(slot, 0);
    }
    key.set(Slot::TunMetadata(0, 0), 0);
}

pub(super) struct Recorder<'n> {
    net: &'n Net,
    key: Key,
    queue: Option<u32>,
    saved: Vec<(Option<Vec<u8>>, Key, Option<u32>)>,
    log: Vec<Sent>,
    /// Nothing may need the frame any more.
    is_gone: bool,
}

impl<'n> Recorder<'n> {
    pub(super) fn new(net: &'n Net, key: Key) -> Self {
        Self { net, key, queue: None, saved: Vec::new(), log: Vec::new(), is_gone: false }
    }

    pub(super) fn finish(self) -> Vec<Sent> {
        assert!(self.saved.is_empty());
        self.log
    }

    fn overlaid(&self, metadata: &[(Slot, Bits)]) -> Key {
        let mut key = self.key.clone();
        for (slot, bits) in metadata {
            key.set(*slot, key.get(*slot) & !bits.mask | bits.value);
        }
        key
    }
}

impl Effects<Vec<u8>> for Recorder<'_> {
    fn set(&mut self, slot: Slot, bits: Bits) {
        self.key.set(slot, self.key.get(slot) & !bits.mask | bits.value);
    }

    fn clear_tunnel(&mut self) {
        clear_tunnel(&mut self.key);
    }

    fn set_queue(&mut self, queue: Option<u32>) {
        self.queue = queue;
    }

    fn send(&mut self, frame: &mut Vec<u8>, target: Target, max_len: u32, is_last: bool) {
        assert!(!self.is_gone);
        self.is_gone = is_last;
        let len = frame.len().min(max_len as usize);
        self.log.push(Sent::Frame {
            target,
            bytes: frame[..len].to_vec(),
            queue: self.queue,
            tun_id: self.key.get(Slot::TunId),
            mark: self.key.get(Slot::PktMark),
        });
    }

    fn punt(&mut self, frame: &Vec<u8>, punt: &Punt) {
        assert!(!self.is_gone);
        self.log.push(Sent::Punt {
            controller: punt.controller_id,
            reason: punt.reason,
            table: punt.table.0,
            bytes: frame.clone(),
            registers: registers(&self.overlaid(&punt.metadata)),
        });
        // The controller resumes it at once.
        if let Some(continuation) = &punt.continuation {
            self.saved.push((None, self.key.clone(), self.queue));
            self.resume(&mut frame.clone(), continuation, None, false);
            self.end_clone(&mut Vec::new());
        }
    }

    fn resume(
        &mut self,
        frame: &mut Vec<u8>,
        continuation: &Arc<Continuation>,
        hash_basis: Option<u32>,
        is_last: bool,
    ) {
        assert!(!self.is_gone);
        let mut key = self.overlaid(&continuation.metadata);
        key.read_frame(frame, 2);
        key.set(Slot::RecircId, 1);
        if let Some(basis) = hash_basis {
            key.set(Slot::DpHash, symmetric_hash(&key, basis).into());
        }
        let bridge = self.net.bridge(continuation.bridge);
        let outcome = resume(bridge, &key, continuation, &mut ());
        self.key = key;
        outcome.program.run(frame, self);
        self.is_gone = is_last;
    }

    fn passes(&mut self, _frame: &Vec<u8>, meter: MeterId) -> bool {
        meter == MeterId(1)
    }

    fn learn(&mut self, flow: &Arc<FlowMod>) {
        self.log.push(Sent::Learned((**flow).clone()));
    }

    fn shorten(&mut self, rule: RuleId, timeout: FinTimeout) {
        self.log.push(Sent::Shortened(rule, timeout));
    }

    fn begin_clone(&mut self, frame: &mut Vec<u8>, copies: bool) -> bool {
        self.saved.push((copies.then(|| frame.clone()), self.key.clone(), self.queue));
        true
    }

    fn end_clone(&mut self, frame: &mut Vec<u8>) {
        let (saved, key, queue) = self.saved.pop().unwrap();
        if let Some(saved) = saved {
            *frame = saved;
            // The copy went, not the frame.
            self.is_gone = false;
        }
        (self.key, self.queue) = (key, queue);
    }

    fn drop(&mut self, reason: Refused) {
        self.log.push(Sent::Dropped(reason));
    }
}
