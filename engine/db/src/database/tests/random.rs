//! Random walks: schemas, alterations, transactions and branches, from a seed.

use std::sync::Arc;

use annals_edn::Keyword;
use bigdecimal::BigDecimal;

use super::model::Model;
use super::{check, naive_build};
use crate::bootstrap::{self, attr};
use crate::build::writer::Limits;
use crate::build::{SegmentSink, build_within};
use crate::novelty::Tuning;
use crate::segment::{Base, Build, Hash, MemoryPort};
use crate::{
    AttrId, Code, Datom, Db, EntityId, Incarnation, Index, Key, Lineage, Options, Partition, Range, T,
    TxBody, Value, ValueType, View,
};

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, X>(&mut self, from: &'a [X]) -> &'a X {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Puts an index job's segments where they are read from.
struct PortSink<'a>(&'a MemoryPort);

impl SegmentSink for PortSink<'_> {
    fn put(&mut self, hash: Hash, stored: &[u8]) -> crate::Result<()> {
        self.0.put(hash, stored);
        Ok(())
    }
}

/// The types of the walk's attributes, by number from [`FIRST`]; the values of the last have each their own.
const TYPES: [Option<ValueType>; 11] = [
    Some(ValueType::Long),
    Some(ValueType::String),
    Some(ValueType::Ref),
    Some(ValueType::Double),
    Some(ValueType::Keyword),
    Some(ValueType::Uuid),
    Some(ValueType::BigDec),
    Some(ValueType::Tuple),
    Some(ValueType::Instant),
    Some(ValueType::Ref),
    None,
];
const FIRST: u32 = 1000;

pub(super) fn attrs() -> impl Iterator<Item = AttrId> {
    (FIRST..FIRST + TYPES.len() as u32).map(AttrId)
}

pub(super) fn entity(random: &mut Random) -> EntityId {
    match random.below(8) {
        0 => EntityId::of_tx(T(random.below(12) + 1)),
        1 => EntityId(random.below(4)),
        2 => AttrId(FIRST + random.below(3) as u32).entity(),
        _ => EntityId::new(Partition::USER, 1000 + random.below(12)),
    }
}

pub(super) fn value(random: &mut Random, ty: Option<ValueType>) -> Value {
    let Some(ty) = ty else {
        let other = random.below(TYPES.len() as u64 - 1) as usize;
        return value(random, TYPES[other]);
    };
    let n = random.below(7) as i64 - 3;
    match ty {
        ValueType::Long => Value::Long(if random.one_in(9) { i64::MIN + n.abs() } else { n * 40 }),
        ValueType::String => {
            Value::String(["", "a", "ab", "abcdefghij", "abcdefghik", "ü", "z"][(n + 3) as usize].into())
        }
        ValueType::Ref => Value::Ref(entity(random)),
        ValueType::Double => {
            Value::Double([-1e300, -0.0, 0.0, 0.5, f64::INFINITY, f64::NAN, 2.0][(n + 3) as usize])
        }
        ValueType::Keyword => {
            Value::Keyword(Keyword::new(["a", "a/b", "a-b/c", "z", "a/c", "b/a", "aa/a"][(n + 3) as usize]))
        }
        ValueType::Uuid => Value::Uuid((n.unsigned_abs() as u128) << 100 | n as u128 & 3),
        ValueType::BigDec => {
            Value::BigDec(Arc::new(BigDecimal::new((n * 10).into(), 1 + random.below(2) as i64)))
        }
        ValueType::Tuple => {
            Value::Tuple([(n != 0).then_some(Value::Long(n)), Some(Value::Long(n / 2))].into())
        }
        _ => Value::Instant(n * 1000),
    }
}

/// A line being written, and every value of it and its branches that is to be looked at.
pub(super) struct Walk {
    pub(super) random: Random,
    seed: u64,
    pub(super) held: Vec<(Db, Model)>,
    /// where index jobs put their segments
    port: Arc<MemoryPort>,
}

impl Walk {
    pub(super) fn new(seed: u64, options: Options) -> Walk {
        let mut random = Random::new(seed);
        let tuning = Tuning { tail: 1 + random.below(12) as usize, ratio: 2 + random.below(3) as usize };
        let db = Db::empty_tuned(Incarnation(seed.into()), options, tuning);
        let mut walk = Walk { random, seed, held: vec![(db, Model::empty(options))], port: Arc::default() };
        let facts = walk.declarations();
        walk.apply(0, facts);
        walk
    }

