//! EDN to pattern.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, Keyword, Node, Symbol};

use super::pattern::{DEFAULT_LIMIT, Pattern, Spec, Sub, Wildcard, Xform};

impl Pattern {
    /// Parses a pattern, given as a vector or as the text of one.
    ///
    /// # Errors
    /// `INVALID_PULL`, `INVALID_ATTR_SPEC`, `INVALID_RECUR_LIMIT`, `PULL_DUPLICATE_ATTRIBUTE`, `XFORM_NOT_ALLOWED`
    /// for an `:xform` that is not on the list, each with the span at fault; for text also `EDN_…`.
    pub fn parse(form: &Edn) -> Result<Pattern, Error> {
        match &form.node {
            Node::Str(text) => pattern(&annals_edn::read_one(text)?),
            _ => pattern(form),
        }
    }
}

fn pattern(form: &Edn) -> Result<Pattern, Error> {
    let items = match &form.node {
        Node::Vector(items) | Node::List(items) => items.as_slice(),
        // A bare map asks for nothing, as in the original: its entries are no attributes.
        Node::Map(_) => &[],
        _ => return Err(Error::new(Code::InvalidPull, "a pull pattern is a vector").at(form.span)),
    };
    let mut pattern = Pattern { wildcard: None, id: None, specs: Vec::with_capacity(items.len()) };
    for item in items {
        element(item, &mut pattern)?;
    }
    Ok(pattern)
}

fn element(form: &Edn, pattern: &mut Pattern) -> Result<(), Error> {
    match &form.node {
        Node::Symbol(name) if name.as_str() == "*" => pattern.wildcard = Some(Wildcard::Symbol),
        Node::Str(text) if &**text == "*" => pattern.wildcard = Some(Wildcard::Text),
        Node::Map(entries) => {
            for (attribute, sub) in entries {
                let mut spec = attribute_spec(attribute, pattern)?.ok_or_else(|| invalid(attribute))?;
                spec.sub = Some(sub_pattern(sub)?);
                add(spec, attribute, pattern)?;
            }
        }
        _ => {
            if let Some(spec) = attribute_spec(form, pattern)? {
                add(spec, form, pattern)?;
            }
        }
    }
    Ok(())
}

fn add(spec: Spec, form: &Edn, pattern: &mut Pattern) -> Result<(), Error> {
    let twice = |known: &Spec| known.attr == spec.attr && known.reverse == spec.reverse;
    if pattern.specs.iter().any(twice) {
        let message = format!("{} stands twice in one pattern", spec.attr);
        return Err(Error::new(Code::PullDuplicateAttribute, message)
            .at(form.span)
            .with("attribute", &spec.attr)
            .hint("join the two into one"));
    }
    pattern.specs.push(spec);
    Ok(())
}

fn invalid(form: &Edn) -> Error {
    Error::new(Code::InvalidAttrSpec, "not an attribute of a pull pattern")
        .at(form.span)
        .hint("attributes are keywords, or vectors of one and its options")
}

/// An attribute with or without options; `None` for `:db/id`, which is noted in the pattern.
fn attribute_spec(form: &Edn, pattern: &mut Pattern) -> Result<Option<Spec>, Error> {
    match &form.node {
        Node::Keyword(_) | Node::Str(_) => named(form, pattern),
        Node::Vector(items) | Node::List(items) => match items.as_slice() {
            [head, rest @ ..] => match legacy(head, matches!(form.node, Node::List(_))) {
                Some(name) => legacy_spec(form, name, rest, pattern),
                None => with_options(form, head, rest, pattern),
            },
            [] => Err(invalid(form)),
        },
        _ => Err(invalid(form)),
    }
}

fn named(form: &Edn, pattern: &mut Pattern) -> Result<Option<Spec>, Error> {
    let name = match &form.node {
        Node::Keyword(name) => name.clone(),
        Node::Str(text) => match text.strip_prefix(':') {
            Some(name) if !name.is_empty() => Keyword::new(name),
            _ => return Err(invalid(form)),
        },
        _ => return Err(invalid(form)),
    };
    let key = Edn::new(form.node.clone());
    if name.as_str() == "db/id" {
        pattern.id = Some(key);
        return Ok(None);
    }
    let (attr, reverse) = match reversed(&name) {
        Some(attr) => (attr, true),
        None => (name, false),
    };
    let limit = Some(DEFAULT_LIMIT);
    Ok(Some(Spec { attr, reverse, key, limit, default: None, xform: None, sub: None }))
}

