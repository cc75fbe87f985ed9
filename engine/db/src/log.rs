//! The log: what one transaction is once it is decided, as bytes and as a row of the transaction table.
//!
//! The bytes of a transaction, frozen as format 1 (numbers are LEB128 varints, signed ones zigzag first):
//!
//! ```text
//! u8        format, 1
//! varint    t
//! zigzag    instant, milliseconds since 1970
//! u8        1 when a client id follows, else 0
//! [16]      client id, little-endian (only if announced)
//! [8]       hash of the request bytes, little-endian
//! varint    next entity counter
//! varint    number of named tempids, each:
//!   varint    length of the name, and its UTF-8 bytes
//!   varint    entity id
//! varint    number of datoms, each:
//!   varint    attribute * 4 + (2 when the entity is that of the datom before) + (1 when asserted)
//!   zigzag    entity id less that of the datom before, 0 before the first (only if it is another)
//!   value     type tag and value, as in segments
//! ```
//!
//! Nothing may follow. The digest of a transaction is BLAKE3 over these bytes.

use std::sync::Arc;

use annals_edn::{Code, Error};

use crate::Result;
use crate::datom::Datom;
use crate::id::{AttrId, EntityId, T};
use crate::segment::bytes::{Reader, put_blob, put_value, put_varint, put_zigzag};

/// A decided transaction: the row of the transaction table and the datoms. Its `:db/txInstant` is `instant`, not a
/// datom of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct TxBody {
    /// its number
    pub t: T,
    /// `:db/txInstant`, milliseconds since 1970
    pub instant: i64,
    /// the transaction id that the client chose
    pub client_id: Option<u128>,
    /// 64-bit hash of the request bytes, to tell a resend from a reuse of the id
    pub request_hash: u64,
    /// the database's entity counter after this transaction
    pub next_counter: u64,
    /// named tempids and what they became
    pub tempids: Vec<(Arc<str>, EntityId)>,
    /// the datoms, retractions before assertions within an `[e a]`
    pub datoms: Vec<Datom>,
}

/// Everything of a transaction but its datoms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxHead {
    /// its number
    pub t: T,
    /// `:db/txInstant`, milliseconds since 1970
    pub instant: i64,
    /// the transaction id that the client chose
    pub client_id: Option<u128>,
    /// 64-bit hash of the request bytes
    pub request_hash: u64,
    /// the database's entity counter after this transaction
    pub next_counter: u64,
    /// named tempids and what they became
    pub tempids: Vec<(Arc<str>, EntityId)>,
    /// how many datoms follow
    pub datom_count: usize,
}

/// The only format there is.
const FORMAT: u8 = 1;

/// Attributes are schema elements, of which there are fewer.
const MAX_ATTR: u64 = 1 << 28;

impl TxBody {
    /// The frozen bytes: what goes into the Raft log, the feed and the log leaves. Digest and lineage are over these.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 24 * self.datoms.len());
        out.push(FORMAT);
        put_varint(&mut out, self.t.0);
        put_zigzag(&mut out, self.instant);
        out.push(u8::from(self.client_id.is_some()));
        if let Some(id) = self.client_id {
            out.extend_from_slice(&id.to_le_bytes());
        }
        out.extend_from_slice(&self.request_hash.to_le_bytes());
        put_varint(&mut out, self.next_counter);
        put_varint(&mut out, self.tempids.len() as u64);
        for (name, e) in &self.tempids {
            put_blob(&mut out, name.as_bytes());
            put_varint(&mut out, e.0);
        }
        put_varint(&mut out, self.datoms.len() as u64);
        let mut before = EntityId(0);
        for (i, datom) in self.datoms.iter().enumerate() {
            let same = i > 0 && datom.e == before;
            put_varint(&mut out, u64::from(datom.a.0) << 2 | u64::from(same) << 1 | u64::from(datom.added));
            if !same {
                put_zigzag(&mut out, datom.e.0.wrapping_sub(before.0) as i64);
            }
            put_value(&mut out, datom.v.as_ref());
            before = datom.e;
        }
        out
    }

    /// Reads what [`TxBody::encode`] wrote.
    ///
    /// # Errors
    /// `FORMAT_UNSUPPORTED` for another format, `DATA_LOSS` on any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<TxBody> {
        let mut reader = Reader::new(bytes);
        let TxHead { t, instant, client_id, request_hash, next_counter, tempids, datom_count } =
            read_head(&mut reader)?;
        let datoms = read_datoms(&mut reader, t, datom_count)?;
        if reader.left() > 0 {
            return Err(damaged("it has more bytes than it needs"));
        }
        Ok(TxBody { t, instant, client_id, request_hash, next_counter, tempids, datoms })
    }

    /// Reads what stands before the datoms. O(tempids).
    ///
    /// # Errors
    /// As [`TxBody::decode`]; damage among the datoms is not seen.
    pub fn head(bytes: &[u8]) -> Result<TxHead> {
        read_head(&mut Reader::new(bytes))
    }

    /// BLAKE3 of [`TxBody::encode`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.encode()).as_bytes()
    }
}

