//! Meters: requests that change them, and what replies say of them.

mod features;
mod meter_mod;
mod stats;

pub use features::MeterFeatures;
pub use stats::{BandStats, MeterStats};

pub(super) use meter_mod::Config;
