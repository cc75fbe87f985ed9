//! How a figure is taken: one run, a warm-up, then batches of runs; the median and the least of the batches' means.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// before the batches
    pub warm_up: Duration,
    /// of each batch
    pub batch: Duration,
}

/// Median and minimum over the batches, milliseconds a run.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// the middle batch
    pub median: f64,
    /// the fastest batch
    pub min: f64,
}

/// Batches of something quick.
const BATCHES: usize = 7;
/// A first run this long makes do with four single runs.
const SLOW: Duration = Duration::from_secs(1);
/// A first run this long makes do with one more.
const VERY_SLOW: Duration = Duration::from_secs(4);

impl Figure {
    /// Of figures of single runs or batches.
    pub fn of(mut figures: Vec<f64>) -> Figure {
        figures.sort_by(f64::total_cmp);
        Figure { median: figures[figures.len() / 2], min: figures[0] }
    }
}

/// Measures `run`, which answers how many rows it found; every run must find the same.
///
/// # Errors
/// What `run` fails with, and a number of rows that is not `rows`.
pub fn measure(timing: Timing, rows: usize, mut run: impl FnMut() -> Result<usize>) -> Result<Figure> {
    let mut checked = || -> Result<()> {
        let found = run()?;
        ensure!(found == rows, "{found} rows instead of {rows}");
        Ok(())
    };
    let started = Instant::now();
    checked()?;
    let (batches, batch) = match started.elapsed() {
        first if first >= VERY_SLOW => (1, Duration::ZERO),
        first if first >= SLOW => (4, Duration::ZERO),
        _ => {
            mean_of_runs(timing.warm_up, &mut checked)?;
            (BATCHES, timing.batch)
        }
    };
    let figures = (0..batches).map(|_| mean_of_runs(batch, &mut checked)).collect::<Result<Vec<f64>>>()?;
    Ok(Figure::of(figures))
}

/// Runs at least once and until `time` has passed; milliseconds a run.
fn mean_of_runs(time: Duration, run: &mut impl FnMut() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut runs = 0u32;
    loop {
        run()?;
        runs += 1;
        let elapsed = started.elapsed();
        if elapsed >= time {
            return Ok(elapsed.as_secs_f64() * 1e3 / f64::from(runs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_of_rows_fails() {
        let timing = Timing { warm_up: Duration::ZERO, batch: Duration::ZERO };
        assert!(measure(timing, 2, || Ok(2)).is_ok());
        assert!(measure(timing, 2, || Ok(3)).unwrap_err().to_string().contains("3 rows instead of 2"));
    }

    #[test]
    fn the_middle_batch_is_the_median() {
        let figure = Figure::of(vec![5.0, 1.0, 3.0]);
        assert_eq!((figure.median, figure.min), (3.0, 1.0));
    }
}
