//! The newest committed transactions of one database, encoded once for every subscriber.
//!
//! A ring keeps everything newer than the root adopted here, and up to [`KEEP_BYTES`] beside. Subscribers are cursors:
//! they read from any t it still holds; there is no queue a subscriber.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::machine::Lineage;

/// How much is kept beyond what the adopted root does not cover.
pub const KEEP_BYTES: usize = 64 << 20;

/// One committed transaction on its way to subscribers.
#[derive(Clone, Debug)]
pub struct RingFrame {
    /// Its number.
    pub t: u64,
    /// The chain before it.
    pub prev_lineage: Lineage,
    /// The chain after it.
    pub lineage: Lineage,
    /// An `annals.v1.Frame` as a field of a frame batch: tag, length, message.
    pub encoded: Bytes,
    /// The encoded `TxBody` in it.
    pub body: Bytes,
}

/// Frames of dense, ascending t.
#[derive(Debug, Default)]
pub struct Ring {
    frames: VecDeque<RingFrame>,
    bytes: usize,
    /// Covered by the adopted root: free to go.
    covered_t: u64,
}

/// What a cursor finds.
#[derive(Clone, Debug)]
pub enum Read {
    /// The next frames, oldest first; empty at the tip.
    Frames(Vec<RingFrame>),
    /// The ring no longer holds what follows: read a root first.
    Behind,
    /// The cursor's chain is not this database's.
    Diverged,
}

impl Ring {
    /// Appends the next transaction. O(1).
    pub fn push(&mut self, frame: RingFrame) {
        debug_assert!(self.frames.back().is_none_or(|last| last.t + 1 == frame.t), "the feed has no holes");
        self.bytes += frame.encoded.len();
        self.frames.push_back(frame);
        self.trim();
    }

    /// Everything up to `t` is in the root that this member reads.
    pub fn cover(&mut self, t: u64) {
        self.covered_t = self.covered_t.max(t);
        self.trim();
    }

    /// The bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of the transactions after `covered`. O(frames after it).
    #[must_use]
    pub fn uncovered_bytes(&self, covered: u64) -> u64 {
        self.frames
            .iter()
            .rev()
            .take_while(|frame| frame.t > covered)
            .map(|frame| frame.body.len() as u64)
            .sum()
    }

    /// What follows the position `(t, lineage)`, at most `max_bytes` of it but never none if there is one. `tip` is the
    /// newest committed position. O(frames answered).
    #[must_use]
    pub fn read(&self, t: u64, lineage: Lineage, tip: (u64, Lineage), max_bytes: usize) -> Read {
        if t >= tip.0 {
            let same = t == tip.0 && lineage == tip.1;
            return if same { Read::Frames(Vec::new()) } else { Read::Diverged };
        }
        let Some(first) = self.frames.front().filter(|first| first.t <= t + 1) else { return Read::Behind };
        let start = usize::try_from(t + 1 - first.t).expect("a ring is far smaller than the address space");
        let Some(next) = self.frames.get(start) else { return Read::Behind };
        if next.prev_lineage != lineage {
            return Read::Diverged;
        }
        let mut bytes = 0;
        // A frame is in the ring a moment before the tip says so: what is read ahead would look like another history.
        let within = |frame: &&RingFrame| {
            let first = bytes == 0;
            bytes += frame.encoded.len();
            frame.t <= tip.0 && (first || bytes <= max_bytes)
        };
        Read::Frames(self.frames.range(start..).take_while(within).cloned().collect())
    }

    fn trim(&mut self) {
        while let Some(first) = self.frames.front().filter(|_| self.bytes > KEEP_BYTES) {
            if first.t > self.covered_t {
                return;
            }
            self.bytes -= first.encoded.len();
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64, size: usize) -> (Ring, Vec<Lineage>) {
        let (mut ring, mut chain) = (Ring::default(), vec![Lineage::default()]);
        for t in 1..=count {
            let body = Bytes::from(vec![u8::try_from(t % 251).unwrap(); size]);
            let prev_lineage = chain[chain.len() - 1];
            let lineage = prev_lineage.next(&body);
            ring.push(RingFrame { t, prev_lineage, lineage, encoded: body.clone(), body });
            chain.push(lineage);
        }
        (ring, chain)
    }

    fn ts(read: Read) -> Vec<u64> {
        match read {
            Read::Frames(frames) => frames.iter().map(|frame| frame.t).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cursor_reads_on_from_its_position_in_bounded_steps() {
        let (ring, chain) = filled(5, 10);
        let tip = (5, chain[5]);
        assert_eq!(ts(ring.read(0, chain[0], tip, 25)), [1, 2]);
        assert_eq!(ts(ring.read(2, chain[2], tip, 1)), [3], "never none if there is one");
        assert_eq!(ts(ring.read(5, chain[5], tip, 25)), [0; 0]);
    }

    #[test]
    fn a_cursor_of_another_chain_is_told_so() {
        let (ring, chain) = filled(3, 10);
        let tip = (3, chain[3]);
        assert!(matches!(ring.read(2, Lineage([9; 16]), tip, 99), Read::Diverged));
        assert!(matches!(ring.read(3, Lineage([9; 16]), tip, 99), Read::Diverged));
        assert!(matches!(ring.read(4, chain[3], tip, 99), Read::Diverged), "ahead of every commit");
    }

    #[test]
    fn only_covered_frames_go() {
        let (mut ring, chain) = filled(70, 1 << 20);
        assert_eq!(ring.bytes(), 70 << 20, "nothing is covered yet");
        ring.cover(3);
        assert_eq!(ring.bytes(), 67 << 20);
        ring.cover(70);
        assert_eq!(ring.bytes(), KEEP_BYTES);
        assert!(matches!(ring.read(0, chain[0], (70, chain[70]), 9), Read::Behind));
    }
}
