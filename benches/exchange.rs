//! Workers in memory: what a second one brings when half of the frames go from one to the other.

use std::sync::Arc;
use std::time::{Duration, Instant};
use weft_io::{HeapIo, HeapQueue};
use weft_switch::{
    BridgeConf, BridgeId, FrameIo, IfaceId, IfaceKind, LinkConf, LinkId, LinkRole, Numbers,
    PortConf, PortId, Snapshot, SnapshotBuilder, WorkerId,
};
use weft_wire::MacAddr;
use weft_wire::vid::Vid;
use weft_worker::{Command, Event, Handle, SpawnConfig, Waker, spawn_all};

/// Links; frames come in on the even ones, and leave by the odd ones.
const LINKS: u16 = 4;

/// Kinds of frames that come in, on each link where some do.
const FRAMES: u8 = 64;

/// How many workers there are, and which frames cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One has all links.
    One,
    /// Two have two links each, and frames leave where they came in.
    TwoApart,
    /// Half of the frames leave by a link of the other.
    TwoCrossing,
}

impl Workers {
    const fn count(self) -> u16 {
        if matches!(self, Self::One) { 1 } else { 2 }
    }

    fn owner(self, link: u16) -> u16 {
        link / 2 % self.count()
    }
}

fn station(link: u16, number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, u8::try_from(link).unwrap_or(0), number])
}

fn snapshot(workers: Workers) -> Snapshot {
    let mut builder = SnapshotBuilder::new(1);
    builder.bridge(BridgeId(0), BridgeConf::default());
    for id in 0..LINKS {
        builder
            .port(PortId(id), PortConf::new(BridgeId(0), IfaceId(id), IfaceKind::Link(LinkId(id))));
        let role = LinkRole::Iface(IfaceId(id));
        let worker = WorkerId(workers.owner(id));
        builder.link(LinkId(id), LinkConf { role, mtu: 1500, completes_checksums: false, worker });
    }
    builder.build()
}

/// The back end of one worker: 64-byte frames come in for ever.
fn back_end(workers: Workers, worker: u16, waker: &Waker) -> std::io::Result<HeapIo> {
    let mut io = HeapIo::with_waker(8192, waker.fd()?);
    io.set_bench_mode(true);
    for link in (0..LINKS).filter(|link| workers.owner(*link) == worker) {
        let frames =
            (0..FRAMES).filter(|_| link % 2 == 0).map(|number| frame(workers, link, number));
        io.add_queue(LinkId(link), HeapQueue::source(frames.collect()));
    }
    Ok(io)
}

/// The frame with this number of those that come in on a link.
fn frame(workers: Workers, link: u16, number: u8) -> Vec<u8> {
    let crosses = workers != Workers::TwoApart && number % 2 == 1;
    let target = if crosses { (link + 3) % LINKS } else { link + 1 };
    let mut frame = [station(target, 0).0, station(link, number).0].concat();
    frame.extend([0x88, 0xb5]);
    frame.resize(60, 0);
    frame
}

/// Frames that all workers have received so far.
fn received(handles: &[Handle<HeapQueue>]) -> u64 {
    let mut sum = 0;
    for handle in handles {
        handle.send(Command::Report(Box::default()));
        sum += loop {
            match handle.try_answer() {
                Some((_, Event::Report(report))) => break report.rx_frames,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_micros(50)),
            }
        };
    }
    sum
}

/// Frames per second that go through.
///
/// # Errors
///
/// Threads or descriptors could not be had.
pub fn frames_per_sec(workers: Workers, time: Duration) -> std::io::Result<f64> {
    let (mut configs, numbers) = (Vec::new(), Numbers::default());
    for worker in 0..workers.count() {
        let waker = Waker::new()?;
        let io = back_end(workers, worker, &waker)?;
        configs.push(SpawnConfig {
            io,
            waker,
            cpu: Some(usize::from(worker)),
            numbers: numbers.clone(),
        });
    }
    let handles = spawn_all(configs, &Waker::new()?, 7)?;
    let snapshot = Arc::new(snapshot(workers));
    for handle in &handles {
        handle.send(Command::Install(Arc::clone(&snapshot)));
        for port in (1..LINKS).step_by(2) {
            let (bridge, vid, mac) = (BridgeId(0), Vid::UNTAGGED, station(port, 0));
            let port = Some(PortId(port));
            handle.send(Command::SetStatic { bridge, vid, mac, port });
        }
    }
    std::thread::sleep(time / 4);
    let (began, before) = (Instant::now(), received(&handles));
    std::thread::sleep(time);
    let frames = received(&handles) - before;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    Ok(frames as f64 / began.elapsed().as_secs_f64())
}
