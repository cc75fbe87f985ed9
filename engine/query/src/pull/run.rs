//! Pulling, level by level: all entities of a level at once, then those they refer to. No recursion on the stack, so
//! depth is a matter of limits only.
//!
//! Down: [`read`] fills the levels, one pass over the index an attribute. Up: [`assemble`] makes maps, those of the
//! last levels first.

mod assemble;
mod read;

use std::sync::atomic::{AtomicBool, Ordering};

use annals_db::{Column, Db, EntityId, Value};
use annals_edn::{Code, Edn, Error};

use super::layout::Layout;
use super::pattern::Pattern;
use crate::datum::Datum;
use crate::resolve;

/// The most entities that one pull may visit, an entity on several paths of a recursion counted once a path.
pub const MAX_NODES: usize = 4_000_000;

/// The deepest that recursion and components may lead.
pub const MAX_DEPTH: u32 = 1_000;

/// A pattern ready to be pulled from one database, any number of times.
pub struct Pull<'a> {
    db: &'a Db,
    layout: Layout,
    cancel: &'a AtomicBool,
}

static NEVER: AtomicBool = AtomicBool::new(false);

/// Entities that are identified between two looks at the cancel flag.
const IDENTIFIED: usize = 1024;

/// An entity to show at some level.
#[derive(Clone, Copy)]
struct Node {
    entity: u64,
    /// where it stands on its path, [`NONE`] where that does not matter
    path: u32,
    /// it stands on its path twice: of what recurs only ids are shown
    seen: bool,
}

/// A step of a path, linked upwards.
struct Step {
    entity: u64,
    parent: u32,
    depth: u32,
    /// of each recursive slot of the level, how often it may still be followed
    left: Box<[u64]>,
}

const NONE: u32 = u32::MAX;

/// Entities of one level of the layout, with what was read of them.
struct Visit {
    level: usize,
    nodes: Vec<Node>,
    /// one a slot of the level; of a wildcard level more, one an attribute found
    read: Vec<Read>,
}

/// What was read of one attribute.
struct Read {
    slot: SlotRef,
    /// values, or what refers to the node
    values: Column,
    /// of each node, its values: first and number
    spans: Vec<(u32, u32)>,
    /// of each value, in the order of the nodes, what is shown
    shown: Shown,
}

/// A slot of the level, or an attribute that a wildcard found.
enum SlotRef {
    Slot(usize),
    Found(Box<super::layout::Slot>),
}

/// How the values of an attribute are shown.
enum Shown {
    /// as values
    Value,
    /// as `{:db/id n}`
    Id,
    /// by the nodes of a later visit: one a value, in order; `[SKIP]` for none, `[ID]` for an id alone
    Visit { visit: usize, nodes: Vec<u32>, starts: Vec<u32> },
}

const SKIP: u32 = u32::MAX;
const ID: u32 = u32::MAX - 1;

/// A pull on its way.
struct Run<'p, 'a> {
    pull: &'p Pull<'a>,
    layout: &'p mut Layout,
    visits: Vec<Visit>,
    steps: Vec<Step>,
    nodes: usize,
}

impl<'a> Pull<'a> {
    /// Lays `pattern` out for `db`.
    ///
    /// # Errors
    /// `INVALID_VIEW` for a history.
    pub fn new(db: &'a Db, pattern: &Pattern) -> Result<Pull<'a>, Error> {
        if db.view().history {
            return Err(Error::new(Code::InvalidView, "a history has no entities to pull")
                .hint("pull from the database or from an as-of view"));
        }
        Ok(Pull { db, layout: Layout::new(pattern, db.schema()), cancel: &NEVER })
    }

    /// The same, stopped with `CANCELLED` soon after `cancel` is set.
    #[must_use]
    pub fn cancelled_by(self, cancel: &'a AtomicBool) -> Pull<'a> {
        Pull { cancel, ..self }
    }

    /// Checks the cancel flag.
    fn check(&self) -> Result<(), Error> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(Error::new(Code::Cancelled, "the pull was cancelled")),
            false => Ok(()),
        }
    }

