//! Super-frames in the making: TCP segments on their way to the kernel's stack, between two flushes.

use super::VNET_HEADER_BYTES;
use super::vnet::VnetHeader;
use crate::sys;
use crate::xsk::umem::{Chunk, ChunkPool};
use std::io::{self, IoSlice};
use std::os::fd::RawFd;
use weft_switch::FrameBuf;
use weft_wire::coalesce::{Piece, Run, SEGMENTS_MAX};

/// Flows whose segments are joined at a time.
const RUNS_MAX: usize = 8;

/// A run and the frames of its segments.
#[derive(Debug)]
pub(crate) struct Held {
    run: Run,
    is_closed: bool,
    headers_len: usize,
    pub(crate) chunks: Vec<Chunk>,
}

impl Held {
    /// Puts the next segment there; gives it back when it does not continue the run.
    fn append(&mut self, piece: &Piece, chunk: Chunk) -> Result<(), Chunk> {
        let head = self.chunks.first();
        if !head.is_some_and(|head| self.run.append(head.bytes(), piece, chunk.bytes())) {
            return Err(chunk);
        }
        self.chunks.push(chunk);
        self.is_closed = self.run.is_closed();
        Ok(())
    }

    const fn close(&mut self) {
        self.is_closed = true;
    }

    const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Segments.
    pub(crate) const fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Writes the run as one frame, with its offload header, to a TAP or a packet socket, and frees
    /// its chunks.
    pub(crate) fn write(&mut self, fd: RawFd, pool: &mut ChunkPool) -> io::Result<usize> {
        let head = self.chunks.first_mut();
        let offload = head.and_then(|head| self.run.finish(head.bytes_mut()));
        let header = offload.map_or([0; VNET_HEADER_BYTES], VnetHeader::of_superframe);
        let mut buffers = [IoSlice::new(&[]); SEGMENTS_MAX + 1];
        let mut count = 0;
        for (buffer, part) in
            buffers.iter_mut().zip(std::iter::once(&header[..]).chain(self.parts()))
        {
            *buffer = IoSlice::new(part);
            count += 1;
        }
        let written = sys::write_from(fd, buffers.get(..count).unwrap_or_default());
        self.free(pool);
        written
    }

    /// Frees its chunks.
    pub(crate) fn free(&mut self, pool: &mut ChunkPool) {
        self.chunks.drain(..).for_each(|chunk| pool.free(chunk));
    }

    /// The first frame, then the payload of the others.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().enumerate().map(|(position, chunk)| {
            let skip = if position == 0 { 0 } else { self.headers_len };
            chunk.bytes().get(skip..).unwrap_or_default()
        })
    }

    fn is_same_flow(&self, piece: &Piece, frame: &[u8]) -> bool {
        self.chunks.first().is_some_and(|head| self.run.is_same_flow(head.bytes(), piece, frame))
    }
}

/// The runs of one queue: at most one for each flow that is not closed.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    runs: Vec<Held>,
    /// Room of runs that were sent, to be used again: memory is taken when it is first needed.
    rooms: Vec<Vec<Chunk>>,
}

impl Joins {
    /// Puts a segment behind those of its flow, or starts a run with it.  Whoever calls sends what is
    /// closed then.
    pub(crate) fn add(&mut self, piece: Piece, mut chunk: Chunk) {
        let is_meant =
            |held: &&mut Held| !held.is_closed && held.is_same_flow(&piece, chunk.bytes());
        if let Some(held) = self.runs.iter_mut().find(is_meant) {
            match held.append(&piece, chunk) {
                Ok(()) => return,
                Err(back) => chunk = back,
            }
            held.close();
        } else if self.runs.len() >= RUNS_MAX {
            self.close_all();
        }
        let mut chunks = self.rooms.pop().unwrap_or_else(|| Vec::with_capacity(SEGMENTS_MAX));
        chunks.push(chunk);
        let run = Run::new(piece);
        let (is_closed, headers_len) = (run.is_closed(), piece.headers_len_bytes());
        self.runs.push(Held { run, is_closed, headers_len, chunks });
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Nothing more may follow in any run.
    pub(crate) fn close_all(&mut self) {
        self.runs.iter_mut().for_each(Held::close);
    }

    /// Takes out the oldest run that nothing can follow.
    pub(crate) fn take_closed(&mut self) -> Option<Held> {
        let position = self.runs.iter().position(Held::is_closed)?;
        Some(self.runs.remove(position))
    }

    /// Keeps the room of a run that was sent.
    pub(crate) fn give_back(&mut self, held: Held) {
        self.rooms.push(held.chunks);
    }

    /// Segments that wait.
    pub(crate) fn segments(&self) -> usize {
        self.runs.iter().map(Held::len).sum()
    }
}
