//! Small names for small numbers.  Control gives them out and keeps them stable over snapshots.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u16);

        impl $name {
            /// The number as an index into the tables of a [`crate::Snapshot`].
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A bridge: one L2 switch with ports, an FDB and flood lists.
    BridgeId
}
index! {
    /// A port of a bridge, as the datapath numbers them over all bridges: what VLANs, addresses,
    /// spanning trees and mirrors belong to.  It has one interface, or several.
    PortId
}
index! {
    /// An interface of a port, as the datapath numbers them over all bridges: what frames come in and
    /// leave by, and are counted at.  Not an ifindex, not an `OpenFlow` port, though each of those
    /// stands for one interface.
    IfaceId
}
index! {
    /// A netdev or TAP that frames are received from and sent to.  An interface on a netdev has
    /// one; a tunnel has none and uses the link of its underlay NIC.
    LinkId
}
index! {
    /// A mirror, as counters number them over all bridges.
    MirrorId
}
index! {
    /// A worker: one poll loop.
    WorkerId
}

/// Whole seconds since the datapath started; the unit in which FDB entries age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Tick(pub u32);

impl Tick {
    /// Seconds from `earlier` to this; 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}