/// The attribute that `:ns/_name` reverses.
fn reversed(name: &Keyword) -> Option<Keyword> {
    let plain = name.name().strip_prefix('_').filter(|plain| !plain.is_empty())?;
    Some(match name.namespace() {
        Some(namespace) => Keyword::new(format!("{namespace}/{plain}")),
        None => Keyword::new(plain),
    })
}

/// `limit` and `default`, of the forms `(limit :a 5)` and `(default :a 0)`; in a list also as text.
fn legacy(head: &Edn, in_list: bool) -> Option<&str> {
    let name = match &head.node {
        Node::Symbol(name) => name.as_str(),
        Node::Str(text) if in_list => text,
        _ => return None,
    };
    matches!(name, "limit" | "default").then_some(name)
}

fn legacy_spec(form: &Edn, name: &str, rest: &[Edn], pattern: &mut Pattern) -> Result<Option<Spec>, Error> {
    let [attribute, value] = rest else { return Err(invalid(form)) };
    let Some(mut spec) = attribute_spec(attribute, pattern)? else { return Ok(None) };
    match name {
        "limit" => spec.limit = limit(value)?,
        _ => spec.default = default(value),
    }
    Ok(Some(spec))
}

fn with_options(
    form: &Edn,
    head: &Edn,
    options: &[Edn],
    pattern: &mut Pattern,
) -> Result<Option<Spec>, Error> {
    let Some(mut spec) = attribute_spec(head, pattern)? else { return Ok(None) };
    if options.len() % 2 == 1 {
        return Err(invalid(form));
    }
    for pair in options.chunks(2) {
        let option = match &pair[0].node {
            Node::Keyword(name) => name.as_str(),
            Node::Str(text) => text.trim_start_matches(':'),
            _ => return Err(invalid(&pair[0])),
        };
        match option {
            "as" if !pair[1].is_nil() => spec.key = Edn::new(pair[1].node.clone()),
            "limit" => spec.limit = limit(&pair[1])?,
            "default" => spec.default = default(&pair[1]),
            "xform" => spec.xform = Some(xform(&pair[1])?),
            // Unknown options are ignored, as the original does.
            _ => {}
        }
    }
    Ok(Some(spec))
}

fn limit(form: &Edn) -> Result<Option<i64>, Error> {
    match form.node {
        Node::Nil => Ok(None),
        Node::Long(n) => Ok(Some(n)),
        _ => Err(Error::new(Code::InvalidAttrSpec, "a limit is a whole number or nil").at(form.span)),
    }
}

fn default(form: &Edn) -> Option<Edn> {
    (!form.is_nil()).then(|| form.clone())
}

fn xform(form: &Edn) -> Result<Xform, Error> {
    let name: Option<&Symbol> = form.as_symbol();
    name.and_then(|name| Xform::resolve(name.as_str())).ok_or_else(|| {
        Error::new(Code::XformNotAllowed, format!("{form} is not on the list of functions for :xform"))
            .at(form.span)
            .hint("the list: str keyword symbol name namespace clojure.edn/read-string")
    })
}

fn sub_pattern(form: &Edn) -> Result<Sub, Error> {
    match &form.node {
        Node::Vector(_) | Node::List(_) | Node::Map(_) => Ok(Sub::Pattern(Arc::new(pattern(form)?))),
        Node::Symbol(name) if name.as_str() == "..." => Ok(Sub::Recur(None)),
        Node::Str(text) if &**text == "..." => Ok(Sub::Recur(None)),
        Node::Long(n) if *n > 0 => Ok(Sub::Recur(Some(*n as u64))),
        _ => Err(Error::new(Code::InvalidRecurLimit, "not a sub-pattern")
            .at(form.span)
            .hint("a sub-pattern is a vector, a depth of at least 1, or ...")),
    }
}
