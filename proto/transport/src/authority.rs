//! A certificate authority in a directory: `ca.pem` and `ca.key`. `annals dev` mints one at first start; `annals cert`
//! uses the same functions by hand.
//!
//! Keys are ECDSA P-256, written with mode 0600 before anything else can read them. Renewing the authority keeps its
//! key, so certificates it signed stay good.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals_edn::{Code, Error};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::certificate::Facts;
use crate::identity::{Identity, Subject};
use crate::tls::{TlsFiles, TlsIdentity};

/// How long issued certificates live.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Certificates with less life than this left are renewed at the next occasion.
pub const RENEW_BEFORE: Duration = Duration::from_secs(10 * 86_400);
/// How long an authority lives.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Between looks at a certificate's remaining life.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Certificates are valid from a little before they are made, for clocks that disagree.
const BACKDATE: Duration = Duration::from_secs(3_600);

const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca.key";

/// An authority that can issue certificates for one cluster.
pub struct Authority {
    folder: PathBuf,
    cluster: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority in `folder`, made if there is none, renewed if its end is near.
    ///
    /// # Errors
    /// [`Code::Config`] if the files are damaged or belong to another cluster, [`Code::Storage`] if writing fails.
    pub fn open_or_create(folder: &Path, cluster: &str) -> Result<Self, Error> {
        if !folder.join(CA_CERT).exists() && !folder.join(CA_KEY).exists() {
            return Self::create(folder, cluster);
        }
        let authority = Self::open(folder)?;
        if authority.cluster != cluster {
            let message = format!("{} belongs to cluster {}", folder.display(), authority.cluster);
            return Err(Error::new(Code::Config, message).with("cluster", cluster));
        }
        Ok(authority)
    }

    /// Makes a new authority; refuses to replace one.
    ///
    /// # Errors
    /// [`Code::Config`] if there is one already or the cluster's name is not legal, [`Code::Storage`].
    pub fn create(folder: &Path, cluster: &str) -> Result<Self, Error> {
        Identity::node(cluster, "1")?;
        if folder.join(CA_KEY).exists() {
            return Err(Error::new(Code::Config, format!("there is an authority in {}", folder.display()))
                .hint("replacing it would cut off every certificate it has issued; choose another folder"));
        }
        fs::create_dir_all(folder).map_err(|error| storage(folder, &error))?;
        let key = KeyPair::generate().map_err(made)?;
        write_secret(&folder.join(CA_KEY), &key.serialize_pem())?;
        Self::certify_itself(folder, cluster, key)
    }

