//! What a certificate says about its holder: names and validity, read from DER.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals_edn::{Code, Error};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Names beyond this number are not read.
const NAMES_MAX: usize = 64;

/// The parts of a certificate that the product reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// URIs of the subject alternative names.
    pub(crate) uris: Vec<String>,
    /// DNS names of the subject alternative names.
    pub(crate) hosts: Vec<String>,
    /// Seconds since 1970 at which it ends.
    pub(crate) not_after_s: i64,
}

impl Facts {
    /// Reads a DER certificate; linear in its length.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Error> {
        let unreadable = |error: &dyn std::fmt::Display| {
            Error::new(Code::Config, format!("unreadable certificate: {error}"))
        };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| unreadable(&error))?;
        let names = certificate.subject_alternative_name().map_err(|error| unreadable(&error))?;
        let mut facts = Self { not_after_s: certificate.validity().not_after.timestamp(), ..Self::default() };
        for name in names.iter().flat_map(|names| &names.value.general_names).take(NAMES_MAX) {
            match name {
                GeneralName::URI(uri) => facts.uris.push((*uri).to_owned()),
                GeneralName::DNSName(host) => facts.hosts.push((*host).to_owned()),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// How long it is still valid; zero if it has ended.
    pub(crate) fn remaining(&self, now: SystemTime) -> Duration {
        let end = UNIX_EPOCH + Duration::from_secs(self.not_after_s.max(0).unsigned_abs());
        end.duration_since(now).unwrap_or_default()
    }
}
