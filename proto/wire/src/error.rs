//! The product's error as a gRPC status and back.
//!
//! The status carries `google.rpc.Status` with one `google.rpc.ErrorInfo` in `grpc-status-details-bin`: reason = the
//! code, domain = `annals`, metadata = `anomaly` (the kind), `span` (`start..end`), `hint`, and the error's own facts.
//! Everything is cut to fit an HTTP/2 header block of 16 KiB.

use std::collections::BTreeMap;
use std::error::Error as _;

use annals_edn::{Code, Error, Kind, Span};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

/// The domain of our reasons.
pub const ERROR_DOMAIN: &str = "annals";

const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const MESSAGE_BYTES_MAX: usize = 1024;
const FACT_BYTES_MAX: usize = 320;
const FACTS_MAX: usize = 8;

/// `google.rpc.Status`, field numbers as published.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The gRPC code of an error. The kind decides; within a kind a few codes have a status of their own.
#[must_use]
pub fn grpc_code(code: Code) -> tonic::Code {
    match (code.kind(), code) {
        (Kind::Unavailable, _) => tonic::Code::Unavailable,
        (Kind::Interrupted, Code::DeadlineExceeded) => tonic::Code::DeadlineExceeded,
        (Kind::Interrupted, _) => tonic::Code::Cancelled,
        (Kind::Incorrect, _) => tonic::Code::InvalidArgument,
        (Kind::Forbidden, Code::Unauthenticated) => tonic::Code::Unauthenticated,
        (Kind::Forbidden, _) => tonic::Code::PermissionDenied,
        (Kind::Unsupported, _) => tonic::Code::Unimplemented,
        (Kind::NotFound, _) => tonic::Code::NotFound,
        (Kind::Conflict, Code::DbExists) => tonic::Code::AlreadyExists,
        (Kind::Conflict, _) => tonic::Code::Aborted,
        (Kind::Fault, Code::DataLoss) => tonic::Code::DataLoss,
        (Kind::Fault, _) => tonic::Code::Internal,
        (Kind::Busy, _) => tonic::Code::ResourceExhausted,
    }
}

/// The error as a status with details.
#[must_use]
pub fn to_status(error: &Error) -> Status {
    let code = grpc_code(error.code());
    let message = cut(error.message(), MESSAGE_BYTES_MAX).to_owned();
    let info = ErrorInfo {
        reason: error.code().as_str().to_owned(),
        domain: ERROR_DOMAIN.to_owned(),
        metadata: metadata(error),
    };
    let any = Any { type_url: ERROR_INFO_URL.to_owned(), value: info.encode_to_vec().into() };
    let details = RpcStatus { code: code as i32, message: message.clone(), details: vec![any] };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn metadata(error: &Error) -> BTreeMap<String, String> {
    let mut facts: BTreeMap<String, String> = error
        .details()
        .iter()
        .take(FACTS_MAX)
        .map(|(name, value)| (name.to_string(), cut(value, FACT_BYTES_MAX).to_owned()))
        .collect();
    facts.insert("anomaly".into(), error.kind().name().into());
    if let Some(span) = error.span() {
        facts.insert("span".into(), format!("{}..{}", span.start, span.end));
    }
    if let Some(hint) = error.hint_text() {
        facts.insert("hint".into(), cut(hint, FACT_BYTES_MAX).into());
    }
    facts
}

/// The longest prefix of at most `limit` bytes that ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The error a status stands for. A status of ours comes back as it was; of another origin (a proxy, the transport
/// below us) it becomes the nearest code.
#[must_use]
pub fn from_status(status: &Status) -> Error {
    match error_info(status) {
        Some(info) => from_info(status, info),
        None => foreign(status),
    }
}

fn error_info(status: &Status) -> Option<ErrorInfo> {
    let details = RpcStatus::decode(status.details()).ok()?;
    let any = details.details.iter().find(|any| any.type_url == ERROR_INFO_URL)?;
    ErrorInfo::decode(any.value.clone()).ok().filter(|info| info.domain == ERROR_DOMAIN)
}

fn from_info(status: &Status, info: ErrorInfo) -> Error {
    let known = Code::from_name(&info.reason);
    let mut error = Error::new(known.unwrap_or_else(|| nearest(status.code())), status.message());
    if known.is_none() {
        error = error.with("code", &info.reason);
    }
    for (name, value) in info.metadata {
        error = match name.as_str() {
            "anomaly" => error,
            "span" => parse_span(&value).map_or(error.clone(), |span| error.at(span)),
            "hint" => error.hint(value),
            _ => error.with(name, value),
        };
    }
    error
}

fn parse_span(text: &str) -> Option<Span> {
    let (start, end) = text.split_once("..")?;
    Some(Span { start: start.parse().ok()?, end: end.parse().ok()? })
}

/// True when a connection broke or was not to be had, so that nobody answered: the very same call may be sent again,
/// elsewhere or later. No Annals process answers `UNKNOWN`; the transport says it, with a cause or (for a connection
/// that ended before the call) in words only.
#[must_use]
pub fn is_broken(status: &Status) -> bool {
    match status.code() {
        tonic::Code::Unknown => true,
        tonic::Code::Cancelled => status.source().is_some(),
        _ => false,
    }
}

/// A status that no Annals process made. One with a source was made on this side of the connection: nobody answered.
fn foreign(status: &Status) -> Error {
    let chain = source_chain(status);
    if chain.contains("received fatal alert") || chain.contains("CertificateRequired") {
        return Error::new(Code::Unauthenticated, format!("the server refused our certificate: {chain}"))
            .hint("use the certificate of this cluster: see tls.cert and tls.key of the profile");
    }
    if chain.contains("invalid peer certificate") {
        return Error::new(
            Code::Unauthenticated,
            format!("the server's certificate is not trusted: {chain}"),
        )
        .hint("see tls.ca of the profile, and that the endpoint's host name is in the certificate");
    }
    if status.code() == tonic::Code::Cancelled && chain.contains("Timeout expired") {
        return Error::new(Code::DeadlineExceeded, "the call's deadline has passed");
    }
    let local = status.source().is_some()
        && matches!(status.code(), tonic::Code::Internal | tonic::Code::Unavailable);
    let code = if local || is_broken(status) { Code::Unreachable } else { nearest(status.code()) };
    Error::new(code, if chain.is_empty() { status.message().to_owned() } else { chain })
}

/// Message and causes, each once, joined with colons.
fn source_chain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        source = error.source();
    }
    text
}

