//! Names of ports and tables in texts.

use weft_flow::{PortNo, TableId};

/// What ports and tables are called.
pub trait Names {
    /// The name of a port that has one; reserved numbers have names anyway.
    fn port(&self, port: PortNo) -> Option<&str>;
    /// The port with a name.
    fn port_number(&self, name: &str) -> Option<PortNo>;
    /// The name of a table that has one.
    fn table(&self, table: TableId) -> Option<&str>;
    /// The table with a name.
    fn table_number(&self, name: &str) -> Option<TableId>;
}

/// Numbers, for who wants no names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers;

impl Names for Numbers {
    fn port(&self, _: PortNo) -> Option<&str> {
        None
    }

    fn port_number(&self, _: &str) -> Option<PortNo> {
        None
    }

    fn table(&self, _: TableId) -> Option<&str> {
        None
    }

    fn table_number(&self, _: &str) -> Option<TableId> {
        None
    }
}
