//! What the kernel said no with, and the errors that come of it.

use std::fmt::Write as _;

use aya::programs::{ProgramError, XdpError};
use rustix::io::Errno;

use crate::{AttachConfig, AttachError, Mode, Program, xdp_state};

/// What the kernel said to each way, and the word that decides the advice.
#[derive(Default)]
pub(crate) struct Failures {
    text: String,
    last: Option<Errno>,
    range: bool,
}

impl Failures {
    /// Notes a refusal; an error when no other way can help.
    pub(crate) fn add(
        &mut self,
        config: &AttachConfig<'_>,
        mode: Mode,
        frags: bool,
        error: &ProgramError,
    ) -> Result<(), AttachError> {
        let errno = program_errno(error);
        match errno {
            Some(Errno::PERM | Errno::ACCESS) => {
                return Err(not_permitted("attach an XDP program", Errno::PERM));
            }
            Some(Errno::NODEV) => return Err(no_device(config)),
            Some(Errno::BUSY | Errno::EXIST) => {
                return Err(AttachError::Busy { ifname: config.ifname.to_owned() });
            }
            _ => {}
        }
        let said = match (error, errno) {
            // Its own text carries what the driver said.
            (ProgramError::XdpError(XdpError::NetlinkError(said)), _) => said.to_string(),
            (_, Some(errno)) => errno.to_string(),
            (other, None) => other.to_string(),
        };
        let separator = if self.text.is_empty() { "" } else { "; " };
        let with = if frags { "with" } else { "without" };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{separator}{mode} {with} frags: {said}");
        self.range |= errno == Some(Errno::RANGE);
        self.last = errno;
        Ok(())
    }

    /// All that was said, if anything.
    pub(crate) fn text(self) -> Option<String> {
        (!self.text.is_empty()).then_some(self.text)
    }

    /// No way was left.
    pub(crate) fn refused(self, config: &AttachConfig<'_>) -> AttachError {
        let mtu = xdp_state(config.ifindex).map_or(0, |state| state.mtu);
        let advice = match self.last {
            _ if self.range => "the MTU is too large for XDP here: lower it",
            Some(Errno::INVAL) if mtu > 3000 => "the MTU may be too large for XDP: lower it",
            Some(Errno::OPNOTSUPP) => "this kind of device cannot carry XDP: use another one",
            Some(Errno::NOMEM | Errno::NOSPC) => "the kernel is short of memory or queues",
            _ => "`dmesg` may have the driver's reason",
        };
        AttachError::Refused {
            ifname: config.ifname.to_owned(),
            mtu,
            attempts: self.text,
            advice,
            source: self.last.unwrap_or(Errno::INVAL).into(),
        }
    }
}

pub(crate) fn load_error(program: Program, error: ProgramError) -> AttachError {
    match program_errno(&error) {
        Some(Errno::PERM) => not_permitted("load an XDP program", Errno::PERM),
        _ => AttachError::Load { program: program.name(), source: Box::new(error.into()) },
    }
}

pub(crate) fn no_device(config: &AttachConfig<'_>) -> AttachError {
    AttachError::NoDevice { ifname: config.ifname.to_owned(), ifindex: config.ifindex }
}

pub(crate) fn not_permitted(action: &'static str, errno: Errno) -> AttachError {
    AttachError::NotPermitted { action, source: errno.into() }
}

pub(crate) fn program_errno(error: &ProgramError) -> Option<Errno> {
    match error {
        ProgramError::SyscallError(error) => Errno::from_io_error(&error.io_error),
        ProgramError::LoadError { io_error, .. } => Errno::from_io_error(io_error),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => {
            error.raw_os_error().map(Errno::from_raw_os_error)
        }
        _ => None,
    }
}

pub(crate) fn aya_errno(error: &aya::EbpfError) -> Option<Errno> {
    match error {
        aya::EbpfError::MapError(aya::maps::MapError::CreateError { io_error, .. }) => {
            Errno::from_io_error(io_error)
        }
        aya::EbpfError::ProgramError(error) => program_errno(error),
        _ => None,
    }
}
