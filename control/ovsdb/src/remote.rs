//! Remotes: where clients connect, as text and as sockets.

use std::fmt;
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
const BACKLOG: i32 = 64;
/// Mode of a unix socket: root and its group.
const SOCKET_MODE: u32 = 0o660;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remote {
    /// `punix:PATH`.
    Unix(PathBuf),
    /// `ptcp:PORT[:IP]`.
    Tcp(SocketAddr),
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
pub enum RemoteError {
    /// A kind that this server does not speak.
    #[error("{0}: only punix: and ptcp: remotes are supported")]
    Unsupported(String),
    /// No port, no path, or a bad address.
    #[error("{0}: not a valid remote")]
    Invalid(String),
}

impl Remote {
    /// Reads a remote.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let invalid = || RemoteError::Invalid(text.to_owned());
        match text.split_once(':') {
            Some(("punix", path)) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            Some(("ptcp", rest)) => {
                let (port, address) = match rest.split_once(':') {
                    Some((port, address)) => (port, Some(address)),
                    None => (rest, None),
                };
                let port = if port.is_empty() { Ok(6640) } else { port.parse() };
                let address = match address {
                    None | Some("") => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                    Some(address) => address.trim_matches(['[', ']']).parse(),
                };
                match (port, address) {
                    (Ok(port), Ok(address)) => Ok(Self::Tcp(SocketAddr::new(address, port))),
                    _ => Err(invalid()),
                }
            }
            Some(("db", rest)) => {
                let mut parts = rest.split(',');
                match (parts.next(), parts.next(), parts.next(), parts.next()) {
                    (Some(db), Some(table), Some(column), None) => Ok(Self::Db {
                        db: db.to_owned(),
                        table: table.to_owned(),
                        column: column.to_owned(),
                    }),
                    _ => Err(invalid()),
                }
            }
            Some(("ssl" | "pssl" | "tcp" | "unix", _)) => {
                Err(RemoteError::Unsupported(text.to_owned()))
            }
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "punix:{}", path.display()),
            Self::Tcp(address) if address.is_ipv6() => {
                write!(f, "ptcp:{}:[{}]", address.port(), address.ip())
            }
            Self::Tcp(address) => write!(f, "ptcp:{}:{}", address.port(), address.ip()),
            Self::Db { db, table, column } => write!(f, "db:{db},{table},{column}"),
        }
    }
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
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The mode of the socket before bind is the most that its file will have: no moment of openness.
    fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    listen(&socket, BACKLOG)?;
    let listener = UnixListener::from_std(std::os::unix::net::UnixListener::from(socket))?;
    Ok(UnixSocket { listener, path: path.to_owned() })
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
