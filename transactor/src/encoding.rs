//! The byte layout that the transactor's own records share: fixed little-endian integers and length-prefixed bytes.
//! Entries, snapshots and the log store are written with it; nothing here knows what the bytes mean.

use bytes::{Buf, BufMut, Bytes};

/// What was wrong with bytes that should have been a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The record ends before its last field.
    #[error("record ends early")]
    Short,
    /// A tag that this version does not know.
    #[error("unknown {what} {tag}")]
    Unknown {
        /// The kind of tag.
        what: &'static str,
        /// The tag read.
        tag: u64,
    },
    /// Bytes follow the last field.
    #[error("{0} bytes after the end of a record")]
    Trailing(usize),
    /// A text field is not UTF-8.
    #[error("text is not utf-8")]
    Text,
}

/// Reads fields off the front of a record without copying its byte strings.
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) fn new(record: Bytes) -> Self {
        Self { rest: record }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.need(1)?;
        Ok(self.rest.get_u8())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.need(4)?;
        Ok(self.rest.get_u32_le())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.need(8)?;
        Ok(self.rest.get_u64_le())
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Malformed> {
        self.need(8)?;
        Ok(self.rest.get_i64_le())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.need(N)?;
        let mut out = [0; N];
        self.rest.copy_to_slice(&mut out);
        Ok(out)
    }

    /// A byte string behind its u32 length; shares the record's memory.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.u32()? as usize;
        self.need(length)?;
        Ok(self.rest.split_to(length))
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed::Text)
    }

    /// A count of items that each take at least `least` bytes, so that a forged count cannot reserve memory.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        self.need(count.saturating_mul(least))?;
        Ok(count)
    }

    pub(crate) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Trailing(self.rest.len())) }
    }

    fn need(&self, length: usize) -> Result<(), Malformed> {
        if self.rest.len() < length { Err(Malformed::Short) } else { Ok(()) }
    }
}

/// Appends `bytes` behind their u32 length.
pub(crate) fn put_bytes(out: &mut impl BufMut, bytes: &[u8]) {
    out.put_u32_le(
        u32::try_from(bytes.len()).expect("records are bounded by the entry limit, far below 4 GiB"),
    );
    out.put_slice(bytes);
}

/// Appends a count of items.
pub(crate) fn put_count(out: &mut impl BufMut, count: usize) {
    out.put_u32_le(u32::try_from(count).expect("counts are bounded by the entry limit"));
}
