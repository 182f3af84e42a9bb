//! The map of tunnel options: which fields flows may name.

use crate::FlowBridge;
use weft_flow::TlvMap;
use weft_flow::request::Refusal;
use weft_flow::tlv::TlvOption;

impl FlowBridge {
    /// The map of tunnel options.
    #[must_use]
    pub fn options(&self) -> &TlvMap {
        &self.options
    }

    /// Fields stand for these options too.
    ///
    /// # Errors
    /// Why one cannot be added; none is then.
    pub fn add_options(&mut self, added: &[(u8, TlvOption)]) -> Result<(), Refusal> {
        self.options = self.options.with(added)?;
        Ok(())
    }

    /// Fields stand for nothing any more.  One that stands for nothing is no error.
    ///
    /// # Errors
    /// [`Refusal::TlvInvalidDel`] when a flow names one of them; all stay then.
    pub fn remove_options(&mut self, fields: &[u8]) -> Result<(), Refusal> {
        if fields.iter().any(|field| self.uses_option(*field)) {
            return Err(Refusal::TlvInvalidDel);
        }
        self.options = self.options.without(fields);
        Ok(())
    }

    /// No field stands for anything any more.
    ///
    /// # Errors
    /// [`Refusal::TlvInvalidDel`] when a flow names one; all stay then.
    pub fn clear_options(&mut self) -> Result<(), Refusal> {
        let fields: Vec<_> = self.options.iter().map(|(field, _)| field).collect();
        self.remove_options(&fields)
    }
}
