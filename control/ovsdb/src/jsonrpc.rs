//! JSON-RPC 1.0 over a byte stream (RFC 7047 section 4): where a message ends, and what it is.
//!
//! Messages are objects, with or without white space between them. The end is found by counting braces, so
//! that a large message that arrives in pieces is looked at once, byte by byte, and parsed once.

use serde_json::{Map, Value};

/// Deepest nesting of objects and arrays in a message.
pub const DEPTH_MAX: usize = 100;

/// Largest message, in bytes, unless told otherwise.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

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
    /// Bytes of the buffer already looked at.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    bytes_max: usize,
}

impl Framer {
    /// A framer that refuses messages of more than `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            scanned: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            bytes_max,
        }
    }

    /// Adds bytes from the stream. Call [`Framer::next_message`] until it has no more before adding again.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes held for a message that is not complete.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next complete message; None when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is of no use afterwards.
    pub fn next_message(&mut self) -> Result<Option<Value>, FrameError> {
        let Some(end) = self.find_end()? else {
            if self.buffer.len() > self.bytes_max {
                return Err(FrameError::TooLarge(self.bytes_max));
            }
            return Ok(None);
        };
        if end > self.bytes_max {
            return Err(FrameError::TooLarge(self.bytes_max));
        }
        let message = self.buffer.get(..end).unwrap_or_default();
        let value =
            serde_json::from_slice(message).map_err(|error| FrameError::Json(error.to_string()))?;
        self.buffer.drain(..end);
        self.scanned = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 1 << 16 {
            self.buffer = Vec::new();
        }
        Ok(Some(value))
    }

    /// Number of bytes up to the end of the first message.
    fn find_end(&mut self) -> Result<Option<usize>, FrameError> {
        if self.depth == 0 && self.scanned == 0 {
            let blank = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.drain(..blank);
        }
        for (index, byte) in self.buffer.iter().enumerate().skip(self.scanned) {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                _ if self.depth == 0 && *byte != b'{' => {
                    return Err(FrameError::NotAnObject(*byte));
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b'"' => self.in_string = true,
                _ => {}
            }
            if self.depth > DEPTH_MAX {
                return Err(FrameError::TooDeep);
            }
            if self.depth == 0 {
                return Ok(Some(index + 1));
            }
        }
        self.scanned = self.buffer.len();
        Ok(None)
    }
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
