//! What keeps a program on an interface: a pinned link, a link, or, before Linux 5.9, nothing but the interface.

use std::{
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::programs::{
    ProgramFd,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};

use crate::{
    AttachConfig, AttachError, Mode, Program,
    home::{NO_BPFFS, is_bpffs},
    netlink,
    refusal::load_error,
};

/// What keeps the program on the interface. Dropping it detaches the program, unless it is pinned.
#[derive(Debug)]
pub(crate) enum Held {
    Pinned(PathBuf, PinnedLink),
    #[expect(dead_code, reason = "it is held, not used: closing it detaches")]
    Link(FdLink),
    #[expect(dead_code, reason = "it is held, not used: dropping it detaches")]
    Netlink(NetlinkAttachment),
}

/// A program that a kernel without links for XDP (before 5.9) attached.
#[derive(Debug)]
pub(crate) struct NetlinkAttachment {
    ifindex: u32,
    mode: Mode,
    program: ProgramFd,
}

impl Drop for NetlinkAttachment {
    fn drop(&mut self) {
        if let Err(error) = netlink::detach(self.ifindex, self.mode, self.program.as_fd()) {
            tracing::warn!(ifindex = self.ifindex, %error, "XDP program stays attached");
        }
    }
}

impl Held {
    /// Pins the link if that is wanted, and says why not when it cannot be: no reason not to work.
    pub(crate) fn keep(
        config: &AttachConfig<'_>,
        link: XdpLink,
        mode: Mode,
        program: Program,
    ) -> Result<(Self, Option<String>), AttachError> {
        let Ok(link) = FdLink::try_from(link) else {
            let fd = config.object.descriptor(program);
            let program = fd.map_err(|error| load_error(program, error))?;
            let attachment = NetlinkAttachment { ifindex: config.ifindex, mode, program };
            let unpinned = config.pin.map(|_| "this kernel has no bpf links for XDP".to_owned());
            return Ok((Self::Netlink(attachment), unpinned));
        };
        let Some(pin) = config.pin else { return Ok((Self::Link(link), None)) };
        if let Err(reason) = make_room(pin) {
            tracing::warn!(interface = config.ifname, pin = %pin.display(), reason, "not pinned");
            return Ok((Self::Link(link), Some(reason)));
        }
        match link.pin(pin) {
            Ok(link) => Ok((Self::Pinned(pin.to_path_buf(), link), None)),
            Err(error) => {
                Err(AttachError::Unpinnable { path: pin.to_path_buf(), source: Box::new(error) })
            }
        }
    }

    /// Whether the program outlives this value.
    pub(crate) const fn is_pinned(&self) -> bool {
        matches!(self, Self::Pinned(..))
    }

    /// Takes the program off the interface: removes the pin, if there is one, and closes the link.
    pub(crate) fn let_go(self) -> Result<(), AttachError> {
        let Self::Pinned(path, link) = self else { return Ok(()) };
        match link.unpin() {
            Ok(_link) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(AttachError::Pin { path, source }),
        }
    }
}

/// Makes the folder of a pin; why it is none, in words.
fn make_room(pin: &Path) -> Result<(), String> {
    let folder = pin.parent().unwrap_or(pin);
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    is_bpffs(folder).then_some(()).ok_or_else(|| NO_BPFFS.to_owned())
}
