//! What routers of the underlay say reaches the host's kernel; raw sockets hear it as well.

use crate::host::kernel::watched;
use crate::plan::Carrier;
use crate::process::engine::Engine;
use crate::underlay::path_mtu::{Fate, Report};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;
use tokio::io::unix::AsyncFd;

/// As much of a message as matters: two IP headers, of at most 60 bytes, with ICMP and a tunnel
/// header.  The checksum covers all of it, and no router quotes more than an MTU.
const MESSAGE_BYTES_MAX: usize = 2048;

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

impl Engine {
    /// Takes over what the underlay says of a packet, if one of our tunnels may have sent it; true when
    /// a path is narrower now.
    pub fn note_report(&mut self, report: &Report) -> bool {
        let now = Instant::now();
        let sender = self.plan.ports.iter().find_map(|port| {
            let Carrier::Tunnel(tunnel, path) = &port.carrier else { return None };
            let mut conf = tunnel.conf();
            conf.source_ports = self.ids.source_ports;
            report.is_of(&conf, path.source?).then_some((port.interface, path.mtu))
        });
        let (Some((row, before)), target) = (sender, report.target) else { return false };
        match report.fate {
            Fate::TooBig(mtu) => {
                self.cover("path_mtu_report");
                let is_news = self.path_mtus.note(report, mtu, before, now);
                if is_news {
                    self.ways.invalidate(|remote, _| remote == Some(target));
                    tracing::info!("the path to {target} takes {mtu} bytes, says a router");
                }
                is_news
            }
            Fate::Unreachable(why) => {
                self.cover("unreachable_report");
                self.dead_ends.note(row, why, now);
                false
            }
        }
    }

    /// Takes note of tunnels of which the underlay says since a moment ago that they lead nowhere, or no
    /// more; true when there are such.
    pub fn turn_dead_ends(&mut self, now: Instant) -> bool {
        let changed = self.dead_ends.turn(now);
        let is_some = !changed.is_empty();
        self.untold.extend(changed);
        is_some
    }
}
