//! An independent AF_XDP peer for benches and tests, on `xsk-rs` and not on our own socket code: a raw
//! forwarder, a sender, a sink, and a traffic source that needs no socket.
//!
//! All of it is `unsafe` FFI below `xsk-rs`; this crate is no part of Weft and is linked into nothing.

mod flood;
mod frame;
mod l2fwd;
mod live;
mod port;
mod send;
mod sink;

use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

/// The independent AF_XDP peer.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Forward every frame of one interface out of the other, untouched, both ways; one thread that polls.
    L2fwd(l2fwd::Args),
    /// Send frames through an AF_XDP socket.
    Send(send::Args),
    /// Receive frames on an AF_XDP socket and count them.
    Sink(sink::Args),
    /// Send frames as the kernel's live frames (`BPF_PROG_TEST_RUN`), as fast as one core can. The peer
    /// of the interface needs an XDP program or GRO, or there is nothing that takes them.
    Flood(flood::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::L2fwd(args) => l2fwd::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Sink(args) => sink::run(&args),
        Command::Flood(args) => flood::run(&args),
    }
}

/// When to stop: after so many seconds, or never.
#[derive(Debug)]
struct Clock {
    start: Instant,
    limit: Option<Duration>,
}

impl Clock {
    fn start(seconds: Option<f64>) -> Self {
        let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self { start: Instant::now(), limit }
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.start.elapsed() >= limit)
    }

    /// One line for people and scripts: what, how many, how long, how many per second.
    fn report(&self, what: &str, frames: u64) {
        let secs = self.start.elapsed().as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = frames as f64 / secs;
        println!("{what} {frames} frames in {secs:.3} s, {rate:.0} per second");
    }
}
