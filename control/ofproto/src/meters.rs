//! Meters: rates that flows name by an id.

use crate::Time;
use crate::bridge::Edit;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use weft_flow::request::{Band, MeterCommand, MeterMod, Refusal};
use weft_flow::{Meter, MeterId};

/// How many meters a bridge may have.
pub const METERS_MAX: u32 = 0x4_0000;

/// How many bands a meter may have.
pub const BANDS_MAX: u8 = 8;

/// A meter, and what is counted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterEntry {
    /// What those who decide know of it.
    pub meter: Arc<Meter>,
    /// When it was added.
    pub created: Time,
    /// Packets that met it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets and bytes above the rates of its bands, in their order.
    pub bands: Vec<(u64, u64)>,
}

/// The meters of a bridge.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    meters: BTreeMap<MeterId, MeterEntry>,
}

impl Meters {
    pub(crate) fn get(&self, id: MeterId) -> Option<&MeterEntry> {
        self.meters.get(&id)
    }

    /// All meters, or one, by their ids.
    pub(crate) fn query(&self, id: MeterId) -> impl Iterator<Item = &MeterEntry> {
        let range = match id {
            MeterId::ALL => (Bound::Unbounded, Bound::Unbounded),
            id => (Bound::Included(id), Bound::Included(id)),
        };
        self.meters.range(range).map(|(_, entry)| entry)
    }

    /// Puts a meter in its place, or takes it away; returns what was there.
    pub(crate) fn set(&mut self, id: MeterId, new: Option<MeterEntry>) -> Option<MeterEntry> {
        match new {
            Some(entry) => self.meters.insert(id, entry),
            None => self.meters.remove(&id),
        }
    }

    fn is_full(&self) -> bool {
        u32::try_from(self.meters.len()).is_ok_and(|count| count >= METERS_MAX)
    }

    /// Packets met a meter.
    pub(crate) fn add_use(&mut self, id: MeterId, packets: u64, bytes: u64) {
        if let Some(entry) = self.meters.get_mut(&id) {
            entry.packets = entry.packets.saturating_add(packets);
            entry.bytes = entry.bytes.saturating_add(bytes);
        }
    }

    /// Packets were above the rate of a band.
    pub(crate) fn add_band_use(&mut self, id: MeterId, band: usize, packets: u64, bytes: u64) {
        let entry = self.meters.get_mut(&id);
        if let Some(counts) = entry.and_then(|entry| entry.bands.get_mut(band)) {
            counts.0 = counts.0.saturating_add(packets);
            counts.1 = counts.1.saturating_add(bytes);
        }
    }
}

impl Edit<'_> {
    /// Does what a request says.
    pub(crate) fn meter_mod(&mut self, request: MeterMod) -> Result<(), Refusal> {
        let is_there = self.state.meters.get(request.id).is_some();
        match request.command {
            MeterCommand::Add if is_there => Err(Refusal::MeterExists),
            MeterCommand::Modify if !is_there => Err(Refusal::UnknownMeter),
            MeterCommand::Add | MeterCommand::Modify => self.put_meter(request),
            MeterCommand::Delete => {
                self.delete_meters(request.id);
                Ok(())
            }
        }
    }

    /// Puts a meter in its place.  One that was there keeps its age; counters begin anew.
    fn put_meter(&mut self, request: MeterMod) -> Result<(), Refusal> {
        check(&request)?;
        let MeterMod { id, flags, bands, .. } = request;
        let old = self.state.meters.get(id);
        if old.is_none() && self.state.meters.is_full() {
            return Err(Refusal::OutOfMeters);
        }
        let created = old.map_or(self.now, |old| old.created);
        let counts = vec![(0, 0); bands.len()];
        let meter = Arc::new(Meter { id, flags, bands });
        let entry = MeterEntry { meter, created, packets: 0, bytes: 0, bands: counts };
        self.set_meter(id, Some(entry));
        Ok(())
    }

    /// Takes meters away, and the flows that name them.
    fn delete_meters(&mut self, id: MeterId) {
        let all: Vec<_> = self.state.meters.query(id).map(|entry| entry.meter.id).collect();
        for id in all {
            self.set_meter(id, None);
            self.delete_flows_of_meter(id);
        }
    }
}

fn check(request: &MeterMod) -> Result<(), Refusal> {
    let is_special = matches!(request.id, MeterId::CONTROLLER | MeterId::SLOWPATH);
    if !is_special && (request.id == MeterId(0) || request.id > MeterId::MAX) {
        return Err(Refusal::InvalidMeter);
    }
    if request.flags.kbps == request.flags.pktps {
        return Err(Refusal::MeterBadFlags);
    }
    if request.bands.is_empty() || request.bands.len() > usize::from(BANDS_MAX) {
        return Err(Refusal::OutOfBands);
    }
    request.bands.iter().try_for_each(|band| match band {
        Band::Drop { rate: 0, .. } => Err(Refusal::BadRate),
        Band::Drop { .. } => Ok(()),
        Band::DscpRemark { .. } => Err(Refusal::BadBand),
    })
}
