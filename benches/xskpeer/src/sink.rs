//! The sink: receives, counts, and gives the frames back.

use anyhow::ensure;
use xsk_rs::FrameDesc;

use crate::{
    Clock,
    port::{self, BATCH, Port, RING},
};

/// Arguments.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Interface.
    interface: String,
    /// Stop after so many frames, with success; fewer within `--seconds` are a failure.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after so long.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Receives until the count or the time is reached.
///
/// # Errors
/// What the kernel refuses, or fewer frames than asked for.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (umem, frames) = port::umem(1, RING)?;
    let mut port = Port::open(&args.interface, &umem, RING)?;
    // SAFETY: the frames are of this UMEM, and each is given away once.
    let filled = unsafe { port.fill.produce(&frames) };
    ensure!(filled == frames.len(), "the fill ring is too small");
    let clock = Clock::start(args.seconds);
    let (mut received, mut bytes) = (0_u64, 0_u64);
    let mut batch = [FrameDesc::default(); BATCH];
    println!("ready");
    while !clock.is_over() && args.count.is_none_or(|count| received < count) {
        // SAFETY: what is received is overwritten by nobody until it is in the fill ring again.
        let taken = unsafe { port.rx.poll_and_consume(&mut batch, 100) }?;
        let taken = batch.get(..taken).unwrap_or_default();
        received += u64::try_from(taken.len())?;
        for desc in taken {
            bytes += u64::try_from(desc.lengths().data())?;
        }
        // SAFETY: received just now, and used nowhere else.
        let filled = unsafe { port.fill.produce(taken) };
        ensure!(filled == taken.len(), "the fill ring is full");
    }
    clock.report("received", received);
    println!("{bytes} bytes");
    if let Some(count) = args.count {
        ensure!(received >= count, "{received} frames of {count}");
    }
    Ok(())
}
