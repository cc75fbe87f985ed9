//! A log leaf: consecutive transactions as rows of the transaction table, with their encoded bodies.
//!
//! ```text
//! 4  rows
//! 8  t of the first row (t is dense)
//!    packed instants; packed entity counters after each transaction
//!    packed 0/1: the client chose an id
//! 16 a row: client id (0 without)
//! 8  a row: hash of the request bytes
//! 32 a row: digest, BLAKE3 of the encoded body
//!    packed offsets of the bodies (rows + 1)
//! 4  length, then the bodies, one after the other
//! 8  zero
//! ```
//! Named tempids are read from the body.

use std::sync::Arc;

use super::bytes::{Reader, damaged};
use super::packed::{PADDING, Packed, put_packed};
use crate::Result;
use crate::id::T;
use crate::log::TxBody;

/// Consecutive transactions.
#[derive(Debug)]
pub struct LogLeaf {
    payload: Arc<[u8]>,
    len: usize,
    first: T,
    instants: Packed,
    counters: Packed,
    chosen: Packed,
    client_ids: usize,
    request_hashes: usize,
    digests: usize,
    offsets: Packed,
    bodies: usize,
}

/// One transaction on its way into a log leaf.
#[derive(Clone, Debug)]
pub(crate) struct LogRow<'a> {
    pub(crate) instant: i64,
    pub(crate) next_counter: u64,
    pub(crate) client_id: Option<u128>,
    pub(crate) request_hash: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) body: std::borrow::Cow<'a, [u8]>,
}

impl LogRow<'_> {
    /// What it adds to a leaf's weight.
    pub(crate) fn weight(&self) -> usize {
        72 + self.body.len()
    }
}

impl LogLeaf {
    /// Transactions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without transactions, which no tree contains.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The t of the first row; row `i` has `first + i`.
    #[must_use]
    pub fn first(&self) -> T {
        self.first
    }

    /// The row of `t`, if it is here. O(1).
    #[must_use]
    pub fn row_of(&self, t: T) -> Option<usize> {
        let row = usize::try_from(t.0.checked_sub(self.first.0)?).ok()?;
        (row < self.len).then_some(row)
    }

    /// `:db/txInstant` of row `i`. O(1).
    #[must_use]
    pub fn instant(&self, i: usize) -> i64 {
        self.instants.get(&self.payload, i)
    }

    /// The entity counter after row `i`. O(1).
    #[must_use]
    pub fn next_counter(&self, i: usize) -> u64 {
        self.counters.get(&self.payload, i) as u64
    }

    /// The id that the client chose for row `i`. O(1).
    #[must_use]
    pub fn client_id(&self, i: usize) -> Option<u128> {
        (self.chosen.get(&self.payload, i) != 0).then(|| u128::from_le_bytes(self.raw(self.client_ids, i)))
    }

    /// Hash of the request bytes of row `i`. O(1).
    #[must_use]
    pub fn request_hash(&self, i: usize) -> u64 {
        u64::from_le_bytes(self.raw(self.request_hashes, i))
    }

    /// BLAKE3 of the body of row `i`. O(1).
    #[must_use]
    pub fn digest(&self, i: usize) -> [u8; 32] {
        self.raw(self.digests, i)
    }

    /// The encoded body of row `i`, as in the Raft log and the feed. O(1).
    #[must_use]
    pub fn body_bytes(&self, i: usize) -> &[u8] {
        let offset = |i| self.bodies + self.offsets.get(&self.payload, i) as usize;
        &self.payload[offset(i)..offset(i + 1)]
    }

    /// The transaction of row `i`. O(datoms).
    ///
    /// # Errors
    /// `DATA_LOSS` when the body does not decode.
    pub fn body(&self, i: usize) -> Result<TxBody> {
        TxBody::decode(self.body_bytes(i))
    }

    /// How many rows have an instant not after `instant`. O(log n): instants never go backwards.
    #[must_use]
    pub fn rows_until(&self, instant: i64) -> usize {
        self.instants.partition(&self.payload, 0..self.len, |x| x <= instant)
    }

    /// Appends the instants of `rows`.
    pub fn instants_into(&self, rows: std::ops::Range<usize>, out: &mut Vec<i64>) {
        self.instants.each(&self.payload, rows, |instant| out.push(instant));
    }

    fn raw<const N: usize>(&self, start: usize, i: usize) -> [u8; N] {
        self.payload[start + i * N..start + (i + 1) * N].try_into().expect("a slice of N bytes")
    }

