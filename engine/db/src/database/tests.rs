//! A database value against a naive model: every datom in a list, nested loops.

mod check;
mod model;
mod naive_build;
mod random;
mod smoke;
mod threads;

use random::Walk;

use super::Options;

/// Seeds of the random walks; `ANNALS_SEEDS` sets another number.
fn seeds() -> u64 {
    std::env::var("ANNALS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

#[test]
fn every_read_agrees_with_the_model_in_every_view() {
    for seed in 0..seeds() {
        let mut walk = Walk::new(seed, Options::default());
        walk.run(40);
        walk.check_all(6);
    }
}

#[test]
fn without_history_every_read_agrees_with_the_model() {
    for seed in 0..seeds() / 4 {
        let mut walk = Walk::new(1_000_000 + seed, Options { keep_history: false, ..Options::default() });
        walk.run(40);
        walk.check_all(4);
    }
}
