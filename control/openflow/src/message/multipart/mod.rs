//! Statistics, which later versions call multipart messages: what is asked, and what is answered in
//! as many parts as it needs.

mod answer;
mod desc;
mod ipfix;
mod kind;
mod parts;
mod port;
mod query;
mod queue;
mod table;
mod table_desc;
mod table_features;

pub use answer::Answer;
pub use desc::Desc;
pub use ipfix::IpfixStats;
pub use port::PortStats;
pub use query::{Form, Query};
pub use queue::{QueueConfig, QueueDesc, QueueStats};
pub use table::TableStats;
pub use table_desc::{TableDesc, Vacancy};
pub use table_features::{TableFeatures, TableProperty};
