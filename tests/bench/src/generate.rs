//! `annals-bench gen`: a catalogue of releases of any size, the shape of a music database, for imports and tests.
//!
//! The files are to be imported in the order schema, enums, artists, labels, releases. The same seed gives the same
//! bytes. Nested maps refer to artists and labels by identity, as real exports do.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::random::Random;

/// Datoms of one release, its share of artists and labels included; measured on the output.
const DATOMS_A_RELEASE: u64 = 11;

/// The seed of data that name no other.
pub const SEED: u64 = 20_260_101;

/// The files, in the order of import.
pub const FILES: [&str; 5] = ["schema.edn", "enums.edn", "artists.edn", "labels.edn", "releases.edn"];

/// Attributes: name, type, cardinality, more.
const SCHEMA: &[(&str, &str, &str, &str)] = &[
    ("country/name", "string", "one", ":db/unique :db.unique/value"),
    ("artist/gid", "uuid", "one", ":db/unique :db.unique/identity"),
    ("artist/name", "string", "one", ":db/index true"),
    ("artist/startYear", "long", "one", ""),
    ("artist/country", "ref", "one", ""),
    ("label/gid", "uuid", "one", ":db/unique :db.unique/identity"),
    ("label/name", "string", "one", ":db/index true"),
    ("release/gid", "uuid", "one", ":db/unique :db.unique/identity"),
    ("release/name", "string", "one", ":db/index true"),
    ("release/year", "long", "one", ":db/index true"),
    ("release/status", "string", "one", ""),
    ("release/country", "ref", "one", ""),
    ("release/artists", "ref", "many", ""),
    ("release/labels", "ref", "many", ""),
    ("release/barcode", "string", "one", ""),
];

const COUNTRIES: [&str; 12] = ["AR", "BR", "CA", "DE", "FR", "GB", "IN", "IT", "JP", "NG", "SE", "US"];
const WORDS: [&str; 32] = [
    "Amber", "Atlas", "Autumn", "Bridge", "Canyon", "Cedar", "Cinder", "Circle", "Copper", "Delta", "Echo",
    "Ember", "Falcon", "Garden", "Harbor", "Hollow", "Ivory", "Juniper", "Lantern", "Meadow", "Mirror",
    "Nova", "Ocean", "Paper", "Quartz", "River", "Saffron", "Signal", "Timber", "Velvet", "Willow", "Zephyr",
];

/// Writes about `datoms` datoms into `folder` and names the files, in the order of import.
pub fn write(folder: &Path, datoms: u64, seed: u64) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let releases = (datoms / DATOMS_A_RELEASE).max(1);
    let (artists, labels) = (releases.div_ceil(5), releases.div_ceil(20));
    let mut random = Random(seed);
    file(folder, "schema.edn", schema)?;
    file(folder, "enums.edn", |out| {
        COUNTRIES
            .iter()
            .try_for_each(|code| writeln!(out, "{{:db/ident :country/{code} :country/name \"{code}\"}}"))
    })?;
    file(folder, "artists.edn", |out| (0..artists).try_for_each(|n| artist(out, n, &mut random)))?;
    file(folder, "labels.edn", |out| (0..labels).try_for_each(|n| label(out, n, &mut random)))?;
    file(folder, "releases.edn", |out| {
        (0..releases).try_for_each(|n| release(out, n, artists, labels, &mut random))
    })?;
    Ok(FILES.iter().map(|name| folder.join(name)).collect())
}

type Out = BufWriter<File>;

fn file(folder: &Path, name: &str, write: impl FnOnce(&mut Out) -> std::io::Result<()>) -> Result<()> {
    let path = folder.join(name);
    let mut out =
        BufWriter::new(File::create(&path).with_context(|| format!("cannot write {}", path.display()))?);
    write(&mut out).and_then(|()| out.flush()).with_context(|| format!("cannot write {}", path.display()))
}

fn schema(out: &mut Out) -> std::io::Result<()> {
    for (name, ty, cardinality, more) in SCHEMA {
        writeln!(
            out,
            "{{:db/ident :{name} :db/valueType :db.type/{ty} :db/cardinality :db.cardinality/{cardinality} {more}}}"
        )?;
    }
    Ok(())
}

fn artist(out: &mut Out, n: u64, random: &mut Random) -> std::io::Result<()> {
    let (name, year, country) = (words(random, 2), 1900 + random.below(120), random.pick(&COUNTRIES));
    writeln!(
        out,
        "{{:artist/gid {} :artist/name \"{name} {n}\" :artist/startYear {year} :artist/country :country/{country}}}",
        gid(1, n)
    )
}

fn label(out: &mut Out, n: u64, random: &mut Random) -> std::io::Result<()> {
    writeln!(out, "{{:label/gid {} :label/name \"{} Records {n}\"}}", gid(2, n), words(random, 1))
}

fn release(out: &mut Out, n: u64, artists: u64, labels: u64, random: &mut Random) -> std::io::Result<()> {
    write!(out, "{{:release/gid {} :release/name \"{}\"", gid(3, n), words(random, 3))?;
    write!(out, " :release/year {} :release/status \"Official\"", 1950 + random.below(75))?;
    write!(out, " :release/country :country/{}", random.pick(&COUNTRIES))?;
    write!(out, " :release/barcode \"{:013}\"", random.below(10_000_000_000_000))?;
    write!(out, " :release/labels [{{:label/gid {}}}]", gid(2, random.skewed(labels)))?;
    let (first, second) = (random.skewed(artists), random.skewed(artists));
    write!(out, " :release/artists [{{:artist/gid {}}}", gid(1, first))?;
    if second != first && random.below(4) == 0 {
        write!(out, " {{:artist/gid {}}}", gid(1, second))?;
    }
    writeln!(out, "]}}")
}

/// A uuid that kind and number determine.
fn gid(kind: u64, n: u64) -> String {
    let mixed = Random(n.wrapping_mul(0x9e37_79b9).wrapping_add(kind)).next();
    format!(
        "#uuid \"{:08x}-{:04x}-4{:03x}-8{kind:03x}-{n:012x}\"",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        mixed & 0xfff
    )
}

fn words(random: &mut Random, count: usize) -> String {
    (0..count).map(|_| random.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}
