//! The shortest way through every read.

use std::sync::Arc;

use crate::bootstrap::{self, attr};
use crate::{
    AttrId, Batch, Columns, Datom, Db, EntityId, Incarnation, Keyword, Options, Point, Range, T, TxBody,
    Value, ValueType,
};

const NAME: AttrId = AttrId(1001);
const FRIEND: AttrId = AttrId(1002);

fn body(db: &Db, facts: &[(EntityId, AttrId, Value, bool)]) -> Arc<TxBody> {
    let t = T(db.basis().0 + 1);
    let datom = |(e, a, v, added): &(EntityId, AttrId, Value, bool)| Datom {
        e: *e,
        a: *a,
        v: v.clone(),
        t,
        added: *added,
    };
    Arc::new(TxBody {
        t,
        instant: 1000 + t.0 as i64 * 10,
        client_id: Some(u128::from(t.0) << 8),
        request_hash: 0,
        next_counter: db.next_counter(),
        tempids: vec![],
        datoms: facts.iter().map(datom).collect(),
    })
}

fn declared() -> Db {
    let db = Db::empty(Incarnation(1), Options::default());
    let mut facts = Vec::new();
    for (a, ident, ty) in [(NAME, "name", ValueType::String), (FRIEND, "friend", ValueType::Ref)] {
        facts.push((a.entity(), attr::IDENT, Value::Keyword(Keyword::new(ident)), true));
        facts.push((a.entity(), attr::VALUE_TYPE, Value::Ref(bootstrap::type_entity(ty)), true));
        facts.push((a.entity(), attr::CARDINALITY, Value::Ref(bootstrap::CARDINALITY_ONE), true));
    }
    facts.push((NAME.entity(), attr::UNIQUE, Value::Ref(bootstrap::UNIQUE_IDENTITY), true));
    db.apply(&body(&db, &facts)).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn rows(db: &Db, range: &Range) -> Vec<Datom> {
    let (mut batch, mut rows) = (Batch::new(None), Vec::new());
    let mut scan = db.scan(range, Columns::ALL);
    while scan.next(&mut batch).unwrap() {
        for i in 0..batch.rows {
            let (e, a) = (EntityId(batch.e[i]), AttrId(batch.a[i]));
            rows.push(Datom { e, a, v: batch.v.get(i).to_value(), t: T(batch.t[i]), added: batch.added[i] });
        }
    }
    rows
}

#[test]
fn every_read_sees_what_was_applied() {
    let (x, y) = (EntityId(1), EntityId(2));
    let one = declared();
    let two = one.apply(&body(&one, &[(x, NAME, text("x"), true), (y, NAME, text("y"), true)])).unwrap();
    let three = two
        .apply(&body(
            &two,
            &[(x, NAME, text("x"), false), (x, NAME, text("z"), true), (y, FRIEND, Value::Ref(x), true)],
        ))
        .unwrap();
    assert_eq!(rows(&three, &Range::attr(NAME)).len(), 2);
    assert_eq!(three.values(x, NAME).unwrap().to_vec(), [(text("z"), T(3))]);
    assert_eq!(three.holds(x, NAME, &text("x").as_ref()).unwrap(), None);
    assert_eq!(three.lookup(NAME, &text("z").as_ref()).unwrap(), Some(x));
    assert_eq!(three.as_of(T(2)).lookup(NAME, &text("x").as_ref()).unwrap(), Some(x));
    assert_eq!(three.since(T(2)).lookup(NAME, &text("y").as_ref()).unwrap(), None);
    assert_eq!(three.referrers(x).unwrap(), [(FRIEND, y, T(3))]);
    assert_eq!(rows(&three.history(), &Range::entity_attr(x, NAME)).len(), 3);
    assert_eq!(rows(&three, &Range::attr(attr::TX_INSTANT)).len(), 3);
    assert_eq!(three.count(&Range::attr(NAME)).unwrap(), 2);
    assert_eq!(three.transaction_by_client_id(3 << 8).unwrap().unwrap().t, T(3));
    assert_eq!(three.log(T(2), T(9), 9).unwrap().len(), 2);
    assert_eq!(three.point(Point::Instant(1025)).unwrap(), T(2));
    assert_eq!(rows(&three.at(T(2)).unwrap(), &Range::entity(x)), rows(&two, &Range::entity(x)));
    assert_eq!(three.probe_entities(NAME, &[1, 2, 3], true).unwrap().input, [0, 1]);
}
