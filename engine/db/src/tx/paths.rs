//! Where in the tx-data an operation was said: `[3 :order/lines 1 :line/item]`, the index of the form, then the way into it.
//!
//! Paths share their beginnings. What stands directly in a form costs nothing, its attribute is known from the operation.

use annals_edn::{Error, Keyword};

use crate::database::Db;
use crate::id::AttrId;
use crate::tx::refusal::attribute_name;

/// A place in the tx-data: a form, or something in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// One step of a path.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// into the value of an attribute
    Attribute(AttrId),
    /// into what a function answered
    Call(Keyword),
    /// to one of a list: a value, the slot of a tuple, a form that a function answered
    Index(u32),
    /// into the map that stands here; it is not shown
    Map,
}

/// The places of one transaction.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// the first places are the forms themselves
    forms: u32,
    /// the others: what they are in, and the step from there
    steps: Vec<(Place, Step)>,
}

impl Paths {
    /// Those of a transaction of so many forms.
    pub(super) fn new(forms: usize) -> Paths {
        Paths { forms: forms as u32, steps: Vec::new() }
    }

    /// The form of that index.
    pub(super) fn form(index: u32) -> Place {
        Place(index)
    }

    /// A place within `outer`.
    pub(super) fn step(&mut self, outer: Place, step: Step) -> Place {
        self.steps.push((outer, step));
        Place(self.forms + self.steps.len() as u32 - 1)
    }

    /// The index of the form that `place` is in.
    pub(super) fn form_of(&self, place: Place) -> u32 {
        let mut at = place;
        while let Some((outer, _)) = self.outer(at) {
            at = outer;
        }
        at.0
    }

    fn outer(&self, place: Place) -> Option<(Place, &Step)> {
        let at = place.0.checked_sub(self.forms)?;
        self.steps.get(at as usize).map(|(outer, step)| (*outer, step))
    }

    /// Says in `error` where it is, unless it says so already: at `place`, in what is said there of the attribute `a`.
    pub(super) fn placed(&self, db: &Db, error: Error, place: Place, a: Option<AttrId>) -> Error {
        self.placed_as(error, place, a, &|a| attribute_name(db, a))
    }

    /// The same, where attributes are called by `name`.
    pub(super) fn placed_as(
        &self,
        error: Error,
        place: Place,
        a: Option<AttrId>,
        name: &dyn Fn(AttrId) -> String,
    ) -> Error {
        let known = |error: &Error, detail: &str| error.details().iter().any(|(key, _)| *key == detail);
        if known(&error, "form") {
            return error;
        }
        let mut steps: Vec<&Step> = Vec::new();
        let mut at = place;
        while let Some((outer, step)) = self.outer(at) {
            steps.push(step);
            at = outer;
        }
        steps.reverse();
        // The value of a list stands behind its attribute already.
        let list = steps.iter().rev().position(|step| !matches!(step, Step::Index(_))).filter(|at| *at > 0);
        let listed = list.map(|at| steps[steps.len() - 1 - at]);
        let own = a.filter(|a| !matches!(listed, Some(Step::Attribute(of)) if of == a)).map(Step::Attribute);
        let mut path = at.0.to_string();
        let mut function = None;
        for step in steps.into_iter().chain(&own) {
            match step {
                Step::Attribute(a) => path.push_str(&format!(" {}", name(*a))),
                Step::Index(index) => path.push_str(&format!(" {index}")),
                Step::Call(called) => {
                    path.push_str(&format!(" {called}"));
                    function = Some(called);
                }
                Step::Map => {}
            }
        }
        let error = error.with("form", at.0).with("path", format!("[{path}]"));
        match function {
            Some(called) if !known(&error, "function") => error.with("function", called),
            _ => error,
        }
    }
}
