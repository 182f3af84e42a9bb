//! What cannot be read, in the words of `ovs-ofctl`.

use weft_flow::Field;

/// The first thing in a text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// No field or protocol is called so.
    UnknownKeyword(String),
    /// Not a number, an address, or what else the field takes.
    Invalid {
        /// What stands there.
        value: String,
        /// What is expected: `IP address`.
        expected: &'static str,
    },
    /// A number that the field has no room for.
    TooLarge {
        /// What stands there.
        value: String,
        /// The field.
        field: Field,
    },
    /// Neither number nor name of a port.
    UnknownPort {
        /// What stands there.
        value: String,
        /// The field.
        field: Field,
    },
    /// Flags of which one has no such name.
    UnknownFlag {
        /// What stands there.
        value: String,
        /// Which flags: `TCP`.
        of: &'static str,
    },
    /// No such kind of fragments.
    UnknownFragment(String),
    /// A mask where the field takes none.
    NoMask(Field),
    /// A field without what must be in front of it.
    MissingPrerequisite(Field),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownKeyword(word) => write!(f, "unknown keyword {word}"),
            Self::Invalid { value, expected } => write!(f, "{value}: invalid {expected}"),
            Self::TooLarge { value, field } => write!(
                f,
                "{value}: value too large for {}-byte field {}",
                field.bytes(),
                field.name()
            ),
            Self::UnknownPort { value, field } => {
                write!(f, "{value}: invalid or unknown port for {}", field.name())
            }
            Self::UnknownFlag { value, of } => write!(f, "{value}: unknown {of} flag(s)"),
            Self::UnknownFragment(value) => write!(
                f,
                "{value}: unknown fragment type (valid types are \"no\", \"yes\", \"first\", \
                 \"later\", \"not_later\""
            ),
            Self::NoMask(field) => write!(f, "{}: this field takes no mask", field.name()),
            Self::MissingPrerequisite(field) => {
                write!(f, "{}: prerequisites of this field are missing", field.name())
            }
        }
    }
}

impl std::error::Error for ReadError {}
