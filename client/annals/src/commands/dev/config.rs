//! The configuration files of a development cluster, written once and then left alone.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use annals_edn::{Code, Error};
use annals_transport::TlsFiles;

use super::layout::{CLUSTER, Layout};

/// A process of the cluster: its name, its configuration file and where it listens.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub config: PathBuf,
    pub address: String,
}

/// The transactors `node-1` to `node-COUNT`.
pub fn transactors(layout: &Layout, count: u16) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for n in 1..=count {
        let name = format!("node-{n}");
        let config = layout.at(&format!("{name}.toml"));
        let address = match listen_of(&config)? {
            Some(address) => address,
            None => free_address()?,
        };
        members.push(Member { name, config, address });
    }
    for (at, member) in members.iter().enumerate() {
        let tls = layout.node(&member.name)?;
        if !member.config.exists() {
            write(&member.config, &transactor(layout, at + 1, member, &members, &tls)?)?;
        }
    }
    Ok(members)
}

/// The peer servers `peer-1` to `peer-COUNT`; the first listens where it was asked to.
pub fn peers(
    layout: &Layout,
    count: u16,
    listen: &str,
    transactors: &[String],
) -> Result<Vec<Member>, Error> {
    let mut members = Vec::new();
    for n in 1..=count {
        let name = format!("peer-{n}");
        let config = layout.at(&format!("{name}.toml"));
        let address = match (n, listen_of(&config)?) {
            (1, _) => listen.to_string(),
            (_, Some(address)) => address,
            (_, None) => free_address()?,
        };
        let tls = layout.node(&name)?;
        let member = Member { name, config, address };
        write(&member.config, &peer(layout, &member, transactors, &tls)?)?;
        members.push(member);
    }
    Ok(members)
}

/// The `listen` of an existing configuration.
fn listen_of(config: &Path) -> Result<Option<String>, Error> {
    let Ok(text) = std::fs::read_to_string(config) else { return Ok(None) };
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = "));
    match listen {
        Some(listen) => Ok(Some(listen.trim_matches('"').to_string())),
        None => Err(Error::new(Code::Config, format!("{} has no line 'listen = …'", config.display()))),
    }
}

fn transactor(
    layout: &Layout,
    id: usize,
    member: &Member,
    members: &[Member],
    tls: &TlsFiles,
) -> Result<String, Error> {
    let mut text = String::new();
    let data = absolute(&layout.at(&member.name))?;
    let _ = writeln!(text, "cluster_id = \"{CLUSTER}\"");
    let _ = writeln!(text, "node_id = {id}");
    let _ = writeln!(text, "data_dir = {}", quoted(&data));
    let _ = writeln!(text, "listen = \"{}\"", member.address);
    let _ = writeln!(text, "store = \"{}\"", layout.store()?);
    let _ = writeln!(text, "bootstrap = {}", id == 1);
    text.push_str("members = [\n");
    for (at, member) in members.iter().enumerate() {
        let _ = writeln!(text, "    {{ id = {}, addr = \"{}\" }},", at + 1, member.address);
    }
    text.push_str("]\n");
    tls_section(&mut text, tls)?;
    Ok(text)
}

fn peer(layout: &Layout, member: &Member, transactors: &[String], tls: &TlsFiles) -> Result<String, Error> {
    let mut text = String::new();
    let list: Vec<String> = transactors.iter().map(|address| format!("\"{address}\"")).collect();
    let _ = writeln!(text, "cluster_id = \"{CLUSTER}\"");
    let _ = writeln!(text, "id = \"{}\"", member.name);
    let _ = writeln!(text, "listen = \"{}\"", member.address);
    let _ = writeln!(text, "transactors = [{}]", list.join(", "));
    let _ = writeln!(text, "store = \"{}\"", layout.store()?);
    tls_section(&mut text, tls)?;
    Ok(text)
}

fn tls_section(text: &mut String, tls: &TlsFiles) -> Result<(), Error> {
    text.push_str("\n[tls]\n");
    for (key, path) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
        let _ = writeln!(text, "{key} = {}", quoted(&absolute(path)?));
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| {
        Error::new(Code::Config, format!("{} has no absolute form: {error}", path.display()))
    })
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text)
        .map_err(|error| Error::new(Code::Storage, format!("{} cannot be written: {error}", file.display())))
}

/// An address that is free now. Another process may take it before the child does; then the child says so.
fn free_address() -> Result<String, Error> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.to_string())
        .map_err(|error| Error::new(Code::Config, format!("no free port: {error}")))
}
