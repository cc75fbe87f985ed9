//! One query in many orders of its clauses: what the worst of them costs, and what planning costs.

use std::time::Instant;

use annals_edn::{Edn, Node};
use annals_query::{Argument, Prepared};
use anyhow::{Result, ensure};

use crate::cases::count;
use crate::measure::Figure;
use crate::random::Random;

/// The most clauses of which every order is tried.
const ALL_ORDERS: usize = 5;
/// Orders tried of more clauses.
const SHUFFLES: usize = 200;
/// Runs of each order, of which the fastest counts.
const RUNS: usize = 5;

/// The worst order and the best, and parsing, checking and planning over all orders, milliseconds.
pub struct Orders {
    /// `median`: the worst order; `min`: the best
    pub run: Figure,
    /// of all orders
    pub planning: Figure,
}

/// Runs `query` in many orders of its clauses; every order must find `rows` rows.
///
/// # Errors
/// A query that fails or finds a wrong number of rows.
pub fn orders(query: &Edn, args: &[Argument], rows: usize) -> Result<Orders> {
    let (mut runs, mut plans) = (Vec::new(), Vec::new());
    for query in reordered(query) {
        let started = Instant::now();
        let prepared = Prepared::new(&query, args)?;
        prepared.explain(args, None)?;
        plans.push(started.elapsed().as_secs_f64() * 1e3);
        let mut fastest = f64::INFINITY;
        for _ in 0..RUNS {
            let started = Instant::now();
            let found = count(&prepared, args)?;
            fastest = fastest.min(started.elapsed().as_secs_f64() * 1e3);
            ensure!(found == rows, "{found} rows instead of {rows}: {query}");
        }
        runs.push(fastest);
    }
    runs.sort_by(f64::total_cmp);
    let run = Figure { median: runs[runs.len() - 1], min: runs[0] };
    Ok(Orders { run, planning: Figure::of(plans) })
}

fn reordered(query: &Edn) -> Vec<Edn> {
    let Node::Vector(items) = &query.node else { return vec![query.clone()] };
    let is_keyword = |form: &Edn| matches!(form.node, Node::Keyword(_));
    let is_where = |form: &Edn| matches!(&form.node, Node::Keyword(key) if key.as_str() == "where");
    let start = items.iter().position(is_where).map_or(items.len(), |at| at + 1);
    let end = (start..items.len()).find(|at| is_keyword(&items[*at])).unwrap_or(items.len());
    let orders = if end - start <= ALL_ORDERS { permutations(end - start) } else { shuffles(end - start) };
    let reorder = |order: Vec<usize>| {
        let clauses = order.into_iter().map(|i| items[start + i].clone());
        Edn::vector(
            items[..start].iter().cloned().chain(clauses).chain(items[end..].iter().cloned()).collect(),
        )
    };
    orders.into_iter().map(reorder).collect()
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        let mut longer = Vec::new();
        for order in &all {
            for at in 0..=order.len() {
                let mut order: Vec<usize> = order.clone();
                order.insert(at, next);
                longer.push(order);
            }
        }
        all = longer;
    }
    all
}

fn shuffles(count: usize) -> Vec<Vec<usize>> {
    let mut random = Random(1);
    let mut shuffled = || {
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).rev().for_each(|i| order.swap(i, random.below(i as u64 + 1) as usize));
        order
    };
    (0..SHUFFLES).map(|_| shuffled()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_edn::read_one;

    #[test]
    fn every_order_of_few_clauses_comes_once() {
        let query = read_one("[:find ?x :where [?x :a] [?x :b] [?x :c] :limit 1]").unwrap();
        let texts: std::collections::HashSet<String> = reordered(&query).iter().map(Edn::to_string).collect();
        assert_eq!(texts.len(), 6);
        assert!(texts.contains("[:find ?x :where [?x :c] [?x :a] [?x :b] :limit 1]"));
    }
}
