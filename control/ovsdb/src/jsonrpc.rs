//! JSON-RPC 1.0 over a byte stream (RFC 7047 section 4): where a message ends, and what it is.
//!
//! Messages are objects, with or without white space between them. The end is found by counting braces, so
//! that a large message that arrives in pieces is looked at once, a block at a time, and parsed once.

use serde_json::Value;

use crate::value::json::Json;

/// Deepest nesting of objects and arrays in a message.
pub const DEPTH_MAX: usize = 100;

/// Largest message, in bytes, unless its owner says otherwise.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Storage that a framer keeps for messages to come.
const IDLE_BYTES_MAX: usize = 1 << 16;

/// Storage that is kept for the next large message on any stream.
const SPARE_BYTES_MAX: usize = 8 << 20;

/// Why a byte stream is not JSON-RPC. The connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message does not start with `{`.
    #[error("byte {0:#04x} where a message must start with an opening brace")]
    NotAnObject(u8),
    /// More than [`DEPTH_MAX`] levels.
    #[error("message nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Larger than the limit of the stream.
    #[error("message larger than {0} bytes")]
    TooLarge(usize),
    /// Braces match, the rest is no JSON.
    #[error("invalid JSON: {0}")]
    Json(String),
    /// JSON, but neither request, notification nor reply.
    #[error("invalid JSON-RPC message: {0}")]
    Rpc(&'static str),
}

/// Cuts a byte stream into JSON objects.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where in the buffer the next message starts.
    start: usize,
    /// Where in the buffer to look on for its end.
    scanned: usize,
    scan: Scan,
    bytes_max: usize,
}

impl Framer {
    /// A framer that refuses messages of more than `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, scan: Scan::default(), bytes_max }
    }

    /// Adds bytes from the stream. Call [`Framer::next_frame`] until it has no more before adding again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.forget_taken();
        self.buffer.extend_from_slice(bytes);
    }

    /// Where to append the bytes of the stream that come next, in the place of [`Framer::push`], when they go on with
    /// a large message: there is room for many, and they are not copied once more. None when no such message is under
    /// way; a stream that is idle has no room of its own.
    pub fn room(&mut self) -> Option<&mut Vec<u8>> {
        if self.buffered() < IDLE_BYTES_MAX {
            return None;
        }
        self.forget_taken();
        self.buffer.reserve(IDLE_BYTES_MAX);
        Some(&mut self.buffer)
    }

    /// Drops the messages that were taken.
    fn forget_taken(&mut self) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
    }

    /// Takes the storage in `spare` for a large message that comes in, and leaves it there when that is
    /// over: one does for many streams, for which memory would be got and given back with each message.
    pub fn share(&mut self, spare: &mut Vec<u8>) {
        let buffered = self.buffered();
        if buffered >= IDLE_BYTES_MAX && spare.capacity() > self.buffer.capacity() {
            spare.clear();
            spare.extend_from_slice(&self.buffer);
            std::mem::swap(spare, &mut self.buffer);
        } else if buffered == 0 && self.buffer.capacity() > IDLE_BYTES_MAX {
            let size = self.buffer.capacity();
            if size > spare.capacity() && size <= SPARE_BYTES_MAX {
                std::mem::swap(spare, &mut self.buffer);
            }
            self.buffer.clear();
            self.buffer.shrink_to(IDLE_BYTES_MAX);
        }
    }

    /// Bytes of a message that is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next complete message as JSON; None when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is of no use afterwards.
    pub fn next_message(&mut self) -> Result<Option<Value>, FrameError> {
        self.next_frame()?.map(json).transpose()
    }

    /// The text of the next complete message, which need not be JSON; None when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let end = self.find_end()?;
        let start = self.start;
        if end.unwrap_or(self.buffer.len()) - start > self.bytes_max {
            return Err(FrameError::TooLarge(self.bytes_max));
        }
        let Some(end) = end else {
            if self.buffered() == 0 {
                (self.start, self.scanned) = (0, 0);
                self.buffer.clear();
            }
            return Ok(None);
        };
        (self.start, self.scanned) = (end, end);
        Ok(self.buffer.get(start..end))
    }

    /// Where in the buffer the first message ends.
    fn find_end(&mut self) -> Result<Option<usize>, FrameError> {
        if self.scan.depth == 0 {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            self.start += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.scanned = self.start;
        }
        let mut scan = std::mem::take(&mut self.scan);
        let mut rest = self.buffer.get(self.scanned..).unwrap_or_default();
        while let Some(first) = rest.first() {
            if let Some((block, behind)) = rest.split_first_chunk()
                && scan.pass(block)
            {
                rest = behind;
                continue;
            }
            let is_end = scan.step(*first)?;
            rest = rest.get(1..).unwrap_or_default();
            if is_end {
                return Ok(Some(self.buffer.len() - rest.len()));
            }
        }
        self.scan = scan;
        self.scanned = self.buffer.len();
        Ok(None)
    }
}

/// Bytes that are looked at at once.
const BLOCK: usize = 64;

