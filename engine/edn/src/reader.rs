//! Text to tree: one pass over the bytes, time linear in the length of the text.
//!
//! Nesting is limited to [`DEPTH_LIMIT`], so hostile input can neither exhaust the stack nor cost more than a constant
//! factor; number literals are limited to [`number::DIGITS_LIMIT`] digits, because reading one costs the square of them.
//! Beyond EDN proper: namespaced maps as Clojure reads them, and `##Inf ##-Inf ##NaN`. Any tag but `#inst` and `#uuid`
//! becomes [`Node::Tagged`]; what it means is its consumer's business.

pub mod number;

mod collections;
pub(crate) mod names;
mod strings;
#[cfg(test)]
mod tests;

use crate::instant;
use crate::{Code, Edn, Error, Keyword, Node, Span};
use names::NameCache;
pub use names::is_name;

/// How deep collections, tags and discards may nest in one another.
pub const DEPTH_LIMIT: usize = 128;

/// How many bytes one text may have, because a [`Span`] counts in 32 bits.
pub const TEXT_LIMIT_BYTES: usize = u32::MAX as usize - 1;

/// Reads exactly one form.
///
/// # Errors
/// An `EDN_*` code with the span at fault, `VALUE_OUT_OF_RANGE` for numbers that no type holds, `EDN_TRAILING` when a
/// second form follows, `EDN_UNEXPECTED_EOF` when there is none.
pub fn read_one(text: &str) -> Result<Edn, Error> {
    let mut forms = Forms::new(text);
    let Some(form) = forms.next().transpose()? else {
        return Err(Error::new(Code::EdnUnexpectedEof, "expected a form, found the end of the text"));
    };
    match forms.next().transpose()? {
        None => Ok(form),
        Some(extra) => Err(Error::new(Code::EdnTrailing, "expected one form, found a second").at(extra.span)),
    }
}

/// Reads all top-level forms of `text`.
///
/// # Errors
/// As [`read_one`], save that any number of forms is right.
pub fn read_all(text: &str) -> Result<Vec<Edn>, Error> {
    Forms::new(text).collect()
}

/// The top-level forms of a text, read one at a time; each form's `span` is its byte range. Ends at the first error.
pub struct Forms<'a> {
    reader: Reader<'a>,
    ended: bool,
}

impl<'a> Forms<'a> {
    /// Starts at the beginning of `text`, past a byte order mark.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { reader: Reader::new(text), ended: false }
    }

    /// How many bytes have been read so far; for progress reports.
    #[must_use]
    pub fn position(&self) -> usize {
        self.reader.at
    }
}

impl Iterator for Forms<'_> {
    type Item = Result<Edn, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = self.reader.top_level().transpose();
        self.ended = !matches!(item, Some(Ok(_)));
        item
    }
}

