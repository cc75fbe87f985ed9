//! Transactions: tx-data and a database value in, a decided transaction or a refusal out. Pure.

use std::sync::Arc;

use annals_edn::Edn;

use crate::Result;
use crate::database::Db;
use crate::log::TxBody;

/// What a transaction is evaluated with, beside the database value.
pub struct Context<'a> {
    /// the clock, milliseconds since 1970; never used below the last `:db/txInstant`
    pub now: i64,
    /// the most a transaction may be
    pub limits: Limits,
    /// what stored functions run on
    pub functions: &'a dyn Functions,
    /// the transaction id that the client chose
    pub client_id: Option<u128>,
    /// 64-bit hash of the request bytes
    pub request_hash: u64,
}

/// The most a transaction may be, on the expanded form.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// datoms
    pub datoms: usize,
    /// encoded bytes
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { datoms: 200_000, bytes: 4 << 20 }
    }
}

/// Stored functions, which the query engine evaluates.
pub trait Functions: Sync {
    /// Calls the transaction function `ident` with `args`; it sees only `db` and answers tx-data.
    ///
    /// # Errors
    /// Whatever the function refuses with.
    fn call(&self, db: &Db, ident: &annals_edn::Keyword, args: &[Edn]) -> Result<Edn>;
}

/// A database without stored functions.
pub struct NoFunctions;

impl Functions for NoFunctions {
    fn call(&self, _db: &Db, ident: &annals_edn::Keyword, _args: &[Edn]) -> Result<Edn> {
        Err(annals_edn::Error::new(
            annals_edn::Code::NotADataFunction,
            format!("{ident} is no transaction function"),
        ))
    }
}

/// Decides `tx_data` against `db`. The result continues `db`: apply it to get the database after.
///
/// # Errors
/// The refusal, with code, the index and path of the form, attribute and value.
pub fn transact(_db: &Db, _tx_data: &Edn, _context: &Context<'_>) -> Result<Arc<TxBody>> {
    unimplemented!()
}
