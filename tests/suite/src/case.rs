//! Case files: a vector of cases, each with steps and what each step must answer.

use std::path::Path;

use annals_edn::{Edn, Node, read_one, render};

use crate::system::{Feature, Options};

/// One case of a file.
#[derive(Clone, Debug)]
pub struct Case {
    /// unique, with an area prefix
    pub id: String,
    /// what it shows
    pub doc: String,
    /// calls code that only a JVM has
    pub datomic_only: bool,
    /// shows what happens before the first index job
    pub unindexed: bool,
    /// the loaded database it runs against; a new one where absent
    pub database: Option<String>,
    /// how the new database is made
    pub options: Options,
    /// maps as written
    pub steps: Vec<Edn>,
    /// what this system must answer, one a step: the oracle's answer or the override for Annals
    pub expect: Vec<Edn>,
}

/// Reads a case file.
///
/// # Errors
/// A message with file and place, for text that is no vector of cases.
pub fn read_cases(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let in_file = |message: String| format!("{}: {message}", path.display());
    let form = read_one(&text).map_err(|error| in_file(render(&error, &text)))?;
    let cases = form.as_seq().ok_or_else(|| in_file("not a vector of cases".to_owned()))?;
    cases.iter().map(|case| Case::of(case).map_err(in_file)).collect()
}

impl Case {
    /// A case from its map.
    ///
    /// # Errors
    /// What is missing or does not match.
    pub fn of(form: &Edn) -> Result<Case, String> {
        let id = form.get("id").and_then(Edn::as_str).ok_or("a case without :id")?.to_owned();
        let part = |key: &str| {
            let items = form.get(key).and_then(Edn::as_seq);
            items.map(<[Edn]>::to_vec).ok_or_else(|| format!("{id} has no vector {key}"))
        };
        let (steps, expect) = (part("steps")?, part("expect")?);
        if steps.len() != expect.len() {
            return Err(format!("{id} has {} steps but expects {} answers", steps.len(), expect.len()));
        }
        let mut case = Case {
            doc: form.get("doc").and_then(Edn::as_str).unwrap_or_default().to_owned(),
            database: form.get("database").and_then(Edn::as_str).map(str::to_owned),
            options: options(form.get("options")).map_err(|what| format!("{id} {what}"))?,
            unindexed: form.get("unindexed").and_then(Edn::as_bool).unwrap_or(false),
            datomic_only: form.get("datomic-only").and_then(Edn::as_bool).unwrap_or(false),
            id,
            steps,
            expect,
        };
        form.get("annals").map_or(Ok(()), |answers| case.replace(answers))?;
        Ok(case)
    }

    /// Replaces expected answers by those of `answers`, a map from the number of the step.
    ///
    /// # Errors
    /// When the case has no such step.
    pub fn replace(&mut self, answers: &Edn) -> Result<(), String> {
        for (step, other) in answers.as_map().unwrap_or_default() {
            let at = step.as_long().and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_sub(1));
            let slot = at.and_then(|at| self.expect.get_mut(at));
            *slot.ok_or_else(|| format!("{} replaces step {step}, which it does not have", self.id))? =
                other.clone();
        }
        Ok(())
    }
}

/// `{:schema-flexibility :read, :keep-history false}`, each with its default.
///
/// # Errors
/// What is no option.
pub fn options(form: Option<&Edn>) -> Result<Options, String> {
    let mut options = Options::default();
    for (key, value) in form.and_then(Edn::as_map).unwrap_or_default() {
        let value = (value.as_keyword().map(|word| word.as_str()), value.as_bool());
        match (key.as_keyword().map(|key| key.as_str()), value) {
            (Some("schema-flexibility"), (Some("read"), _)) => options.schema_on_write = false,
            (Some("schema-flexibility"), (Some("write"), _)) => options.schema_on_write = true,
            (Some("keep-history"), (_, Some(keep))) => options.keep_history = keep,
            _ => return Err(format!("has an unknown option {key}")),
        }
    }
    Ok(options)
}

impl Case {
    /// True when it needs `feature`.
    #[must_use]
    pub fn needs(&self, feature: Feature) -> bool {
        match feature {
            Feature::Unindexed => self.unindexed,
        }
    }
}

