//! The parts of a query, cut out of the list or the map form.

use annals_edn::{Code, Edn, Error, Node, Span};

use super::invalid;
use crate::functions::nearest;

/// The forms of one section and where its keyword stood.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) forms: &'a [Edn],
    pub(super) span: Span,
}

/// What a query consists of.
#[derive(Default)]
pub(super) struct Sections<'a> {
    pub(super) find: Option<Part<'a>>,
    pub(super) keys: Option<Part<'a>>,
    pub(super) syms: Option<Part<'a>>,
    pub(super) strs: Option<Part<'a>>,
    pub(super) with: Option<Part<'a>>,
    pub(super) in_: Option<Part<'a>>,
    pub(super) where_: Option<Part<'a>>,
    pub(super) order_by: Option<Part<'a>>,
    pub(super) limit: Option<Part<'a>>,
    pub(super) offset: Option<Part<'a>>,
}

const NAMES: [&str; 10] =
    ["find", "keys", "syms", "strs", "with", "in", "where", "order-by", "limit", "offset"];

impl<'a> Sections<'a> {
    /// Cuts a query in either form and checks that what must be there is.
    pub(super) fn of(form: &'a Edn) -> Result<Sections<'a>, Error> {
        let sections = match &form.node {
            Node::Vector(items) | Node::List(items) => Sections::of_list(items)?,
            Node::Map(entries) => Sections::of_map(entries)?,
            _ => return Err(invalid(form.span, "a query is a vector, a map, or the text of one")),
        };
        sections.complete(form.span)?;
        Ok(sections)
    }

    fn of_list(items: &'a [Edn]) -> Result<Sections<'a>, Error> {
        let mut sections = Sections::default();
        let mut at = 0;
        while at < items.len() {
            let Node::Keyword(name) = &items[at].node else {
                return Err(invalid(items[at].span, "a query begins with a section such as :find"));
            };
            let rest = &items[at + 1..];
            let inside = |item: &Edn| match &item.node {
                Node::Keyword(word) => name.as_str() == "order-by" && matches!(word.as_str(), "asc" | "desc"),
                _ => true,
            };
            let len = rest.iter().take_while(|item| inside(item)).count();
            sections.put(name.as_str(), Part { forms: &rest[..len], span: items[at].span })?;
            at += 1 + len;
        }
        Ok(sections)
    }

    fn of_map(entries: &'a [(Edn, Edn)]) -> Result<Sections<'a>, Error> {
        let mut sections = Sections::default();
        for (key, value) in entries {
            let Node::Keyword(name) = &key.node else {
                return Err(invalid(key.span, "the keys of a query map are keywords such as :find"));
            };
            if !NAMES.contains(&name.as_str()) {
                return Err(unknown(name.as_str(), key.span));
            }
            let forms = match &value.node {
                _ if matches!(name.as_str(), "limit" | "offset") => std::slice::from_ref(value),
                Node::Vector(items) | Node::List(items) => items,
                _ => return Err(invalid(value.span, format!("{key_name} takes a vector", key_name = name))),
            };
            sections.put(name.as_str(), Part { forms, span: key.span })?;
        }
        Ok(sections)
    }

    fn put(&mut self, name: &str, part: Part<'a>) -> Result<(), Error> {
        let slot = match name {
            "find" => &mut self.find,
            "keys" => &mut self.keys,
            "syms" => &mut self.syms,
            "strs" => &mut self.strs,
            "with" => &mut self.with,
            "in" => &mut self.in_,
            "where" => &mut self.where_,
            "order-by" => &mut self.order_by,
            "limit" => &mut self.limit,
            "offset" => &mut self.offset,
            _ => return Err(unknown(name, part.span)),
        };
        if slot.replace(part).is_some() {
            return Err(invalid(part.span, format!("a query has one :{name}")));
        }
        Ok(())
    }

    fn complete(&self, span: Span) -> Result<(), Error> {
        let Some(find) = self.find else {
            return Err(invalid(span, "the query has no :find").hint("begin with :find and what you want"));
        };
        if find.forms.is_empty() {
            return Err(invalid(find.span, ":find is empty"));
        }
        if self.in_.is_none() && self.where_.is_none() {
            return Err(invalid(span, "the query has neither :in nor :where"));
        }
        match self.where_ {
            Some(part) if part.forms.is_empty() => Err(invalid(part.span, ":where is empty")),
            _ => Ok(()),
        }
    }
}

fn unknown(name: &str, span: Span) -> Error {
    let error = Error::new(Code::InvalidQuery, format!("a query has no section :{name}")).at(span);
    match nearest(name, NAMES.iter().copied()) {
        Some(near) => error.hint(format!("did you mean :{near}?")),
        None => {
            error.hint("the sections are :find :keys :syms :strs :with :in :where :order-by :limit :offset")
        }
    }
}
