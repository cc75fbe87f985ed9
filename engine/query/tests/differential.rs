//! The engine against an evaluator that is too simple to be wrong: random data, random queries, every answer equal, and
//! equal for plans picked at random.
//!
//! `ANNALS_ROUNDS=n` runs n databases (20 without it), `ANNALS_SEED=s` begins at seed s.

#[path = "differential/data.rs"]
mod data;
#[path = "differential/naive.rs"]
mod naive;
#[path = "differential/queries.rs"]
mod queries;
#[path = "differential/random.rs"]
mod random;

use annals_db::Db;
use annals_edn::{Code, Error, read_one};
use annals_query::{Argument, Datum, Prepared, QueryCtx, QueryLimits, Rows};

use random::Random;

/// Queries asked of each database.
const QUERIES: usize = 150;

/// Plans picked at random for each query.
const PLANS: u64 = 2;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The most rows that a plan picked at random may produce before it is given up.
const MAX_PRODUCED: u64 = 300_000;

fn taken(rows: Result<Rows<'_>, Error>) -> Result<Vec<Vec<Datum>>, Error> {
    let (mut rows, mut found) = (rows?, Vec::new());
    while let Some(batch) = rows.next()? {
        found.extend(
            (0..batch.rows).map(|at| batch.columns.iter().map(|column| column.get(at)).collect::<Vec<_>>()),
        );
    }
    Ok(found)
}

fn sorted(mut rows: Vec<Vec<Datum>>) -> Vec<Vec<Datum>> {
    rows.sort_by(|x, y| {
        let orders = x.iter().zip(y).map(|(x, y)| x.cmp_index(y));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows
}

fn is_no_identifier(code: Code) -> bool {
    matches!(code, Code::NotAKeyword | Code::NotAnEntity | Code::NotAnAttribute | Code::InvalidLookupRef)
}

/// Asks one query both ways; true if it was a legal one that is not too large.
fn ask(db: &Db, known: &mut naive::Known, asked: &queries::Asked) -> bool {
    let form = read_one(&asked.text).expect("generated queries are EDN");
    let forms =
        asked.args.iter().map(|arg| Argument::Form(read_one(arg).expect("generated arguments are EDN")));
    let args: Vec<Argument> = std::iter::once(Argument::Db(db.clone())).chain(forms).collect();
    let Ok(prepared) = Prepared::new(&form, &args) else { return false };
    let Some(wanted) = naive::answer(prepared.checked(), db, known, &args) else { return false };
    let what = || format!("{} with {:?} on {:?}", asked.text, &asked.args[1..], db.view());
    let found = taken(prepared.run(&args, QueryCtx::default()));
    let found = match found {
        Ok(found) => found,
        // What identifies no entity, such as text, is refused where an entity is asked for.
        Err(error) if is_no_identifier(error.code()) => return false,
        Err(error) => panic!("{error:?}: {}", what()),
    };
    assert_eq!(sorted(found.clone()), sorted(wanted), "{}", what());
    let limits = QueryLimits { rows: MAX_PRODUCED, ..QueryLimits::default() };
    for seed in 0..PLANS {
        match taken(prepared.run_any_plan(&args, QueryCtx { limits, ..QueryCtx::default() }, seed)) {
            Ok(other) => assert_eq!(other, found, "plan {seed} of {}", what()),
            // A computed text that meets an entity is refused by some plans and matches nothing in others.
            Err(error) => assert!(
                is_no_identifier(error.code()) || error.code() == Code::RowsBudgetExceeded,
                "{error:?}: plan {seed} of {}",
                what()
            ),
        }
    }
    true
}

#[test]
fn random_queries_are_answered_as_by_nested_loops() {
    let (rounds, first) = (setting("ANNALS_ROUNDS", 20), setting("ANNALS_SEED", 1));
    let mut legal = 0;
    for seed in first..first + rounds {
        let mut random = Random(seed);
        let db = data::database(&mut random);
        for view in data::views(&db, &mut random) {
            let mut known = naive::Known::new(&view);
            for _ in 0..QUERIES / 3 {
                legal += usize::from(ask(&view, &mut known, &queries::query(&mut random)));
            }
        }
    }
    let asked = rounds as usize * QUERIES;
    assert!(legal * 3 > asked, "only {legal} of {asked} generated queries are legal");
    println!("{legal} of {asked} generated queries were legal and answered alike");
}
