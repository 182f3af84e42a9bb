//! What cannot be read, in the words of `ovs-ofctl`.

use weft_flow::{Field, Subfield};

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
    /// No field is called so.
    UnknownField(String),
    /// A field that actions cannot set.
    NotWritable(Field),
    /// No action is called so.
    UnknownAction(String),
    /// An action has no such argument.
    UnknownArgument {
        /// The action.
        action: &'static str,
        /// What stands there.
        argument: String,
    },
    /// No such port to send to.
    UnknownOutput(String),
    /// No such table.
    UnknownTable(String),
    /// Neither port nor table.
    EmptyResubmit,
    /// No `->` with a destination behind it.
    NoArrow(String),
    /// A number that needs more bits.
    DoesNotFit {
        /// The number.
        value: u128,
        /// The bits that there are.
        bits: u16,
    },
    /// Other widths on both sides of an arrow.
    OtherWidth {
        /// From.
        source: Subfield,
        /// To.
        destination: Subfield,
    },
    /// `drop` beside other actions.
    DropWithOthers,
    /// Actions inside actions, deeper than anybody needs.
    TooDeep,
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
            Self::UnknownField(name) => write!(f, "{name}: unknown field"),
            Self::NotWritable(field) => write!(f, "{} is read-only", field.name()),
            Self::UnknownAction(name) => write!(f, "unknown action {name}"),
            Self::UnknownArgument { action, argument } => {
                write!(f, "invalid argument to \"{action}\" action: `{argument}'")
            }
            Self::UnknownOutput(name) => write!(f, "{name}: output to unknown port"),
            Self::UnknownTable(name) => write!(f, "{name}: unknown table"),
            Self::EmptyResubmit => {
                f.write_str("at least one \"in_port\" or \"table\" must be specified on resubmit")
            }
            Self::NoArrow(text) => write!(f, "{text}: missing `->'"),
            Self::DoesNotFit { value, bits } => {
                write!(f, "value {value:#x} does not fit into {bits} bits")
            }
            Self::OtherWidth { source, destination } => write!(
                f,
                "source field is {} bits wide but destination is {} bits wide",
                source.bits, destination.bits
            ),
            Self::DropWithOthers => {
                f.write_str("\"drop\" must not be accompanied by any other action or instruction")
            }
            Self::TooDeep => f.write_str("actions are nested too deeply"),
        }
    }
}

impl std::error::Error for ReadError {}
