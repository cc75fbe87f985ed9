//! Certificates and keys as TLS settings, for both ends, replaced while connections live.
//!
//! TLS 1.3 only, ring. A server asks for a client certificate and verifies it if one comes; that calls need one is
//! decided per call ([`crate::access`]), so that health answers without. Settings are rebuilt whole when a file's
//! content changes, so that the list of trusted authorities rotates too; a set that fails its own check is never
//! taken into use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use annals_edn::{Code, Error};
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::certificate::Facts;
use crate::identity::Identity;

/// Where the certificates of one process are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the authorities to trust.
    pub ca: PathBuf,
    /// PEM, our certificate and what lies between it and the authority.
    pub cert: PathBuf,
    /// PEM, our private key.
    pub key: PathBuf,
}

/// A process's TLS identity. Clones share it; [`TlsIdentity::reload`] changes it for all of them.
#[derive(Clone)]
pub struct TlsIdentity(Arc<Inner>);

struct Inner {
    source: Source,
    current: ArcSwap<Material>,
}

enum Source {
    Files(TlsFiles),
    /// Trusts an authority, presents nothing.
    Anonymous(PathBuf),
}

/// One consistent set of settings.
struct Material {
    digest: blake3::Hash,
    client: Arc<ClientConfig>,
    server: Option<Arc<ServerConfig>>,
    identity: Option<Identity>,
}

impl TlsIdentity {
    /// Reads and checks the files: the key fits the certificate, which is valid now and leads to the authority.
    ///
    /// # Errors
    /// [`Code::FileNotFound`] or [`Code::Config`], naming the file.
    pub fn load(files: TlsFiles) -> Result<Self, Error> {
        Self::from_source(Source::Files(files))
    }

    /// Trusts the authorities in `ca` and presents no certificate: enough for health, nothing else.
    ///
    /// # Errors
    /// As [`TlsIdentity::load`].
    pub fn anonymous(ca: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::from_source(Source::Anonymous(ca.into()))
    }

    fn from_source(source: Source) -> Result<Self, Error> {
        let material = Material::build(&source.read()?)?;
        Ok(Self(Arc::new(Inner { source, current: ArcSwap::from_pointee(material) })))
    }

    /// Takes changed files into use; `false` if none changed. Connections that exist keep what they began with.
    ///
    /// # Errors
    /// As [`TlsIdentity::load`]; the settings in use stay.
    pub fn reload(&self) -> Result<bool, Error> {
        let texts = self.0.source.read()?;
        if texts.digest() == self.0.current.load().digest {
            return Ok(false);
        }
        self.0.current.store(Arc::new(Material::build(&texts)?));
        Ok(true)
    }

    /// Reloads every `interval` until dropped, and tells the log what came of it. Run it as a task.
    pub async fn watch(self, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            match self.reload() {
                Ok(true) => tracing::info!("certificates reloaded"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "certificates not reloaded, the old ones stay in use"),
            }
        }
    }

    /// Our own identity, if the certificate carries one of this product.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.0.current.load().identity.clone()
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.0.current.load().client.clone()
    }

    /// Settings and cluster of a server.
    pub(crate) fn server_config(&self) -> Result<(Arc<ServerConfig>, String), Error> {
        let current = self.0.current.load();
        match (&current.server, &current.identity) {
            (Some(server), Some(identity)) => Ok((server.clone(), identity.cluster.clone())),
            _ => Err(Error::new(Code::Config, "a server needs a certificate with an annals:// identity")
                .hint("make one with `annals cert node`")),
        }
    }
}

/// The files' contents at one moment; `own` is certificate and key.
struct Texts {
    ca: Text,
    own: Option<(Text, Text)>,
}

/// A file and what is in it.
struct Text {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Source {
    fn read(&self) -> Result<Texts, Error> {
        match self {
            Source::Anonymous(ca) => Ok(Texts { ca: read(ca)?, own: None }),
            Source::Files(files) => {
                Ok(Texts { ca: read(&files.ca)?, own: Some((read(&files.cert)?, read(&files.key)?)) })
            }
        }
    }
}

fn read(path: &Path) -> Result<Text, Error> {
    let bytes = fs::read(path).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => Code::FileNotFound,
            _ => Code::Config,
        };
        Error::new(code, format!("cannot read {}: {error}", path.display())).with("file", path.display())
    })?;
    Ok(Text { path: path.to_owned(), bytes })
}

impl Texts {
    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let own = self.own.iter().flat_map(|(cert, key)| [&cert.bytes, &key.bytes]);
        for text in [&self.ca.bytes].into_iter().chain(own) {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text);
        }
        hasher.finalize()
    }
}

fn bad(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(Code::Config, format!("{}: {what}", path.display())).with("file", path.display())
}

fn certificates(Text { path, bytes }: &Text) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| bad(path, error))?;
    match certificates.is_empty() {
        true => Err(bad(path, "no certificate in it").hint("a PEM file with BEGIN CERTIFICATE is expected")),
        false => Ok(certificates),
    }
}

impl Material {
    fn build(texts: &Texts) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&texts.ca)? {
            roots.add(certificate).map_err(|error| bad(&texts.ca.path, error))?;
        }
        let roots = Arc::new(roots);
        let own = texts.own.as_ref().map(|(cert, key)| Own::read(cert, key)).transpose()?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| bad(&texts.ca.path, error))?;
        if let Some(own) = &own {
            own.check(verifier.as_ref())?;
        }
        Ok(Self {
            digest: texts.digest(),
            client: Arc::new(client_config(&provider, roots, own.as_ref())?),
            server: own
                .as_ref()
                .map(|own| server_config(&provider, verifier, own).map(Arc::new))
                .transpose()?,
            identity: own.and_then(|own| own.identity),
        })
    }
}

/// Our own certificate, chain and key.
struct Own {
    path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    facts: Facts,
    identity: Option<Identity>,
}

impl Own {
    fn read(cert: &Text, key: &Text) -> Result<Self, Error> {
        let chain = certificates(cert)?;
        let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| bad(&key.path, error))?;
        let facts = Facts::read(&chain[0]).map_err(|error| bad(&cert.path, error.message()))?;
        let identity = facts.uris.iter().find_map(|uri| Identity::parse(uri));
        Ok(Self { path: cert.path.clone(), chain, key: private, facts, identity })
    }

    fn check(&self, verifier: &dyn ClientCertVerifier) -> Result<(), Error> {
        if self.facts.remaining(SystemTime::now()).is_zero() {
            return Err(bad(&self.path, "the certificate has expired")
                .hint("make a new one with `annals cert`; `annals dev` renews its own at start"));
        }
        verifier
            .verify_client_cert(&self.chain[0], &self.chain[1..], UnixTime::now())
            .map(|_| ())
            .map_err(|error| bad(&self.path, format!("not a certificate of the authority: {error}")))
    }
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    own: Option<&Own>,
) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
            .map_err(|error| bad(&own.path, error))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    own: &Own,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(own.chain.clone(), own.key.clone_key())
        .map_err(|error| bad(&own.path, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
