//! Every mark of a run is a place to go on from.

use annals_edn::read_one;
use annals_peer::db::{Context, Incarnation, Limits, NoFunctions, Options, transact};

use super::super::log::Log;
use super::*;

/// Takes chunks of about a kilobyte, and the places that runs can begin at.
#[derive(Default)]
struct Taken {
    rows: u64,
    chunks: Vec<v1::Chunk>,
    marks: Vec<(u64, Lead)>,
}

impl Sink for Taken {
    fn chunk_bytes(&self) -> usize {
        1000
    }

    fn take(&mut self, mut chunk: v1::Chunk, _more: bool) -> Result<bool> {
        self.rows += u64::from(chunk.row_count);
        chunk.rows_sent = self.rows;
        self.chunks.push(chunk);
        Ok(true)
    }

    fn mark(&mut self, ahead: u64, lead: Lead) {
        self.marks.push((self.rows + ahead, lead));
    }
}

/// 9,000 entities, whose numbers are replaced by the same ones time and again.
fn changed() -> Db {
    let mut db = Db::empty(Incarnation(1), Options::default());
    let mut commit = |forms: &str, now| {
        let context = Context {
            now,
            limits: Limits::default(),
            functions: &NoFunctions,
            client_id: None,
            request_hash: 0,
        };
        let body = transact(&db, &read_one(forms).unwrap(), &context).unwrap();
        db = db.apply(&body).unwrap();
    };
    commit(
        "[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/index true}
          {:db/ident :to :db/valueType :db.type/ref :db/cardinality :db.cardinality/one}]",
        1_700_000_000_000,
    );
    for round in 0..6 {
        let maps: Vec<String> = (0..9000)
            .map(|e| format!("{{:db/id {} :n {} :to {}}}", e + 1, e % 7 * (round % 2), e / 2 + 1))
            .collect();
        commit(&format!("[{}]", maps.join(" ")), 1_700_000_000_001 + round);
    }
    db
}

fn run(db: &Db, index: NamedIndex, components: &str, window: Window) -> Taken {
    let components = read_one(components).unwrap().as_vector().unwrap().to_vec();
    let ask = Ask { index, mode: v1::DatomsMode::Datoms, components, window };
    let mut taken = Taken::default();
    Datoms::new(db.clone(), &ask, Cancel::default()).unwrap().run(&mut taken).unwrap();
    taken
}

fn rows(taken: &Taken) -> Vec<Vec<Edn>> {
    let of = |chunk| {
        let rows = annals_wire::Rows::new(chunk).unwrap();
        (0..rows.len()).map(|row| rows.row(row).unwrap()).collect::<Vec<_>>()
    };
    taken.chunks.iter().flat_map(of).collect()
}

#[test]
fn a_run_goes_on_from_every_mark() {
    let db = changed();
    for db in [db.clone(), db.history()] {
        for (index, components) in [
            (NamedIndex::Eavt, "[]"),
            (NamedIndex::Aevt, "[:n]"),
            (NamedIndex::Avet, "[:n]"),
            (NamedIndex::Vaet, "[]"),
        ] {
            let whole = run(&db, index, components, Window { skip: 0, limit: None, lead: None });
            let all = rows(&whole);
            assert!(whole.marks.len() > 2, "{} marks: {index:?}", whole.marks.len());
            for (behind, lead) in &whole.marks {
                let (from, to) = (*behind as usize, all.len().min(*behind as usize + 100));
                let window = Window { skip: *behind, limit: Some(100), lead: Some(lead.clone()) };
                let rest = rows(&run(&db, index, components, window));
                assert!(rest == all[from..to], "{index:?} behind {behind}");
            }
        }
    }
}

#[test]
fn the_log_goes_on_from_every_mark() {
    let db = changed();
    let run = |window: &Window| {
        let mut taken = Taken::default();
        Log::new(db.clone(), T(0), T(u64::MAX), window).unwrap().run(&mut taken).unwrap();
        taken
    };
    let whole = run(&Window { skip: 0, limit: None, lead: None });
    let all = rows(&whole);
    assert!(whole.marks.len() > 5, "{} marks", whole.marks.len());
    for (behind, lead) in &whole.marks {
        let rest = run(&Window { skip: *behind, limit: None, lead: Some(lead.clone()) });
        assert!(rows(&rest) == all[*behind as usize..], "behind {behind}");
    }
}
