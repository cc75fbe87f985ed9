//! Graphs as edges between named nodes: small ones for closures, and the dependencies of a Linux distribution.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;

use annals_edn::{Edn, Forms, Node};
use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;

use super::{Data, Origin, Scratch, shared, text};
use crate::random::Random;

/// The graphs of the suite `rules`.
pub const NAMES: [&str; 8] =
    ["wide-3x3", "wide-5x3", "wide-7x3", "wide-4x6", "long-10x3", "long-30x3", "long-30x5", "rand-1000x2000"];

/// From, to.
pub type Edges = Vec<(String, String)>;

/// The edges of the graph `name`.
///
/// # Errors
/// A shared file that is not as expected.
pub fn graph(name: &str) -> Result<Data<Edges>> {
    let Some(path) = shared("graphs.json") else {
        return Ok(Data { set: generated(name)?, origin: Origin::Generated });
    };
    let json: Json = serde_json::from_str(&text(&path)?)?;
    let edges = json[name].as_array().with_context(|| format!("graphs.json has no {name}"))?;
    let set = edges.iter().map(|edge| (edge[0].to_string(), edge[1].to_string())).collect();
    Ok(Data { set, origin: Origin::Shared })
}

fn generated(name: &str) -> Result<Edges> {
    let (shape, size) = name.split_once('-').context("a graph is named SHAPE-SIZE")?;
    let (x, y) = size.split_once('x').context("a size is NxM")?;
    let (x, y): (u64, u64) = (x.parse()?, y.parse()?);
    let mut edges = match shape {
        "wide" => wide(x, y),
        "long" => {
            (0..y).flat_map(|way| (1..=x).map(move |step| way * (x + 1) + step)).map(|n| (n, n + 1)).collect()
        }
        _ => {
            let mut random = Random(7);
            (0..y).map(|_| (1 + random.below(x), 1 + random.below(x))).collect::<Vec<_>>()
        }
    };
    edges.sort_unstable();
    edges.dedup();
    Ok(edges.into_iter().map(|(x, y)| (x.to_string(), y.to_string())).collect())
}

/// Every node `n` has the children `n * width + k`; node numbers may meet, so it is no tree.
fn wide(depth: u64, width: u64) -> Vec<(u64, u64)> {
    let mut edges = Vec::new();
    let mut nodes = vec![1];
    for _ in 0..depth {
        let children = |n: &u64| {
            let n = *n;
            (0..width).map(move |k| (n, n * width + k))
        };
        let new: Vec<(u64, u64)> = nodes.iter().flat_map(children).collect();
        nodes = new.iter().map(|edge| edge.1).collect();
        edges.extend(new);
    }
    edges
}

/// A graph of dependencies, and the two nodes that are asked about.
pub struct Dependencies {
    /// what needs what
    pub edges: Edges,
    /// needs much
    pub needing: String,
    /// is needed by much
    pub needed: String,
}

/// Debian's packages where the shared script and a package index are there, else as many nodes and edges.
///
/// # Errors
/// Output of the script that is not as expected.
pub fn dependencies() -> Result<Data<Dependencies>> {
    if let Some(script) = shared("debian-graph.py") {
        let scratch = Scratch::new("debian")?;
        let ran = Command::new("python3").arg(script).arg(scratch.path()).output();
        if ran.is_ok_and(|ran| ran.status.success())
            && let Some(set) = packages(scratch.path())?
        {
            return Ok(Data { set, origin: Origin::PackageIndex });
        }
    }
    Ok(Data { set: layered(), origin: Origin::Generated })
}

