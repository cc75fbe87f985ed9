//! Which call needs which role. The one table of the product; what is not in it needs the role node.

use crate::identity::Role;

/// What a path asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Answers without a client certificate.
    Open,
    /// Needs a certificate of this cluster with this role.
    Needs(Role),
}

/// Paths that answer over plain HTTPS, for probes.
pub const HEALTH_PATHS: [&str; 3] = ["/health", "/livez", "/readyz"];

/// What `path` asks for. Constant time.
#[must_use]
pub fn required(path: &str) -> Access {
    if HEALTH_PATHS.contains(&path) {
        return Access::Open;
    }
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return Access::Needs(Role::Reader);
    };
    match (service, method) {
        ("grpc.health.v1.Health", _) => Access::Open,
        ("annals.v1.QueryService", _) => Access::Needs(Role::Reader),
        ("annals.v1.TransactService", "TxStatus") => Access::Needs(Role::Reader),
        ("annals.v1.TransactService", _) => Access::Needs(Role::Writer),
        ("annals.v1.DatabaseService", "CreateDatabase" | "DeleteDatabase") => Access::Needs(Role::Admin),
        ("annals.v1.DatabaseService", _) => Access::Needs(Role::Reader),
        ("annals.v1.AdminService", "Status") => Access::Needs(Role::Reader),
        ("annals.v1.AdminService", _) => Access::Needs(Role::Admin),
        ("annals.v1.RaftService" | "annals.v1.FeedService" | "annals.v1.SegmentService", _) => {
            Access::Needs(Role::Node)
        }
        // Reflection, and names that do not exist: those answer UNIMPLEMENTED to whoever may ask.
        (service, _) if !service.starts_with("annals.v1.") => Access::Needs(Role::Reader),
        _ => Access::Needs(Role::Node),
    }
}

/// True for streams between nodes, which live as long as the processes do: no deadline, and a drain does not wait.
#[must_use]
pub fn between_nodes(path: &str) -> bool {
    required(path) == Access::Needs(Role::Node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_health_is_open() {
        for path in HEALTH_PATHS.into_iter().chain(["/grpc.health.v1.Health/Check"]) {
            assert_eq!(required(path), Access::Open, "{path}");
        }
        for path in [
            "/",
            "",
            "/health/x",
            "/healthz",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/annals.v1.QueryService/Query",
        ] {
            assert_eq!(required(path), Access::Needs(Role::Reader), "{path}");
        }
    }

    #[test]
    fn nodes_keep_to_themselves_and_unknown_services_are_theirs() {
        for path in [
            "/annals.v1.RaftService/Vote",
            "/annals.v1.FeedService/Subscribe",
            "/annals.v1.SegmentService/Fetch",
            "/annals.v1.NewService/Call",
        ] {
            assert!(between_nodes(path), "{path}");
        }
        assert_eq!(required("/annals.v1.TransactService/Transact"), Access::Needs(Role::Writer));
        assert_eq!(required("/annals.v1.DatabaseService/DeleteDatabase"), Access::Needs(Role::Admin));
    }
}
