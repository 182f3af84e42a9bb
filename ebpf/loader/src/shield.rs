//! A program behind the packet taps of a bridge port, on its tc ingress hook, that drops everything.
//!
//! While somebody taps a port, its sockets are taken out of the XDP program's map: frames then pass to the
//! host, where the taps see them first and the tc hook comes next. What stands here keeps the host's stack
//! from answering frames that are the bridge's.

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    tc::{SchedClassifierLink, TcAttachOptions},
};
use weft_ebpf_abi::program;

use crate::{AttachError, Attached, Programs};

impl Attached {
    /// From now on what the XDP program passes ends behind the packet taps. A second time is no error. The
    /// shield ends with [`Attached::unshield_host`] or with this value, hence with the process.
    ///
    /// # Errors
    /// [`AttachError::Shield`]: the kernel has no tcx (Linux 6.6), or refuses.
    pub fn shield_host(&mut self, ifname: &str) -> Result<(), AttachError> {
        if self.shield.is_none() {
            let link = self.programs.attach_drop(ifname).map_err(|source| AttachError::Shield {
                ifname: ifname.to_owned(),
                source: Box::new(source),
            })?;
            self.shield = Some(link);
        }
        Ok(())
    }

    /// What the XDP program passes reaches the host's stack again.
    pub fn unshield_host(&mut self) {
        self.shield = None;
    }
}

impl Programs {
    fn attach_drop(&mut self, ifname: &str) -> Result<SchedClassifierLink, ProgramError> {
        let classifier = self.drop_program()?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = classifier.attach_with_options(ifname, TcAttachType::Ingress, order)?;
        classifier.take_link(id)
    }

    /// The program that drops, loaded.
    pub(crate) fn drop_program(&mut self) -> Result<&mut SchedClassifier, ProgramError> {
        let found = self.ebpf.program_mut(program::DROP).ok_or(ProgramError::NotLoaded)?;
        let classifier: &mut SchedClassifier = found.try_into()?;
        match classifier.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(classifier),
            Err(error) => Err(error),
        }
    }
}
