//! Wraps any back end and writes every frame, both ways, to a pcapng file.

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};
use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weft_switch::{Direction, DropReason, FrameBuf, FrameIo, LinkId};

/// Timestamps are in nanoseconds: 10^-9.
const RESOLUTION: u8 = 9;

/// A back end that notes what passes.  Each link is an interface of the capture, in the order in
/// which they are first seen, named `link<number>`.
pub struct PcapIo<I, W: Write> {
    inner: I,
    writer: PcapNgWriter<W>,
    /// Links by their number in the capture.
    links: Vec<LinkId>,
    now: fn() -> Duration,
    /// Frames that could not be written; after the first, nothing more is.
    failed_frames: u64,
    error: Option<PcapError>,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl<I: FrameIo, W: Write> PcapIo<I, W> {
    /// Captures what passes `inner` to `output`, which should be buffered.
    ///
    /// # Errors
    ///
    /// The header could not be written.
    pub fn new(inner: I, output: W) -> Result<Self, PcapError> {
        let writer = PcapNgWriter::new(output)?;
        Ok(Self { inner, writer, links: Vec::new(), now, failed_frames: 0, error: None })
    }

    /// The back end.
    pub const fn inner_mut(&mut self) -> &mut I {
        &mut self.inner
    }

    /// Ends the capture; the back end, the output, and the first error of writing if there was one.
    ///
    /// # Errors
    ///
    /// The first frame that could not be written says why.
    pub fn finish(self) -> Result<(I, W), PcapError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.inner, self.writer.into_inner())),
        }
    }

    /// Frames that are not in the capture because writing failed.
    #[must_use]
    pub const fn failed_frames(&self) -> u64 {
        self.failed_frames
    }

    fn interface(&mut self, link: LinkId) -> Result<u32, PcapError> {
        let known = self.links.iter().position(|&known| known == link);
        let position = known.unwrap_or(self.links.len());
        if known.is_none() {
            let name = format!("link{}", link.0);
            let mut interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
            interface.options = vec![
                InterfaceDescriptionOption::IfName(Cow::Owned(name)),
                InterfaceDescriptionOption::IfTsResol(RESOLUTION),
            ];
            self.writer.write_pcapng_block(interface)?;
            self.links.push(link);
        }
        Ok(u32::try_from(position).unwrap_or(0))
    }

    fn write(&mut self, link: LinkId, direction: Direction, bytes: &[u8]) -> Result<(), PcapError> {
        let interface_id = self.interface(link)?;
        // The lowest two bits of the flags word: 1 inbound, 2 outbound.
        let flags = match direction {
            Direction::Rx => 1,
            Direction::Tx => 2,
        };
        let packet = EnhancedPacketBlock {
            interface_id,
            timestamp: (self.now)(),
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(bytes),
            options: vec![EnhancedPacketOption::Flags(flags)],
        };
        self.writer.write_pcapng_block(packet).map(|_| ())
    }

    fn note(&mut self, link: LinkId, direction: Direction, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.write(link, direction, bytes).err();
        }
        self.failed_frames += u64::from(self.error.is_some());
    }
}

impl<I: FrameIo, W: Write> FrameIo for PcapIo<I, W> {
    type Frame = I::Frame;
    type Queue = I::Queue;

    fn add_queue(&mut self, link: LinkId, queue: I::Queue) {
        self.inner.add_queue(link, queue);
    }

    fn remove_queue(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.remove_queue(link)
    }

    fn take_queue(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.take_queue(link)
    }

    fn remove_stand_in(&mut self, link: LinkId) -> Option<I::Queue> {
        self.inner.remove_stand_in(link)
    }

    fn reclaim(&mut self) {
        self.inner.reclaim();
    }

    fn queue_count(&self) -> usize {
        self.inner.queue_count()
    }

    fn ready(&mut self, list: &mut Vec<usize>) {
        self.inner.ready(list);
    }

    fn rx(&mut self, queue: usize, frames: &mut Vec<I::Frame>) -> LinkId {
        let before = frames.len();
        let link = self.inner.rx(queue, frames);
        for frame in frames.iter().skip(before) {
            self.note(link, Direction::Rx, frame.bytes());
        }
        link
    }

    fn has_link(&self, link: LinkId) -> bool {
        self.inner.has_link(link)
    }

    fn refusal(&self) -> DropReason {
        self.inner.refusal()
    }

    fn tx(&mut self, link: LinkId, frame: I::Frame) -> bool {
        self.note(link, Direction::Tx, frame.bytes());
        self.inner.tx(link, frame)
    }

    fn flush(&mut self) {
        self.inner.flush();
    }

    fn wait(&mut self, timeout: Duration) {
        self.inner.wait(timeout);
    }

    fn copy_from(&mut self, bytes: &[u8]) -> Option<I::Frame> {
        self.inner.copy_from(bytes)
    }

    fn part_with(&mut self, frame: &I::Frame) {
        self.inner.part_with(frame);
    }

    fn adopt(&mut self, frame: &I::Frame) -> bool {
        self.inner.adopt(frame)
    }

    fn free(&mut self, frame: I::Frame) {
        self.inner.free(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HeapIo;
    use pcap_file::pcapng::{Block, PcapNgReader};

    #[test]
    fn a_capture_says_link_direction_and_bytes() {
        let mut io = PcapIo::new(HeapIo::new(4).with_links(2), Vec::new()).unwrap();
        io.now = || Duration::from_nanos(1_234_567_890_123);
        assert!(io.inner_mut().inject(LinkId(1), b"in one fourteen"));
        let mut frames = Vec::new();
        assert_eq!(io.rx(1, &mut frames), LinkId(1));
        for frame in frames {
            assert!(io.tx(LinkId(0), frame));
        }
        let (mut heap, file) = io.finish().unwrap();
        assert_eq!(heap.take_all_sent(LinkId(0)), [b"in one fourteen"]);

        let mut reader = PcapNgReader::new(&file[..]).unwrap();
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            match block.unwrap() {
                Block::InterfaceDescription(block) => {
                    let InterfaceDescriptionOption::IfName(name) = &block.options[0] else {
                        panic!("no name")
                    };
                    seen.push(name.to_string());
                }
                Block::EnhancedPacket(block) => {
                    assert_eq!(block.timestamp.as_nanos(), 1_234_567_890_123);
                    assert_eq!(&block.data[..], b"in one fourteen");
                    assert_eq!(block.original_len, 15);
                    seen.push(format!("{} {:?}", block.interface_id, block.options));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, ["link1", "0 [Flags(1)]", "link0", "1 [Flags(2)]"]);
    }

    /// A full disk must not stop the switch.
    #[test]
    fn a_failing_output_is_counted() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut io = PcapIo::new(HeapIo::new(4).with_links(1), Full(60)).unwrap();
        for _ in 0..3 {
            assert!(io.inner_mut().inject(LinkId(0), &[7; 60]));
        }
        let mut frames = Vec::new();
        io.rx(0, &mut frames);
        assert_eq!((frames.len(), io.failed_frames()), (3, 3));
        assert!(io.finish().is_err());
    }
}
