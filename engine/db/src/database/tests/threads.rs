//! One writer, several readers, one arena: every value keeps answering for its own basis.

use std::sync::{Arc, Mutex};

use super::check::rows;
use crate::novelty::Tuning;
use crate::{AttrId, Datom, Db, EntityId, Incarnation, Index, Options, Range, T, TxBody, Value};

const COUNTED: AttrId = AttrId(1000);
const TRANSACTIONS: u64 = 1500;

fn body(db: &Db) -> Arc<TxBody> {
    let t = T(db.basis().0 + 1);
    let e = EntityId(t.0 * 7919 % 997);
    Arc::new(TxBody {
        t,
        instant: 1000,
        client_id: None,
        request_hash: 0,
        next_counter: db.next_counter(),
        tempids: vec![],
        datoms: vec![Datom { e, a: COUNTED, v: Value::Long(t.0 as i64), t, added: true }],
    })
}

#[test]
fn readers_see_their_basis_while_the_line_goes_on() {
    let tuning = Tuning { tail: 16, ratio: 2 };
    let newest = Mutex::new(Db::empty_tuned(Incarnation(1), Options::default(), tuning));
    let read = || {
        let mut seen = 0;
        while seen < TRANSACTIONS {
            let db = newest.lock().unwrap().clone();
            seen = db.basis().0;
            let counted = rows(&db, &Range::attr(COUNTED));
            assert_eq!(counted.len() as u64, seen);
            assert!(counted.iter().all(|datom| datom.t.0 <= seen));
            let all = rows(&db, &Range::all(Index::Eavt)).len() as u64;
            let bootstrap = rows(&db.as_of(T(0)), &Range::all(Index::Eavt)).len() as u64;
            assert_eq!(all, bootstrap + 2 * seen);
        }
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(read)).collect();
        for _ in 0..TRANSACTIONS {
            let db = newest.lock().unwrap().clone();
            let next = db.apply(&body(&db)).unwrap();
            *newest.lock().unwrap() = next;
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let db = newest.into_inner().unwrap();
    assert_eq!(db.log(T(1), T(u64::MAX), usize::MAX).unwrap().len() as u64, TRANSACTIONS);
}

#[test]
fn of_two_that_apply_to_one_value_the_second_branches() {
    let db = Db::empty(Incarnation(1), Options::default());
    let body = body(&db);
    let (one, two) = (db.apply(&body).unwrap(), db.apply(&body).unwrap());
    let fork = db.fork().apply(&body).unwrap();
    for other in [&two, &fork] {
        assert_eq!(rows(&one, &Range::all(Index::Eavt)), rows(other, &Range::all(Index::Eavt)));
        assert!(!Arc::ptr_eq(&one.layers().last().unwrap().layer, &other.layers().last().unwrap().layer));
    }
    assert!(rows(&db, &Range::attr(COUNTED)).is_empty());
}
