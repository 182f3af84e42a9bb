//! Bundles: requests of a connection that are kept until they are to hold, all at once.
//!
//! Whatever is refused ends the bundle, as in stock.

use crate::{BridgeRequest, Time};
use std::collections::BTreeMap;
use weft_flow::request::Refusal;

/// The number of a bundle on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct BundleId(pub u32);

/// What a bundle promises.  All are both; but messages of one bundle must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BundleFlags {
    /// All or nothing.
    pub atomic: bool,
    /// In order.
    pub ordered: bool,
}

/// A request with the transaction id of its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// The transaction id.
    pub xid: u32,
    /// The request.
    pub request: BridgeRequest,
}

/// How many bundles a connection may have at a time.
pub const BUNDLES_MAX: usize = 256;

/// How many requests a bundle may have.
pub const BUNDLED_MAX: usize = 1 << 22;

/// A bundle that nobody touches for so long ends, in milliseconds.
pub const BUNDLE_IDLE_MILLIS: u64 = 10_000;

#[derive(Debug)]
struct Bundle {
    flags: BundleFlags,
    is_closed: bool,
    requests: Vec<Bundled>,
    used: Time,
}

/// The bundles of one connection.
#[derive(Debug, Default)]
pub struct Bundles {
    bundles: BTreeMap<BundleId, Bundle>,
}

impl Bundles {
    /// Opens a bundle.
    ///
    /// # Errors
    /// [`Refusal::BundleBadId`] when it is open, [`Refusal::OutOfBundles`] when there are too many.
    pub fn open(&mut self, now: Time, id: BundleId, flags: BundleFlags) -> Result<(), Refusal> {
        if self.bundles.remove(&id).is_some() {
            return Err(Refusal::BundleBadId);
        }
        if self.bundles.len() >= BUNDLES_MAX {
            return Err(Refusal::OutOfBundles);
        }
        let bundle = Bundle { flags, is_closed: false, requests: Vec::new(), used: now };
        self.bundles.insert(id, bundle);
        Ok(())
    }

    /// Adds a request to a bundle, and opens the bundle if it is not.
    ///
    /// # Errors
    /// [`Refusal::BundleClosed`], [`Refusal::BundleBadFlags`] when the flags are others than before,
    /// [`Refusal::MsgUnsup`] for a request that cannot be in a bundle, [`Refusal::OutOfBundles`] and
    /// [`Refusal::MsgTooMany`] when there are too many.
    pub fn add(
        &mut self,
        now: Time,
        id: BundleId,
        flags: BundleFlags,
        bundled: Bundled,
    ) -> Result<(), Refusal> {
        if matches!(bundled.request, BridgeRequest::Meter(_)) {
            return Err(Refusal::MsgUnsup);
        }
        if !self.bundles.contains_key(&id) {
            self.open(now, id, flags)?;
        }
        let bundle = self.open_bundle(id, flags)?;
        if bundle.requests.len() >= BUNDLED_MAX {
            return Err(Refusal::MsgTooMany);
        }
        bundle.used = now;
        bundle.requests.push(bundled);
        Ok(())
    }

    /// Closes a bundle: no request comes to it any more.
    ///
    /// # Errors
    /// [`Refusal::BundleBadId`] when it is not there, [`Refusal::BundleClosed`] when it is closed,
    /// [`Refusal::BundleBadFlags`] when the flags are others than before.
    pub fn close(&mut self, now: Time, id: BundleId, flags: BundleFlags) -> Result<(), Refusal> {
        let bundle = self.open_bundle(id, flags)?;
        bundle.is_closed = true;
        bundle.used = now;
        Ok(())
    }

    /// Takes out the requests of a bundle, which need not be closed, for [`crate::FlowBridge::commit`].
    ///
    /// # Errors
    /// [`Refusal::BundleBadId`] when it is not there, [`Refusal::BundleBadFlags`] when the flags are
    /// others than before.
    pub fn commit(&mut self, id: BundleId, flags: BundleFlags) -> Result<Vec<Bundled>, Refusal> {
        let bundle = self.bundles.remove(&id).ok_or(Refusal::BundleBadId)?;
        if bundle.flags != flags {
            return Err(Refusal::BundleBadFlags);
        }
        Ok(bundle.requests)
    }

    /// Ends a bundle; its requests are lost.
    ///
    /// # Errors
    /// [`Refusal::BundleBadId`] when it is not there.
    pub fn discard(&mut self, id: BundleId) -> Result<(), Refusal> {
        self.bundles.remove(&id).map(drop).ok_or(Refusal::BundleBadId)
    }

    /// Ends bundles that nobody touched for [`BUNDLE_IDLE_MILLIS`]; each gets
    /// [`Refusal::BundleTimeout`].
    pub fn expire(&mut self, now: Time) -> Vec<BundleId> {
        let is_idle = |bundle: &mut Bundle| now.since(bundle.used) >= BUNDLE_IDLE_MILLIS;
        self.bundles.extract_if(.., |_, bundle| is_idle(bundle)).map(|(id, _)| id).collect()
    }

    /// When [`Bundles::expire`] may have something to do next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        let first = self.bundles.values().map(|bundle| bundle.used).min();
        first.map(|used| used.after_millis(BUNDLE_IDLE_MILLIS))
    }

    /// The bundle, if requests may come to it; one to which they may not ends.
    fn open_bundle(&mut self, id: BundleId, flags: BundleFlags) -> Result<&mut Bundle, Refusal> {
        let bundle = self.bundles.get(&id).ok_or(Refusal::BundleBadId)?;
        let refusal = if bundle.is_closed {
            Some(Refusal::BundleClosed)
        } else if bundle.flags != flags {
            Some(Refusal::BundleBadFlags)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.bundles.remove(&id);
            return Err(refusal);
        }
        self.bundles.get_mut(&id).ok_or(Refusal::BundleBadId)
    }
}
