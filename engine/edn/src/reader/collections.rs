//! Lists, vectors, sets and maps.

use std::collections::HashSet;

use super::{Next, Reader, span};
use crate::{Code, Edn, Error, Keyword, Node, Span, Symbol};

/// Up to this many keys that are no collections are compared pairwise; more go through a hash table.
const PAIRWISE_LIMIT: usize = 8;

impl Reader<'_> {
    /// A list, vector or map; the reader stands on its opening bracket.
    pub(super) fn collection(&mut self, start: usize, open: u8, depth: usize) -> Result<Node, Error> {
        self.check_depth(depth, start)?;
        self.at += 1;
        match open {
            b'(' => self.elements(start, b')', depth).map(Node::List),
            b'[' => self.elements(start, b']', depth).map(Node::Vector),
            _ => self.entries(start, depth, None).map(Node::Map),
        }
    }

    /// A set; the reader stands on its `#`.
    pub(super) fn set(&mut self, start: usize, depth: usize) -> Result<Node, Error> {
        self.check_depth(depth, start)?;
        self.at += 2;
        let items = self.elements(start, b'}', depth)?;
        check_distinct(items.len(), || items.iter(), "element", "set")?;
        Ok(Node::Set(items))
    }

    /// `#:ns{…}`; the reader stands on its `#`.
    pub(super) fn namespaced_map(&mut self, start: usize, depth: usize) -> Result<Node, Error> {
        self.check_depth(depth, start)?;
        self.at += 2;
        let token = self.token();
        let prefix = span(start, self.at);
        let namespace = self.names.keyword(token, prefix)?;
        if token.contains('/') {
            return Err(Error::new(Code::EdnInvalidToken, format!("`{token}` is not a namespace")).at(prefix));
        }
        self.skip_blank();
        if self.peek() != Some(b'{') {
            return Err(
                Error::new(Code::EdnInvalidToken, "a namespace prefix is followed by no map").at(prefix)
            );
        }
        self.at += 1;
        self.entries(start, depth, Some(namespace.as_str())).map(Node::Map)
    }

    fn elements(&mut self, start: usize, close: u8, depth: usize) -> Result<Vec<Edn>, Error> {
        let opener = self.span(start);
        let mut items = Vec::new();
        while let Some(item) = self.element(opener, close, depth)? {
            items.push(item);
        }
        Ok(items)
    }

    fn entries(
        &mut self,
        start: usize,
        depth: usize,
        namespace: Option<&str>,
    ) -> Result<Vec<(Edn, Edn)>, Error> {
        let opener = self.span(start);
        let mut entries = Vec::new();
        while let Some(mut key) = self.element(opener, b'}', depth)? {
            let Some(value) = self.element(opener, b'}', depth)? else {
                return Err(Error::new(
                    Code::EdnOddMap,
                    format!("the map's key {} has no value", shown(&key)),
                )
                .at(key.span));
            };
            if let Some(namespace) = namespace {
                qualify(&mut key, namespace);
            }
            entries.push((key, value));
        }
        check_distinct(entries.len(), || entries.iter().map(|(key, _)| key), "key", "map")?;
        Ok(entries)
    }

    /// The next element of the collection opened at `opener`, nothing once `close` is passed.
    fn element(&mut self, opener: Span, close: u8, depth: usize) -> Result<Option<Edn>, Error> {
        match self.next(depth + 1)? {
            Next::Form(form) => Ok(Some(form)),
            Next::Close(found) if found == close => Ok(None),
            Next::Close(found) => Err(self.mismatch(opener, found, close)),
            Next::End => {
                let bracket = &self.text[opener.start as usize..opener.end as usize];
                Err(Error::new(Code::EdnUnexpectedEof, format!("`{bracket}` opened here is never closed"))
                    .at(opener))
            }
        }
    }

    fn mismatch(&self, opener: Span, found: u8, close: u8) -> Error {
        let bracket = &self.text[opener.start as usize..opener.end as usize];
        let line = self.bytes[..opener.start as usize].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::new(Code::EdnUnbalanced, format!("`{}` does not close `{bracket}`", char::from(found)))
            .at(span(self.at - 1, self.at))
            .hint(format!("`{bracket}`, opened in line {line}, is closed by `{}`", char::from(close)))
    }
}

/// Gives a key of a namespaced map its namespace; `_` takes one away.
fn qualify(key: &mut Edn, namespace: &str) {
    let qualified = |own: Option<&str>, name: &str| match own {
        None => Some(format!("{namespace}/{name}")),
        Some("_") => Some(name.to_owned()),
        Some(_) => None,
    };
    match &mut key.node {
        Node::Keyword(keyword) => {
            if let Some(text) = qualified(keyword.namespace(), keyword.name()) {
                *keyword = Keyword::new(text);
            }
        }
        Node::Symbol(symbol) => {
            if let Some(text) = qualified(symbol.namespace(), symbol.name()) {
                *symbol = Symbol::new(text);
            }
        }
        _ => {}
    }
}

fn check_distinct<'e, I: Iterator<Item = &'e Edn>>(
    count: usize,
    items: impl Fn() -> I,
    what: &str,
    whole: &str,
) -> Result<(), Error> {
    let repeated = if count <= PAIRWISE_LIMIT && items().all(|item| !item.is_collection()) {
        items()
            .enumerate()
            .find(|(at, item)| items().take(*at).any(|earlier| earlier == *item))
            .map(|(_, item)| item)
    } else {
        let mut seen = HashSet::with_capacity(count);
        items().find(|item| !seen.insert(*item))
    };
    match repeated {
        None => Ok(()),
        Some(item) => {
            let message = format!("the {what} {} stands twice in the {whole}", shown(item));
            Err(Error::new(Code::EdnDuplicateKey, message).at(item.span))
        }
    }
}

fn shown(form: &Edn) -> String {
    let text = form.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