/// What has been seen of a message.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Looks at one byte; true when the message ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, FrameError> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            _ if self.depth == 0 && byte != b'{' => return Err(FrameError::NotAnObject(byte)),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        if self.depth > DEPTH_MAX {
            return Err(FrameError::TooDeep);
        }
        Ok(self.depth == 0)
    }

    /// Looks at a block of bytes. False, and nothing is done, when there is an escape, or when the message could
    /// end, or be too deep, within them.
    fn pass(&mut self, block: &[u8; BLOCK]) -> bool {
        if self.depth == 0 || self.escaped {
            return false;
        }
        // An opening bracket and an opening brace differ by one bit, and so do the closing ones.
        let quotes = block.map(|it| u8::from(it == b'"'));
        let escapes = block.iter().fold(0, |some, it| some | u8::from(*it == b'\\'));
        let opens = block.map(|it| u8::from(it | 0x20 == b'{'));
        let closes = block.map(|it| u8::from(it | 0x20 == b'}'));
        // A byte has a one in it when what it says holds: 64 of them are added without a carry.
        let (mut in_string, mut ups, mut downs) = (u64::from(self.in_string), 0, 0);
        for ((quotes, opens), closes) in words(&quotes).zip(words(&opens)).zip(words(&closes)) {
            // In each byte: the number of quotes up to it, and from that whether it is outside of strings.
            let quotes = quotes.wrapping_mul(ONES);
            let outside = !(quotes ^ in_string.wrapping_neg());
            ups += opens & outside;
            downs += closes & outside;
            // The last byte has the number of all.
            in_string ^= quotes >> 56 & 1;
        }
        let (ups, downs) = (sum(ups), sum(downs));
        if escapes > 0 || downs >= self.depth || self.depth + ups > DEPTH_MAX {
            return false;
        }
        self.depth = self.depth + ups - downs;
        self.in_string = in_string == 1;
        true
    }
}

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Eight bytes each, the first in the lowest bits.
fn words(block: &[u8; BLOCK]) -> impl Iterator<Item = u64> {
    block.as_chunks().0.iter().map(|eight| u64::from_le_bytes(*eight))
}

/// The sum of the bytes of `word`, which is below 256.
fn sum(word: u64) -> usize {
    (word.wrapping_mul(ONES) >> 56) as usize
}

/// Parses a message.
///
/// # Errors
/// [`FrameError::Json`].
pub fn json(message: &[u8]) -> Result<Value, FrameError> {
    serde_json::from_slice(message).map_err(|error| FrameError::Json(error.to_string()))
}

/// A JSON-RPC message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A call that wants an answer.
    Request {
        /// Anything but null.
        id: Value,
        /// Name of the method.
        method: String,
        /// Its parameters.
        params: Vec<Value>,
    },
    /// A call without an answer.
    Notification {
        /// Name of the method.
        method: String,
        /// Its parameters.
        params: Vec<Value>,
    },
    /// An answer.
    Reply {
        /// The id of the request.
        id: Value,
        /// The result, or the error.
        result: Result<Value, Value>,
    },
}

impl Message {
    /// Tells what an object is.
    ///
    /// # Errors
    /// [`FrameError::Rpc`].
    pub fn from_json(mut json: Value) -> Result<Self, FrameError> {
        let shape = Envelope::read(&json)?.shape()?;
        let mut take = |name| json.get_mut(name).map(Value::take).unwrap_or_default();
        if shape == Shape::Reply {
            let (id, result, error) = (take("id"), take("result"), take("error"));
            let result = if error.is_null() { Ok(result) } else { Err(error) };
            return Ok(Self::Reply { id, result });
        }
        let (Value::String(method), Value::Array(params)) = (take("method"), take("params")) else {
            return Err(FrameError::Rpc("not a call"));
        };
        Ok(match shape {
            Shape::Request => Self::Request { id: take("id"), method, params },
            _ => Self::Notification { method, params },
        })
    }
}

/// What a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Request,
    Notification,
    Reply,
}

/// The members of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<J> {
    pub id: Option<J>,
    pub method: Option<J>,
    pub params: Option<J>,
    result: Option<J>,
    error: Option<J>,
}

impl<'a, J: Json<'a>> Envelope<J> {
    /// # Errors
    /// [`FrameError::Rpc`] for what is no object, or has a member that no message has.
    pub fn read(json: J) -> Result<Self, FrameError> {
        let members = json.members().ok_or(FrameError::Rpc("not an object"))?;
        let mut envelope = Self { id: None, method: None, params: None, result: None, error: None };
        for (name, value) in members {
            *match &*name {
                "id" => &mut envelope.id,
                "method" => &mut envelope.method,
                "params" => &mut envelope.params,
                "result" => &mut envelope.result,
                "error" => &mut envelope.error,
                _ => return Err(FrameError::Rpc("unexpected member")),
            } = Some(value);
        }
        Ok(envelope)
    }

    /// # Errors
    /// [`FrameError::Rpc`].
    pub fn shape(&self) -> Result<Shape, FrameError> {
        let is_null = |member: Option<J>| member.is_none_or(J::is_null);
        let fault = |what| Err(FrameError::Rpc(what));
        let (has_result, has_error) = (!is_null(self.result), !is_null(self.error));
        match self.method {
            Some(method) if method.as_text().is_none() => fault("method must be a string"),
            Some(_) if has_result || has_error => fault("a request has neither result nor error"),
            Some(_) if self.params.and_then(J::elements).is_none() => {
                fault("params must be an array")
            }
            Some(_) if is_null(self.id) => Ok(Shape::Notification),
            Some(_) => Ok(Shape::Request),
            None if self.result.is_none() && self.error.is_none() => {
                fault("neither method, result nor error")
            }
            None if is_null(self.id) => fault("reply without id"),
            None if has_result && has_error => fault("both result and error"),
            None => Ok(Shape::Reply),
        }
    }
}
