//! Transactions: tx-data and a database value in, a decided transaction or a refusal out. Pure.
//!
//! What it is: the rules of semantics for writing, as stages with a type each. What it is not: it appends nothing, keeps
//! nothing and knows no clock; [`transact`] is called by the writer and by speculation. Fails with a refusal, or with
//! what the store says when a read fails. Stops by itself: limits bound the expansion, everything later is linear in it.

mod ensure;
mod expand;
mod functions;
mod install;
mod limits;
mod mint;
mod op;
mod paths;
mod places;
mod predicates;
mod refusal;
mod resolve;
mod settle;
mod temp;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use annals_edn::{Code, Edn, Error};

use crate::Result;
use crate::database::{Db, View};
use crate::id::T;
use crate::log::TxBody;
pub use functions::{Call, Fuel, Function, Functions, NoFunctions};
pub use limits::Limits;

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

/// Decides `tx_data` against `db`. The result continues `db`: apply it to get the database after.
///
/// The stages, each with its own type: forms -> operations ([`expand`]) -> facts about entities ([`resolve`]), values
/// checked ([`predicates`]) -> datoms that change something ([`settle`]), and those of new attributes ([`mint`]) ->
/// checked against schema ([`install`]) and entity specs ([`ensure`]). Every stage but the last sees db-before only;
/// O(datoms · log). Any order of the forms gives the same datoms or the same code of refusal.
///
/// # Errors
/// The refusal, with code, the index and path of the form, attribute and value.
pub fn transact(db: &Db, tx_data: &Edn, context: &Context<'_>) -> Result<Arc<TxBody>> {
    if db.view() != View::default() || db.is_filtered() {
        return Err(Error::new(Code::InvalidView, "a transaction needs the present, not a view of the past"));
    }
    let made = mint::Attributes::new();
    let caller = functions::Caller::new(context.functions, context.limits.fuel);
    let expanded = expand::expand(db, tx_data, context, &made, &caller)?;
    let extended = (!made.is_empty()).then(|| db.with_attributes(&made));
    let seen = extended.as_ref().unwrap_or(db);
    let resolved = resolve::resolve(seen, expanded, context)?;
    predicates::check(db, &resolved.facts, &resolved.paths, &caller)?;
    let (mut datoms, places) = settle::settle(seen, resolved.facts, resolved.paths, &resolved.new_keys)?;
    predicates::check_composites(db, &datoms, &places, &caller)?;
    mint::install(db, &made, &mut datoms)?;
    let mut body = TxBody {
        t: T(db.basis().0 + 1),
        instant: resolved.instant,
        client_id: context.client_id,
        request_hash: context.request_hash,
        next_counter: resolved.next_counter,
        tempids: resolved.tempids,
        datoms,
    };
    install::install(db, &mut body, &places)?;
    let body = Arc::new(body);
    ensure::ensure(db, seen.schema(), &body, (&resolved.ensures, &places), &caller)?;
    Ok(body)
}
