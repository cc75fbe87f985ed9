//! How lines become batches, and which batches may not be sent as one transaction.
//!
//! One transaction sees the database before it, line by line sees what earlier lines did. The two agree for lines that
//! only describe entities (upserts, nested maps, values): what conflicts is refused and then goes line by line. They
//! may silently differ in two cases, found here by looking at the lines and at which attributes are unique:
//! - a line names an entity by a tempid: tempids are local to a line, so the line goes alone;
//! - a line may replace a unique value (it names its entity by one thing and gives a unique value as another) that a
//!   different line also names: if any such value is in the database, the batch goes line by line from the start.

use std::collections::{HashMap, HashSet};

use annals_edn::{Edn, Error, Keyword, Node};

/// What one line says, as far as batching cares.
pub struct Line {
    /// its number, from 0
    pub at: usize,
    /// where its form ends in the line's text, comments left out
    pub end: usize,
    tempid: bool,
    may_replace: bool,
    named: Vec<(Keyword, Edn)>,
}

impl Line {
    /// Reads line `at`; `None` for a line without a form.
    ///
    /// # Errors
    /// Malformed EDN, or a form that is no map.
    pub fn read(at: usize, text: &str, unique: &HashSet<Keyword>) -> Result<Option<Line>, Error> {
        let mut forms = annals_edn::reader::Forms::new(text);
        let Some(form) = forms.next().transpose()? else { return Ok(None) };
        let end = form.span.end as usize;
        if let Some(extra) = forms.next().transpose()? {
            let message = "a line holds one entity map, this one holds two forms";
            return Err(Error::new(annals_edn::Code::EdnTrailing, message).at(extra.span));
        }
        let Node::Map(entries) = &form.node else {
            let message = "a line must hold an entity map";
            return Err(Error::new(annals_edn::Code::NotTransactionData, message)
                .at(form.span)
                .hint("send other transaction data with 'annals transact'"));
        };
        let mut line = Line { at, end, tempid: false, may_replace: false, named: Vec::new() };
        line.look(entries, unique);
        Ok(Some(line))
    }

    fn look(&mut self, entries: &[(Edn, Edn)], unique: &HashSet<Keyword>) {
        let mut names = 0;
        for (key, value) in entries {
            let attribute = match &key.node {
                Node::Keyword(keyword) => keyword.clone(),
                Node::Str(text) => Keyword::new(text.trim_start_matches(':')),
                _ => continue,
            };
            if attribute.as_str() == "db/id" {
                self.tempid |= is_tempid(value);
                names += 1;
            } else if unique.contains(&attribute) || attribute.as_str() == "db/ident" {
                names += 1;
                self.named.push((attribute, value.clone()));
            }
            self.look_into(value, unique);
        }
        self.may_replace |= names > 1;
    }

    fn look_into(&mut self, value: &Edn, unique: &HashSet<Keyword>) {
        match &value.node {
            Node::Map(entries) => self.look(entries, unique),
            Node::Vector(items) => {
                if let [Edn { node: Node::Keyword(attribute), .. }, value] = items.as_slice()
                    && unique.contains(attribute)
                {
                    self.named.push((attribute.clone(), value.clone()));
                }
                items.iter().for_each(|item| self.look_into(item, unique));
            }
            Node::List(items) | Node::Set(items) => {
                items.iter().for_each(|item| self.look_into(item, unique))
            }
            _ => {}
        }
    }
}

fn is_tempid(value: &Edn) -> bool {
    match &value.node {
        Node::Str(text) => !text.starts_with(':'),
        Node::Long(long) => *long < 0,
        _ => false,
    }
}

/// A run of lines that travel together.
pub struct Batch {
    /// the lines with a form, in order
    pub lines: Vec<Line>,
    /// the numbers of the first line and of the one behind the last
    pub range: std::ops::Range<usize>,
}