fn read_head(reader: &mut Reader<'_>) -> Result<TxHead> {
    let format = reader.u8()?;
    if format != FORMAT {
        let message = format!("transaction format {format} is not known here");
        return Err(Error::new(Code::FormatUnsupported, message).with("format", format));
    }
    let t = T(reader.varint()?);
    let instant = reader.zigzag()?;
    let client_id = match reader.u8()? {
        0 => None,
        1 => Some(reader.u128()?),
        _ => return Err(damaged("its client id is neither there nor missing")),
    };
    let (request_hash, next_counter) = (reader.u64()?, reader.varint()?);
    let count = reader.count(2)?;
    let tempids = (0..count).map(|_| Ok((reader.text()?.into(), entity(reader.varint()?)?)));
    let tempids = tempids.collect::<Result<_>>()?;
    let datom_count = reader.count(3)?;
    Ok(TxHead { t, instant, client_id, request_hash, next_counter, tempids, datom_count })
}

fn read_datoms(reader: &mut Reader<'_>, t: T, count: usize) -> Result<Vec<Datom>> {
    let mut datoms: Vec<Datom> = Vec::with_capacity(count);
    for _ in 0..count {
        let head = reader.varint()?;
        let (a, same, added) = (head >> 2, head & 2 != 0, head & 1 != 0);
        if a >= MAX_ATTR {
            return Err(damaged("an attribute is out of range"));
        }
        let before = datoms.last().map(|datom| datom.e);
        let e = match before {
            Some(e) if same => e,
            None if same => return Err(damaged("its first datom has no entity")),
            before => entity(before.map_or(0, |e| e.0).wrapping_add(reader.zigzag()? as u64))?,
        };
        datoms.push(Datom { e, a: AttrId(a as u32), v: reader.value()?, t, added });
    }
    Ok(datoms)
}

fn entity(id: u64) -> Result<EntityId> {
    if id > EntityId::MAX.0 {
        return Err(damaged("an entity id is out of range"));
    }
    Ok(EntityId(id))
}

fn damaged(what: &str) -> Error {
    Error::new(Code::DataLoss, format!("transaction is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use annals_edn::Keyword;

    fn body() -> TxBody {
        let datom = |e, a, v, added| Datom { e: EntityId(e), a: AttrId(a), v, t: T(7), added };
        TxBody {
            t: T(7),
            instant: -5,
            client_id: Some(u128::MAX - 3),
            request_hash: 42,
            next_counter: 1 << 40,
            tempids: vec![("alice".into(), EntityId(9)), ("".into(), EntityId::MAX)],
            datoms: vec![
                datom(0, 10, Value::String("ü".into()), true),
                datom(EntityId::MAX.0, 11, Value::Long(i64::MIN), false),
                datom(EntityId::MAX.0, 11, Value::Keyword(Keyword::new("a/b")), true),
                datom(3, 12, Value::Tuple([None, Some(Value::Uuid(5))].into()), true),
            ],
        }
    }

    #[test]
    fn a_transaction_comes_back_from_its_bytes() {
        for body in [body(), TxBody { client_id: None, tempids: vec![], datoms: vec![], ..body() }] {
            assert_eq!(TxBody::decode(&body.encode()).unwrap(), body);
            let head = TxBody::head(&body.encode()).unwrap();
            assert_eq!((head.t, head.instant, head.client_id), (body.t, body.instant, body.client_id));
            assert_eq!((head.tempids, head.datom_count), (body.tempids, body.datoms.len()));
        }
    }

    #[test]
    fn the_bytes_of_format_1_do_not_change() {
        let digest = blake3::Hash::from_bytes(body().digest()).to_hex();
        assert_eq!(&digest[..16], "30f7f3ddfef94027");
    }

    #[test]
    fn other_bytes_are_refused_without_panic() {
        let bytes = body().encode();
        for cut in 0..bytes.len() {
            assert_eq!(TxBody::decode(&bytes[..cut]).unwrap_err().code(), Code::DataLoss, "cut at {cut}");
        }
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(TxBody::decode(&long).unwrap_err().code(), Code::DataLoss);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                // Whatever decodes has bytes of its own; what matters here is that nothing panics.
                if let Ok(other) = TxBody::decode(&flipped) {
                    assert_ne!(other, body());
                }
            }
        }
    }
}
