//! The bytes of votes, log ids, memberships and entry payloads, on disk and on the wire. openraft's own serialised
//! forms are never stored: they change between versions.
//!
//! ```text
//! log id      term u64 | index u64
//! vote        term u64 | node u64 | committed u8
//! payload     0 blank | 1 command bytes | 2 membership
//! membership  configs u32 { ids u32 { id u64 } } | nodes u32 { id u64 | addr text | name text }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;

use super::types::{
    CommandBytes, LogId, Member, Membership, NodeId, Payload, StoredMembership, Vote, log_id,
};
use crate::encoding::{Malformed, Reader, put_bytes, put_count};

const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;

pub(crate) fn put_log_id(out: &mut impl BufMut, id: &LogId) {
    out.put_u64_le(id.committed_leader_id().term);
    out.put_u64_le(id.index());
}

pub(crate) fn get_log_id(reader: &mut Reader) -> Result<LogId, Malformed> {
    Ok(log_id(reader.u64()?, reader.u64()?))
}

pub(crate) fn put_optional_log_id(out: &mut impl BufMut, id: Option<&LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

pub(crate) fn get_optional_log_id(reader: &mut Reader) -> Result<Option<LogId>, Malformed> {
    match reader.u8()? {
        0 => Ok(None),
        1 => get_log_id(reader).map(Some),
        tag => Err(Malformed::Unknown { what: "log id", tag: tag.into() }),
    }
}

pub(crate) fn vote_to_bytes(vote: &Vote) -> [u8; 17] {
    let mut out = [0; 17];
    let mut rest = &mut out[..];
    rest.put_u64_le(vote.leader_id.term);
    rest.put_u64_le(vote.leader_id.voted_for);
    rest.put_u8(u8::from(vote.committed));
    out
}

pub(crate) fn vote_from_bytes(bytes: Bytes) -> Result<Vote, Malformed> {
    let mut reader = Reader::new(bytes);
    let (term, node) = (reader.u64()?, reader.u64()?);
    let committed = reader.u8()? != 0;
    reader.end()?;
    Ok(if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) })
}

/// One copy of a command's bytes; everything else is small.
pub(crate) fn payload_to_bytes(payload: &Payload) -> Bytes {
    let mut out = BytesMut::new();
    match payload {
        EntryPayload::Blank => out.put_u8(BLANK),
        EntryPayload::Normal(command) => {
            out.reserve(1 + command.0.len());
            out.put_u8(COMMAND);
            out.put_slice(&command.0);
        }
        EntryPayload::Membership(membership) => {
            out.put_u8(MEMBERSHIP);
            put_membership(&mut out, membership);
        }
    }
    out.freeze()
}

/// Shares the bytes' memory.
pub(crate) fn payload_from_bytes(bytes: Bytes) -> Result<Payload, Malformed> {
    let mut reader = Reader::new(bytes.clone());
    match reader.u8()? {
        BLANK => reader.end().map(|()| EntryPayload::Blank),
        COMMAND => Ok(EntryPayload::Normal(CommandBytes(bytes.slice(1..)))),
        MEMBERSHIP => {
            let membership = get_membership(&mut reader)?;
            reader.end()?;
            Ok(EntryPayload::Membership(membership))
        }
        tag => Err(Malformed::Unknown { what: "entry kind", tag: tag.into() }),
    }
}

fn put_membership(out: &mut impl BufMut, membership: &Membership) {
    let configs = membership.get_joint_config();
    put_count(out, configs.len());
    for config in configs {
        put_count(out, config.len());
        config.iter().for_each(|id| out.put_u64_le(*id));
    }
    let nodes: Vec<_> = membership.nodes().collect();
    put_count(out, nodes.len());
    for (id, member) in nodes {
        out.put_u64_le(*id);
        put_bytes(out, member.addr.as_bytes());
        put_bytes(out, member.name.as_bytes());
    }
}

fn get_membership(reader: &mut Reader) -> Result<Membership, Malformed> {
    let mut configs: Vec<BTreeSet<NodeId>> = Vec::new();
    for _ in 0..reader.count(4)? {
        let count = reader.count(8)?;
        configs.push((0..count).map(|_| reader.u64()).collect::<Result<_, _>>()?);
    }
    let mut nodes: BTreeMap<NodeId, Member> = BTreeMap::new();
    for _ in 0..reader.count(16)? {
        let id = reader.u64()?;
        nodes.insert(id, Member { addr: reader.text()?, name: reader.text()? });
    }
    Membership::new(configs, nodes).map_err(|_| Malformed::Unknown { what: "membership", tag: 0 })
}

pub(crate) fn put_stored_membership(out: &mut impl BufMut, stored: &StoredMembership) {
    put_optional_log_id(out, stored.log_id().as_ref());
    put_membership(out, stored.membership());
}

pub(crate) fn get_stored_membership(reader: &mut Reader) -> Result<StoredMembership, Malformed> {
    let at = get_optional_log_id(reader)?;
    Ok(StoredMembership::new(at, get_membership(reader)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_survive_a_round_trip() {
        let member = |n: u64| (n, Member { addr: format!("host-{n}:4334"), name: format!("node-{n}") });
        let joint = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([2, 3, 4])];
        let membership = Membership::new(joint, (1..=5).map(member).collect::<BTreeMap<_, _>>()).unwrap();
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(CommandBytes(Bytes::from_static(b"abc"))),
            EntryPayload::Membership(membership),
        ];
        for payload in payloads {
            assert_eq!(payload_from_bytes(payload_to_bytes(&payload)).unwrap(), payload);
        }
    }

    #[test]
    fn votes_survive_a_round_trip() {
        for vote in [Vote::new(7, 3), Vote::new_committed(u64::MAX, 1)] {
            assert_eq!(vote_from_bytes(Bytes::copy_from_slice(&vote_to_bytes(&vote))).unwrap(), vote);
        }
    }

    #[test]
    fn a_forged_count_is_refused_before_memory_is_reserved() {
        let forged = Bytes::from_static(&[MEMBERSHIP, 255, 255, 255, 255]);
        assert_eq!(payload_from_bytes(forged).unwrap_err(), Malformed::Short);
    }
}
