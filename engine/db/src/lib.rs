//! What a database *is*: values, datoms, schema, indexes, segments, the database value, and transactions.
//!
//! What it is not: it knows no socket, clock or source of randomness; instants and ids come in as parameters, segments
//! come through a synchronous port. Called by the query engine, the peer library and the transactors.
//!
//! Reading order: [`id`], [`value`], [`datom`], [`schema`], [`mod@column`], [`order`], then the indexes and the database value.

pub mod bootstrap;
pub mod build;
pub mod column;
pub mod components;
pub mod database;
pub mod datom;
pub mod form;
pub mod id;
pub mod identify;
pub mod lineage;
pub mod log;
mod novelty;
pub mod order;
pub mod range;
mod scan;
pub mod schema;
pub mod segment;
pub mod tx;
pub mod value;

pub use annals_edn::{Code, Error, Keyword, Kind, Symbol};
pub use column::Column;
pub use database::{Db, Filter, Incarnation, Options, Point, Scan, View};
pub use datom::{Datom, DatomRef};
pub use id::{AttrId, EntityId, Partition, T};
pub use lineage::Lineage;
pub use log::{TxBody, TxHead};
pub use order::Index;
pub use range::{Batch, Columns, Key, Probe, Range};
pub use schema::{Attribute, Cardinality, Schema, Unique};
pub use tx::{Call, Context, Fuel, Function, Functions, Limits, NoFunctions, transact};
pub use value::{Value, ValueRef, ValueType};

/// What every read and write of this crate answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
