//! What the operations of a transaction answer, as the text of a JSON array.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

/// The results so far: a transaction may have many, and nobody here looks at them again.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Separated by commas.
    text: String,
    count: usize,
}

impl Results {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds one.
    pub fn push(&mut self, result: &Value) {
        self.separate();
        if result.as_object().is_some_and(Map::is_empty) {
            // What tens of thousands of waits answer.
            self.text.push_str("{}");
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{result}");
        }
    }

    /// Adds nulls until there are `count` results.
    pub fn fill(&mut self, count: usize) {
        while self.count < count {
            self.push(&Value::Null);
        }
    }

    fn separate(&mut self) {
        if self.count > 0 {
            self.text.push(',');
        }
        self.count += 1;
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.text)
    }
}
