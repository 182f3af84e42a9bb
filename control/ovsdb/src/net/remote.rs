//! Remotes: where clients connect, as text and as sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::net::{TcpListener, UnixListener};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Mode of a unix socket: root and its group.
const SOCKET_MODE: u32 = 0o660;

/// The port of OVSDB when a remote names none.
const DEFAULT_PORT: u16 = 6640;

/// Where clients come from: a place to listen at, or a peer to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remote {
    /// `punix:PATH`.
    Punix(PathBuf),
    /// `ptcp:PORT[:IP]`.
    Ptcp(SocketAddr),
    /// `pssl:PORT[:IP]`.
    Pssl(SocketAddr),
    /// `unix:PATH`: connect there and serve.
    Unix(PathBuf),
    /// `tcp:HOST[:PORT]`: connect there and serve.
    Tcp(String, u16),
    /// `ssl:HOST[:PORT]`: connect there and serve.
    Ssl(String, u16),
    /// `db:DB,TABLE,COLUMN`: what that column says, or the `target`s of the rows it refers to.
    Db {
        /// Database.
        db: String,
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
}

/// A remote that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: not a valid remote (punix:PATH, ptcp:PORT[:IP], pssl:PORT[:IP], unix:PATH, tcp:HOST[:PORT], \
     ssl:HOST[:PORT] or db:DB,TABLE,COLUMN)"
)]
pub struct RemoteError(pub String);

impl Remote {
    /// Reads a remote.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        Self::read(text).ok_or_else(|| RemoteError(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let path = || (!rest.is_empty()).then(|| PathBuf::from(rest));
        match kind {
            "punix" => path().map(Self::Punix),
            "unix" => path().map(Self::Unix),
            "ptcp" => address(rest).map(Self::Ptcp),
            "pssl" => address(rest).map(Self::Pssl),
            "tcp" => peer(rest).map(|(host, port)| Self::Tcp(host, port)),
            "ssl" => peer(rest).map(|(host, port)| Self::Ssl(host, port)),
            "db" => {
                let [db, table, column] = rest.split(',').collect::<Vec<_>>().try_into().ok()?;
                let [db, table, column] = [db, table, column].map(str::to_owned);
                Some(Self::Db { db, table, column })
            }
            _ => None,
        }
    }

    /// True when peers are asked for signs of life unless their row says otherwise: a unix socket notices by itself
    /// when its peer goes.
    pub(crate) fn needs_probes(&self) -> bool {
        !matches!(self, Self::Punix(_) | Self::Unix(_))
    }
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listening = |f: &mut std::fmt::Formatter<'_>, kind, address: &SocketAddr| match address
        {
            SocketAddr::V4(address) => write!(f, "{kind}:{}:{}", address.port(), address.ip()),
            SocketAddr::V6(address) => write!(f, "{kind}:{}:[{}]", address.port(), address.ip()),
        };
        let peer = |f: &mut std::fmt::Formatter<'_>, kind, host: &str, port| {
            if host.contains(':') {
                return write!(f, "{kind}:[{host}]:{port}");
            }
            write!(f, "{kind}:{host}:{port}")
        };
        match self {
            Self::Punix(path) => write!(f, "punix:{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Ptcp(address) => listening(f, "ptcp", address),
            Self::Pssl(address) => listening(f, "pssl", address),
            Self::Tcp(host, port) => peer(f, "tcp", host, *port),
            Self::Ssl(host, port) => peer(f, "ssl", host, *port),
            Self::Db { db, table, column } => write!(f, "db:{db},{table},{column}"),
        }
    }
}

/// `PORT[:IP]`.
fn address(text: &str) -> Option<SocketAddr> {
    let (port, ip) = text.split_once(':').unwrap_or((text, ""));
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().ok()? };
    let ip = match ip {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ip => ip.trim_matches(['[', ']']).parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}

/// `HOST[:PORT]`; an IPv6 address in brackets.
fn peer(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            ip.parse::<std::net::Ipv6Addr>().ok()?;
            (ip, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().ok()? };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// A bound unix socket that leaves no file behind.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub listener: UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Somebody else may have removed it; there is nothing to do then.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens at `path`. A socket that nobody serves any more is replaced.
pub(crate) fn bind_unix(path: &Path) -> io::Result<UnixSocket> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::from(io::ErrorKind::AddrInUse));
    }
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()) => {
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = listen_unix(path, SOCKET_MODE)?;
    Ok(UnixSocket { listener, path: path.to_owned() })
}

/// Listens at `path`, where there must be nothing, with a file of that mode from the first moment on.
///
/// # Errors
/// What the system said.
pub fn listen_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let socket = bind_private(path, mode)?;
    // The process's mask may have taken bits away.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(std::os::unix::net::UnixListener::from(socket))
}

/// A socket with a file that never had more rights than `mode`.
fn bind_private(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The mode of the socket before bind is the most that its file will have.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Listens at a TCP address.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        tokio::net::TcpSocket::new_v6()?
    } else {
        tokio::net::TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever connects before the mode is set stays connected.
    #[test]
    fn a_socket_is_private_from_the_first_moment() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o640, 0o750] {
            let path = dir.path().join(format!("{mode:o}"));
            let _socket = bind_private(&path, mode).unwrap();
            let rights = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(rights & !mode, 0, "{rights:o}");
        }
    }
}
