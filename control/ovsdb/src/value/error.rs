//! Errors that travel to a client as JSON (RFC 7047 section 3.1 `<error>`).

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde_json::{Map, Value};

use crate::value::json::Json;

/// An OVSDB protocol error: a short machine-readable tag, a sentence, and the piece of JSON at fault.
///
/// The tags and sentences are the ones clients already know, since some of them print or compare them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OvsdbError {
    /// Tag, such as `constraint violation`.
    pub error: Cow<'static, str>,
    /// Human-readable sentence.
    pub details: Option<String>,
    /// The JSON that was refused, keys sorted.
    pub syntax: Option<String>,
    /// What the system said, when it refused something.
    pub io_error: Option<String>,
}

impl fmt::Display for OvsdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.details {
            Some(details) => write!(f, "{}: {details}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

impl OvsdbError {
    /// An error with a tag and a sentence.
    #[must_use]
    pub fn new(error: &'static str, details: impl Into<String>) -> Self {
        Self {
            error: Cow::Borrowed(error),
            details: Some(details.into()),
            syntax: None,
            io_error: None,
        }
    }

    /// A `syntax error` about `json`.
    #[must_use]
    pub fn syntax<'a>(json: impl Json<'a>, details: impl Into<String>) -> Self {
        Self::new("syntax error", details).about(json)
    }

    /// A `constraint violation`.
    #[must_use]
    pub fn constraint(details: impl Into<String>) -> Self {
        Self::new("constraint violation", details)
    }

    /// A `referential integrity violation`.
    #[must_use]
    pub fn referential(details: impl Into<String>) -> Self {
        Self::new("referential integrity violation", details)
    }

    /// The same error, naming the JSON at fault.
    #[must_use]
    pub fn about<'a>(mut self, json: impl Json<'a>) -> Self {
        self.syntax = Some(sorted_json(json));
        self
    }

    /// The `<error>` object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        if let Some(syntax) = &self.syntax {
            object.insert("syntax".into(), Value::from(syntax.as_str()));
        }
        if let Some(details) = &self.details {
            object.insert("details".into(), Value::from(details.as_str()));
        }
        object.insert("error".into(), Value::from(self.error.as_ref()));
        if let Some(text) = &self.io_error {
            object.insert("io-error".into(), Value::from(text.as_str()));
        }
        Value::Object(object)
    }
}

/// `json` as text with the members of every object sorted by name.
#[must_use]
pub fn sorted_json<'a>(json: impl Json<'a>) -> String {
    let mut sorted = json.to_value();
    sorted.sort_all_objects();
    sorted.to_string()
}

/// What strerror(3) says of an error, without its number.
#[must_use]
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
