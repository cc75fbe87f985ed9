//! What `annals import` does, apart from the command line: how a file becomes transactions, and how they are sent.
//!
//! The result equals one transaction a line, in order. Lines travel in batches whose ids follow from the file's digest
//! and the range of lines, so that a second run applies nothing twice:
//! a batch is one transaction under the batch's id; where that could differ from line by line (see [`plan`]), or where
//! the batch is refused, its lines go one by one, each under its own id. Whoever resumes asks first for the id of a
//! batch's first line: if that is committed, the batch was being sent line by line, and goes on so.
//!
//! Files are read on a thread of their own, some batches ahead ([`prepare`]); batches and lines travel in one stream of
//! transactions, in which nothing behind a refused one is applied ([`send`]).

pub mod file;
pub mod plan;
pub mod prepare;
pub mod send;