    /// One form an entity, in the order given: a map, or nil where nothing was found or asked.
    ///
    /// # Errors
    /// `PULL_TOO_DEEP`, `INVALID_ATTR_SPEC` for a sub-pattern on values that are no references, `CANCELLED`, those of
    /// the store.
    pub fn run(&mut self, entities: &[u64]) -> Result<Vec<Edn>, Error> {
        let mut unique = entities.to_vec();
        let ascending = unique.is_sorted_by(|x, y| x < y);
        if !ascending {
            unique.sort_unstable();
            unique.dedup();
        }
        let mut layout = std::mem::replace(&mut self.layout, Layout { levels: Vec::new() });
        let mut run =
            Run { pull: self, layout: &mut layout, visits: Vec::new(), steps: Vec::new(), nodes: 0 };
        let shown = run.read(&unique).and_then(|()| run.assemble());
        self.layout = layout;
        let mut shown = shown?;
        if ascending {
            return Ok(shown.into_iter().map(|form| form.unwrap_or_else(Edn::nil)).collect());
        }
        let at = |e: &u64| unique.binary_search(e).expect("every entity was visited");
        let mut times = vec![0u32; unique.len()];
        entities.iter().for_each(|e| times[at(e)] += 1);
        let take = |e: &u64| {
            let at = at(e);
            times[at] -= 1;
            let form = if times[at] == 0 { shown[at].take() } else { shown[at].clone() };
            form.unwrap_or_else(Edn::nil)
        };
        Ok(entities.iter().map(take).collect())
    }
}

/// Pulls `pattern` for one entity, given by id, ident or lookup ref. Nil where nothing is identified.
///
/// # Errors
/// Of the identifier, and of [`Pull`].
pub fn pull(db: &Db, pattern: &Pattern, entity: &Edn) -> Result<Edn, Error> {
    let forms = pull_many(db, pattern, std::slice::from_ref(entity))?;
    Ok(forms.into_iter().next().unwrap_or_else(Edn::nil))
}

/// Pulls `pattern` for each of `entities`, in one go.
///
/// # Errors
/// As [`pull`].
pub fn pull_many(db: &Db, pattern: &Pattern, entities: &[Edn]) -> Result<Vec<Edn>, Error> {
    pull_many_until(db, pattern, entities, &NEVER)
}

/// As [`pull_many`], stopped soon after `cancel` is set.
///
/// # Errors
/// As [`pull`], and `CANCELLED`.
pub fn pull_many_until(
    db: &Db,
    pattern: &Pattern,
    entities: &[Edn],
    cancel: &AtomicBool,
) -> Result<Vec<Edn>, Error> {
    let mut pull = Pull::new(db, pattern)?.cancelled_by(cancel);
    let mut ids: Vec<Option<EntityId>> = Vec::with_capacity(entities.len());
    for form in entities {
        if ids.len().is_multiple_of(IDENTIFIED) {
            pull.check()?;
        }
        ids.push(identify(db, form).map_err(|error| error.at(form.span))?);
    }
    let known: Vec<u64> = ids.iter().flatten().map(|e| e.0).collect();
    let mut forms = pull.run(&known)?.into_iter();
    let form = |id: &Option<EntityId>| match id {
        Some(_) => forms.next().unwrap_or_else(Edn::nil),
        None => Edn::nil(),
    };
    Ok(ids.iter().map(form).collect())
}

/// The entity that a form identifies; numbers that are no ids and nil identify none.
pub(crate) fn identify(db: &Db, form: &Edn) -> Result<Option<EntityId>, Error> {
    match Datum::from_edn(form)? {
        Datum::Nil | Datum::Value(Value::Double(_) | Value::BigDec(_) | Value::Float(_)) => Ok(None),
        datum => resolve::entity(db, &datum),
    }
}