impl Batch {
    /// True when one transaction could differ from line by line, if what [`Batch::shared`] names is there already.
    pub fn may_differ(&self) -> bool {
        self.lines.iter().any(|line| line.may_replace) && !self.shared().is_empty()
    }

    /// The unique attributes that several lines name, with all the values named. Which value a line replaces is not
    /// known here, but it is one that the database has; so only values that are there already can be at stake.
    pub fn shared(&self) -> Vec<(&Keyword, Vec<&Edn>)> {
        let mut named: HashMap<&Keyword, (usize, bool, Vec<&Edn>)> = HashMap::new();
        for line in &self.lines {
            for (attribute, value) in &line.named {
                let (first, shared, values) = named.entry(attribute).or_insert((line.at, false, Vec::new()));
                *shared |= *first != line.at;
                values.push(value);
            }
        }
        named
            .into_iter()
            .filter(|(_, (_, shared, _))| *shared)
            .map(|(a, (_, _, values))| (a, values))
            .collect()
    }
}

/// Cuts lines into batches; lines with tempids stand alone. Depends on the lines and the size only.
pub struct Batcher {
    size: usize,
    open: Vec<Line>,
}

impl Batcher {
    /// Batches of at most `size` lines.
    pub fn new(size: usize) -> Batcher {
        Batcher { size, open: Vec::new() }
    }

    /// Takes the next line; the batches that are whole by it, at most two.
    pub fn take(&mut self, line: Line) -> impl Iterator<Item = Batch> + use<> {
        let before = if line.tempid || self.open.len() == self.size { self.close() } else { None };
        let alone = line.tempid;
        self.open.push(line);
        before.into_iter().chain(if alone { self.close() } else { None })
    }

    /// The batch of the lines left over.
    pub fn close(&mut self) -> Option<Batch> {
        let range = self.open.first()?.at..self.open.last()?.at + 1;
        Some(Batch { lines: std::mem::take(&mut self.open), range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(texts: &[&str], size: usize) -> Vec<Batch> {
        let unique: HashSet<Keyword> = ["u/a", "u/b"].into_iter().map(Keyword::new).collect();
        let mut batcher = Batcher::new(size);
        let mut batches = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            batches.extend(
                Line::read(at, text, &unique).unwrap().into_iter().flat_map(|line| batcher.take(line)),
            );
        }
        batches.extend(batcher.close());
        batches
    }

    #[test]
    fn plain_entities_travel_together() {
        let batches = plan(&["{:u/a 1 :x 1}", "", "{:u/a 2 :x {:u/b 1}}", "{:u/a 3}"], 2);
        assert_eq!(batches.iter().map(|batch| batch.range.clone()).collect::<Vec<_>>(), [0..3, 3..4]);
        assert!(batches.iter().all(|batch| !batch.may_differ()));
    }

    #[test]
    fn tempids_stand_alone() {
        let batches = plan(&["{:u/a 1}", "{:db/id \"x\" :y 1}", "{:db/id -1 :y 1}", "{:u/a 2}"], 10);
        assert_eq!(batches.len(), 4);
    }

    #[test]
    fn a_replaced_unique_value_goes_line_by_line() {
        assert!(plan(&["{:db/id [:u/a 1] :u/a 2}", "{:u/a 1 :x 1}"], 10)[0].may_differ());
        assert!(plan(&["{:u/a 1 :u/b 2}", "{:u/b 3 :x 1}"], 10)[0].may_differ());
        assert!(!plan(&["{:u/a 1 :u/b 2}", "{:x 1}"], 10)[0].may_differ());
    }

    #[test]
    fn a_line_must_be_one_map() {
        let unique = HashSet::new();
        assert!(Line::read(0, "[:db/add 1 :a 2]", &unique).is_err());
        assert!(Line::read(0, "{:a 1} {:a 2}", &unique).is_err());
        assert!(Line::read(0, "{:a 1", &unique).is_err());
        assert!(Line::read(0, "  ; nothing", &unique).unwrap().is_none());
    }
}
