//! Which events of a fact a view shows.

use smallvec::SmallVec;

/// The transactions a view looks at, both ends inclusive, and whether it nets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// the first t shown
    pub(crate) lo: u64,
    /// the last t shown
    pub(crate) hi: u64,
    /// assertions and retractions as they are
    pub(crate) history: bool,
    /// the t up to which events are read: `hi`, or the basis where later events may hide earlier ones
    pub(crate) read: u64,
    /// some interval may have ended without history: facts must be judged one by one
    pub(crate) careful: bool,
}

/// One event of a fact: everything about it but the fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) t: u64,
    pub(crate) added: bool,
    /// ends an interval that may not be shown
    pub(crate) unkept: bool,
}

/// The events of one fact.
pub(crate) type Marks = SmallVec<[Mark; 4]>;

impl Window {
    pub(crate) fn shows(&self, t: u64) -> bool {
        self.lo <= t && t <= self.hi
    }

    /// The events of one fact that this view shows, in index order: newest first, at one t the retraction first. A
    /// netting view shows at most one, an assertion.
    pub(crate) fn net(&self, marks: &mut Marks) {
        marks.sort_unstable_by(|x, y| y.t.cmp(&x.t).then(x.added.cmp(&y.added)));
        marks.dedup();
        hide_unkept(marks);
        marks.retain(|mark| self.shows(mark.t));
        if !self.history {
            // At one t the assertion is the later of the two.
            let newest = marks.first().map(|mark| mark.t);
            let holds = marks.iter().find(|mark| Some(mark.t) == newest && mark.added).copied();
            marks.clear();
            marks.extend(holds);
        }
    }
}

/// Drops the intervals whose end was not kept. Newest first, so an interval is a retraction and the assertion after it.
fn hide_unkept(marks: &mut Marks) {
    if !marks.iter().any(|mark| mark.unkept) {
        return;
    }
    let mut hiding = false;
    marks.retain(|mark| {
        if !mark.added {
            hiding = mark.unkept;
            return !hiding;
        }
        !std::mem::take(&mut hiding)
    });
}
