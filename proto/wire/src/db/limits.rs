//! What one transaction may be.

use annals_db::Limits;

use crate::v1;

/// Limits for a peer.
#[must_use]
pub fn limits_to_wire(limits: &Limits) -> v1::TransactionLimits {
    let Limits { datoms, bytes, string_bytes, blob_bytes, nesting, fuel } = *limits;
    v1::TransactionLimits {
        datoms: datoms as u64,
        bytes: bytes as u64,
        string_bytes: string_bytes as u64,
        blob_bytes: blob_bytes as u64,
        nesting: nesting as u64,
        fuel,
    }
}

/// The limits that a transactor decides by. What does not fit this machine is as much as it can count.
#[must_use]
pub fn limits_from_wire(limits: &v1::TransactionLimits) -> Limits {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Limits {
        datoms: count(limits.datoms),
        bytes: count(limits.bytes),
        string_bytes: count(limits.string_bytes),
        blob_bytes: count(limits.blob_bytes),
        nesting: count(limits.nesting),
        fuel: limits.fuel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back() {
        let limits = Limits { datoms: 1, bytes: 2, string_bytes: 3, blob_bytes: 4, nesting: 5, fuel: 6 };
        assert_eq!(limits_from_wire(&limits_to_wire(&limits)), limits);
    }
}
