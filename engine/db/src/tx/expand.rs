//! The first stage: forms become operations. Maps, nested maps and functions are expanded, attributes, idents and lookup
//! refs resolved; everything is seen from db-before. Tempids stay tempids.

mod call;
mod function;
mod map;
mod place;

use annals_edn::{Code, Edn, Error, Node};

use crate::Result;
use crate::bootstrap::{self, attr};
use crate::database::Db;
use crate::id::{AttrId, EntityId, Partition, T};
use crate::identify::show;
use crate::schema::{Attribute, Schema, TupleKind, Unique};
use crate::tx::Context;
use crate::tx::functions::Caller;
use crate::tx::mint::{self, Mint};
use crate::tx::op::{Ensure, Expanded, Object, Op, Slot, Subject};
use crate::tx::paths::{Paths, Place, Step};
use crate::tx::refusal::{Refusals, attribute_name};
use crate::tx::temp::Affinity;
use crate::value::Value;

/// What a datom costs beside its text, in bytes, for the limit.
const DATOM_BYTES: usize = 16;

/// Expands `tx_data`; attributes that it is the first to use go to `made`.
///
/// # Errors
/// The worst refusal of all forms, see [`Refusals`].
pub(super) fn expand(
    db: &Db,
    tx_data: &Edn,
    context: &Context<'_>,
    made: &mint::Attributes,
    caller: &Caller<'_>,
) -> Result<Expanded> {
    let mut expander = Expander {
        db,
        schema: db.schema(),
        mint: Mint::new(db, made),
        context,
        caller,
        t: T(db.basis().0 + 1),
        out: Expanded::default(),
        here: Here { place: Paths::form(0), attribute: None },
        bytes: 0,
        nesting: 0,
    };
    let mut refusals = Refusals::default();
    let forms = forms_of(tx_data)?;
    expander.out.ops.reserve(forms.len());
    expander.out.paths = Paths::new(forms.len());
    for (index, form) in forms.iter().enumerate() {
        expander.here = Here { place: Paths::form(index as u32), attribute: None };
        if let Err(error) = expander.form(form) {
            refusals.note(expander.placed(error, form))?;
            expander.nesting = 0;
        }
    }
    refusals.finish()?;
    Ok(expander.out)
}

/// tx-data is a list or a vector; nil is the empty one.
fn forms_of(tx_data: &Edn) -> Result<&[Edn]> {
    match &tx_data.node {
        Node::Nil => Ok(&[]),
        Node::List(forms) | Node::Vector(forms) => Ok(forms),
        _ => {
            let message = format!("tx-data is a vector of forms, not {}", show(tx_data));
            Err(Error::new(Code::NotTransactionData, message).at(tx_data.span))
        }
    }
}

/// What is at hand.
#[derive(Clone, Copy)]
struct Here {
    place: Place,
    /// of which attribute, in that place
    attribute: Option<AttrId>,
}

/// Expands the forms of one transaction.
struct Expander<'a> {
    db: &'a Db,
    schema: &'a Schema,
    mint: Mint<'a>,
    context: &'a Context<'a>,
    caller: &'a Caller<'a>,
    /// the number of the transaction
    t: T,
    out: Expanded,
    here: Here,
    /// size so far, for the limit
    bytes: usize,
    /// maps and calls around what is at hand
    nesting: usize,
}

impl<'a> Expander<'a> {
    fn form(&mut self, form: &Edn) -> Result<()> {
        match &form.node {
            Node::Vector(parts) | Node::List(parts) => self.list(form, parts),
            Node::Map(entries) => self.map(entries).map(drop),
            _ => Err(not_a_form(form)),
        }
    }

    /// Says where in the tx-data an error is.
    fn placed(&self, error: Error, form: &Edn) -> Error {
        let Here { place, attribute } = self.here;
        let name = |a: AttrId| match self.mint.made(a) {
            Some(attribute) => attribute.ident.to_string(),
            None => attribute_name(self.db, a),
        };
        self.out.paths.placed_as(error.at(form.span), place, attribute, &name)
    }

    /// Turns to what is said of an attribute here; answers what [`Expander::back`] takes.
    fn about(&mut self, a: AttrId) -> Here {
        let outer = self.here;
        self.here.attribute = Some(a);
        outer
    }

    /// Goes into what is at hand; answers what [`Expander::back`] takes.
    fn enter(&mut self, step: Step) -> Here {
        let outer = self.here;
        let place = match outer.attribute {
            Some(a) => self.out.paths.step(outer.place, Step::Attribute(a)),
            None => outer.place,
        };
        self.here = Here { place: self.out.paths.step(place, step), attribute: None };
        outer
    }

    /// Comes back from where [`Expander::about`] or [`Expander::enter`] went. After an error nobody does: it is told from
    /// where it happened.
    fn back(&mut self, outer: Here) {
        self.here = outer;
    }

    fn list(&mut self, form: &Edn, parts: &[Edn]) -> Result<()> {
        let Some((operation, rest)) = parts.split_first() else { return Err(not_a_form(form)) };
        match &operation.node {
            Node::Keyword(ident) => match ident.as_str() {
                "db/add" => self.assertion(form, rest, true),
                "db/retract" => self.assertion(form, rest, false),
                _ => self.call(form, operation, rest),
            },
            _ => self.call(form, operation, rest),
        }
    }

