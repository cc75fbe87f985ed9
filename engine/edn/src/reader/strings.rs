//! Strings and characters.

use std::sync::Arc;

use super::{CLASS, Class, Reader, span};
use crate::{Code, Error};

impl Reader<'_> {
    /// A string; the reader stands on its opening quote. One allocation, the result.
    pub(super) fn string(&mut self) -> Result<Arc<str>, Error> {
        let start = self.at;
        self.at += 1;
        let run = self.plain_run(start)?;
        if self.bytes[self.at] == b'"' {
            self.at += 1;
            return Ok(Arc::from(&self.text[run..self.at - 1]));
        }
        self.escaped_string(start, run)
    }

    /// Passes bytes up to the next quote or backslash; returns where they began.
    fn plain_run(&mut self, opener: usize) -> Result<usize, Error> {
        let run = self.at;
        let found = self.bytes[run..].iter().position(|&byte| matches!(byte, b'"' | b'\\'));
        let Some(length) = found else {
            let error = Error::new(Code::EdnUnexpectedEof, "the string opened here is never closed");
            return Err(error.at(span(opener, opener + 1)));
        };
        self.at = run + length;
        Ok(run)
    }

    fn escaped_string(&mut self, start: usize, mut run: usize) -> Result<Arc<str>, Error> {
        self.scratch.clear();
        loop {
            self.scratch.push_str(&self.text[run..self.at]);
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok(Arc::from(self.scratch.as_str()));
            }
            let c = self.escape()?;
            self.scratch.push(c);
            run = self.plain_run(start)?;
        }
    }

    /// One escape; the reader stands on its backslash.
    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 2;
        let plain = match self.bytes.get(start + 1) {
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'n') => '\n',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'\\') => '\\',
            Some(b'"') => '"',
            Some(b'u') => return self.unicode_escape(start),
            Some(b'0'..=b'7') => return self.octal_escape(start),
            _ => return Err(self.bad_escape(start, "is not an escape")),
        };
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Error> {
        let unit = self.four_hex(start)?;
        match unit {
            0xd800..=0xdbff if self.bytes[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                let low = self.four_hex(start)?;
                let pair = 0x1_0000 + ((unit - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                let whole = (0xdc00..=0xdfff).contains(&low).then(|| char::from_u32(pair)).flatten();
                whole.ok_or_else(|| self.bad_escape(start, "is half of a surrogate pair"))
            }
            _ => char::from_u32(unit).ok_or_else(|| self.bad_escape(start, "is half of a surrogate pair")),
        }
    }

    fn four_hex(&mut self, start: usize) -> Result<u32, Error> {
        let digits = self.text.get(self.at..self.at + 4).filter(|text| is_hex(text));
        let Some(digits) = digits else {
            return Err(self.bad_escape(start, "lacks four hexadecimal digits"));
        };
        self.at += 4;
        Ok(u32::from_str_radix(digits, 16).expect("the digits were checked"))
    }

    fn octal_escape(&mut self, start: usize) -> Result<char, Error> {
        let digits =
            self.bytes[start + 1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        self.at = start + 1 + digits;
        octal(&self.text[start + 1..self.at]).ok_or_else(|| self.bad_escape(start, "is beyond \\377"))
    }

    fn bad_escape(&self, start: usize, why: &str) -> Error {
        let mut end = self.at.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let shown = &self.text[start..end];
        Error::new(
            Code::EdnInvalidString,
            format!("`{}` in a string {why}", shown.escape_debug().to_string().replace("\\\\", "\\")),
        )
        .at(span(start, end))
        .hint("the escapes are \\t \\r \\n \\b \\f \\\\ \\\" \\uXXXX and octal \\0 to \\377")
    }

    /// A character; the reader stands on its backslash.
    pub(super) fn character(&mut self) -> Result<char, Error> {
        let start = self.at;
        let Some(first) = self.text[start + 1..].chars().next() else {
            return Err(
                Error::new(Code::EdnUnexpectedEof, "no character follows `\\`").at(span(start, start + 1))
            );
        };
        self.at = start + 1 + first.len_utf8();
        let first_ends_it = first.is_ascii() && CLASS[first as usize] == Class::Blank;
        if first_ends_it && first != ',' {
            return Err(Error::new(Code::EdnInvalidToken, "no character follows `\\`")
                .at(span(start, start + 1))
                .hint("the blank characters are written \\space \\tab \\newline \\return"));
        }
        self.token();
        let name = &self.text[start + 1..self.at];
        character_named(name, first).ok_or_else(|| {
            let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
            Error::new(Code::EdnInvalidToken, format!("`\\{shown}` is not a character"))
                .at(span(start, self.at))
        })
    }
}

fn character_named(name: &str, first: char) -> Option<char> {
    if name.len() == first.len_utf8() {
        return Some(first);
    }
    match name {
        "newline" => Some('\n'),
        "space" => Some(' '),
        "tab" => Some('\t'),
        "return" => Some('\r'),
        "backspace" => Some('\u{8}'),
        "formfeed" => Some('\u{c}'),
        _ if first == 'u' && name.len() == 5 && is_hex(&name[1..]) => {
            u32::from_str_radix(&name[1..], 16).ok().and_then(char::from_u32)
        }
        _ if first == 'o' => octal(&name[1..]),
        _ => None,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn octal(digits: &str) -> Option<char> {
    let right = digits.len() <= 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let value = u32::from_str_radix(digits, 8).ok().filter(|&value| right && value <= 0o377)?;
    char::from_u32(value)
}
