//! `weft capture`: copies of frames, streamed as pcapng.
//!
//! A client connects to `<rundir>/weft.<pid>.capture` and says `PORT [SNAPLEN]`.  The sink that
//! workers hold never blocks: a client that does not keep up misses frames, which are counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use weft_switch::{Capture, Direction, DropReason, IfaceId};

/// Frames that wait for one client.
const FRAMES_MAX: usize = 4096;

/// Bytes of a request line.
const REQUEST_BYTES_MAX: usize = 256;

/// Clients at one time.
const CAPTURES_MAX: usize = 16;

/// One frame, on its way to a client.
struct Frame {
    at: Duration,
    direction: Direction,
    dropped: Option<DropReason>,
    len: usize,
    bytes: Box<[u8]>,
}

/// One client's end in the workers.
#[derive(Clone)]
struct Tap {
    name: String,
    iface: Option<IfaceId>,
    snap_bytes: usize,
    frames: mpsc::Sender<Frame>,
    missed: Arc<AtomicU64>,
}

/// Frames, and how many were missed.
type Stream = (mpsc::Receiver<Frame>, Arc<AtomicU64>);

/// What a client asks of the engine: may it have frames of this port?
pub struct Request {
    /// The port.
    port: String,
    snap_bytes: usize,
    reply: oneshot::Sender<Result<Stream, String>>,
}

/// All captures that run.
#[derive(Default)]
pub struct Captures {
    taps: Vec<Tap>,
    is_stale: bool,
}

impl Captures {
    /// Answers a client.  [`Captures::follow`] must come after it.
    pub fn answer(&mut self, request: Request, is_port: impl Fn(&str) -> bool) {
        self.prune();
        let Request { port, snap_bytes, reply } = request;
        let answer = if !is_port(&port) {
            Err(format!("no port named {port}"))
        } else if self.taps.len() >= CAPTURES_MAX {
            Err(format!("{CAPTURES_MAX} captures run already"))
        } else {
            let (frames, receiver) = mpsc::channel(FRAMES_MAX);
            let missed = Arc::<AtomicU64>::default();
            let ours = Arc::clone(&missed);
            self.taps.push(Tap { name: port, iface: None, snap_bytes, frames, missed });
            self.is_stale = true;
            Ok((receiver, ours))
        };
        // A client that has gone meanwhile is pruned later.
        let _ = reply.send(answer);
    }

    /// Forgets clients that have gone.
    fn prune(&mut self) {
        let before = self.taps.len();
        self.taps.retain(|tap| !tap.frames.is_closed());
        self.is_stale |= before != self.taps.len();
    }

    /// Workers need a sink anew.
    pub fn tell_again(&mut self) {
        self.is_stale |= !self.taps.is_empty();
    }

    /// Forgets clients that have gone, and finds the numbers of interfaces anew; true when workers need
    /// another sink.
    pub fn follow(&mut self, number: impl Fn(&str) -> Option<IfaceId>) -> bool {
        self.prune();
        for tap in &mut self.taps {
            let iface = number(&tap.name);
            self.is_stale |= tap.iface != iface;
            tap.iface = iface;
        }
        std::mem::take(&mut self.is_stale)
    }

    /// A sink for one worker; none when nobody listens.
    #[must_use]
    pub fn sink(&self) -> Option<Box<dyn Capture>> {
        (!self.taps.is_empty()).then(|| Box::new(Sink(self.taps.clone())) as Box<dyn Capture>)
    }
}

struct Sink(Vec<Tap>);

impl Capture for Sink {
    fn wants(&self, iface: IfaceId) -> bool {
        self.0.iter().any(|tap| tap.iface == Some(iface))
    }

    fn record(
        &mut self,
        iface: IfaceId,
        direction: Direction,
        frame: &[u8],
        dropped: Option<DropReason>,
    ) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for tap in self.0.iter().filter(|tap| tap.iface == Some(iface)) {
            let bytes = frame.get(..tap.snap_bytes.min(frame.len())).unwrap_or(frame).into();
            let frame = Frame { at, direction, dropped, len: frame.len(), bytes };
            if tap.frames.try_send(frame).is_err() {
                // Relaxed: a count for display, nothing is ordered by it.
                tap.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The capture socket.  Dropping it removes the file.
pub struct CaptureSocket {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl CaptureSocket {
    /// Listens on `path`.  Must be called inside a `LocalSet`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(path: &Path, requests: mpsc::Sender<Request>) -> std::io::Result<Self> {
        let listener = crate::serve::unixctl::bind(path)?;
        let task = tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let requests = requests.clone();
                tokio::task::spawn_local(async move {
                    if let Err(error) = serve(stream, &requests).await {
                        tracing::debug!("capture: {error}");
                    }
                });
            }
        });
        Ok(Self { path: path.to_owned(), task })
    }
}