    /// `[:db/add e a v]`, `[:db/retract e a v]`, `[:db/retract e a]`.
    fn assertion(&mut self, form: &Edn, parts: &[Edn], added: bool) -> Result<()> {
        match parts {
            [e, a, v] => {
                let attribute = self.attribute(a)?;
                let outer = self.about(attribute.id);
                let subject = self.entity(e)?;
                let object = self.object(attribute, v)?;
                self.push(subject, attribute, object, added)?;
                self.back(outer);
                Ok(())
            }
            [e, a] if !added => self.retract_all(e, a),
            _ => {
                let shape =
                    if added { "[:db/add e a v]" } else { "[:db/retract e a v] or [:db/retract e a]" };
                let message = format!("an operation has the shape {shape}, not {}", show(form));
                Err(Error::new(Code::NotTransactionData, message).at(form.span))
            }
        }
    }

    /// Adds one operation, counting it against the limits.
    fn push(&mut self, e: Subject, attribute: &Attribute, v: Object, added: bool) -> Result<()> {
        if attribute.id.0 < bootstrap::FIRST_ELEMENT && !self.built_in(e, attribute.id, &v, added)? {
            return Ok(());
        }
        if let Subject::Temp(temp) = e {
            self.out.temps.mark_subject(temp);
        }
        self.bytes += DATOM_BYTES + object_bytes(&v);
        self.out.ops.push(Op {
            e,
            a: attribute.id,
            v,
            added,
            identity: attribute.unique == Some(Unique::Identity),
            composite: matches!(attribute.tuple, Some(TupleKind::Composite(_))),
            place: self.here.place,
        });
        self.context.limits.check_size(self.out.ops.len(), self.bytes)
    }

    /// What built-in attributes mean beyond being facts; false when the operation leaves none.
    fn built_in(&mut self, e: Subject, a: AttrId, v: &Object, added: bool) -> Result<bool> {
        match a {
            attr::TX_ID => Err(Error::new(
                Code::TransactionIdInvalid,
                "the transaction id is chosen by the client with the request, not in tx-data",
            )),
            attr::EXCISE => Err(Error::new(Code::Unsupported, "excision is not offered yet")),
            attr::ENSURE => self.ensure(e, v, added).map(|()| false),
            attr::FN if added => self.check_function(v).map(|()| true),
            attr::INSTALL_ATTRIBUTE | attr::INSTALL_PARTITION if added => {
                if let Object::Temp(temp) = v {
                    self.out.temps.wish(*temp, Affinity::Schema);
                }
                Ok(true)
            }
            _ => {
                let property = a != attr::IDENT && a <= bootstrap::LAST_PROPERTY && added;
                if let (true, Subject::Temp(temp)) = (property, e) {
                    self.out.temps.wish(temp, Affinity::Schema);
                }
                Ok(true)
            }
        }
    }

    /// `:db/ensure` is a request, not a fact.
    fn ensure(&mut self, subject: Subject, v: &Object, added: bool) -> Result<()> {
        if let Subject::Temp(temp) = subject {
            self.out.temps.mark_subject(temp);
        }
        if let (true, Object::Value(Value::Ref(spec))) = (added, v) {
            self.out.ensures.push(Ensure { subject, spec: *spec, place: self.here.place });
        }
        Ok(())
    }

    /// Enters a map or a call.
    fn deeper(&mut self) -> Result<()> {
        self.nesting += 1;
        self.context.limits.check_nesting(self.nesting)
    }

    fn own_entity(&self) -> EntityId {
        EntityId::of_tx(self.t)
    }

    /// An id that a user gives is legal in partition 0, and elsewhere where it was handed out.
    fn check_explicit(&self, e: EntityId) -> Result<()> {
        let handed_out = match e.partition() {
            Partition::EXPLICIT => true,
            Partition::TX => e.counter() <= self.t.0,
            Partition::DB => e.counter() < u64::from(self.schema.next_element()),
            _ => e.counter() < self.db.next_counter(),
        };
        if handed_out {
            return Ok(());
        }
        let message = format!("{e} is no entity id of this database");
        Err(Error::new(Code::InvalidEntityId, message)
            .with("entity", e)
            .hint("use a tempid (a string) for a new entity, or an id below 2^42 of your own"))
    }
}

fn object_bytes(object: &Object) -> usize {
    match object {
        Object::Value(value) => value_bytes(value),
        Object::Temp(_) => 8,
        Object::Tuple(slots) => slots.iter().map(slot_bytes).sum(),
    }
}

fn slot_bytes(slot: &Slot) -> usize {
    match slot {
        Slot::Value(Some(value)) => value_bytes(value),
        _ => 8,
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) | Value::Uri(text) => text.len(),
        Value::Keyword(keyword) => keyword.as_str().len(),
        Value::Symbol(symbol) => symbol.as_str().len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::BigInt(n) => (n.bits() / 8) as usize + 1,
        Value::BigDec(x) => (x.digits() / 2) as usize + 9,
        Value::Tuple(slots) => slots.iter().flatten().map(value_bytes).sum(),
        _ => 8,
    }
}

fn not_a_form(form: &Edn) -> Error {
    let message = format!("{} is neither an operation nor an entity map", show(form));
    Error::new(Code::NotTransactionData, message)
        .at(form.span)
        .hint("tx-data holds forms like [:db/add e a v] and {:attribute value}")
}