/// One step, taken apart.
#[derive(Clone, Debug)]
pub struct Step {
    /// what it asks
    pub action: Action,
    /// `:as-of` as written
    pub as_of: Option<Edn>,
    /// `:since` as written
    pub since: Option<Edn>,
    /// the history view
    pub history: bool,
    /// predicates of datoms as written
    pub filters: Vec<Edn>,
    /// tx-data to apply before reading
    pub with: Option<Edn>,
    /// at most so many rows
    pub limit: Option<usize>,
    /// rows are compared in order
    pub ordered: bool,
    /// a transaction shows its datoms
    pub show_datoms: bool,
}

/// What a step asks; forms are as written, with names in them.
#[derive(Clone, Debug)]
pub enum Action {
    /// commit
    Transact(Edn),
    /// speculate, with nothing read
    Speculate,
    /// a query and its inputs but for `$`
    Query(Edn, Vec<Edn>),
    /// a pattern for one entity
    Pull(Edn, Edn),
    /// a pattern for several
    PullMany(Edn, Edn),
    /// an index, components, and whether to run on past them
    Datoms(String, Vec<Edn>, bool),
    /// attribute, start, end
    IndexRange(Edn, Edn, Edn),
    /// the request map
    IndexPull(Edn),
    /// an entity, and the keys that are wanted of it, all of them where there are none
    Entity(Edn, Vec<Edn>),
    /// attributes whose datoms are counted
    Stats(Vec<Edn>),
    /// an entity
    Entid(Edn),
    /// an entity
    Ident(Edn),
    /// numbers of steps, start and end
    TxRange(Edn, Edn),
}

impl Step {
    /// A step from its map.
    ///
    /// # Errors
    /// A message when it asks nothing known.
    pub fn of(form: &Edn) -> Result<Step, String> {
        let view = |key: &str| {
            form.get("view").and_then(|view| view.get(key)).filter(|part| !part.is_nil()).cloned()
        };
        let limit = form.get("limit").and_then(Edn::as_long);
        let flag = |key: &str| form.get(key).and_then(Edn::as_bool).unwrap_or(false);
        Ok(Step {
            action: Action::of(form).ok_or_else(|| format!("a step that asks nothing known: {form}"))?,
            as_of: view("as-of"),
            since: view("since"),
            history: view("history").and_then(|history| history.as_bool()).unwrap_or(false),
            filters: view("filter").map_or_else(Vec::new, filters),
            with: form.get("with").cloned(),
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
            ordered: flag("ordered"),
            show_datoms: flag("show-datoms"),
        })
    }
}

/// One filter, or a vector of several.
#[must_use]
pub fn filters(form: Edn) -> Vec<Edn> {
    match form.node {
        Node::Vector(several) => several,
        _ => vec![form],
    }
}

impl Action {
    fn of(form: &Edn) -> Option<Action> {
        let owned = |key: &str| form.get(key).cloned();
        let or_nil = |key: &str| owned(key).unwrap_or(Edn::nil());
        let list = |key: &str| form.get(key).and_then(Edn::as_seq).map(<[Edn]>::to_vec).unwrap_or_default();
        let index = |key: &str| Some(form.get(key)?.as_keyword()?.as_str().to_owned());
        if let Some(tx_data) = owned("tx") {
            return Some(Action::Transact(tx_data));
        }
        let found = owned("q")
            .map(|query| Action::Query(query, list("args")))
            .or_else(|| owned("eids").map(|eids| Action::PullMany(or_nil("pull"), eids)))
            .or_else(|| owned("pull").map(|pattern| Action::Pull(pattern, or_nil("eid"))))
            .or_else(|| index("datoms").map(|index| Action::Datoms(index, list("components"), false)))
            .or_else(|| index("seek").map(|index| Action::Datoms(index, list("components"), true)))
            .or_else(|| owned("index-range").map(|a| Action::IndexRange(a, or_nil("start"), or_nil("end"))))
            .or_else(|| owned("index-pull").map(Action::IndexPull))
            .or_else(|| owned("entity").map(|entity| Action::Entity(entity, list("keys"))))
            .or_else(|| owned("db-stats").map(|_| Action::Stats(list("db-stats"))))
            .or_else(|| owned("entid").map(Action::Entid))
            .or_else(|| owned("ident").map(Action::Ident))
            .or_else(|| owned("with").map(|_| Action::Speculate));
        found.or_else(|| match form.get("tx-range")?.as_seq()? {
            [start, end] => Some(Action::TxRange(start.clone(), end.clone())),
            _ => None,
        })
    }
}