/// Reads `depends.edn`; `None` where the index lacks the packages that are asked about.
fn packages(folder: &Path) -> Result<Option<Dependencies>> {
    let depends = text(&folder.join("depends.edn"))?;
    let mut edges = Edges::new();
    for form in Forms::new(&depends) {
        let names = strings(&form?);
        let (from, to) = names.split_first().context("a line of depends.edn names no package")?;
        edges.extend(to.iter().map(|to| (from.clone(), to.clone())));
    }
    let (needing, needed) = ("gnome-core".to_string(), "libssl3".to_string());
    let known = edges.iter().any(|edge| edge.0 == needing) && edges.iter().any(|edge| edge.1 == needed);
    Ok(known.then_some(Dependencies { edges, needing, needed }))
}

/// The texts of a form, in order.
fn strings(form: &Edn) -> Vec<String> {
    match &form.node {
        Node::Str(text) => vec![text.to_string()],
        Node::Vector(items) => items.iter().flat_map(strings).collect(),
        Node::Map(entries) => entries.iter().flat_map(|(_, value)| strings(value)).collect(),
        _ => Vec::new(),
    }
}

/// Packages need packages of lower number, the famous ones most; a few need one of higher number, which makes cycles.
fn layered() -> Dependencies {
    const NODES: u64 = 63_000;
    const EACH: u64 = 4;
    let mut random = Random(63_000);
    let mut edges = HashSet::new();
    for n in 1..NODES {
        for _ in 0..EACH {
            let famous = random.skewed(n).min(random.skewed(n));
            edges.insert((n, random.skewed(famous + 1)));
        }
        if random.below(100) == 0 {
            edges.insert((n, n + random.below(NODES - n)));
        }
    }
    let mut edges: Vec<(u64, u64)> = edges.into_iter().collect();
    edges.sort_unstable();
    let name = |n: u64| format!("package-{n}");
    let edges = edges.into_iter().map(|(x, y)| (name(x), name(y))).collect();
    Dependencies { edges, needing: name(NODES - 1), needed: name(50) }
}

/// How many nodes can be reached from `start` by one edge or more.
pub fn reachable(edges: &Edges, start: &str, backwards: bool) -> usize {
    from(&neighbours(edges, backwards), start)
}

/// How many pairs of nodes the closure of `edges` has.
pub fn closure(edges: &Edges) -> Result<usize> {
    ensure!(!edges.is_empty(), "a graph without edges");
    let next = neighbours(edges, false);
    Ok(next.keys().map(|start| from(&next, start)).sum())
}

fn neighbours(edges: &Edges, backwards: bool) -> HashMap<&str, Vec<&str>> {
    let mut next: HashMap<&str, Vec<&str>> = HashMap::new();
    for (x, y) in edges {
        let (x, y) = if backwards { (y, x) } else { (x, y) };
        next.entry(x).or_default().push(y);
    }
    next
}

fn from(next: &HashMap<&str, Vec<&str>>, start: &str) -> usize {
    let mut seen = HashSet::new();
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        open.extend(next.get(node).into_iter().flatten().filter(|to| seen.insert(**to)));
    }
    seen.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_graphs_have_the_measured_closures() {
        for (name, pairs) in [("wide-3x3", 102), ("wide-5x3", 1641), ("long-10x3", 165), ("long-30x5", 2325)]
        {
            assert_eq!(closure(&generated(name).unwrap()).unwrap(), pairs, "{name}");
        }
    }

    #[test]
    fn cycles_end() {
        let edge = |x: &str, y: &str| (x.to_string(), y.to_string());
        let edges = vec![edge("a", "b"), edge("b", "a"), edge("c", "a")];
        assert_eq!(closure(&edges).unwrap(), 6);
        assert_eq!(reachable(&edges, "c", false), 2);
        assert_eq!(reachable(&edges, "a", true), 3);
    }

    #[test]
    fn generated_dependencies_are_of_the_size_of_a_distribution() {
        let graph = layered();
        assert!((200_000..300_000).contains(&graph.edges.len()), "{}", graph.edges.len());
        assert!(reachable(&graph.edges, &graph.needing, false) > 10);
        assert!(reachable(&graph.edges, &graph.needed, true) > 1000);
    }
}
