//! `annals cert`: an authority and the certificates it signs.

use std::path::Path;
use std::process::ExitCode;

use annals_transport::identity::Role;
use annals_transport::{Authority, Identity, TlsFiles};

use crate::args::{CertCommand, CertPlace};
use crate::commands::Outcome;

pub fn run(command: CertCommand) -> Outcome {
    match command {
        CertCommand::Ca { cluster, place: CertPlace { dir } } => {
            let authority = Authority::create(&dir, &cluster)?;
            println!("{}", authority.certificate().display());
        }
        CertCommand::Node { name, host, place } => {
            let authority = Authority::open(&place.dir)?;
            let identity = Identity::node(authority.cluster(), &name)?;
            announce(&authority.issue(&identity, &host, &place.dir, &format!("node-{name}"))?);
        }
        CertCommand::Client { name, place } => {
            let authority = Authority::open(&place.dir)?;
            announce(&client(&authority, &name, &place.dir)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A client certificate with every right a client can have.
fn client(authority: &Authority, name: &str, folder: &Path) -> Result<TlsFiles, annals_edn::Error> {
    let identity = Identity::client(authority.cluster(), name, &[Role::Admin])?;
    authority.issue(&identity, &[], folder, &format!("client-{name}"))
}

fn announce(files: &TlsFiles) {
    println!("{}\n{}", files.cert.display(), files.key.display());
}
