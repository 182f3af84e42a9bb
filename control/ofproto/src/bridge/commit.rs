//! Requests that hold at once, or not at all.

use super::{BridgeRequest, FlowBridge, Outcome};
use crate::Time;
use crate::monitor::Origin;
use weft_flow::request::Refusal;

/// Why a bundle was refused.  Its controller gets two errors: this one, for the message, then
/// [`Refusal::MsgFailed`] for the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Which of its messages, counted from 0.
    pub place: usize,
    /// Why.
    pub refusal: Refusal,
}

impl FlowBridge {
    /// Does what all requests say, in order.
    ///
    /// # Errors
    /// Which request is refused, and why; nothing has changed then, and nobody hears of anything.
    pub fn commit(
        &mut self,
        now: Time,
        requests: impl IntoIterator<Item = BridgeRequest>,
        origin: Option<Origin>,
    ) -> Result<Outcome, Failure> {
        let mut place = 0;
        let done = self.edit(now, origin, |edit| {
            for request in requests {
                edit.request(request)?;
                place += 1;
            }
            Ok(())
        });
        done.map(|((), outcome)| outcome).map_err(|refusal| Failure { place, refusal })
    }
}
