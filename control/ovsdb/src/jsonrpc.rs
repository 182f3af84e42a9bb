//! JSON-RPC 1.0 over a byte stream (RFC 7047 section 4): where a message ends, and what it is.
//!
//! Messages are objects, with or without white space between them. The end is found by counting braces, so
//! that a large message that arrives in pieces is looked at once, eight bytes at a time, and parsed once.

use serde_json::{Map, Value};

use crate::txn::known::Known;

/// Deepest nesting of objects and arrays in a message.
pub const DEPTH_MAX: usize = 100;

/// Largest message, in bytes, unless told otherwise.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// How deep the operations of a transaction are: in the array of parameters of the message.
const OPERATIONS_DEPTH: usize = 2;

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
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Where in what is known the rest of the message may go on.
    next_known: usize,
    bytes_max: usize,
}

impl Framer {
    /// A framer that refuses messages of more than `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            next_known: 0,
            bytes_max,
        }
    }

    /// Adds bytes from the stream. Call [`Framer::next_frame`] until it has no more before adding again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the storage in `spare` for a large message that comes in, and leaves it there when that is
    /// over: one does for many streams, for which memory would be got and given back with each message.
    pub fn share(&mut self, spare: &mut Vec<u8>) {
        let held = self.buffered();
        if held >= IDLE_BYTES_MAX && spare.capacity() > self.buffer.capacity() {
            spare.clear();
            spare.extend_from_slice(&self.buffer);
            std::mem::swap(spare, &mut self.buffer);
        } else if held == 0 && self.buffer.capacity() > IDLE_BYTES_MAX {
            let size = self.buffer.capacity();
            if size > spare.capacity() && size <= SPARE_BYTES_MAX {
                std::mem::swap(spare, &mut self.buffer);
            }
            self.buffer.clear();
            self.buffer.shrink_to(IDLE_BYTES_MAX);
        }
    }

    /// Bytes held for a message that is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next complete message as JSON; None when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is of no use afterwards.
    pub fn next_message(&mut self) -> Result<Option<Value>, FrameError> {
        self.next_frame(None)?.map(json).transpose()
    }

    /// The text of the next complete message, which need not be JSON; None when more bytes are needed.
    /// Operations that are `known` are not looked at.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is of no use afterwards.
    pub fn next_frame(&mut self, known: Option<&Known>) -> Result<Option<&[u8]>, FrameError> {
        let end = self.find_end(known)?;
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
    fn find_end(&mut self, known: Option<&Known>) -> Result<Option<usize>, FrameError> {
        if self.depth == 0 {
            self.next_known = 0;
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            self.start += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.scanned = self.start;
        }
        let mut index = self.scanned;
        loop {
            let rest = self.buffer.get(index..).unwrap_or_default();
            let eight = rest.first_chunk().map(|eight| u64::from_le_bytes(*eight));
            let first = rest.first().copied();
            if first == Some(b'{')
                && self.depth == OPERATIONS_DEPTH
                && !self.in_string
                && let Some(held) = known.and_then(|it| it.held(&mut self.next_known, rest))
            {
                // Objects as a whole: behind them all is as before them.
                index += held.text.len();
                continue;
            }
            if eight.is_some_and(|eight| self.depth > 0 && self.pass(eight)) {
                index += 8;
                continue;
            }
            let Some(byte) = first else { break };
            index += 1;
            if self.step(byte)? {
                return Ok(Some(index));
            }
        }
        self.scanned = index;
        Ok(None)
    }

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

    /// Looks at eight bytes at once, the first in the lowest bits. False, and nothing is done, when there
    /// is an escape, or when the message or an operation could end, or be too deep, within them.
    fn pass(&mut self, eight: u64) -> bool {
        if self.escaped || equal(eight, b'\\') != 0 {
            return false;
        }
        let quotes = equal(eight, b'"');
        if self.in_string && quotes == 0 {
            return true;
        }
        // In each byte: the number of quotes up to it, and from that whether it is outside of strings.
        let outside = !quotes.wrapping_mul(ONES) ^ if self.in_string { ONES } else { 0 };
        // An opening bracket and an opening brace differ by one bit, and so do the closing ones.
        let folded = eight | (ONES * 0x20);
        let count = |ones: u64| (ones & outside & ONES).count_ones() as usize;
        let (opens, closes) = (count(equal(folded, b'{')), count(equal(folded, b'}')));
        if self.depth <= closes + OPERATIONS_DEPTH || self.depth + opens > DEPTH_MAX {
            return false;
        }
        self.depth = self.depth + opens - closes;
        self.in_string ^= quotes.count_ones() % 2 == 1;
        true
    }
}

/// A one in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// A one in each byte of `eight` that is `byte`, and nothing else.
fn equal(eight: u64, byte: u8) -> u64 {
    let differing = eight ^ (ONES * u64::from(byte));
    let low_bits = ONES * 0x7f;
    // No carry from byte to byte: the highest bit of each is set when any of its lower ones is.
    !(((differing & low_bits) + low_bits) | differing) >> 7 & ONES
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
    pub fn from_json(json: Value) -> Result<Self, FrameError> {
        let Value::Object(mut object) = json else {
            return Err(FrameError::Rpc("not an object"));
        };
        if object
            .keys()
            .any(|key| !matches!(key.as_str(), "id" | "method" | "params" | "result" | "error"))
        {
            return Err(FrameError::Rpc("unexpected member"));
        }
        let id = object.swap_remove("id").unwrap_or(Value::Null);
        match object.swap_remove("method") {
            Some(Value::String(method)) => call(id, method, object),
            Some(_) => Err(FrameError::Rpc("method must be a string")),
            None if !object.contains_key("result") && !object.contains_key("error") => {
                Err(FrameError::Rpc("neither method, result nor error"))
            }
            None => {
                let result = object.swap_remove("result").unwrap_or(Value::Null);
                let error = object.swap_remove("error").unwrap_or(Value::Null);
                match (id, result, error) {
                    (Value::Null, _, _) => Err(FrameError::Rpc("reply without id")),
                    (id, result, Value::Null) => Ok(Self::Reply { id, result: Ok(result) }),
                    (id, Value::Null, error) => Ok(Self::Reply { id, result: Err(error) }),
                    _ => Err(FrameError::Rpc("both result and error")),
                }
            }
        }
    }
}

fn call(id: Value, method: String, mut object: Map<String, Value>) -> Result<Message, FrameError> {
    let null = |value: Option<&Value>| value.is_none_or(Value::is_null);
    if !null(object.get("result")) || !null(object.get("error")) {
        return Err(FrameError::Rpc("a request has neither result nor error"));
    }
    let Some(Value::Array(params)) = object.swap_remove("params") else {
        return Err(FrameError::Rpc("params must be an array"));
    };
    Ok(if id.is_null() {
        Message::Notification { method, params }
    } else {
        Message::Request { id, method, params }
    })
}
