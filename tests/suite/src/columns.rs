//! Which variables of a query stand for entities: those in the E, A or Tx position, or the V position of a ref
//! attribute, of a pattern on the database outside rules, and the attribute of a get-some.

use std::collections::HashSet;

use annals_edn::{Edn, read_one};

use crate::names::{Scope, Trouble};

/// A query in map form.
#[derive(Debug)]
pub struct Query {
    sections: Vec<(String, Vec<Edn>)>,
}

impl Query {
    /// From the vector, map or string form.
    ///
    /// # Errors
    /// [`Trouble::Refused`] for a string that does not read.
    pub fn of(form: &Edn) -> Result<Query, Trouble> {
        if let Some(text) = form.as_str() {
            return Query::of(&read_one(text)?);
        }
        let mut sections: Vec<(String, Vec<Edn>)> = Vec::new();
        if let Some(entries) = form.as_map() {
            for (key, value) in entries {
                let items = value.as_seq().map_or_else(|| vec![value.clone()], <[Edn]>::to_vec);
                sections.extend(key.as_keyword().map(|key| (key.as_str().to_owned(), items)));
            }
        }
        for item in form.as_seq().unwrap_or_default() {
            match (item.as_keyword(), sections.last_mut()) {
                (Some(key), _) => sections.push((key.as_str().to_owned(), Vec::new())),
                (None, Some((_, items))) => items.push(item.clone()),
                (None, None) => {}
            }
        }
        Ok(Query { sections })
    }

    /// The forms of a section, nothing where it is absent.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[Edn]> {
        self.sections.iter().find(|(key, _)| key == name).map(|(_, items)| items.as_slice())
    }

    /// The elements found, without the brackets and marks of the find spec.
    #[must_use]
    pub fn elements(&self) -> Vec<&Edn> {
        let find = self.section("find").unwrap_or_default();
        let inner = find.first().and_then(Edn::as_vector).unwrap_or(find);
        inner.iter().filter(|element| !is_symbol(element, &[".", "..."])).collect()
    }

    /// The shape of the result.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let find = self.section("find").unwrap_or_default();
        if find.last().is_some_and(|last| is_symbol(last, &["."])) {
            return Shape::Scalar;
        }
        match find.first().and_then(Edn::as_vector) {
            Some(items) if items.last().is_some_and(|last| is_symbol(last, &["..."])) => Shape::Collection,
            Some(_) => Shape::Tuple,
            None => Shape::Relation,
        }
    }

    /// The variables that stand for entities, given the arguments as written.
    #[must_use]
    pub fn entity_variables(&self, scope: &Scope<'_>, args: &[Edn]) -> HashSet<String> {
        let sources = self.database_sources(args);
        let mut found = HashSet::new();
        for clause in self.section("where").unwrap_or_default() {
            clause_entities(scope, &sources, clause, &mut found);
        }
        found
    }

    fn database_sources(&self, args: &[Edn]) -> HashSet<String> {
        let inputs = self.section("in").unwrap_or_default();
        let others = inputs.iter().filter(|input| !is_symbol(input, &["$"]));
        let is_view = |arg: &Edn| arg.as_tagged().is_some_and(|(tag, _)| tag == "annals/db");
        let mut sources: HashSet<String> = others
            .zip(args)
            .filter(|(_, arg)| is_view(arg))
            .filter_map(|(input, _)| name_of(input))
            .collect();
        sources.insert("$".to_owned());
        sources
    }
}

/// The four shapes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// rows
    Relation,
    /// one column
    Collection,
    /// one row
    Tuple,
    /// one value
    Scalar,
}

fn name_of(form: &Edn) -> Option<String> {
    form.as_symbol().map(|symbol| symbol.as_str().to_owned())
}

fn is_symbol(form: &Edn, names: &[&str]) -> bool {
    form.as_symbol().is_some_and(|symbol| names.contains(&symbol.as_str()))
}

fn variable(form: &Edn) -> Option<String> {
    name_of(form).filter(|name| name.starts_with('?'))
}

fn clause_entities(scope: &Scope<'_>, sources: &HashSet<String>, clause: &Edn, found: &mut HashSet<String>) {
    let Some(items) = clause.as_seq() else { return };
    let source = items.first().and_then(name_of).filter(|name| name.starts_with('$'));
    let items = if source.is_some() { &items[1..] } else { items };
    let Some(head) = items.first() else { return };
    if let (Some(_), Some(call)) = (clause.as_vector(), head.as_list()) {
        if call.first().is_some_and(|function| is_symbol(function, &["get-some"])) {
            let binding = items.get(1).and_then(Edn::as_seq).and_then(<[Edn]>::first);
            found.extend(binding.and_then(variable));
        }
        return;
    }
    let skipped = match head.as_symbol().map(|symbol| symbol.as_str()) {
        Some("and" | "or" | "not") => 1,
        Some("or-join" | "not-join") => 2,
        Some(name) if !name.starts_with('?') && name != "_" => return,
        _ if sources.contains(source.as_deref().unwrap_or("$")) => {
            pattern_entities(scope, items, found);
            return;
        }
        _ => return,
    };
    items.iter().skip(skipped).for_each(|inner| clause_entities(scope, sources, inner, found));
}

fn pattern_entities(scope: &Scope<'_>, pattern: &[Edn], found: &mut HashSet<String>) {
    let attribute = pattern.get(1).and_then(Edn::as_keyword);
    let known = attribute.and_then(|ident| scope.database.attribute(scope.source, ident).ok().flatten());
    let is_ref = known.is_some_and(|attribute| attribute.value_type == "ref");
    for (at, form) in pattern.iter().enumerate().take(4) {
        if at != 2 || is_ref {
            found.extend(variable(form));
        }
    }
}
