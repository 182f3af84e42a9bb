//! The memory of the workers: a region cut into chunks that have one owner each.
//!
//! The same region is registered as UMEM with every socket, so a frame goes from any port to any port
//! without a copy, be they of different workers, and each socket keeps its own rings and flags.  Each
//! worker has a pool of its own, and chunks go from pool to pool as values.

mod chunk;
mod kernel;
mod pool;
mod region;

pub use chunk::Chunk;
pub(crate) use kernel::{ClosedFlag, Luggage, Received};
pub use pool::{ChunkPool, PoolCount};
pub use region::{LARGE_MTU_MAX, QUARANTINE, Region, RegionConfig, RegionHandle};

#[cfg(test)]
mod tests;
