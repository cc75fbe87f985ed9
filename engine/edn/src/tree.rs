//! The value tree. Every form carries its [`Span`]; equality and hashing ignore spans.

mod access;
mod identity;

use std::fmt;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

/// Byte range `start..end` of a form in its source text; `0..0` when the form was made by a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span of no source text.
    pub const NONE: Span = Span { start: 0, end: 0 };

    /// True for a form that came from no text.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.end == 0
    }
}

/// A keyword, kept as its text without the colon: `person/name`. Clones share the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Keyword(Arc<str>);

/// A symbol, kept as its text: `?e`, `$`, `count`, `clojure.core/str`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(Arc<str>);

/// Splits at the first slash; a slash that begins or ends the text is part of the name.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.find('/') {
        Some(at) if at > 0 && at + 1 < text.len() => (Some(&text[..at]), &text[at + 1..]),
        _ => (None, text),
    }
}

macro_rules! name_type {
    ($name:ident, $colon:literal) => {
        impl $name {
            /// From the text without a colon.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The whole text, without a colon.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The shared text.
            #[must_use]
            pub fn shared(&self) -> &Arc<str> {
                &self.0
            }

            /// The part before the slash.
            #[must_use]
            pub fn namespace(&self) -> Option<&str> {
                split(&self.0).0
            }

            /// The part after the slash, or the whole.
            #[must_use]
            pub fn name(&self) -> &str {
                split(&self.0).1
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($colon, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

name_type!(Keyword, ":");
name_type!(Symbol, "");

/// One form: a node and where it stood.
#[derive(Clone, Debug)]
pub struct Edn {
    /// What it is.
    pub node: Node,
    /// Where it stood in the source text.
    pub span: Span,
}

/// What a form is. Maps and sets keep their written order.
#[derive(Clone, Debug)]
pub enum Node {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// `\a`
    Char(char),
    /// `42`
    Long(i64),
    /// `42N`, or an integer beyond 64 bits
    BigInt(Arc<BigInt>),
    /// `1.5`, `##NaN`, `##Inf`, `##-Inf`
    Double(f64),
    /// `1.50M`, scale kept
    BigDec(Arc<BigDecimal>),
    /// `"text"`
    Str(Arc<str>),
    /// `:a/b`
    Keyword(Keyword),
    /// `a/b`
    Symbol(Symbol),
    /// `#inst "…"`, milliseconds since 1970
    Instant(i64),
    /// `#uuid "…"`
    Uuid(u128),
    /// `(…)`
    List(Vec<Edn>),
    /// `[…]`
    Vector(Vec<Edn>),
    /// `#{…}`
    Set(Vec<Edn>),
    /// `{…}`
    Map(Vec<(Edn, Edn)>),
    /// `#tag form`, for tags other than inst and uuid
    Tagged(Symbol, Box<Edn>),
}

impl Edn {
    /// A form made by a program.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, span: Span::NONE }
    }
}

impl From<Node> for Edn {
    fn from(node: Node) -> Self {
        Self::new(node)
    }
}