fn nearest(code: tonic::Code) -> Code {
    match code {
        tonic::Code::Unavailable => Code::Unreachable,
        tonic::Code::Cancelled => Code::Cancelled,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition => Code::InvalidArgument,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::PermissionDenied => Code::RoleMissing,
        tonic::Code::Unimplemented => Code::Unsupported,
        tonic::Code::NotFound => Code::DbNotFound,
        tonic::Code::AlreadyExists => Code::DbExists,
        tonic::Code::Aborted => Code::CasFailed,
        tonic::Code::ResourceExhausted => Code::Overloaded,
        tonic::Code::OutOfRange => Code::MessageTooLarge,
        tonic::Code::DataLoss => Code::DataLoss,
        tonic::Code::Ok | tonic::Code::Unknown | tonic::Code::Internal => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_it_was() {
        for &code in Code::ALL {
            let error = Error::new(code, "unknown attribute :a/b")
                .at(Span { start: 3, end: 9 })
                .hint("declare it")
                .with("attribute", ":a/b");
            let back = from_status(&to_status(&error));
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn the_kind_decides_the_status() {
        let cases = [
            (Code::NotLeader, tonic::Code::Unavailable),
            (Code::Cancelled, tonic::Code::Cancelled),
            (Code::DeadlineExceeded, tonic::Code::DeadlineExceeded),
            (Code::InvalidQuery, tonic::Code::InvalidArgument),
            (Code::RoleMissing, tonic::Code::PermissionDenied),
            (Code::Unauthenticated, tonic::Code::Unauthenticated),
            (Code::Unsupported, tonic::Code::Unimplemented),
            (Code::DbNotFound, tonic::Code::NotFound),
            (Code::CasFailed, tonic::Code::Aborted),
            (Code::DbExists, tonic::Code::AlreadyExists),
            (Code::Internal, tonic::Code::Internal),
            (Code::DataLoss, tonic::Code::DataLoss),
            (Code::Overloaded, tonic::Code::ResourceExhausted),
        ];
        for (code, expected) in cases {
            assert_eq!(grpc_code(code), expected, "{code:?}");
        }
    }

    #[test]
    fn a_connection_that_ended_before_the_call_answered_nothing() {
        let status = Status::unknown("Service was not ready: transport error");
        assert!(is_broken(&status));
        assert_eq!(from_status(&status).code(), Code::Unreachable);
        let defect = to_status(&Error::new(Code::Internal, "a defect"));
        assert!(!is_broken(&defect) && !is_broken(&Status::cancelled("by the caller")));
    }

    #[test]
    fn a_huge_error_fits_into_a_header_block() {
        let mut error = Error::new(Code::InvalidQuery, "é".repeat(1_000_000)).hint("x".repeat(100_000));
        for n in 0..100 {
            error = error.with(format!("fact{n}"), "y".repeat(10_000));
        }
        let status = to_status(&error);
        assert!(status.message().len() <= MESSAGE_BYTES_MAX);
        assert!(status.details().len() < 5_000, "{}", status.details().len());
        assert_eq!(from_status(&status).code(), Code::InvalidQuery);
    }

    #[test]
    fn a_code_of_a_newer_version_keeps_its_kind_and_name() {
        let info =
            ErrorInfo { reason: "NEWER".into(), domain: ERROR_DOMAIN.into(), metadata: BTreeMap::new() };
        let any = Any { type_url: ERROR_INFO_URL.into(), value: info.encode_to_vec().into() };
        let details = RpcStatus { code: 14, message: String::new(), details: vec![any] };
        let status = Status::with_details(tonic::Code::Unavailable, "later", details.encode_to_vec().into());
        let error = from_status(&status);
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(error.details(), [("code".into(), "NEWER".to_owned())]);
    }
}
