//! Small random databases with a past: random schemas, and the same facts told in several ways.

use std::sync::Arc;

use annals_db::build::{SegmentSink, build};
use annals_db::segment::{Base, Build, Hash, MemoryPort};
use annals_db::{Code, Context, Db, Error, Incarnation, Limits, Lineage, Options, T, TxBody, transact};
use annals_edn::read_one;
use annals_query::{Datalog, filter};

use super::random::Random;

/// Names of entities, as tempids and as values of the unique `:u`.
pub const ENTITIES: usize = 9;

/// Attributes: name, type, and whether it may have many values: `l`, `s` and `r` are asked with `get-else`.
const ATTRIBUTES: [(&str, &str, bool); 8] = [
    ("l", "long", false),
    ("i", "long", true),
    ("s", "string", false),
    ("k", "keyword", true),
    ("d", "double", true),
    ("b", "boolean", true),
    ("r", "ref", false),
    ("m", "ref", true),
];

const PREDICATES: &str = "
 {:db/ident :f/quiet? :db/fn {:params [?e] :where [(not [?e :l 1])]}}
 {:db/ident :f/near? :db/fn {:params [?e ?of]
   :rules [[(close ?x ?y) [?x :m ?y]] [(close ?x ?y) [?x :m ?z] (close ?z ?y)]]
   :where [(or-join [?e ?of] [(= ?e ?of)] (close ?of ?e))]}}
 {:db/ident :f/added? :db/fn {:params [?e ?a ?v ?tx ?added] :where [[(= ?added true)]]}}";

/// Filters, as forms.
const FILTERS: [&str; 5] = ["(not= ?v 2)", "f/quiet?", "(f/near? ?e [:u 3])", "f/added?", "(= ?added true)"];

/// The name of a world whose attributes are declared in another way.
pub const FLIPPED: &str = "with other indexes";

/// One past, told in several ways that no query can tell apart.
pub struct World {
    /// the value after each transaction, all in novelty; the place is the t
    pub at: Vec<Db>,
    /// read from an index of a part of it, and novelty
    partly: Db,
    /// read from an index of all of it
    wholly: Db,
    /// with every attribute indexed that is not, and the other way round
    flipped: Db,
}

/// One view of a world.
pub struct Seen {
    /// the view of novelty
    pub db: Db,
    /// the same of every other way
    pub others: Vec<(&'static str, Db)>,
    /// the filter, and the view without it
    pub filtered: Option<(&'static str, Db)>,
}

fn schema(random: &mut Random, flip: &[bool]) -> (String, Vec<bool>) {
    let mut forms = vec![
        "{:db/ident :u :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}"
            .to_owned(),
    ];
    let mut indexed = Vec::new();
    for (at, (name, ty, may_be_many)) in ATTRIBUTES.iter().enumerate() {
        let cardinality = if *may_be_many && random.chance(60) { "many" } else { "one" };
        let index = random.chance(50) != flip.get(at).copied().unwrap_or(false);
        indexed.push(index);
        forms.push(format!(
            "{{:db/ident :{name} :db/valueType :db.type/{ty} :db/cardinality :db.cardinality/{cardinality} :db/index {index}}}"
        ));
    }
    (format!("[{} {PREDICATES}]", forms.join(" ")), indexed)
}

fn decided(db: &Db, text: &str, now: i64) -> Result<Arc<TxBody>, Error> {
    let functions = Datalog::default();
    let limits = Limits::default();
    let context = Context { now, limits, functions: &functions, client_id: None, request_hash: 0 };
    transact(db, &read_one(text).expect("generated tx-data are EDN"), &context)
}

fn commit(db: &Db, text: &str, now: i64) -> Db {
    let body = decided(db, text, now).unwrap_or_else(|error| panic!("{text}: {error}"));
    db.apply(&body).expect("a decided transaction applies")
}

/// The transactions after the schema, as text.
fn transactions(random: &mut Random) -> Vec<String> {
    let all: Vec<String> = (0..ENTITIES).map(|u| format!("{{:u {u}}}")).collect();
    let mut texts = vec![format!("[{}]", all.join(" "))];
    for _ in 0..2 + random.below(4) {
        let mut forms: Vec<String> = Vec::new();
        for u in 0..ENTITIES {
            for (attribute, ..) in ATTRIBUTES {
                if random.chance(30) {
                    forms.push(format!("[:db/add [:u {u}] :{attribute} {}]", value(attribute, random)));
                }
            }
        }
        texts.push(format!("[{}]", forms.join(" ")));
        let gone: Vec<String> = (0..3)
            .map(|_| {
                format!(
                    "[:db/retract [:u {}] :{}]",
                    random.below(ENTITIES),
                    random.pick(&["l", "i", "s", "m"])
                )
            })
            .collect();
        texts.push(format!("[{}]", gone.join(" ")));
    }
    if random.chance(30) {
        let at = 1 + random.below(texts.len() - 1);
        texts.insert(at, format!("[{{:db/ident :{} :db/index true}}]", random.pick(&["l", "s", "d"])));
    }
    texts
}

/// A database of nine entities after some transactions that add, replace and retract.
pub fn world(random: &mut Random) -> World {
    let empty = Db::empty(Incarnation(7), Options::default());
    let mut same = Random(random.0);
    let (text, _) = schema(random, &[]);
    let (other, _) = schema(&mut same, &[true; ATTRIBUTES.len()]);
    let (mut at, mut flipped) = (vec![empty.clone(), commit(&empty, &text, 1)], commit(&empty, &other, 1));
    for (now, text) in (2..).zip(transactions(random)) {
        at.push(commit(&at[at.len() - 1], &text, now));
        flipped = commit(&flipped, &text, now);
    }
    let last = at.len() - 1;
    let middle = 1 + random.below(last);
    let mut partly = indexed(&at[middle]);
    for body in at[last].log(T(middle as u64 + 1), T(u64::MAX), usize::MAX).expect("the log reads") {
        partly = partly.apply(&body).expect("what follows applies");
    }
    World { partly, wholly: indexed(&at[last]), flipped, at }
}

/// The value read from an index of all that it holds.
fn indexed(db: &Db) -> Db {
    struct Sink<'a>(&'a MemoryPort);
    impl SegmentSink for Sink<'_> {
        fn put(&mut self, hash: Hash, stored: &[u8]) -> Result<(), Error> {
            self.0.put(hash, stored);
            Ok(())
        }
    }
    let port = Arc::new(MemoryPort::default());
    let job = Build { incarnation: db.incarnation(), raft_index: db.basis().0 };
    let root = build(db, job, Lineage::default(), &mut Sink(&port)).expect("the index is written");
    Db::open(Base::open(root, port).expect("the index opens"))
}