    /// Transactions on the newest value, sometimes on an older one, with reads between.
    pub(super) fn run(&mut self, steps: usize) {
        let mut newest = self.held.len() - 1;
        for _ in 0..steps {
            let branch = self.random.one_in(8);
            let on = if branch { self.random.below(self.held.len() as u64) as usize } else { newest };
            if branch && self.random.one_in(2) {
                let (db, model) = &self.held[on];
                self.held.push((db.fork(), model.clone()));
                continue;
            }
            if self.random.one_in(9) && self.index(on) {
                if on == newest {
                    newest = self.held.len() - 1;
                }
                continue;
            }
            let facts = if self.random.one_in(10) { self.alteration(on) } else { self.facts(on) };
            self.apply(on, facts);
            if on == newest {
                newest = self.held.len() - 1;
            }
            if self.random.one_in(3) {
                let looked = self.random.below(self.held.len() as u64) as usize;
                self.check(looked, 1);
            }
        }
    }

    /// Moves a value to a root at a random t, and opens that root on its own, or brings its layers
    /// together; false when no root can carry it.
    fn index(&mut self, on: usize) -> bool {
        let (db, model) = self.held[on].clone();
        if self.random.one_in(4) {
            self.held.push((db.flattened(), model));
            return true;
        }
        let first = db.base_t().0.max(1);
        if model.basis().0 < first {
            return false;
        }
        let t = T(first + self.random.below(model.basis().0 + 1 - first));
        let base = match self.random.one_in(2) && db.base().is_none_or(|base| base.levels.len() == 1) {
            true => self.built(&db.at(t).unwrap()),
            false => naive_build::build(&model.at(t), db.incarnation(), &mut self.random, &self.port),
        };
        self.held.push((Db::open(base.clone()), model.at(t)));
        self.held.push((db.adopt(base).unwrap(), model));
        true
    }

    /// By a real index job upon the value's root.
    fn built(&mut self, db: &Db) -> Base {
        let build = Build { incarnation: db.incarnation(), raft_index: self.random.below(1 << 40) };
        // Small nodes, so that few rows meet every way of splitting, joining and keeping them.
        let rows = 1 + self.random.below(8) as usize;
        let limits = Limits { rows, weight: 32 * rows, children: 4 + self.random.below(5) as usize };
        let mut sink = PortSink(&self.port);
        let root = build_within(limits, db, build, Lineage::default(), &mut sink).unwrap();
        let base = Base::open(root, self.port.clone()).unwrap();
        crate::build::tests::check(&base, Limits::FORMAT);
        base
    }

    pub(super) fn check_all(&mut self, views: usize) {
        for i in 0..self.held.len() {
            if self.random.one_in(4) || i + 1 == self.held.len() {
                self.check(i, views);
            }
        }
    }

    fn check(&mut self, i: usize, views: usize) {
        let (db, model) = self.held[i].clone();
        let context = format!("seed {} value {i} basis {}", self.seed, model.basis().0);
        check::everything(&db, &model, View::default(), &mut self.random, &context);
        for _ in 0..views {
            let t = T(self.random.below(model.basis().0 + 1));
            let (db, model) = match self.random.one_in(2) {
                true => match db.at(t) {
                    Ok(at) => (at, model.at(t)),
                    Err(error) => {
                        let exact_from = db.base().expect("only roots forget").root.exact_from;
                        assert!(t < exact_from && error.code() == Code::BasisCollected, "{context} {error}");
                        continue;
                    }
                },
                false => (db.clone(), model.clone()),
            };
            let view = self.view(model.basis());
            check::everything(&db, &model, view, &mut self.random, &format!("{context} at {} {view:?}", t.0));
        }
    }

    fn view(&mut self, basis: T) -> View {
        let random = &mut self.random;
        let mut point = |odds: u64| random.one_in(odds).then(|| T(random.below(basis.0 + 2)));
        View { as_of: point(2), since: point(2), history: self.random.one_in(2) }
    }

    fn apply(&mut self, on: usize, facts: Vec<(EntityId, AttrId, Value, bool)>) {
        let (db, model) = &self.held[on];
        let t = T(db.basis().0 + 1);
        let datoms = facts.into_iter().map(|(e, a, v, added)| Datom { e, a, v, t, added }).collect();
        let body = Arc::new(TxBody {
            t,
            instant: db.last_instant().max(5000) + self.random.below(3) as i64 * 10,
            client_id: self
                .random
                .one_in(2)
                .then(|| u128::from(self.random.below(1 << 40)) << 64 | u128::from(t.0)),
            request_hash: 0,
            next_counter: db.next_counter(),
            tempids: vec![],
            datoms,
        });
        let next = (db.apply(&body).unwrap(), model.apply(&body));
        self.held.push(next);
    }

