//! A catalogue of releases as files of entity maps, in the order of import.

use std::collections::HashSet;
use std::path::Path;

use annals_edn::{Edn, Forms, Keyword, Node};
use anyhow::{Context, Result};

use super::{Data, Origin, shared, text};
use crate::data::Scratch;
use crate::generate;

/// The shared files, in the order of import.
const FILES: [&str; 9] = [
    "schema",
    "enums",
    "super-enums",
    "artists",
    "areleases",
    "areleases-artists",
    "labels",
    "releases",
    "releases-artists",
];
/// Datoms that are generated where the shared files are not there.
const DATOMS: u64 = 237_000;
/// Attributes that get an index beside those that the schema gives one: the queries look them up by value.
const INDEXED: [&str; 8] = [
    "artist/name",
    "artist/sortName",
    "artist/startYear",
    "label/name",
    "release/name",
    "release/year",
    "abstractRelease/name",
    "script/name",
];

/// The files and the names that are asked about.
pub struct Catalogue {
    /// name and text
    pub files: Vec<(String, String)>,
    /// An artist with releases, where the queries' own artists are unknown.
    pub artist: Option<String>,
    /// A label with releases, where the queries' own label is unknown.
    pub label: Option<String>,
}

/// The catalogue.
///
/// # Errors
/// A file that cannot be read.
pub fn catalogue() -> Result<Data<Catalogue>> {
    let Some(folder) = shared("mbrainz") else { return generated() };
    let read = |name: &str| Ok((name.to_string(), text(&folder.join(format!("{name}.edn")))?));
    let files = FILES.iter().map(|name| read(name)).collect::<Result<_>>()?;
    Ok(Data { set: indexed(Catalogue { files, artist: None, label: None })?, origin: Origin::Shared })
}

fn generated() -> Result<Data<Catalogue>> {
    let scratch = Scratch::new("catalogue")?;
    let paths = generate::write(scratch.path(), DATOMS, generate::SEED)?;
    let read = |path: &Path| -> Result<(String, String)> {
        let name = path.file_stem().context("a file has a name")?.to_string_lossy();
        Ok((name.into_owned(), text(path)?))
    };
    let files: Vec<(String, String)> = paths.iter().map(|path| read(path)).collect::<Result<_>>()?;
    let artist = first(&files, "artists", "artist/name")?;
    let label = first(&files, "labels", "label/name")?;
    Ok(Data { set: indexed(Catalogue { files, artist, label })?, origin: Origin::Generated })
}

/// What the first map of a file says of `attribute`.
fn first(files: &[(String, String)], file: &str, attribute: &str) -> Result<Option<String>> {
    let (_, text) = files.iter().find(|(name, _)| name == file).context("a file is missing")?;
    let form = Forms::new(text).next().transpose()?.context("a file is empty")?;
    Ok(match get(&form, attribute).map(|value| &value.node) {
        Some(Node::Str(text)) => Some(text.to_string()),
        _ => None,
    })
}

/// How many values of `attribute` the maps of `text` have; an entity may be told of in several maps.
///
/// # Errors
/// Malformed EDN.
pub fn distinct(text: &str, attribute: &str) -> Result<usize> {
    let mut values = HashSet::new();
    for form in Forms::new(text) {
        values.extend(get(&form?, attribute).map(Edn::to_string));
    }
    Ok(values.len())
}

fn get<'a>(form: &'a Edn, name: &str) -> Option<&'a Edn> {
    let Node::Map(entries) = &form.node else { return None };
    let is_it = |key: &Edn| matches!(&key.node, Node::Keyword(key) if key.as_str() == name);
    entries.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
}

/// Adds `:db/index true` to the schema's lines, as the other systems are given it.
fn indexed(mut catalogue: Catalogue) -> Result<Catalogue> {
    let (_, schema) = catalogue.files.first_mut().context("the schema comes first")?;
    let mut lines = String::new();
    for form in Forms::new(schema) {
        let form = with_index(form?);
        annals_edn::write(&mut lines, &form);
        lines.push('\n');
    }
    *schema = lines;
    Ok(catalogue)
}

fn with_index(form: Edn) -> Edn {
    let ident = match get(&form, "db/ident").map(|ident| &ident.node) {
        Some(Node::Keyword(ident)) => ident.as_str().to_string(),
        _ => String::new(),
    };
    if !INDEXED.contains(&ident.as_str()) || get(&form, "db/index").is_some() {
        return form;
    }
    let Node::Map(mut entries) = form.node else { return form };
    entries.push((Edn::new(Node::Keyword(Keyword::new("db/index"))), Edn::new(Node::Bool(true))));
    Edn::new(Node::Map(entries))
}
