//! What each step of a measured run takes. Other runs have no meter and pay for none.
//!
//! The engine has no clock of its own: one is given, as a function that tells nanoseconds.

use std::cell::RefCell;

use annals_db::segment::Reads;

/// Nanoseconds since some moment; never goes back.
pub type Clock<'a> = &'a (dyn Fn() -> u64 + Sync);

/// A clock and when it was started.
#[derive(Clone, Copy)]
pub struct Timer<'a> {
    clock: Clock<'a>,
    started: u64,
}

impl<'a> Timer<'a> {
    /// Starts now.
    #[must_use]
    pub fn new(clock: Clock<'a>) -> Timer<'a> {
        Timer { clock, started: clock() }
    }

    /// One that was started when the clock said so.
    #[must_use]
    pub fn since(clock: Clock<'a>, started: u64) -> Timer<'a> {
        Timer { clock, started }
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn elapsed(&self) -> u64 {
        (self.clock)().saturating_sub(self.started)
    }
}

/// Time and reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// batches
    pub calls: u64,
    /// nanoseconds
    pub nanos: u64,
    /// segments read, from the cache or the store
    pub segments: u64,
    /// bytes of these, decoded
    pub bytes: u64,
}

impl Spent {
    /// Adds what something else took.
    pub(crate) fn add(&mut self, other: &Spent) {
        self.calls += other.calls;
        self.nanos += other.nanos;
        self.segments += other.segments;
        self.bytes += other.bytes;
    }
}

/// Measures the steps of one run.
pub(crate) struct Meter<'a> {
    timer: Timer<'a>,
    reads: &'a Reads,
    spent: RefCell<Vec<Spent>>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(timer: Timer<'a>, reads: &'a Reads) -> Meter<'a> {
        Meter { timer, reads, spent: RefCell::default() }
    }

    /// Another one on the same clock.
    pub(crate) fn fresh(&self) -> Meter<'a> {
        Meter::new(self.timer, self.reads)
    }

    /// Adds what another one has measured.
    pub(crate) fn absorb(&self, other: Option<Meter<'a>>) {
        let Some(other) = other else { return };
        let (mut mine, theirs) = (self.spent.borrow_mut(), other.spent.into_inner());
        let len = mine.len().max(theirs.len());
        mine.resize(len, Spent::default());
        mine.iter_mut().zip(&theirs).for_each(|(mine, theirs)| mine.add(theirs));
    }

    /// Does `work` and adds what it took to the account of `step`.
    pub(crate) fn measure<R>(&self, step: usize, work: impl FnOnce() -> R) -> R {
        let (nanos, (segments, bytes)) = (self.timer.elapsed(), self.reads.so_far());
        let result = work();
        let (later, (more_segments, more_bytes)) = (self.timer.elapsed(), self.reads.so_far());
        let mut spent = self.spent.borrow_mut();
        if spent.len() <= step {
            spent.resize(step + 1, Spent::default());
        }
        spent[step].add(&Spent {
            calls: 1,
            nanos: later.saturating_sub(nanos),
            segments: more_segments - segments,
            bytes: more_bytes - bytes,
        });
        result
    }

    /// By number of step; `steps` of them at least.
    pub(crate) fn spent(&self, steps: usize) -> Vec<Spent> {
        let mut spent = self.spent.borrow().clone();
        spent.resize(spent.len().max(steps), Spent::default());
        spent
    }
}