    fn declarations(&mut self) -> Vec<(EntityId, AttrId, Value, bool)> {
        let mut facts = Vec::new();
        for (a, ty) in attrs().zip(TYPES) {
            let e = a.entity();
            facts.push((e, attr::IDENT, Value::Keyword(Keyword::new(format!("walk/a{}", a.0))), true));
            if let Some(ty) = ty {
                facts.push((e, attr::VALUE_TYPE, Value::Ref(bootstrap::type_entity(ty)), true));
            }
            facts.push((e, attr::CARDINALITY, Value::Ref(bootstrap::CARDINALITY_MANY), true));
            if self.random.one_in(3) {
                facts.push((e, attr::INDEX, Value::Boolean(true), true));
            }
            if self.random.one_in(4) {
                facts.push((e, attr::UNIQUE, Value::Ref(bootstrap::UNIQUE_VALUE), true));
            }
            if self.random.one_in(4) {
                facts.push((e, attr::NO_HISTORY, Value::Boolean(true), true));
            }
        }
        facts
    }

    /// Turns a property of an attribute on or off.
    fn alteration(&mut self, on: usize) -> Vec<(EntityId, AttrId, Value, bool)> {
        let a = AttrId(FIRST + self.random.below(TYPES.len() as u64) as u32);
        let Some(attribute) = self.held[on].1.schema().attribute(a).cloned() else {
            return self.declarations();
        };
        let unique = Value::Ref(bootstrap::UNIQUE_VALUE);
        let (property, v, is_on) = match self.random.below(3) {
            0 => (attr::INDEX, Value::Boolean(true), attribute.indexed),
            1 => (attr::NO_HISTORY, Value::Boolean(true), attribute.no_history),
            _ => (attr::UNIQUE, unique, attribute.unique.is_some()),
        };
        vec![(a.entity(), property, v, !is_on)]
    }

    /// Facts free of redundancy: what holds is retracted, what does not hold is asserted, each at most once.
    fn facts(&mut self, on: usize) -> Vec<(EntityId, AttrId, Value, bool)> {
        let (db, _) = self.held[on].clone();
        let mut facts: Vec<(EntityId, AttrId, Value, bool)> = Vec::new();
        for _ in 0..self.random.below(8) {
            let (e, k) = (entity(&mut self.random), self.random.below(TYPES.len() as u64));
            let (a, v) = (AttrId(FIRST + k as u32), value(&mut self.random, TYPES[k as usize]));
            if facts.iter().any(|fact| fact.0 == e && fact.1 == a && fact.2.identical(&v)) {
                continue;
            }
            let held = db.values(e, a).unwrap();
            match held.iter().find(|(held, _)| held.identical(&v)) {
                Some((held, _)) => facts.push((e, a, held.clone(), false)),
                None => facts.push((e, a, v, true)),
            }
        }
        facts
    }
}

/// A prefix with random components.
pub(super) fn key(random: &mut Random, index: Index) -> Key {
    let depth = random.below(4);
    let a = match random.below(12) {
        0 => attr::TX_INSTANT,
        1 => attr::IDENT,
        2 => attr::TX_ID,
        n => AttrId(FIRST + n as u32 - 3 + random.below(2) as u32),
    };
    let ty =
        a.0.checked_sub(FIRST)
            .and_then(|n| TYPES.get(n as usize))
            .copied()
            .unwrap_or(Some(ValueType::Instant));
    let (e, a, v) = (Some(entity(random)), Some(a), Some(value(random, ty)));
    let depth_of = |place: u64| depth > place;
    match index {
        Index::Eavt => {
            Key { e: e.filter(|_| depth_of(0)), a: a.filter(|_| depth_of(1)), v: v.filter(|_| depth_of(2)) }
        }
        Index::Aevt => {
            Key { a: a.filter(|_| depth_of(0)), e: e.filter(|_| depth_of(1)), v: v.filter(|_| depth_of(2)) }
        }
        Index::Avet => {
            Key { a: a.filter(|_| depth_of(0)), v: v.filter(|_| depth_of(1)), e: e.filter(|_| depth_of(2)) }
        }
    }
}

/// A random part of a random index.
pub(super) fn range(random: &mut Random) -> Range {
    use std::ops::Bound;
    let index = *random.pick(&Index::ALL);
    if random.one_in(3) {
        return Range::prefix(index, key(random, index));
    }
    let start = key(random, index);
    let mut end = key(random, index);
    if random.one_in(2) {
        end.a = start.a;
    }
    let mut bound = |key| match random.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key),
        _ => Bound::Excluded(key),
    };
    Range { index, start: bound(start), end: bound(end) }
}
