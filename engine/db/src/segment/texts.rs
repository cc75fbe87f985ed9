//! Texts and byte strings of one column: offsets and bytes, by row or through a dictionary.
//!
//! ```text
//! 1       form: 0 a text a row, 1 dictionary
//! form 0: packed offsets (rows + 1), bytes
//! form 1: 4 entries, packed offsets (entries + 1), bytes, packed codes (rows)
//! bytes:  4 length, then the bytes of all texts, one after the other
//! ```

use std::ops::Range;

use super::bytes::{Reader, damaged};
use super::packed::{Packed, put_packed};
use crate::Result;

/// Where the texts of a column lie in the payload.
#[derive(Debug)]
pub(crate) struct Texts {
    offsets: Packed,
    /// offset of the first byte in the payload
    start: u32,
    /// bytes of all of them
    len: u32,
    codes: Option<Packed>,
}

impl Texts {
    /// The bytes of row `i` as a range of the payload. O(1).
    #[inline]
    pub(crate) fn range(&self, payload: &[u8], i: usize) -> Range<usize> {
        let entry = self.codes.as_ref().map_or(i, |codes| codes.get(payload, i) as usize);
        let start = self.start as usize;
        start + self.offsets.get(payload, entry) as usize
            ..start + self.offsets.get(payload, entry + 1) as usize
    }

    /// All texts one after the other, and where they start in the payload.
    pub(crate) fn text<'a>(&self, payload: &'a [u8]) -> (&'a str, usize) {
        let bytes = &payload[self.start as usize..][..self.len as usize];
        (std::str::from_utf8(bytes).expect("checked when the segment was read"), self.start as usize)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.offsets.heap_bytes() + self.codes.as_ref().map_or(0, Packed::heap_bytes)
    }

    /// Reads the texts of `rows` rows; `utf8` says that each must be text.
    pub(crate) fn read(reader: &mut Reader<'_>, payload: &[u8], rows: usize, utf8: bool) -> Result<Texts> {
        let dictionary = match reader.u8()? {
            0 => None,
            1 => Some(reader.u32()? as usize),
            _ => return Err(damaged("a text column has no known form")),
        };
        let entries = dictionary.unwrap_or(rows);
        if entries > rows {
            return Err(damaged("a dictionary is larger than its column"));
        }
        let offsets = Packed::read(reader, entries + 1)?;
        let len = reader.u32()? as usize;
        let start = reader.position();
        check_offsets(&offsets, payload, entries, reader.take(len)?, utf8)?;
        let codes = dictionary.map(|entries| read_codes(reader, payload, rows, entries)).transpose()?;
        Ok(Texts { offsets, start: start as u32, len: len as u32, codes })
    }
}

fn read_codes(reader: &mut Reader<'_>, payload: &[u8], rows: usize, entries: usize) -> Result<Packed> {
    let codes = Packed::read(reader, rows)?;
    check_codes(&codes, payload, rows, entries)?;
    Ok(codes)
}

/// Every code must name an entry, or look-ups would panic later.
pub(crate) fn check_codes(codes: &Packed, payload: &[u8], rows: usize, entries: usize) -> Result<()> {
    let mut known = true;
    codes.each(payload, 0..rows, |code| known &= (0..entries as i64).contains(&code));
    if known { Ok(()) } else { Err(damaged("a code names no entry")) }
}

fn check_offsets(offsets: &Packed, payload: &[u8], entries: usize, bytes: &[u8], utf8: bool) -> Result<()> {
    let text = match utf8 {
        true => Some(std::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))?),
        false => None,
    };
    let (mut ordered, mut last) = (true, 0);
    offsets.each(payload, 0..entries + 1, |offset| {
        let inside = (last..=bytes.len() as i64).contains(&offset);
        ordered &= inside && text.is_none_or(|text| text.is_char_boundary(offset as usize));
        last = offset;
    });
    if ordered { Ok(()) } else { Err(damaged("a text lies outside its column")) }
}

/// Writes what [`Texts::read`] reads. A dictionary, in order of first use, where at least half the rows repeat.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[&[u8]]) {
    let mut seen = rustc_hash::FxHashMap::default();
    let mut entries: Vec<&[u8]> = Vec::new();
    let mut codes = Vec::with_capacity(texts.len());
    for text in texts {
        let code = *seen.entry(*text).or_insert_with(|| {
            entries.push(text);
            entries.len() as i64 - 1
        });
        codes.push(code);
    }
    if entries.len() * 2 >= texts.len() {
        out.push(0);
        put_entries(out, texts);
        return;
    }
    out.push(1);
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    put_entries(out, &entries);
    put_packed(out, &codes);
}

fn put_entries(out: &mut Vec<u8>, entries: &[&[u8]]) {
    let mut offsets = vec![0];
    offsets.extend(entries.iter().scan(0, |end, entry| {
        *end += entry.len() as i64;
        Some(*end)
    }));
    put_packed(out, &offsets);
    let total = offsets.last().copied().unwrap_or(0);
    out.extend_from_slice(&(total as u32).to_le_bytes());
    entries.iter().for_each(|entry| out.extend_from_slice(entry));
}

#[cfg(test)]
mod tests {
    use super::super::packed::PADDING;
    use super::*;

    fn there_and_back(texts: &[&str]) -> usize {
        let mut out = Vec::new();
        put_texts(&mut out, &texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        let len = out.len();
        out.extend_from_slice(&[0; PADDING]);
        let read = Texts::read(&mut Reader::new(&out), &out, texts.len(), true).unwrap();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(&out[read.range(&out, i)], text.as_bytes());
        }
        len
    }

    #[test]
    fn texts_come_back_plain_and_through_a_dictionary() {
        there_and_back(&[]);
        there_and_back(&["", "é", "a longer text", ""]);
        let repeated: Vec<&str> = (0..1000).map(|i| ["male", "female", "other"][i % 3]).collect();
        assert!(there_and_back(&repeated) < 500);
    }

    #[test]
    fn a_border_inside_a_character_is_damage() {
        let mut out = vec![0];
        put_packed(&mut out, &[0, 1, 2]);
        out.extend_from_slice(&2_u32.to_le_bytes());
        out.extend_from_slice("é".as_bytes());
        out.extend_from_slice(&[0; PADDING]);
        assert!(Texts::read(&mut Reader::new(&out), &out, 2, true).is_err());
    }
}
