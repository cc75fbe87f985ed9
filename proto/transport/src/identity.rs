//! Who is at the other end of a connection: identities in certificates, and the roles they carry.
//!
//! An identity is a URI in the certificate's subject alternative names:
//!
//! ```text
//! annals://CLUSTER/node/ID                          a transactor or a peer server
//! annals://CLUSTER/client/NAME?roles=ROLE,ROLE      a client; roles: reader, writer, admin
//! annals://CLUSTER/ca                               the certificate authority itself
//! ```
//!
//! The common name is never read. An identity of another cluster gives no role here. `admin` includes `writer`,
//! `writer` includes `reader`; `node` includes them all, because peer servers pass their clients' calls on.

use std::fmt;

use annals_edn::{Code, Error};

/// What a caller may do. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Queries, pulls, indexes, the log, the catalog.
    Reader,
    /// Transactions.
    Writer,
    /// Creating and deleting databases, moving leadership.
    Admin,
    /// Raft, feed and segments.
    Node,
}

impl Role {
    /// As written in identities and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Admin => "admin",
            Role::Node => "node",
        }
    }

    /// A role a client certificate may carry.
    fn parse(text: &str) -> Option<Role> {
        [Role::Reader, Role::Writer, Role::Admin].into_iter().find(|role| role.as_str() == text)
    }
}

/// An identity of this product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster it belongs to: letters, digits, hyphen.
    pub cluster: String,
    /// What it is there.
    pub subject: Subject,
}

/// What an identity is within its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A process of the cluster, by its configured id.
    Node(String),
    /// A client by name, with its roles.
    Client(String, Vec<Role>),
    /// The certificate authority.
    Authority,
}

impl Identity {
    /// The identity of a node.
    ///
    /// # Errors
    /// [`Code::Config`] if a name has other characters than letters, digits, `-`, `_` and `.`.
    pub fn node(cluster: &str, id: &str) -> Result<Self, Error> {
        check_name("cluster", cluster)?;
        check_name("node", id)?;
        Ok(Self { cluster: cluster.to_owned(), subject: Subject::Node(id.to_owned()) })
    }

    /// The identity of a client.
    ///
    /// # Errors
    /// [`Code::Config`] as for [`Identity::node`], or if [`Role::Node`] is among the roles.
    pub fn client(cluster: &str, name: &str, roles: &[Role]) -> Result<Self, Error> {
        check_name("cluster", cluster)?;
        check_name("client", name)?;
        if roles.contains(&Role::Node) {
            return Err(Error::new(Code::Config, "a client cannot have the role node")
                .hint("issue a node certificate"));
        }
        Ok(Self { cluster: cluster.to_owned(), subject: Subject::Client(name.to_owned(), roles.to_vec()) })
    }

    /// Reads the URI form; `None` for anything else.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (cluster, path) = uri.strip_prefix("annals://")?.split_once('/')?;
        let identity = match path.split_once('/') {
            None if path == "ca" => Self { cluster: cluster.to_owned(), subject: Subject::Authority },
            Some(("node", id)) => Self::node(cluster, id).ok()?,
            Some(("client", rest)) => {
                let (name, roles) = rest.split_once("?roles=").unwrap_or((rest, ""));
                let roles: Option<Vec<Role>> =
                    roles.split(',').filter(|role| !role.is_empty()).map(Role::parse).collect();
                Self::client(cluster, name, &roles?).ok()?
            }
            _ => return None,
        };
        check_name("cluster", cluster).ok().map(|()| identity)
    }

    fn roles(&self) -> Vec<Role> {
        match &self.subject {
            Subject::Node(_) => vec![Role::Node],
            Subject::Client(_, roles) => roles.clone(),
            Subject::Authority => Vec::new(),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "annals://{}/", self.cluster)?;
        match &self.subject {
            Subject::Node(id) => write!(f, "node/{id}"),
            Subject::Client(name, roles) if roles.is_empty() => write!(f, "client/{name}"),
            Subject::Client(name, roles) => {
                let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
                write!(f, "client/{name}?roles={}", roles.join(","))
            }
            Subject::Authority => f.write_str("ca"),
        }
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(legal) {
        return Ok(());
    }
    Err(Error::new(Code::Config, format!("not a {what} name: {name:?}"))
        .hint("use up to 128 letters, digits, '-', '_' and '.'")
        .with("name", name))
}

/// The caller of a request, proved by its certificate. In the extensions of every request that needs one, as
/// `Arc<Principal>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// What to call it: its identity, or the first URI or host name of a foreign certificate.
    pub name: String,
    /// The identities of this cluster that its certificate proves.
    pub identities: Vec<Identity>,
    /// The highest role it has.
    role: Option<Role>,
}

impl Principal {
    /// From the names in a verified certificate; identities of clusters other than `cluster` are left out.
    #[must_use]
    pub fn new(cluster: &str, uris: &[String], hosts: &[String]) -> Self {
        let identities: Vec<Identity> = uris
            .iter()
            .filter_map(|uri| Identity::parse(uri))
            .filter(|identity| identity.cluster == cluster)
            .collect();
        let role = identities.iter().flat_map(Identity::roles).max();
        let name = identities
            .first()
            .map(ToString::to_string)
            .or_else(|| uris.first().cloned())
            .or_else(|| hosts.first().cloned())
            .unwrap_or_else(|| "a certificate without names".to_owned());
        Self { name, identities, role }
    }

    /// Whether it has a role, by itself or within a higher one.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.role >= Some(role)
    }

    /// The id of the node it is, if it is one.
    #[must_use]
    pub fn node_id(&self) -> Option<&str> {
        self.identities.iter().find_map(|identity| match &identity.subject {
            Subject::Node(id) => Some(id.as_str()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_survive_their_uri() {
        for uri in [
            "annals://dev/node/1",
            "annals://dev/client/alice",
            "annals://dev/client/alice?roles=reader,writer",
            "annals://dev/ca",
        ] {
            assert_eq!(Identity::parse(uri).expect(uri).to_string(), uri);
        }
    }

    #[test]
    fn what_is_not_an_identity_is_none() {
        for uri in [
            "",
            "spiffe://dev/node/1",
            "annals://dev",
            "annals:///node/1",
            "annals://dev/node/",
            "annals://dev/node/1/2",
            "annals://dev/node/1?roles=admin",
            "annals://dev/client/alice?roles=node",
            "annals://dev/client/alice?roles=root",
            "annals://dev/client/a b",
            "annals://d/v/client/a\0",
        ] {
            assert_eq!(Identity::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn roles_include_lower_ones_and_stay_in_their_cluster() {
        let writer = Principal::new("dev", &["annals://dev/client/a?roles=writer".into()], &[]);
        assert!(writer.has(Role::Reader) && writer.has(Role::Writer));
        assert!(!writer.has(Role::Admin) && !writer.has(Role::Node));
        let stranger = Principal::new("dev", &["annals://prod/node/1".into()], &["host".into()]);
        assert!(!stranger.has(Role::Reader));
        assert_eq!(stranger.node_id(), None);
        assert_eq!(stranger.name, "annals://prod/node/1");
        assert_eq!(Principal::new("dev", &["annals://dev/node/7".into()], &[]).node_id(), Some("7"));
    }
}
