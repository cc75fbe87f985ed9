//! Making forms in programs, and asking what a form is.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::{Edn, Keyword, Node, Span, Symbol};

impl Edn {
    /// `nil`
    #[must_use]
    pub fn nil() -> Self {
        Self::new(Node::Nil)
    }

    /// `true` or `false`
    #[must_use]
    pub fn bool(value: bool) -> Self {
        Self::new(Node::Bool(value))
    }

    /// A 64-bit integer.
    #[must_use]
    pub fn long(value: i64) -> Self {
        Self::new(Node::Long(value))
    }

    /// A double.
    #[must_use]
    pub fn double(value: f64) -> Self {
        Self::new(Node::Double(value))
    }

    /// An integer of any size.
    #[must_use]
    pub fn bigint(value: BigInt) -> Self {
        Self::new(Node::BigInt(Arc::new(value)))
    }

    /// A decimal of any size; its scale is kept.
    #[must_use]
    pub fn bigdec(value: BigDecimal) -> Self {
        Self::new(Node::BigDec(Arc::new(value)))
    }

    /// A string.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::new(Node::Str(text.into()))
    }

    /// A keyword from its text without the colon: `person/name`.
    pub fn keyword(text: impl Into<Arc<str>>) -> Self {
        Self::new(Node::Keyword(Keyword::new(text)))
    }

    /// A symbol from its text.
    pub fn symbol(text: impl Into<Arc<str>>) -> Self {
        Self::new(Node::Symbol(Symbol::new(text)))
    }

    /// An instant, milliseconds since 1970.
    #[must_use]
    pub fn instant(millis: i64) -> Self {
        Self::new(Node::Instant(millis))
    }

    /// A uuid from its 128 bits.
    #[must_use]
    pub fn uuid(bits: u128) -> Self {
        Self::new(Node::Uuid(bits))
    }

    /// `(…)`
    #[must_use]
    pub fn list(items: Vec<Edn>) -> Self {
        Self::new(Node::List(items))
    }

    /// `[…]`
    #[must_use]
    pub fn vector(items: Vec<Edn>) -> Self {
        Self::new(Node::Vector(items))
    }

    /// `#{…}`; the caller sees to it that no two items are equal.
    #[must_use]
    pub fn set(items: Vec<Edn>) -> Self {
        Self::new(Node::Set(items))
    }

    /// `{…}`; the caller sees to it that no two keys are equal.
    #[must_use]
    pub fn map(entries: Vec<(Edn, Edn)>) -> Self {
        Self::new(Node::Map(entries))
    }

    /// `#tag form`
    pub fn tagged(tag: impl Into<Arc<str>>, form: Edn) -> Self {
        Self::new(Node::Tagged(Symbol::new(tag), Box::new(form)))
    }

    /// True for `nil`.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        matches!(self.node, Node::Nil)
    }

    /// True for a form that holds forms: a list, vector, set, map or tagged form.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        matches!(self.node, Node::List(_) | Node::Vector(_) | Node::Set(_) | Node::Map(_) | Node::Tagged(..))
    }

    /// The same form as if made by a program: without spans.
    #[must_use]
    pub fn without_spans(self) -> Self {
        self.placed(&|_| Span::NONE)
    }

    /// The same form with every span `by` bytes further on, as if other text stood before its own.
    #[must_use]
    pub fn moved(self, by: u32) -> Self {
        self.placed(&|span| match span.is_none() {
            true => span,
            false => Span { start: span.start.saturating_add(by), end: span.end.saturating_add(by) },
        })
    }

    fn placed(self, place: &impl Fn(Span) -> Span) -> Self {
        let all = |items: Vec<Edn>| items.into_iter().map(|item| item.placed(place)).collect();
        let pair = |(key, value): (Edn, Edn)| (key.placed(place), value.placed(place));
        let node = match self.node {
            Node::List(items) => Node::List(all(items)),
            Node::Vector(items) => Node::Vector(all(items)),
            Node::Set(items) => Node::Set(all(items)),
            Node::Map(entries) => Node::Map(entries.into_iter().map(pair).collect()),
            Node::Tagged(tag, form) => Node::Tagged(tag, Box::new(form.placed(place))),
            atom => atom,
        };
        Edn { node, span: place(self.span) }
    }

    /// The boolean it is.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Node::Bool(value) = self.node { Some(value) } else { None }
    }

    /// The 64-bit integer it is.
    #[must_use]
    pub fn as_long(&self) -> Option<i64> {
        if let Node::Long(value) = self.node { Some(value) } else { None }
    }

    /// The string it is.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Node::Str(text) = &self.node { Some(text) } else { None }
    }

    /// The keyword it is.
    #[must_use]
    pub fn as_keyword(&self) -> Option<&Keyword> {
        if let Node::Keyword(keyword) = &self.node { Some(keyword) } else { None }
    }

    /// The symbol it is.
    #[must_use]
    pub fn as_symbol(&self) -> Option<&Symbol> {
        if let Node::Symbol(symbol) = &self.node { Some(symbol) } else { None }
    }

    /// The items of a list or vector.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Edn]> {
        if let Node::List(items) | Node::Vector(items) = &self.node { Some(items) } else { None }
    }

    /// The items of a vector.
    #[must_use]
    pub fn as_vector(&self) -> Option<&[Edn]> {
        if let Node::Vector(items) = &self.node { Some(items) } else { None }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Edn]> {
        if let Node::List(items) = &self.node { Some(items) } else { None }
    }

    /// The items of a set.
    #[must_use]
    pub fn as_set(&self) -> Option<&[Edn]> {
        if let Node::Set(items) = &self.node { Some(items) } else { None }
    }

    /// The entries of a map, as written.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Edn, Edn)]> {
        if let Node::Map(entries) = &self.node { Some(entries) } else { None }
    }

    /// The tag and the form under it.
    #[must_use]
    pub fn as_tagged(&self) -> Option<(&str, &Edn)> {
        if let Node::Tagged(tag, form) = &self.node { Some((tag.as_str(), form)) } else { None }
    }

    /// The value under a keyword, given without its colon, when it is a map that has it. Linear in the map's size.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Edn> {
        let has_name = |key: &Edn| key.as_keyword().is_some_and(|found| found.as_str() == keyword);
        self.as_map()?.iter().find(|(key, _)| has_name(key)).map(|(_, value)| value)
    }

    /// What kind of form it is, in words for messages: `a string`, `a map`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.node {
            Node::Nil => "nil",
            Node::Bool(_) => "a boolean",
            Node::Char(_) => "a character",
            Node::Long(_) => "a long",
            Node::BigInt(_) => "a bigint",
            Node::Double(_) => "a double",
            Node::BigDec(_) => "a bigdec",
            Node::Str(_) => "a string",
            Node::Keyword(_) => "a keyword",
            Node::Symbol(_) => "a symbol",
            Node::Instant(_) => "an instant",
            Node::Uuid(_) => "a uuid",
            Node::List(_) => "a list",
            Node::Vector(_) => "a vector",
            Node::Set(_) => "a set",
            Node::Map(_) => "a map",
            Node::Tagged(..) => "a tagged form",
        }
    }
}