    /// The authority in `folder`.
    ///
    /// # Errors
    /// [`Code::FileNotFound`], [`Code::Config`] if the files are damaged, [`Code::Storage`] if it cannot be renewed.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let pem = read(&folder.join(CA_CERT))?;
        let key = KeyPair::from_pem(&read(&folder.join(CA_KEY))?).map_err(|error| {
            Error::new(Code::Config, format!("{}: {error}", folder.join(CA_KEY).display()))
        })?;
        let facts = facts(&folder.join(CA_CERT), &pem)?;
        let identity = facts.uris.iter().find_map(|uri| Identity::parse(uri));
        let Some(Identity { cluster, subject: Subject::Authority }) = identity else {
            let message = format!("{} is not an authority of this product", folder.join(CA_CERT).display());
            return Err(Error::new(Code::Config, message));
        };
        if facts.remaining(SystemTime::now()) < RENEW_BEFORE {
            return Self::certify_itself(folder, &cluster, key);
        }
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(made)?;
        Ok(Self { folder: folder.to_owned(), cluster, issuer })
    }

    fn certify_itself(folder: &Path, cluster: &str, key: KeyPair) -> Result<Self, Error> {
        let mut params = params(&format!("annals authority of {cluster}"), AUTHORITY_LIFE);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let identity = Identity { cluster: cluster.to_owned(), subject: Subject::Authority };
        params.subject_alt_names = vec![uri(&identity)?];
        let certificate = params.self_signed(&key).map_err(made)?;
        write_public(&folder.join(CA_CERT), &certificate.pem())?;
        let issuer = Issuer::new(params, key);
        Ok(Self { folder: folder.to_owned(), cluster: cluster.to_owned(), issuer })
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(CA_CERT)
    }

    /// The cluster it certifies.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Writes `STEM.pem` and `STEM.key` for `identity` into `folder`, a new key each time. Nodes are certified as
    /// servers and clients for `hosts`, `localhost`, the loopback addresses and this machine's name; clients as
    /// clients only.
    ///
    /// # Errors
    /// [`Code::Config`] for another cluster's identity or an illegal host name, [`Code::Storage`].
    pub fn issue(
        &self,
        identity: &Identity,
        hosts: &[String],
        folder: &Path,
        stem: &str,
    ) -> Result<TlsFiles, Error> {
        if identity.cluster != self.cluster {
            let message = format!("{identity} is not of cluster {}", self.cluster);
            return Err(Error::new(Code::Config, message).with("cluster", &self.cluster));
        }
        fs::create_dir_all(folder).map_err(|error| storage(folder, &error))?;
        let files = self.files(folder, stem);
        let key = KeyPair::generate().map_err(made)?;
        let certificate = leaf(identity, hosts)?.signed_by(&key, &self.issuer).map_err(made)?;
        write_secret(&files.key, &key.serialize_pem())?;
        write_public(&files.cert, &certificate.pem())?;
        Ok(files)
    }

    /// As [`Authority::issue`], but keeps what is there if it is of this authority and identity, names the hosts,
    /// and has [`RENEW_BEFORE`] left.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn ensure(
        &self,
        identity: &Identity,
        hosts: &[String],
        folder: &Path,
        stem: &str,
    ) -> Result<TlsFiles, Error> {
        let files = self.files(folder, stem);
        match self.is_good(&files, identity, hosts) {
            true => Ok(files),
            false => self.issue(identity, hosts, folder, stem),
        }
    }

    /// Renews a certificate of this authority before it ends, for as long as the process lives, and takes it into use.
    /// Run it as a task.
    pub async fn keep_fresh(
        self,
        identity: Identity,
        hosts: Vec<String>,
        folder: PathBuf,
        stem: String,
        in_use: TlsIdentity,
    ) {
        loop {
            tokio::time::sleep(RENEWAL_INTERVAL).await;
            let renewed = self.ensure(&identity, &hosts, &folder, &stem).and_then(|_| in_use.reload());
            if let Err(error) = renewed {
                tracing::error!(%error, %identity, "certificate not renewed");
            }
        }
    }

    fn files(&self, folder: &Path, stem: &str) -> TlsFiles {
        TlsFiles {
            ca: self.certificate(),
            cert: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}.key")),
        }
    }

    fn is_good(&self, files: &TlsFiles, identity: &Identity, hosts: &[String]) -> bool {
        let Ok(pem) = fs::read_to_string(&files.cert) else { return false };
        let Ok(facts) = facts(&files.cert, &pem) else { return false };
        let is_host = |host: &&String| host.parse::<IpAddr>().is_err();
        facts.uris.contains(&identity.to_string())
            && facts.remaining(SystemTime::now()) >= RENEW_BEFORE
            && hosts.iter().filter(is_host).all(|host| facts.hosts.contains(host))
            && TlsIdentity::load(files.clone()).is_ok()
    }
}

fn leaf(identity: &Identity, hosts: &[String]) -> Result<CertificateParams, Error> {
    let mut params = params(&identity.to_string(), CERTIFICATE_LIFE);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(identity)?];
    if matches!(identity.subject, Subject::Node(_)) {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.extend(host_names(hosts)?);
    }
    Ok(params)
}

fn params(common_name: &str, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // Common names are limited to 64 characters; nobody reads this one but people.
    let shown = &common_name[..common_name.floor_char_boundary(64)];
    params.distinguished_name.push(DnType::CommonName, shown);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + (now.saturating_sub(BACKDATE));
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + life);
    params
}

fn host_names(hosts: &[String]) -> Result<Vec<SanType>, Error> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(machine_name());
    names.extend(hosts.iter().cloned());
    names.sort();
    names.dedup();
    names.into_iter().map(|name| host_name(&name)).collect()
}

fn host_name(name: &str) -> Result<SanType, Error> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let illegal = |_| Error::new(Code::Config, format!("not a host name: {name:?}")).with("host", name);
    Ok(SanType::DnsName(name.try_into().map_err(illegal)?))
}

/// This machine's name, where it is a legal host name.
fn machine_name() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME")).ok()?;
    let name = text.trim();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (!name.is_empty() && name.bytes().all(legal)).then(|| name.to_owned())
}

fn uri(identity: &Identity) -> Result<SanType, Error> {
    let text = identity.to_string();
    let uri =
        text.as_str().try_into().map_err(|_| Error::new(Code::Config, format!("not an identity: {text}")))?;
    Ok(SanType::URI(uri))
}

fn facts(path: &Path, pem: &str) -> Result<Facts, Error> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::new(Code::Config, format!("{}: {error}", path.display())))?;
    Facts::read(&der)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Code::FileNotFound, format!("no file {}", path.display())).with("file", path.display())
        }
        _ => storage(path, &error),
    })
}

/// Writes beside the file and renames, so that nobody reads half a file.
fn write_public(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o644)
}

fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    write(path, text, 0o600)
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut file = options.open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    written.map_err(|error| storage(path, &error))
}

fn storage(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::Storage, format!("{}: {error}", path.display())).with("file", path.display())
}

fn made(error: rcgen::Error) -> Error {
    Error::new(Code::Internal, format!("cannot make a certificate: {error}"))
}
