//! The sender: one frame over and over through an AF_XDP socket.

use std::io::Write;

use xsk_rs::FrameDesc;

use crate::{
    Clock,
    frame::Shape,
    port::{self, BATCH, Port, RING},
};

/// Arguments.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Interface.
    interface: String,
    #[command(flatten)]
    shape: Shape,
    /// Stop after so many frames.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after so long.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Sends until the count or the time is reached and all is sent.
///
/// # Errors
/// What the kernel refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let frame = args.shape.frame()?;
    let (umem, mut free) = port::umem(1, RING)?;
    let mut port = Port::open(&args.interface, &umem, RING)?;
    for desc in &mut free {
        // SAFETY: nobody but us has a frame of this UMEM yet.
        let mut data = unsafe { umem.data_mut(desc) };
        data.cursor().write_all(&frame)?;
    }
    let clock = Clock::start(args.seconds);
    let limit = args.count.unwrap_or(u64::MAX);
    let total = free.len();
    let (mut queued, mut done) = (0_u64, [FrameDesc::default(); BATCH]);
    loop {
        let want = usize::try_from((limit - queued).min(BATCH as u64))?;
        let want = if clock.is_over() { 0 } else { want.min(free.len()) };
        let batch = free.split_off(free.len() - want);
        // SAFETY: the frames are ours: new, or completed.
        let sent = unsafe { port.tx.produce(&batch) };
        queued += u64::try_from(sent)?;
        free.extend(batch.iter().skip(sent));
        port.kick()?;
        // SAFETY: completed frames are ours again.
        let completed = unsafe { port.comp.consume(&mut done) };
        for desc in done.iter_mut().take(completed) {
            // A completion has no length: write it again.
            // SAFETY: completed a moment ago, and used nowhere else.
            let mut data = unsafe { umem.data_mut(desc) };
            data.cursor().write_all(&frame)?;
            free.push(*desc);
        }
        if want == 0 && free.len() == total {
            clock.report("sent", queued);
            return Ok(());
        }
    }
}
