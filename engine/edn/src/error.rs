//! The one error of the product: a [`Kind`] that says what the caller must do, a [`Code`] that says what happened,
//! a message, and where there is source text the [`Span`] at fault and a hint that mends it.

mod code;

use std::borrow::Cow;
use std::fmt;

use crate::tree::Span;
pub use code::Code;

/// What the caller must do about an error: the nine anomaly categories. Decides the gRPC status and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody answered; the same call may succeed later.
    Unavailable,
    /// Stopped before it was done: cancelled, or its deadline passed.
    Interrupted,
    /// The caller's request is wrong and will stay wrong.
    Incorrect,
    /// The caller may not do this.
    Forbidden,
    /// Not offered by this version.
    Unsupported,
    /// The thing named does not exist.
    NotFound,
    /// The database's state is against it (cas, unique).
    Conflict,
    /// A defect or damage on our side.
    Fault,
    /// Too much at once; retry after a pause.
    Busy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 9] = [
        Kind::Unavailable,
        Kind::Interrupted,
        Kind::Incorrect,
        Kind::Forbidden,
        Kind::Unsupported,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Fault,
        Kind::Busy,
    ];

    /// What a process exits with that fails with it: 10 to 18, the kinds in their order.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Unavailable => 10,
            Kind::Interrupted => 11,
            Kind::Incorrect => 12,
            Kind::Forbidden => 13,
            Kind::Unsupported => 14,
            Kind::NotFound => 15,
            Kind::Conflict => 16,
            Kind::Fault => 17,
            Kind::Busy => 18,
        }
    }

    /// The anomaly category's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unavailable => "unavailable",
            Kind::Interrupted => "interrupted",
            Kind::Incorrect => "incorrect",
            Kind::Forbidden => "forbidden",
            Kind::Unsupported => "unsupported",
            Kind::NotFound => "not-found",
            Kind::Conflict => "conflict",
            Kind::Fault => "fault",
            Kind::Busy => "busy",
        }
    }

    /// What it means for the caller, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Kind::Unavailable => "Nobody answered; the same call may succeed later.",
            Kind::Interrupted => "Stopped before it was done: cancelled, or its deadline passed.",
            Kind::Incorrect => "The request is wrong and stays wrong: correct it.",
            Kind::Forbidden => "The caller may not do this.",
            Kind::Unsupported => "This version does not offer it.",
            Kind::NotFound => "The thing named does not exist.",
            Kind::Conflict => "The state of the database is against it: read again and decide anew.",
            Kind::Fault => "A defect or damage on our side.",
            Kind::Busy => "Too much at once: retry after a pause, or ask for less.",
        }
    }
}

/// An error as callers and users see it. One pointer wide; building one allocates, passing one on does not.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
    details: Vec<(Cow<'static, str>, String)>,
}

impl Error {
    /// A `code` with a `message` in lower case without a full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), span: None, hint: None, details: Vec::new() }))
    }

    /// Points at the source text at fault; keeps an earlier, more exact span.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        if self.0.span.is_none() && !span.is_none() {
            self.0.span = Some(span);
        }
        self
    }

    /// The same error about another text, in which the span lies elsewhere.
    #[must_use]
    pub fn moved_to(mut self, span: Span) -> Self {
        self.0.span = Some(span);
        self
    }

    /// The same error without a place: the text it points into is not the caller's.
    #[must_use]
    pub fn without_span(mut self) -> Self {
        self.0.span = None;
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A named fact of the message, machine-readable: `attribute`, `value`, `limit`, …
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.details.push((name.into(), value.to_string()));
        self
    }

    /// What happened.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the caller must do.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.code.kind()
    }

    /// One sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The source text at fault.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The named facts.
    #[must_use]
    pub fn details(&self) -> &[(Cow<'static, str>, String)] {
        &self.0.details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if let Some(span) = self.0.span {
            write!(f, " at {}..{}", span.start, span.end)?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        for (name, value) in &self.0.details {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
