//! The forecast horizon: for how long the kernel of a snapshot, frozen, forecasts the rest of training.

use std::collections::BTreeMap;

use super::points::{Outputs, Points};
use crate::record::budget::ForecastRow;

/// A row for every snapshot `(step, forecast)` against the path that the network took.
pub(super) fn rows(
    member: usize,
    snapshots: &[(u64, BTreeMap<u64, Outputs>)],
    path: &BTreeMap<u64, Outputs>,
    points: &Points,
    tolerance: f64,
) -> Vec<ForecastRow> {
    let targets = points.train_target_matrix();
    let loss = |outputs: &Outputs| (&outputs.train - &targets).squared_norm_l2();
    snapshots
        .iter()
        .filter_map(|(step, forecast)| {
            let start = path.get(step)?;
            let residual = root_mean_square(loss(start), start.train.nrows() * start.train.ncols());
            let error = |step: &u64| -> Option<f64> {
                let (found, expected) = (forecast.get(step)?, path.get(step)?);
                let squares = (&found.train - &expected.train).squared_norm_l2()
                    + (&found.test - &expected.test).squared_norm_l2();
                let count = (found.train.nrows() + found.test.nrows()) * found.train.ncols();
                Some(root_mean_square(squares, count) / residual).filter(|error| error.is_finite())
            };
            let later: Vec<(u64, Option<f64>)> = path.range(step..).map(|(step, _)| (*step, error(step))).collect();
            let held = later.iter().take_while(|(_, error)| error.is_some_and(|error| error < tolerance));
            let end = held.last().map_or(*step, |(step, _)| *step);
            let last = later.last()?;
            Some(ForecastRow {
                member,
                step: *step,
                tolerance,
                horizon_steps: end - step,
                is_censored: end == last.0,
                loss_decades: Some((loss(start) / loss(&path[&end])).log10()).filter(|decades| decades.is_finite()),
                final_error: last.1,
            })
        })
        .collect()
}

fn root_mean_square(squares: f64, count: usize) -> f64 {
    (squares / count as f64).sqrt()
}
