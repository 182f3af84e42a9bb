//! Buckets, in the form of 1.1 and in that of 1.5, which Nicira has for 1.0.

use crate::message::wire::{Done, Layout, Wire};
use weft_flow::action::Actions;
use weft_flow::request::{Bucket, BucketId, Refusal};
use weft_flow::{GroupId, PortNo};

/// A bucket in the form of 1.1 to 1.4, which has no id.
pub(super) struct OldBucket(pub(super) Bucket);
/// A bucket in the form of 1.5.
pub(super) struct NewBucket {
    pub(super) bucket: Bucket,
    /// True when the weight is said, even if it is 0: that of groups of type select.
    pub(super) has_weight: bool,
}

fn blank() -> Bucket {
    Bucket {
        id: BucketId(0),
        weight: 0,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: Actions::default(),
    }
}

impl Layout for OldBucket {
    fn blank() -> Self {
        Self(blank())
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        let bucket = &mut self.0;
        wire.block(0, |wire| {
            wire.length()?;
            wire.u16(&mut bucket.weight)?;
            wire.port32(&mut bucket.watch_port).map_err(|_| Refusal::BadWatch)?;
            wire.u32(&mut bucket.watch_group.0)?;
            wire.pad(4)?;
            wire.actions(&mut bucket.actions)
        })
        .map_err(shape)
    }
}

/// A bucket whose own length cannot be is a bad bucket.
fn shape(refusal: Refusal) -> Refusal {
    if refusal == Refusal::BadLen { Refusal::BadBucket } else { refusal }
}

const WEIGHT: u16 = 0;
const WATCH_PORT: u16 = 1;
const WATCH_GROUP: u16 = 2;

impl NewBucket {
    fn write(&mut self, wire: &mut Wire<'_>) -> Done {
        let bucket = &mut self.bucket;
        if self.has_weight {
            property(wire, WEIGHT, |wire| {
                wire.u16(&mut bucket.weight)?;
                wire.pad(2)
            })?;
        }
        if bucket.watch_port != PortNo::ANY {
            property(wire, WATCH_PORT, |wire| wire.port32(&mut bucket.watch_port))?;
        }
        if bucket.watch_group != GroupId::ANY {
            property(wire, WATCH_GROUP, |wire| wire.u32(&mut bucket.watch_group.0))?;
        }
        Ok(())
    }

    fn read(&mut self, wire: &mut Wire<'_>) -> Done {
        let bucket = &mut self.bucket;
        while let [high, low, ..] = *wire.left() {
            let kind = u16::from_be_bytes([high, low]);
            property(wire, kind, |wire| match kind {
                WEIGHT => {
                    self.has_weight = true;
                    wire.u16(&mut bucket.weight)?;
                    wire.pad(2)
                }
                WATCH_PORT => wire.port32(&mut bucket.watch_port).map_err(|_| Refusal::BadWatch),
                WATCH_GROUP => wire.u32(&mut bucket.watch_group.0),
                _ => Err(Refusal::PropBadType),
            })?;
        }
        wire.end()
    }
}

fn property(wire: &mut Wire<'_>, mut kind: u16, body: impl FnOnce(&mut Wire<'_>) -> Done) -> Done {
    wire.block(2, |wire| {
        wire.u16(&mut kind)?;
        wire.length()?;
        body(wire)
    })
    .map_err(|refusal| if refusal == Refusal::BadLen { Refusal::PropBadLen } else { refusal })
}

impl Layout for NewBucket {
    fn blank() -> Self {
        Self { bucket: blank(), has_weight: false }
    }

    fn layout(&mut self, wire: &mut Wire<'_>) -> Done {
        wire.block(0, |wire| {
            wire.length()?;
            let len = wire.actions_len()?;
            wire.u32(&mut self.bucket.id.0)?;
            if self.bucket.id > BucketId::MAX {
                return Err(Refusal::BadBucket);
            }
            wire.actions_of_len(len, &mut self.bucket.actions)?;
            if wire.is_reading() { self.read(wire) } else { self.write(wire) }
        })
        .map_err(shape)
    }
}
