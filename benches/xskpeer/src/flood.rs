//! The traffic source without a socket: live frames.

use anyhow::Context;
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::{Clock, frame::Shape, live::Source};

/// Frames per system call: some seconds' worth, since each call begins and ends with some milliseconds of
/// waiting, which a switch that spins would pay for and one that sleeps would not.
const CHUNK: u32 = 1 << 25;

/// Arguments.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Interface that sends.
    interface: String,
    #[command(flatten)]
    shape: Shape,
    /// Stop after so long, and say how many were made; for ever otherwise.
    #[arg(long)]
    seconds: Option<f64>,
}

/// Sends until the time is up.
///
/// # Errors
/// What the kernel refuses.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let frame = args.shape.frame()?;
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let ifindex =
        netdevice::name_to_index(&any, &args.interface).with_context(|| args.interface.clone())?;
    let source = Source::new().context("live frames of BPF_PROG_TEST_RUN (kernel 5.18, root)")?;
    let clock = Clock::start(args.seconds);
    let mut made = 0_u64;
    println!("ready");
    while !clock.is_over() {
        source.send(&frame, ifindex, CHUNK)?;
        made += u64::from(CHUNK);
    }
    clock.report("made", made);
    Ok(())
}
