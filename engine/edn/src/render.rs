//! An error as a person reads it: what happened, the line of source it happened in with carets under it, and the hint.

use std::fmt::Write;

use crate::{Error, Span};

/// Characters of a source line that are shown; of longer ones, a window around the span.
const WIDTH: usize = 100;
/// Characters shown before the span in a window.
const LEAD: usize = 40;

/// The error's code and message, and, where it has a span within `source`, line and column, the text of the line, and a
/// run of carets under the span's part of it; then the hint. Ends without a newline. Linear in the source's length.
#[must_use]
pub fn render(error: &Error, source: &str) -> String {
    let mut out = format!("error {}: {}", error.code().as_str(), error.message());
    if let Some(excerpt) = error.span().and_then(|span| Excerpt::of(span, source)) {
        excerpt.write(&mut out);
    }
    if let Some(hint) = error.hint_text() {
        let _ = write!(out, "\n  hint: {hint}");
    }
    out
}

/// The line of a span's beginning, cut to what is shown of it.
struct Excerpt {
    /// Counted from one.
    line: usize,
    /// In characters, counted from one.
    column: usize,
    text: String,
    /// Characters before the carets.
    pad: usize,
    carets: usize,
}

impl Excerpt {
    fn of(span: Span, source: &str) -> Option<Self> {
        let start = floor_boundary(source, span.start as usize);
        let end = floor_boundary(source, span.end as usize).max(start);
        if span.start as usize > source.len() {
            return None;
        }
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let before = source[line_start..start].chars().count();
        let under = source[start..end.min(line_end).max(start)].trim_end_matches('\r').chars().count();
        let shown: Vec<char> =
            source[line_start..line_end].trim_end_matches('\r').chars().map(visible).collect();
        let from = if shown.len() <= WIDTH { 0 } else { before.saturating_sub(LEAD) };
        let to = shown.len().min(from + WIDTH);
        let (left, right) = (if from > 0 { "…" } else { "" }, if to < shown.len() { "…" } else { "" });
        let window: String = shown[from..to].iter().collect();
        Some(Self {
            line: source[..line_start].bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before + 1,
            text: format!("{left}{window}{right}"),
            pad: before - from + usize::from(from > 0),
            carets: under.min(to.saturating_sub(before)).max(1),
        })
    }

    fn write(&self, out: &mut String) {
        let Self { line, column, text, pad, carets } = self;
        let number = line.to_string();
        let margin = number.len() + 2;
        let _ = write!(out, " (line {line}, column {column})");
        let _ = write!(out, "\n {number} | {text}\n{:margin$}| {:pad$}{}", "", "", "^".repeat(*carets));
    }
}

/// Tabs and other control characters take one column each, so that the carets stand right.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        _ if crate::reader::names::is_invisible(c) && c != ' ' => '\u{fffd}',
        _ => c,
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::{Code, Error, Span, read_all};

    #[test]
    fn carets_stand_under_the_span() {
        let source = "[:find ?e\n\t:where [?e :a 1e999]]\r\n";
        let error = read_all(source).expect_err("too large").hint("smaller");
        let expected = "error VALUE_OUT_OF_RANGE: 1e999 is beyond the largest double (line 2, column 16)\n \
                        2 |  :where [?e :a 1e999]]\n   |                ^^^^^\n  hint: smaller";
        assert_eq!(render(&error, source), expected);
    }

    #[test]
    fn long_lines_are_cut_around_the_span() {
        let source = format!("[{} ::bad {}]", "1 ".repeat(500), "2 ".repeat(500));
        let shown = render(&read_all(&source).expect_err("a bad keyword"), &source);
        let lines: Vec<&str> = shown.lines().collect();
        let caret = lines[2].chars().position(|c| c == '^').expect("a caret");
        assert_eq!(lines[1].chars().skip(caret).take(5).collect::<String>(), "::bad");
        assert!(lines.iter().all(|line| line.chars().count() < 140), "{shown}");
    }

    #[test]
    fn any_span_renders() {
        let source = "é\u{202e}\né";
        for start in 0..8 {
            for end in start..9 {
                let shown = render(&Error::new(Code::Internal, "x").at(Span { start, end }), source);
                assert!(shown.starts_with("error INTERNAL: x") && !shown.contains('\u{202e}'), "{shown}");
            }
        }
    }

    #[test]
    fn a_span_over_lines_is_marked_to_the_end_of_its_first() {
        let source = "(a\nb)";
        let shown = render(&Error::new(Code::Internal, "x").at(Span { start: 0, end: 5 }), source);
        assert!(shown.ends_with("| ^^"), "{shown}");
    }
}