/// What stands next in the text.
enum Next {
    Form(Edn),
    /// A closing bracket; the reader stands past it.
    Close(u8),
    End,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// The next byte to read; always on a character boundary.
    at: usize,
    names: NameCache,
    /// Unescaped text of the string being read; kept to be used again.
    scratch: String,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, bytes: text.as_bytes(), at, names: NameCache::new(), scratch: String::new() }
    }

    fn top_level(&mut self) -> Result<Option<Edn>, Error> {
        if self.bytes.len() > TEXT_LIMIT_BYTES {
            let message = format!("the text has {} bytes, more than {TEXT_LIMIT_BYTES}", self.bytes.len());
            return Err(Error::new(Code::MessageTooLarge, message).with("limit", TEXT_LIMIT_BYTES));
        }
        match self.next(0)? {
            Next::Form(form) => Ok(Some(form)),
            Next::End => Ok(None),
            Next::Close(close) => {
                let message = format!("`{}` closes nothing", char::from(close));
                Err(Error::new(Code::EdnUnbalanced, message).at(self.span(self.at - 1)))
            }
        }
    }

    /// The span from `start` to where the reader stands.
    fn span(&self, start: usize) -> Span {
        span(start, self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes whitespace, commas and comments.
    fn skip_blank(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match CLASS[usize::from(byte)] {
                Class::Blank => self.at += 1,
                Class::Comment => self.skip_line(),
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    }

    /// The next form, past discarded ones, at nesting `depth`.
    fn next(&mut self, depth: usize) -> Result<Next, Error> {
        loop {
            self.skip_blank();
            let start = self.at;
            let Some(byte) = self.peek() else { return Ok(Next::End) };
            let node = match byte {
                b'(' | b'[' | b'{' => self.collection(start, byte, depth)?,
                b')' | b']' | b'}' => {
                    self.at += 1;
                    return Ok(Next::Close(byte));
                }
                b'"' => Node::Str(self.string()?),
                b'\\' => Node::Char(self.character()?),
                b':' => Node::Keyword(self.keyword()?),
                b'#' => match self.dispatch(start, depth)? {
                    Some(node) => node,
                    None => continue,
                },
                _ => self.atom(byte)?,
            };
            return Ok(Next::Form(Edn { node, span: self.span(start) }));
        }
    }

    /// The form that must follow, for tags and discards.
    fn following(&mut self, start: usize, depth: usize, what: &str) -> Result<Edn, Error> {
        self.check_depth(depth, start)?;
        let opener = self.span(start);
        match self.next(depth + 1)? {
            Next::Form(form) => Ok(form),
            Next::Close(_) => {
                Err(Error::new(Code::EdnBadTagged, format!("no form follows {what}")).at(opener))
            }
            Next::End => {
                Err(Error::new(Code::EdnUnexpectedEof, format!("no form follows {what}")).at(opener))
            }
        }
    }

    fn check_depth(&self, depth: usize, start: usize) -> Result<(), Error> {
        if depth < DEPTH_LIMIT {
            return Ok(());
        }
        let message = format!("forms nest more than {DEPTH_LIMIT} deep");
        Err(Error::new(Code::EdnTooDeep, message).at(span(start, start + 1)).with("limit", DEPTH_LIMIT))
    }

    /// A form that begins with `#`; nothing when it was a discard.
    fn dispatch(&mut self, start: usize, depth: usize) -> Result<Option<Node>, Error> {
        match self.bytes.get(start + 1) {
            Some(b'{') => self.set(start, depth).map(Some),
            Some(b':') => self.namespaced_map(start, depth).map(Some),
            Some(b'#') => self.symbolic_value().map(Some),
            Some(b'_') => {
                self.at = start + 2;
                self.following(start, depth, "`#_`").map(|_| None)
            }
            _ => self.tagged(start, depth).map(Some),
        }
    }

    fn tagged(&mut self, start: usize, depth: usize) -> Result<Node, Error> {
        self.at = start + 1;
        let token = self.token();
        if !token.starts_with(char::is_alphabetic) {
            return Err(self.not_a_tag(start));
        }
        let tag = self.names.symbol(token, span(start + 1, self.at))?;
        let form = self.following(start, depth, "the tag")?;
        match tag.as_str() {
            "inst" => instant_node(&form),
            "uuid" => uuid_node(&form),
            _ => Ok(Node::Tagged(tag, Box::new(form))),
        }
    }

    fn not_a_tag(&self, start: usize) -> Error {
        let error = Error::new(Code::EdnInvalidToken, "`#` begins no form here")
            .at(span(start, self.at.max(start + 1)));
        match self.bytes.get(start + 1) {
            Some(b'"') => error.hint("EDN has no regular expression literals; pass a string to re-pattern"),
            Some(b'(') => error.hint("EDN has no function literals"),
            _ => error.hint("`#` is followed by `{`, `_`, `:`, `#` or a tag such as inst"),
        }
    }

    /// `##Inf`, `##-Inf`, `##NaN`
    fn symbolic_value(&mut self) -> Result<Node, Error> {
        let start = self.at;
        self.at += 2;
        match self.token() {
            "Inf" => Ok(Node::Double(f64::INFINITY)),
            "-Inf" => Ok(Node::Double(f64::NEG_INFINITY)),
            "NaN" => Ok(Node::Double(f64::NAN)),
            other => {
                Err(Error::new(Code::EdnInvalidToken, format!("no symbolic value is called `##{other}`"))
                    .at(self.span(start))
                    .hint("there are ##Inf, ##-Inf and ##NaN"))
            }
        }
    }

    fn keyword(&mut self) -> Result<Keyword, Error> {
        let start = self.at;
        self.at += 1;
        let token = self.token();
        self.names.keyword(token, span(start, self.at))
    }

    /// A number, a symbol, or `nil`, `true`, `false`.
    fn atom(&mut self, first: u8) -> Result<Node, Error> {
        let start = self.at;
        let token = self.token();
        let span = span(start, self.at);
        let second = token.as_bytes().get(1);
        let signed = matches!(first, b'+' | b'-') && second.is_some_and(u8::is_ascii_digit);
        if first.is_ascii_digit() || signed {
            return number::parse(token).map_err(|error| error.at(span));
        }
        if first == b'.' && second.is_some_and(u8::is_ascii_digit) {
            return Err(Error::new(Code::EdnInvalidNumber, format!("`{token}` is not a number"))
                .at(span)
                .hint(format!("write 0{token}")));
        }
        match token {
            "nil" => Ok(Node::Nil),
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            _ => self.names.symbol(token, span).map(Node::Symbol),
        }
    }

    /// Passes and returns all up to the next blank, bracket, quote, backslash or comment.
    fn token(&mut self) -> &'a str {
        let start = self.at;
        let rest = &self.bytes[start..];
        let length =
            rest.iter().position(|&byte| CLASS[usize::from(byte)] != Class::Token).unwrap_or(rest.len());
        self.at = start + length;
        &self.text[start..self.at]
    }
}

fn span(start: usize, end: usize) -> Span {
    let narrow = |at: usize| u32::try_from(at).expect("texts are limited to 32 bits of length");
    Span { start: narrow(start), end: narrow(end) }
}

fn instant_node(form: &Edn) -> Result<Node, Error> {
    let Node::Str(text) = &form.node else {
        return Err(Error::new(Code::EdnBadInst, "#inst takes a string").at(form.span));
    };
    instant::parse(text).map(Node::Instant).map_err(|error| error.at(form.span))
}

fn uuid_node(form: &Edn) -> Result<Node, Error> {
    let Node::Str(text) = &form.node else {
        return Err(Error::new(Code::EdnBadUuid, "#uuid takes a string").at(form.span));
    };
    match parse_uuid(text) {
        Some(bits) => Ok(Node::Uuid(bits)),
        None => Err(Error::new(Code::EdnBadUuid, format!("{text:?} is not a uuid"))
            .at(form.span)
            .hint("a uuid is 32 hexadecimal digits in groups of 8-4-4-4-12")),
    }
}

/// The 128 bits of a uuid in groups of 8-4-4-4-12 hexadecimal digits.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    text.bytes().enumerate().try_fold(0u128, |bits, (at, byte)| match at {
        8 | 13 | 18 | 23 => (byte == b'-').then_some(bits),
        _ => char::from(byte).to_digit(16).map(|digit| bits << 4 | u128::from(digit)),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a number or name; whether it may be is judged there.
    Token,
    Blank,
    Comment,
    /// Begins another form or ends this one.
    Delimiter,
}

const CLASS: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Token; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b',' => Class::Blank,
            b';' => Class::Comment,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'"' | b'\\' => Class::Delimiter,
            _ => Class::Token,
        };
        byte += 1;
    }
    classes
}
