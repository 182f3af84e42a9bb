//! The raw forwarder: what AF_XDP itself costs. It looks at no byte of a frame.

use anyhow::ensure;
use xsk_rs::FrameDesc;

use crate::{
    Clock,
    port::{self, BATCH, Port, RING},
};

/// Arguments.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The two interfaces.
    #[arg(num_args = 2, required = true)]
    interfaces: Vec<String>,
    /// Slots of each ring, a power of two.
    #[arg(long, default_value_t = RING)]
    ring: u32,
    /// Frames taken in one go.
    #[arg(long, default_value_t = BATCH)]
    batch: usize,
    /// Stop after so long, and say what was done; for ever otherwise.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Forwards until the time is up.
///
/// # Errors
/// What the kernel refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let [one, two] = args.interfaces.as_slice() else { anyhow::bail!("two interfaces") };
    let (umem, frames) = port::umem(2, args.ring)?;
    let mut one = Port::open(one, &umem, args.ring)?;
    let mut two = Port::open(two, &umem, args.ring)?;
    let (first, second) = frames.split_at(frames.len() / 2);
    // SAFETY: the frames are of this UMEM, and each is given away once.
    let filled = unsafe { one.fill.produce(first) };
    // SAFETY: as above.
    let filled = filled + unsafe { two.fill.produce(second) };
    ensure!(filled == frames.len(), "fill rings are too small");

    let clock = Clock::start(args.seconds);
    let mut forward = Direction::new(args.batch);
    let mut back = Direction::new(args.batch);
    println!("ready");
    while !clock.is_over() {
        for _ in 0..256 {
            forward.step(&mut one, &mut two)?;
            back.step(&mut two, &mut one)?;
        }
    }
    clock.report("forwarded", forward.frames + back.frames);
    Ok(())
}

/// One way through.
struct Direction {
    batch: Vec<FrameDesc>,
    /// Handed to the kernel and not yet completed.
    pending: usize,
    frames: u64,
}

impl Direction {
    fn new(batch: usize) -> Self {
        Self { batch: vec![FrameDesc::default(); batch.max(1)], pending: 0, frames: 0 }
    }

    /// Takes a batch from one port, sends it through the other, and gives what was sent back to the first.
    fn step(&mut self, from: &mut Port, to: &mut Port) -> anyhow::Result<()> {
        // Frames only go round: one port's share can never overfill a ring of the other.
        // SAFETY: what is received is overwritten by nobody until it is in the fill ring again.
        let received = unsafe { from.rx.consume(&mut self.batch) };
        if received > 0 {
            let batch = self.batch.get(..received).unwrap_or_default();
            // SAFETY: the frames came from the RX ring just now and are used nowhere else.
            let sent = unsafe { to.tx.produce(batch) };
            ensure!(sent == received, "the TX ring is full");
            self.pending += sent;
            self.frames += u64::try_from(sent)?;
        }
        if self.pending == 0 {
            return Ok(());
        }
        to.kick()?;
        loop {
            // SAFETY: completed frames are ours again.
            let done = unsafe { to.comp.consume(&mut self.batch) };
            if done == 0 {
                return Ok(());
            }
            self.pending -= done;
            // SAFETY: completed a moment ago, and used nowhere else.
            let filled = unsafe { from.fill.produce(self.batch.get(..done).unwrap_or_default()) };
            ensure!(filled == done, "the fill ring is full");
        }
    }
}