impl Drop for CaptureSocket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve(mut stream: UnixStream, requests: &mpsc::Sender<Request>) -> std::io::Result<()> {
    let line = request_line(&mut stream).await?;
    let mut words = line.split_whitespace();
    let port = words.next().unwrap_or_default().to_owned();
    let snap = words.next().map_or(Ok(0), str::parse::<usize>);
    let Ok(snap) = snap else { return stream.write_all(b"ERR SNAPLEN is no number\n").await };
    let snap_bytes = if snap == 0 { 262_144 } else { snap };
    let (reply, answer) = oneshot::channel();
    let request = Request { port: port.clone(), snap_bytes, reply };
    let answer = match requests.send(request).await {
        Ok(()) => answer.await.unwrap_or_else(|_| Err("shutting down".to_owned())),
        Err(_) => Err("shutting down".to_owned()),
    };
    let (mut frames, missed) = match answer {
        Ok(stream) => stream,
        Err(text) => return stream.write_all(format!("ERR {text}\n").as_bytes()).await,
    };
    stream.write_all(b"OK pcapng\n").await?;
    stream.write_all(&head(&port, snap_bytes)).await?;
    let (mut from, mut to) = stream.into_split();
    let mut nothing = [0; 64];
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => to.write_all(&block(&frame)).await?,
                None => break,
            },
            // A client says nothing more; the end of its half is the end of the capture.
            said = from.read(&mut nothing) => if said? == 0 { break },
        }
    }
    let missed = missed.load(Ordering::Relaxed);
    if missed > 0 {
        tracing::info!("a capture of {port} missed {missed} frames");
    }
    Ok(())
}

async fn request_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while line.len() < REQUEST_BYTES_MAX {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// One pcapng block: type, length, body padded to 32 bits, length.  Little endian.
fn framed(kind: u32, mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(4), 0);
    let len = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
    let mut block = Vec::with_capacity(body.len() + 12);
    block.extend(kind.to_le_bytes());
    block.extend(len.to_le_bytes());
    block.extend(body);
    block.extend(len.to_le_bytes());
    block
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Section header and interface description (draft-ietf-opsawg-pcapng sections 4.1 and 4.2).
fn head(port: &str, snap_bytes: usize) -> Vec<u8> {
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend(1u16.to_le_bytes());
    section.extend(0u16.to_le_bytes());
    section.extend(u64::MAX.to_le_bytes());
    let mut interface = Vec::new();
    // LINKTYPE_ETHERNET, reserved, snap length.
    interface.extend(1u16.to_le_bytes());
    interface.extend(0u16.to_le_bytes());
    interface.extend(u32::try_from(snap_bytes).unwrap_or(u32::MAX).to_le_bytes());
    option(&mut interface, 2, port.as_bytes());
    // Times are in nanoseconds.
    option(&mut interface, 9, &[9]);
    option(&mut interface, 0, &[]);
    let mut all = framed(0x0a0d_0d0a, section);
    all.extend(framed(1, interface));
    all
}

/// Enhanced packet block (section 4.3).
fn block(frame: &Frame) -> Vec<u8> {
    let nanos = u64::try_from(frame.at.as_nanos()).unwrap_or(u64::MAX);
    let (high, low) = (nanos >> 32, nanos & 0xffff_ffff);
    let mut body = Vec::with_capacity(frame.bytes.len() + 64);
    for number in [0, high, low, frame.bytes.len() as u64, frame.len as u64] {
        body.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }
    body.extend(&frame.bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    let flags: u32 = match frame.direction {
        Direction::Rx => 1,
        Direction::Tx => 2,
    };
    option(&mut body, 2, &flags.to_le_bytes());
    if let Some(reason) = frame.dropped {
        option(&mut body, 1, format!("dropped: {}", reason.name()).as_bytes());
    }
    option(&mut body, 0, &[]);
    framed(6, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn another_reader_understands_the_stream() {
        let mut bytes = head("veth0", 100);
        bytes.extend(block(&Frame {
            at: Duration::new(5, 7),
            direction: Direction::Tx,
            dropped: Some(DropReason::TxRing),
            len: 150,
            bytes: vec![0xab; 99].into(),
        }));
        let mut reader = PcapNgReader::new(bytes.as_slice()).unwrap();
        let Block::InterfaceDescription(interface) = reader.next_block().unwrap().unwrap() else {
            panic!("no interface")
        };
        assert_eq!(interface.snaplen, 100);
        let block = reader.next_block().unwrap().unwrap().into_owned();
        let Block::EnhancedPacket(packet) = block else { panic!("no packet") };
        assert_eq!((packet.original_len, packet.data.len()), (150, 99));
        let text = format!("{:?}", packet.options);
        assert!(text.contains("dropped: tx_ring") && text.contains("Flags(2)"), "{text}");
        assert!(reader.next_block().is_none());
    }

    #[test]
    fn a_slow_client_misses_frames_and_blocks_nobody() {
        let mut captures = Captures::default();
        let (reply, mut answer) = oneshot::channel();
        let request = Request { port: "p".to_owned(), snap_bytes: 10, reply };
        captures.answer(request, |port| port == "p");
        let (frames, missed) = answer.try_recv().unwrap().unwrap();
        assert!(captures.follow(|name| (name == "p").then_some(IfaceId(3))));
        assert!(!captures.follow(|name| (name == "p").then_some(IfaceId(3))));
        let mut sink = captures.sink().unwrap();
        assert!(sink.wants(IfaceId(3)) && !sink.wants(IfaceId(4)));
        for _ in 0..FRAMES_MAX + 5 {
            sink.record(IfaceId(3), Direction::Rx, &[0; 60], None);
        }
        assert_eq!(missed.load(Ordering::Relaxed), 5);
        drop(frames);
        captures.prune();
        assert!(captures.sink().is_none());
    }
}