    /// Bytes it occupies in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let columns = [&self.instants, &self.counters, &self.chosen, &self.offsets];
        size_of::<LogLeaf>() + self.payload.len() + columns.iter().map(|x| x.heap_bytes()).sum::<usize>()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = LogRow<'_>> {
        (0..self.len).map(|i| LogRow {
            instant: self.instant(i),
            next_counter: self.next_counter(i),
            client_id: self.client_id(i),
            request_hash: self.request_hash(i),
            digest: self.digest(i),
            body: self.body_bytes(i).into(),
        })
    }

    pub(crate) fn read(payload: Arc<[u8]>) -> Result<LogLeaf> {
        let mut reader = Reader::new(&payload);
        let len = reader.u32()? as usize;
        let first = T(reader.u64()?);
        if len > reader.left() || first.0.checked_add(len as u64).is_none() {
            return Err(damaged("a log leaf's header is wrong"));
        }
        let instants = Packed::read(&mut reader, len)?;
        let counters = Packed::read(&mut reader, len)?;
        let chosen = Packed::read(&mut reader, len)?;
        let mut raw = |width: usize| -> Result<usize> {
            let start = reader.position();
            reader.take(len * width).map(|_| start)
        };
        let (client_ids, request_hashes, digests) = (raw(16)?, raw(8)?, raw(32)?);
        let offsets = Packed::read(&mut reader, len + 1)?;
        let bytes = reader.u32()? as usize;
        let bodies = reader.position();
        reader.take(bytes)?;
        let (mut ordered, mut last) = (true, 0);
        offsets.each(&payload, 0..len + 1, |offset| {
            ordered &= (last..=bytes as i64).contains(&offset);
            last = offset;
        });
        if !ordered || reader.left() != PADDING {
            return Err(damaged("a log leaf's bodies lie outside it"));
        }
        Ok(LogLeaf {
            len,
            first,
            instants,
            counters,
            chosen,
            client_ids,
            request_hashes,
            digests,
            offsets,
            bodies,
            payload: payload.clone(),
        })
    }

    /// The payload of a leaf of `rows` from `first` on.
    pub(crate) fn encode(first: T, rows: &[LogRow<'_>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(rows.iter().map(LogRow::weight).sum::<usize>() + 256);
        out.extend_from_slice(&(rows.len() as u32).to_le_bytes());
        out.extend_from_slice(&first.0.to_le_bytes());
        let column = |out: &mut Vec<u8>, field: &dyn Fn(&LogRow<'_>) -> i64| {
            put_packed(out, &rows.iter().map(field).collect::<Vec<_>>());
        };
        column(&mut out, &|row| row.instant);
        column(&mut out, &|row| row.next_counter as i64);
        column(&mut out, &|row| i64::from(row.client_id.is_some()));
        rows.iter().for_each(|row| out.extend_from_slice(&row.client_id.unwrap_or(0).to_le_bytes()));
        rows.iter().for_each(|row| out.extend_from_slice(&row.request_hash.to_le_bytes()));
        rows.iter().for_each(|row| out.extend_from_slice(&row.digest));
        let mut offsets = vec![0];
        offsets.extend(rows.iter().scan(0, |end, row| {
            *end += row.body.len() as i64;
            Some(*end)
        }));
        put_packed(&mut out, &offsets);
        let total = offsets.last().copied().unwrap_or(0);
        out.extend_from_slice(&(total as u32).to_le_bytes());
        rows.iter().for_each(|row| out.extend_from_slice(&row.body));
        out.extend_from_slice(&[0; PADDING]);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(i: u64) -> LogRow<'static> {
        LogRow {
            instant: 1000 + (i / 2) as i64,
            next_counter: 1000 + i,
            client_id: (!i.is_multiple_of(3)).then_some(u128::from(i) << 64),
            request_hash: i * 31,
            digest: [i as u8; 32],
            body: vec![i as u8; i as usize].into(),
        }
    }

    #[test]
    fn transactions_come_back() {
        let rows: Vec<LogRow<'_>> = (0..200).map(row).collect();
        let leaf = LogLeaf::read(LogLeaf::encode(T(5), &rows).into()).unwrap();
        assert_eq!((leaf.row_of(T(4)), leaf.row_of(T(7)), leaf.row_of(T(205))), (None, Some(2), None));
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(leaf.instant(i), row.instant);
            assert_eq!(leaf.next_counter(i), row.next_counter);
            assert_eq!(leaf.client_id(i), row.client_id);
            assert_eq!(leaf.request_hash(i), row.request_hash);
            assert_eq!(leaf.digest(i), row.digest);
            assert_eq!(leaf.body_bytes(i), &*row.body);
        }
        assert_eq!(leaf.rows_until(1000), 2);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(noise in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut payload = LogLeaf::encode(T(1), &(0..150).map(row).collect::<Vec<_>>());
            for (at, byte) in noise {
                let at = usize::from(at) % payload.len();
                payload[at] = byte;
            }
            if let Ok(leaf) = LogLeaf::read(payload.into()) {
                prop_assert_eq!(leaf.rows().count(), leaf.len());
            }
        }
    }
}
