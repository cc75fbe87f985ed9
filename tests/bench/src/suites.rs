//! The suites that need the engine only: what they load, what they ask, what they write.

mod export;
mod growth;
mod queries;
mod reads;
mod writes;

pub use export::export;
pub use growth::growth;
pub use queries::{debian, mbrainz, people, rules};
pub use reads::reads;
pub use writes::writes;
