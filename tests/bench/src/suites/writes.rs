//! The suite of writes: transactions decided and applied in memory, without log, wire or indexing.

use std::time::Instant;

use annals_edn::{Edn, read_one};
use anyhow::{Result, ensure};

use super::queries::SCHEMA;
use crate::data::catalogue::catalogue;
use crate::data::people::{Person, people};
use crate::measure::Figure;
use crate::report::Report;
use crate::store::{Store, batches};

const SUITE: &str = "writes";
/// How often each work is done, each time on a new database.
const RUNS: usize = 5;

/// One transaction of everything, a transaction a person, a transaction a datom, a catalogue in batches.
pub fn writes(report: &mut Report) -> Result<()> {
    let data = people()?;
    report.note(SUITE, data.origin.note());
    let maps: Vec<String> = data.set.iter().map(Person::map).collect();
    let all = read_one(&format!("[{}]", maps.join(" ")))?;
    let each = maps.iter().map(|map| Ok(read_one(&format!("[{map}]"))?)).collect::<Result<Vec<Edn>>>()?;
    let datoms = 5 * data.set.len();
    let figure = runs(datoms, |store| Ok(store.transact(&all)?.datoms.len()))?;
    report.figure(SUITE, "add-all", figure, "ms");
    let figure = runs(datoms, |store| {
        each.iter().map(|tx| Ok(store.transact(tx)?.datoms.len())).sum::<Result<usize>>()
    })?;
    report.figure(SUITE, "add-5", figure, "ms");
    report.figure(SUITE, "add-5-rate", rate(each.len(), figure), "tx/s");
    let figure = runs(datoms, |store| add_one_by_one(store, &data.set))?;
    report.figure(SUITE, "add-1", figure, "ms");
    report.figure(SUITE, "add-1-rate", rate(datoms, figure), "tx/s");
    import(report)
}

/// A transaction for each value; the first of a person makes the entity, the others name it.
fn add_one_by_one(store: &mut Store, people: &[Person]) -> Result<usize> {
    let mut datoms = 0;
    for person in people {
        let mut entity = "\"new\"".to_string();
        for (attribute, value) in person.values() {
            let body = store.transact(&read_one(&format!("[[:db/add {entity} :{attribute} {value}]]"))?)?;
            datoms += body.datoms.len();
            if let Some((_, id)) = body.tempids.first() {
                entity = id.0.to_string();
            }
        }
    }
    Ok(datoms)
}

fn import(report: &mut Report) -> Result<()> {
    let data = catalogue()?;
    let files = data.set.files.iter().map(|(_, text)| batches(text)).collect::<Result<Vec<_>>>()?;
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        let mut store = Store::new("[]")?;
        let started = Instant::now();
        let mut datoms = 0;
        for batch in files.iter().flatten() {
            // The transaction's own instant is a datom too.
            datoms += store.transact(batch)?.datoms.len() + 1;
        }
        rates.push(datoms as f64 / started.elapsed().as_secs_f64());
    }
    report.note(SUITE, &format!("import: {}, transactions of 1,000 maps", data.origin.note()));
    report.figure(SUITE, "import", Figure::of(rates), "datoms/s");
    Ok(())
}

/// Milliseconds of `work` on a new database, several times; it answers how many datoms it made.
fn runs(datoms: usize, work: impl Fn(&mut Store) -> Result<usize>) -> Result<Figure> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut store = Store::new(SCHEMA)?;
        let started = Instant::now();
        let made = work(&mut store)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(made == datoms, "{made} datoms instead of {datoms}");
    }
    Ok(Figure::of(times))
}

/// Transactions a second, of milliseconds for all of them. The least rate is that of the median run: the figure's
/// minimum is a time.
fn rate(transactions: usize, figure: Figure) -> Figure {
    let rate = transactions as f64 * 1e3 / figure.median;
    Figure { median: rate, min: rate }
}
