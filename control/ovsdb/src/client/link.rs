//! What a client talks through: a unix socket, TCP, or TLS over TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::client::ClientError;
use crate::net::remote::{Remote, bind_tcp, bind_unix};
use crate::net::tls::{Configs, Tls, TlsFiles};

/// Longest that a TCP peer may take to accept.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A connection to a server, whose calls but for [`Link::ready`] do not wait.
#[derive(Debug)]
pub(crate) enum Link {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<Secure>),
}

impl Link {
    /// Connects to `unix:PATH`, `tcp:HOST[:PORT]` or, with `files`, `ssl:HOST[:PORT]`; or waits at
    /// `punix:PATH`, `ptcp:PORT[:IP]` or `pssl:PORT[:IP]` until a server comes.
    pub async fn open(target: &str, files: Option<&TlsFiles>) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Io { target: target.to_owned(), source };
        match Remote::parse(target) {
            Ok(Remote::Unix(path)) => {
                UnixStream::connect(path).await.map(Self::Unix).map_err(failed)
            }
            Ok(Remote::Tcp(host, port)) => {
                connect(&host, port).await.map(Self::Tcp).map_err(failed)
            }
            Ok(Remote::Ssl(host, port)) => {
                let link = Secure::open(&host, port, files).await;
                link.map(|link| Self::Tls(Box::new(link))).map_err(failed)
            }
            Ok(Remote::Punix(path)) => accept_unix(&path).await.map(Self::Unix).map_err(failed),
            Ok(Remote::Ptcp(address)) => accept(address).await.map(Self::Tcp).map_err(failed),
            Ok(Remote::Pssl(address)) => {
                let link = Secure::accept(address, files).await;
                link.map(|link| Self::Tls(Box::new(link))).map_err(failed)
            }
            _ => Err(ClientError::Target(target.to_owned())),
        }
    }

    /// Waits until one of the things in `interest` may succeed.
    pub async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Unix(stream) => stream.ready(interest).await,
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Tls(secure) => secure.ready(interest).await,
        }
    }

    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read(buffer),
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Tls(secure) => secure.try_read(buffer),
        }
    }

    pub fn try_write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write(buffer),
            Self::Tcp(stream) => stream.try_write(buffer),
            Self::Tls(secure) => secure.try_write(buffer),
        }
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((host, port));
    let stream = tokio::time::timeout(CONNECT_MAX, connecting)
        .await
        .map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits for a server, and leaves no socket behind.
async fn accept_unix(path: &Path) -> io::Result<UnixStream> {
    let socket = bind_unix(path)?;
    Ok(socket.listener.accept().await?.0)
}

async fn accept(address: SocketAddr) -> io::Result<TcpStream> {
    let (stream, _) = bind_tcp(address)?.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn configs(files: Option<&TlsFiles>) -> io::Result<Configs> {
    let files = files.ok_or_else(|| {
        let text = "TLS needs a private key, a certificate and the certificate of a CA";
        io::Error::new(ErrorKind::InvalidInput, text)
    })?;
    Tls::default().configs(Some(files.clone())).map_err(io::Error::other)
}

/// TLS over TCP. The handshake takes place while the first request is sent.
#[derive(Debug)]
pub(crate) struct Secure {
    tcp: TcpStream,
    tls: Connection,
}

impl Secure {
    async fn open(host: &str, port: u16, files: Option<&TlsFiles>) -> io::Result<Self> {
        let configs = configs(files)?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(&configs.client), name);
        let tls = tls.map_err(io::Error::other)?.into();
        Ok(Self { tcp: connect(host, port).await?, tls })
    }

    async fn accept(address: SocketAddr, files: Option<&TlsFiles>) -> io::Result<Self> {
        let configs = configs(files)?;
        let tls = ServerConnection::new(Arc::clone(&configs.server)).map_err(io::Error::other)?;
        Ok(Self { tcp: accept(address).await?, tls: tls.into() })
    }

    async fn ready(&mut self, interest: Interest) -> io::Result<Ready> {
        // What is deciphered already makes no socket readable.
        if self.process()? > 0 {
            return Ok(Ready::READABLE);
        }
        let interest =
            if self.tls.wants_write() { interest | Interest::WRITABLE } else { interest };
        self.tcp.ready(interest).await
    }

    /// Deciphers what was read: how many bytes of it wait to be taken.
    fn process(&mut self) -> io::Result<usize> {
        match self.tls.process_new_packets() {
            Ok(state) => Ok(state.plaintext_bytes_to_read()),
            Err(error) => {
                // The peer learns why, if it still listens.
                let _ = self.send();
                Err(io::Error::new(ErrorKind::InvalidData, error))
            }
        }
    }

    /// Sends what is ciphered, as far as the socket takes it.
    fn send(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Socket(&self.tcp)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.process()? > 0 {
                return self.tls.reader().read(buffer);
            }
            self.send()?;
            if self.tls.read_tls(&mut Socket(&self.tcp))? == 0 {
                return Ok(0);
            }
        }
    }

    fn try_write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // Before the handshake is over, and while the socket is full, only so much is taken.
        let taken = self.tls.writer().write(buffer)?;
        self.send()?;
        if taken == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }
}

/// A socket that does not wait.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.try_write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
