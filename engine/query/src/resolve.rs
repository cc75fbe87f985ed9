//! Constants and inputs against a database: identifiers of entities and attributes, values of an attribute's type.

use annals_db::{Attribute, Db, EntityId, Value};
use annals_edn::Error;

use crate::datum::Datum;

/// The entity that an id, ident or lookup ref names. `None`: nothing is named so.
///
/// # Errors
/// `NOT_A_KEYWORD` for what cannot identify, `INVALID_LOOKUP_REF`, `LOOKUP_REF_ATTR_NOT_UNIQUE`, `NOT_AN_ENTITY` for a
/// lookup ref of an unknown attribute.
pub fn entity(db: &Db, datum: &Datum) -> Result<Option<EntityId>, Error> {
    let _ = (db, datum);
    unimplemented!()
}

/// The attribute that an ident or id names.
///
/// # Errors
/// `NOT_AN_ENTITY` for an unknown one, `NOT_A_KEYWORD` for what cannot name one.
pub fn attribute(db: &Db, datum: &Datum) -> Result<std::sync::Arc<Attribute>, Error> {
    let _ = (db, datum);
    unimplemented!()
}

/// `datum` as a value of `attribute`, to look up or compare with: entity identifiers for references, `8N` for longs.
/// `None`: no value of the attribute can be equal to it.
///
/// # Errors
/// As [`entity`] for references; an unresolvable identifier is `NOT_AN_ENTITY`.
pub fn value(db: &Db, attribute: &Attribute, datum: &Datum) -> Result<Option<Value>, Error> {
    let _ = (db, attribute, datum);
    unimplemented!()
}
