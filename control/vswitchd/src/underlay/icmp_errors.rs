//! What routers of the underlay say reaches the host's kernel; raw sockets hear it as well.

use crate::netlink::kernel::watched;
use crate::plan::Carrier;
use crate::plan::installed::Installed;
use crate::underlay::Underlay;
use crate::underlay::path_mtu::{Fate, Report};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// As much of a message as matters: two IP headers, of at most 60 bytes, with ICMP and a tunnel
/// header.  The checksum covers all of it, and no router quotes more than an MTU.
const MESSAGE_BYTES_MAX: usize = 2048;

/// What a report was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A path MTU; the path may be narrower now.
    PathMtu {
        /// It is.
        is_narrower: bool,
    },
    /// A tunnel whose packets lead nowhere.
    Unreachable,
}

/// Listens for reports of packets that were too big.
pub struct UnderlayErrors {
    v4: Option<AsyncFd<OwnedFd>>,
    v6: Option<AsyncFd<OwnedFd>>,
}

impl UnderlayErrors {
    /// Opens a socket for each IP version that the kernel has.  Without one there are no reports,
    /// and a path MTU is that of its route.
    #[must_use]
    pub fn open() -> Self {
        let watch = |version: &str, socket: io::Result<OwnedFd>| {
            let socket = socket.and_then(watched);
            socket.inspect_err(|e| tracing::info!("no path MTUs of {version}: {e}")).ok()
        };
        Self {
            v4: watch("IPv4", weft_io::icmp_errors_v4()),
            v6: watch("IPv6", weft_io::icmp_errors_v6()),
        }
    }

    /// Waits for a report that quotes a packet of a tunnel, ours or not.  Loses nothing when it is
    /// dropped while it waits.
    pub async fn next(&self) -> Report {
        loop {
            let report = tokio::select! {
                report = receive(self.v4.as_ref(), Report::read_v4) => report,
                report = receive(self.v6.as_ref(), Report::read_v6) => report,
            };
            if let Some(report) = report {
                return report;
            }
        }
    }
}

async fn receive(
    socket: Option<&AsyncFd<OwnedFd>>,
    read: fn(&[u8]) -> Option<Report>,
) -> Option<Report> {
    let Some(socket) = socket else { return std::future::pending().await };
    let mut ready = socket.readable().await.ok()?;
    let mut bytes = [0; MESSAGE_BYTES_MAX];
    let received = ready.try_io(|socket| {
        let flags = rustix::net::RecvFlags::empty();
        let (len, _) = rustix::net::recv(socket.get_ref(), &mut bytes, flags)?;
        Ok(len)
    });
    let len = received.ok()?.ok()?;
    read(bytes.get(..len)?)
}

impl Underlay {
    /// Takes over what the underlay says of a packet, if one of our tunnels may have sent it.
    pub fn note_report(
        &mut self,
        report: &Report,
        plan: &Installed,
        source_ports: (u16, u16),
    ) -> Option<Noted> {
        let now = Instant::now();
        let sender = plan.ports.iter().find_map(|port| {
            let Carrier::Tunnel(tunnel, path) = &port.carrier else { return None };
            let mut conf = tunnel.conf();
            conf.source_ports = source_ports;
            report.is_of(&conf, path.source?).then_some((port.interface, path.mtu))
        });
        let ((row, before), target) = (sender?, report.target);
        match report.fate {
            Fate::TooBig(mtu) => {
                let is_narrower = self.path_mtus.note(report, mtu, before, now);
                if is_narrower {
                    self.ways.invalidate(|remote, _| remote == Some(target));
                    tracing::info!("the path to {target} takes {mtu} bytes, says a router");
                }
                Some(Noted::PathMtu { is_narrower })
            }
            Fate::Unreachable(why) => {
                self.dead_ends.note(row, why, now);
                Some(Noted::Unreachable)
            }
        }
    }
}
