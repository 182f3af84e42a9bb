//! A frame as the kernel hands it over, for the parser that it shares with userspace.

use aya_ebpf::programs::XdpContext;
use weft_ebpf_abi::Reason;
use weft_wire::classify::{NotOurs, Reader};

/// What is left of the frame to look at.
pub struct Frame {
    position: usize,
    end: usize,
}

impl Frame {
    /// The whole frame (of a packet in several buffers: the first one).
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self { position: ctx.data(), end: ctx.data_end() }
    }
}

impl Reader for Frame {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let next = self.position + N;
        if next > self.end {
            return None;
        }
        // SAFETY: `[position, next)` lies in the frame (rules 1 and 2); bytes need no alignment (rule 3).
        let header = unsafe { *(self.position as *const [u8; N]) };
        self.position = next;
        Some(header)
    }

    #[inline(always)]
    fn skip(&mut self, bytes: usize) {
        self.position += bytes;
    }
}

/// The counter of a frame that is no tunnel packet for us.
#[inline(always)]
pub const fn reason(not_ours: NotOurs) -> Reason {
    match not_ours {
        NotOurs::NotIp => Reason::PassNotIp,
        NotOurs::ShortEthernet | NotOurs::ShortIp | NotOurs::ShortTunnel => Reason::PassShort,
        NotOurs::BadIpv4 | NotOurs::BadIpv6 => Reason::PassBadIp,
        NotOurs::Extensions => Reason::PassExtensions,
        NotOurs::NotTunnel => Reason::PassNotTunnel,
        NotOurs::GreVersion => Reason::PassGreVersion,
        NotOurs::NotVtep => Reason::PassNotVtep,
        NotOurs::Fragment => Reason::OuterFrag,
    }
}
