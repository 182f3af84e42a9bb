//! TLS of `ssl:` and `pssl:` remotes: keys and certificates from the files that a row of the database names.
//!
//! As Open vSwitch has it, both ends show a certificate and each checks that the other's chain ends at its
//! CA; names are not compared, since these certificates name machines and not addresses. Files are read
//! again when they change.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};

use crate::net::ciphers;

/// What one end shows and believes: files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Key of the certificate.
    pub private_key: PathBuf,
    /// Certificate, and what leads from it to its CA.
    pub certificate: PathBuf,
    /// Certificate of the CA of peers.
    pub ca_cert: PathBuf,
    /// When `ca_cert` does not exist yet: believe the first peer that shows its CA, and keep that.
    pub bootstrap: bool,
    /// Versions of TLS that may be spoken, as `TLSv1.2,TLSv1.3`; all that are safe when it is empty.
    pub protocols: String,
    /// Cipher suites of TLS 1.2 that may be used, by their names in OpenSSL; all when it is empty.
    pub ciphers: String,
}

/// In the place of the file of a CA: believe everybody.
const NO_CA: &str = "none";

impl TlsFiles {
    /// True when peers need not show who they are.
    #[must_use]
    pub fn trusts_anyone(&self) -> bool {
        self.ca_cert.as_os_str() == NO_CA
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("TLS is not configured: there is no row in table SSL (ovs-vsctl set-ssl makes one)")]
    NotConfigured,
    #[error("{}: {what}", path.display())]
    File { path: PathBuf, what: String },
    #[error("{0}")]
    Rustls(#[from] Error),
    #[error("the CA certificate: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Both roles under one set of files.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
}

/// The configuration of the files as they were when it was made.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    made: Option<(TlsFiles, Stamps, Configs)>,
}

type Stamps = [Option<SystemTime>; 3];

impl Tls {
    /// The configuration of `files`, made anew when one of them has changed.
    pub fn configs(&mut self, files: Option<TlsFiles>) -> Result<Configs, TlsError> {
        let files = files.ok_or(TlsError::NotConfigured)?;
        let stamps = [&files.private_key, &files.certificate, &files.ca_cert]
            .map(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
        if let Some((made_of, made_at, configs)) = &self.made
            && (made_of, made_at) == (&files, &stamps)
        {
            return Ok(configs.clone());
        }
        let configs = load(&files)?;
        self.made = Some((files, stamps, configs.clone()));
        Ok(configs)
    }
}

fn load(files: &TlsFiles) -> Result<Configs, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = || {
        PrivateKeyDer::from_pem_file(&files.private_key)
            .map_err(|error| fault(&files.private_key, &error))
    };
    let provider = Arc::new(ciphers::provider(&files.ciphers));
    let versions = ciphers::versions(&files.protocols);
    let trust = if files.trusts_anyone() {
        Trust::Anyone
    } else if files.bootstrap && !files.ca_cert.exists() {
        Trust::First(files.ca_cert.clone())
    } else {
        Trust::Some(certificates(&files.ca_cert)?)
    };
    // A CA that is none is found now and not by every peer.
    if let Trust::Some(certificates) = &trust {
        roots(certificates)?;
    }
    let asks = !matches!(trust, Trust::Anyone);
    let verifier = Arc::new(Verifier { trust, provider: Arc::clone(&provider) });
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)?;
    let server = if asks {
        server.with_client_cert_verifier(Arc::clone(&verifier) as Arc<dyn ClientCertVerifier>)
    } else {
        server.with_no_client_auth()
    };
    let server = server.with_single_cert(chain.clone(), key()?)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(chain, key()?)?;
    Ok(Configs { server: Arc::new(server), client: Arc::new(client) })
}

fn fault(path: &Path, what: &impl ToString) -> TlsError {
    TlsError::File { path: path.to_owned(), what: what.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fault(path, &error))?;
    if certificates.is_empty() {
        return Err(fault(path, &"no certificate in it"));
    }
    Ok(certificates)
}

fn roots(certificates: &[CertificateDer<'_>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone().into_owned())?;
    }
    Ok(roots)
}

#[derive(Debug)]
enum Trust {
    /// Who shows one of these, or what one of these has signed.
    Some(Vec<CertificateDer<'static>>),
    /// Whoever comes first; its CA goes to this file.
    First(PathBuf),
    /// Everybody.
    Anyone,
}

/// Checks that a chain ends at the CA, for both roles.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Runs `check` with the CA; `assertion` is what it comes to when all is well. Under [`Trust::First`]
    /// the CA is the last certificate of the chain, which is kept when the check succeeds.
    fn check<T>(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        assertion: T,
        check: impl FnOnce(&RootCertStore) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match &self.trust {
            Trust::Some(certificates) => judge(end_entity, certificates, assertion, check),
            Trust::First(path) => {
                let ca = intermediates.last().unwrap_or(end_entity);
                let checked = judge(end_entity, std::slice::from_ref(ca), assertion, check)?;
                keep(path, ca)?;
                Ok(checked)
            }
            Trust::Anyone => Ok(assertion),
        }
    }
}

/// Runs `check`. A peer that shows a certificate which is trusted itself needs nobody to have signed it, and
/// may be a CA; it must be valid today all the same.
fn judge<T>(
    end_entity: &CertificateDer<'_>,
    trusted: &[CertificateDer<'_>],
    assertion: T,
    check: impl FnOnce(&RootCertStore) -> Result<T, Error>,
) -> Result<T, Error> {
    match check(&roots(trusted)?) {
        Err(error) if trusted.contains(end_entity) && !is_about_time(&error) => Ok(assertion),
        result => result,
    }
}

/// Dates are the first thing that a check looks at.
fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let Error::InvalidCertificate(error) = error else { return false };
    matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// Writes the CA of the first peer.
fn keep(path: &Path, ca: &CertificateDer<'_>) -> Result<(), Error> {
    let write = |pem: &str| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        file.write_all(pem.as_bytes())
    };
    match write(&pem(ca)) {
        Ok(()) => {
            tracing::info!(file = %path.display(), "bootstrapped the CA certificate from a peer");
            Ok(())
        }
        Err(error) => Err(Error::General(format!("{}: {error}", path.display()))),
    }
}

/// RFC 7468: base64 in lines of 64.
fn pem(certificate: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = String::new();
    for group in certificate.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for position in 0..4 {
            let digit = (bits >> (18 - 6 * position)) & 63;
            let character = DIGITS.get(digit as usize).map_or('=', |digit| char::from(*digit));
            digits.push(if position > group.len() { '=' } else { character });
        }
    }
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in digits.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = rustls::server::ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        self.check(end_entity, intermediates, ServerCertVerified::assertion(), |roots| {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates, ClientCertVerified::assertion(), |roots| {
            WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots.clone()),
                Arc::clone(&self.provider),
            )
            .build()
            .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?
            .verify_client_cert(end_entity, intermediates, now)
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_reads_back() {
        for length in [0, 1, 2, 3, 47, 48, 49, 1000] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let read = CertificateDer::from_pem_slice(pem(&bytes).as_bytes()).unwrap();
            assert_eq!(read.as_ref(), bytes);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut tls = Tls::default();
        assert!(tls.configs(None).unwrap_err().to_string().contains("table SSL"));
        let files =
            TlsFiles { certificate: PathBuf::from("/nonexistent/cert.pem"), ..TlsFiles::default() };
        let error = tls.configs(Some(files)).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/cert.pem: "), "{error}");
    }
}
