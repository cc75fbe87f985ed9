//! Novelty: the datoms newer than the index root, as a log-ordered, append-only arena of events.
//!
//! What it is: per generation one arena that all values of the line share, and per index a few sorted runs of positions
//! into it. What it is not: netted, or copied for a snapshot; a value sees the events with `t <= basis`. Called by the
//! database value alone. It owns its memory until the last value of the generation goes. It cannot fail.

pub(crate) mod closings;
pub(crate) mod event;
pub(crate) mod layer;
pub(crate) mod lines;
pub(crate) mod newest;
pub(crate) mod prefix;
pub(crate) mod run;
pub(crate) mod sorted;

pub(crate) use closings::Closings;
pub(crate) use event::{Event, Marks, Seek};
pub(crate) use layer::Layer;
pub(crate) use lines::{AttrLines, Lines, Seen};
pub(crate) use run::Run;
pub(crate) use sorted::Tuning;

/// The arena itself. Positions are `u32`, given in order by whoever holds the layer's tip.
pub(crate) type Events = boxcar::Vec<Event>;
