//! The conformance runner: cases in the format of the oracle, run against any [`System`], compared with what they expect.
//!
//! What it is not: it holds no rule of the database; it substitutes names, asks, names ids in answers, and compares.
//! Called by the integration tests of this crate, which point it at the case files under tests/conformance.
//!
//! A *system* makes empty databases and answers in EDN, so that the same cases run against the engine in process (from
//! novelty, and from an index written after every transaction), an embedded peer and the thin client over the wire. A case
//! that does not pass stands in pending.edn with what it waits for; one that passes must not.
//!
//! Layout: [`case`] the files, [`data`] what loaded databases hold, [`system`] what is asked, [`engine`], [`embedded`] and [`remote`] who answers, [`differences`] where Annals knowingly answers otherwise, [`names`] ids to names and back, [`columns`] which columns of a
//! query are entities, [`shape`] answers made comparable, [`runner`] one case, [`suite`] all files with [`pending`].

pub mod case;
pub mod columns;
pub mod data;
pub mod differences;
pub mod embedded;
pub mod engine;
pub mod names;
pub mod pending;
pub mod remote;
pub mod runner;
pub mod shape;
pub mod suite;
pub mod system;

pub use case::Case;
pub use differences::Differences;
pub use pending::Pending;
pub use runner::{Outcome, run_case};
pub use suite::{Selection, Tally, run_files};
pub use system::{Attribute, Committed, Database, Datom, Point, Source, System, View};
