//! Keywords and symbols: which texts are names, and a small cache so that a name used often is allocated once.

use std::sync::Arc;

use crate::{Code, Error, Keyword, Span, Symbol};

/// Slots of the cache; a power of two.
const SLOTS: usize = 256;

/// A direct-mapped table of recently read names.
pub(super) struct NameCache {
    slots: Vec<Option<Arc<str>>>,
}

impl NameCache {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// The keyword whose text after the colon is `token`; `span` covers the colon too.
    pub(super) fn keyword(&mut self, token: &str, span: Span) -> Result<Keyword, Error> {
        if token.starts_with(':') {
            return Err(
                invalid(':', token, span).hint("EDN has no auto-resolved keywords; write the namespace out")
            );
        }
        self.name(token).map(Keyword::new).ok_or_else(|| invalid(':', token, span))
    }

    pub(super) fn symbol(&mut self, token: &str, span: Span) -> Result<Symbol, Error> {
        match token.as_bytes().first() {
            Some(b'\'') => Err(invalid(' ', token, span).hint("EDN has no quote; leave the ' away")),
            Some(b'0'..=b'9') => Err(invalid(' ', token, span)),
            _ => self.name(token).map(Symbol::new).ok_or_else(|| invalid(' ', token, span)),
        }
    }

    fn name(&mut self, token: &str) -> Option<Arc<str>> {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let slot = &mut self.slots[slot_of(token)];
        match slot {
            Some(name) if &**name == token => Some(Arc::clone(name)),
            _ if is_name(token) => {
                let name: Arc<str> = token.into();
                *slot = Some(Arc::clone(&name));
                Some(name)
            }
            _ => None,
        }
    }
}

fn slot_of(token: &str) -> usize {
    let hash =
        token.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 16) as usize % SLOTS
}

fn invalid(sigil: char, token: &str, span: Span) -> Error {
    let shown: String = token.chars().take(80).flat_map(char::escape_debug).collect();
    let name = format!("{sigil}{shown}");
    let kind = if sigil == ':' { "keyword" } else { "symbol" };
    Error::new(Code::EdnInvalidToken, format!("`{}` is not a {kind}", name.trim_start())).at(span)
}

/// True for a text that reads back as the name of one keyword or symbol: letters, digits and `. * + ! - _ ? $ % & = < >
/// | ' # :`, at most one namespace before a slash. Control, format and bidirectional characters are no part of names,
/// because two names that look alike must be alike.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let letters = text.bytes().all(|byte| byte >= 0x80 || is_name_byte(byte));
    let visible = text.is_ascii() || text.chars().all(|c| c.is_ascii() || !is_invisible(c));
    letters && visible && has_name_shape(text)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".*+!-_?$%&=<>|'#:/".contains(&byte)
}

fn has_name_shape(text: &str) -> bool {
    if text.is_empty() || text.ends_with(':') || text.contains("::") {
        return false;
    }
    match text.split_once('/') {
        None | Some(("", "")) => true,
        Some((namespace, name)) => {
            !namespace.is_empty() && !name.is_empty() && (name == "/" || !name.contains('/'))
        }
    }
}

/// Characters that show as nothing, as space, or that turn the text around them.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
