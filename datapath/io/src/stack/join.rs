//! Super-frames in the making: TCP segments on their way to a TAP, between two flushes.

use crate::xsk::umem::Chunk;
use weft_switch::FrameBuf;
use weft_wire::coalesce::{Offload, Piece, Run, SEGMENTS_MAX};

/// Flows whose segments are joined at a time.
const RUNS_MAX: usize = 8;

/// A run and the frames of its segments.
#[derive(Debug)]
pub(super) struct Held {
    run: Run,
    is_closed: bool,
    headers_len: usize,
    pub(super) chunks: Vec<Chunk>,
}

impl Held {
    /// Puts the next segment there; gives it back when it does not continue the run.
    pub(super) fn append(&mut self, piece: &Piece, chunk: Chunk) -> Result<(), Chunk> {
        let continues = self
            .chunks
            .first()
            .is_some_and(|head| self.run.append(head.bytes(), piece, chunk.bytes()));
        if !continues {
            return Err(chunk);
        }
        self.chunks.push(chunk);
        self.is_closed = self.run.is_closed();
        Ok(())
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Nothing more may follow.
    pub(super) const fn close(&mut self) {
        self.is_closed = true;
    }

    /// Segments.
    pub(super) const fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Writes the headers of the whole into the first frame; `None` when it is one segment.
    pub(super) fn finish(&mut self) -> Option<Offload> {
        self.run.finish(self.chunks.first_mut()?.bytes_mut())
    }

    /// What to write: the first frame, then the payload of the others.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().enumerate().map(|(position, chunk)| {
            let skip = if position == 0 { 0 } else { self.headers_len };
            chunk.bytes().get(skip..).unwrap_or_default()
        })
    }

    fn is_same_flow(&self, piece: &Piece, frame: &[u8]) -> bool {
        self.chunks.first().is_some_and(|head| self.run.is_same_flow(head.bytes(), piece, frame))
    }
}

/// The runs of one TAP, at most one for each flow.
#[derive(Debug, Default)]
pub(super) struct Joins {
    runs: Vec<Held>,
    /// Room of runs that were sent, to be used again: memory is taken when it is first needed.
    rooms: Vec<Vec<Chunk>>,
}

impl Joins {
    /// The run of the flow that a segment belongs to.
    pub(super) fn find(&mut self, piece: &Piece, frame: &[u8]) -> Option<&mut Held> {
        self.runs.iter_mut().find(|held| held.is_same_flow(piece, frame))
    }

    pub(super) const fn is_full(&self) -> bool {
        self.runs.len() >= RUNS_MAX
    }

    /// Starts a run; its flow has none.
    pub(super) fn start(&mut self, piece: Piece, chunk: Chunk) {
        let mut chunks = self.rooms.pop().unwrap_or_else(|| Vec::with_capacity(SEGMENTS_MAX));
        chunks.push(chunk);
        let run = Run::new(piece);
        let (is_closed, headers_len) = (run.is_closed(), piece.headers_len_bytes());
        self.runs.push(Held { run, is_closed, headers_len, chunks });
    }

    pub(super) fn close_all(&mut self) {
        self.runs.iter_mut().for_each(Held::close);
    }

    /// Takes out the oldest run that nothing can follow.
    pub(super) fn take_closed(&mut self) -> Option<Held> {
        let position = self.runs.iter().position(Held::is_closed)?;
        Some(self.runs.remove(position))
    }

    /// Keeps the room of a run that was sent.
    pub(super) fn give_back(&mut self, held: Held) {
        self.rooms.push(held.chunks);
    }

    /// Segments that wait.
    pub(super) fn segments(&self) -> usize {
        self.runs.iter().map(Held::len).sum()
    }
}