/// A value of an attribute, from so few that joins find something.
pub fn value(attribute: &str, random: &mut Random) -> String {
    match attribute {
        "u" => random.below(ENTITIES).to_string(),
        "l" | "i" => random.below(5).to_string(),
        "s" => format!("\"{}\"", random.pick(&["a", "b", "c"])),
        "k" => format!(":{}", random.pick(&["x", "y"])),
        "d" => random.pick(&["0.0", "1.0", "2.5"]).to_owned(),
        "b" => random.pick(&["true", "false"]).to_owned(),
        _ => format!("[:u {}]", random.below(ENTITIES)),
    }
}

/// Views, each with all of its parts or some.
struct View {
    as_of: Option<T>,
    since: Option<T>,
    history: bool,
    filter: Option<&'static str>,
}

impl View {
    fn of(&self, db: &Db) -> Db {
        let db = self.unfiltered(db);
        match self.filter {
            None => db,
            Some(text) => filter(&db, &read_one(text).expect("a filter reads")).expect("the filter is sound"),
        }
    }

    fn unfiltered(&self, db: &Db) -> Db {
        let db = self.as_of.map_or_else(|| db.clone(), |t| db.as_of(t));
        let db = self.since.map_or_else(|| db.clone(), |t| db.since(t));
        if self.history { db.history() } else { db }
    }

    /// The same without `as_of`, of a database that was stopped then.
    fn stopped(&self) -> View {
        View { as_of: None, ..*self }
    }
}

fn view(random: &mut Random, last: usize) -> View {
    let point = |random: &mut Random| T(1 + random.below(last) as u64);
    View {
        as_of: random.chance(50).then(|| point(random)),
        since: random.chance(30).then(|| point(random)),
        history: random.chance(30),
        filter: random.chance(40).then(|| random.pick(&FILTERS)),
    }
}

/// The present, its history, and four views picked at random among all compositions.
pub fn views(world: &World, random: &mut Random) -> Vec<Seen> {
    let last = world.at.len() - 1;
    let plain = |history| View { as_of: None, since: None, history, filter: None };
    let mut views = vec![plain(false), plain(true)];
    views.extend((0..4).map(|_| view(random, last)));
    views.iter().map(|view| seen(world, view)).collect()
}

fn seen(world: &World, view: &View) -> Seen {
    let db = view.of(&world.at[world.at.len() - 1]);
    let mut others = vec![
        ("partly indexed", view.of(&world.partly)),
        ("wholly indexed", view.of(&world.wholly)),
        (FLIPPED, view.of(&world.flipped)),
    ];
    if let Some(t) = view.as_of {
        others.push(("stopped then", view.stopped().of(&world.at[t.0 as usize])));
    }
    Seen {
        filtered: view.filter.map(|text| (text, view.unfiltered(&world.at[world.at.len() - 1]))),
        db,
        others,
    }
}

/// The errors of identifiers that identify nothing, such as text.
pub fn is_no_identifier(code: Code) -> bool {
    matches!(code, Code::NotAKeyword | Code::NotAnEntity | Code::NotAnAttribute | Code::InvalidLookupRef)
}
