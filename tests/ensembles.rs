//! Ensembles of networks for the statistical tests: what every member says, the mean with its standard error next to the
//! prediction, and the rate at which something falls with the width.

use burn::tensor::{DType, Device};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use widthwise::comparison::Comparison;
use widthwise::network::Network;
use widthwise_testing::{assert_within, sampling};
use widthwise_theory::architecture::{Architecture, UpdateRule};

/// What `measure` finds in each of `members` freshly drawn networks in f64; members of different seeds are independent.
pub(crate) fn ensemble<T: Send>(
    architecture: &Architecture,
    seed: u64,
    members: usize,
    measure: impl Fn(Network, usize) -> T + Sync,
) -> Vec<T> {
    ensemble_in(DType::F64, architecture, seed, members, measure)
}

/// As [`ensemble`] at another precision.
pub(crate) fn ensemble_in<T: Send>(
    dtype: DType,
    architecture: &Architecture,
    seed: u64,
    members: usize,
    measure: impl Fn(Network, usize) -> T + Sync,
) -> Vec<T> {
    let draw = |member| Network::new(architecture, UpdateRule::Linear, seed, member, &Device::flex(), dtype);
    (0..members).into_par_iter().map(|member| measure(draw(member).unwrap(), member)).collect()
}

/// Inputs of norm about `sqrt(d)` with a common component: any two of them have the cosine `overlap` in the mean.
pub(crate) fn overlapping_inputs(n: usize, features: usize, overlap: f64) -> Vec<f64> {
    let mut random = widthwise_datasets::stream(12, "test.overlapping");
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let common: Vec<f64> = (0..features).map(|_| normal()).collect();
    (0..n)
        .flat_map(|_| common.iter().map(|c| overlap.sqrt() * c).collect::<Vec<_>>())
        .map(|c| c + (1.0 - overlap).sqrt() * normal())
        .collect()
}

/// One number of an ensemble next to its prediction.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) measured: f64,
    pub(crate) standard_error: f64,
    pub(crate) predicted: f64,
}

impl Entry {
    /// Column `index` of the members' values against one prediction for all.
    pub(crate) fn of(name: String, members: &[Vec<f64>], index: usize, predicted: f64) -> Self {
        let values: Vec<(f64, f64)> = members.iter().map(|values| (values[index], predicted)).collect();
        Self::paired(name, &values)
    }

    /// Every member against its own prediction.
    pub(crate) fn paired(name: String, members: &[(f64, f64)]) -> Self {
        let pairs: Vec<(f64, Option<f64>)> = members.iter().map(|(measured, own)| (*measured, Some(*own))).collect();
        let compared = Comparison::over_members(&pairs);
        Self {
            name,
            measured: compared.measured,
            standard_error: compared.std_error.unwrap(),
            predicted: compared.predicted.unwrap(),
        }
    }

    pub(crate) fn z(&self) -> f64 {
        (self.measured - self.predicted) / self.standard_error
    }
}

/// Prints every entry and asserts `|z| < 4` for each.
#[track_caller]
pub(crate) fn assert_sampled(title: &str, entries: &[Entry]) {
    let worst = entries.iter().map(|e| e.z().abs()).fold(0.0, f64::max);
    eprintln!("{title}: {} entries, largest |z| {worst:.2}", entries.len());
    for e in entries {
        let Entry { name, measured, standard_error, predicted } = e;
        eprintln!(
            "  {name:<28} {measured:>11.6} +- {standard_error:.6}  predicted {predicted:>11.6}  z {:>5.2}",
            e.z()
        );
    }
    for e in entries {
        assert_within(e.measured, e.predicted, sampling(e.standard_error), &format!("{title}: {}", e.name));
    }
}

/// Least-squares slope of `ln y` on `ln n`.
pub(crate) fn log_slope(widths: &[usize], values: &[f64]) -> f64 {
    let x: Vec<f64> = widths.iter().map(|n| (*n as f64).ln()).collect();
    let y: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mx, my) = (mean(&x), mean(&y));
    let covariance: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    covariance / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

/// Slope of `ln statistic` on `ln n` and its 95 % percentile interval when members are drawn again within every width.
pub(crate) fn bootstrap_slope<T>(
    widths: &[usize],
    ensembles: &[Vec<T>],
    statistic: impl Fn(&[&T]) -> f64,
) -> (f64, [f64; 2]) {
    const DRAWS: usize = 2000;
    let all: Vec<f64> = ensembles.iter().map(|members| statistic(&members.iter().collect::<Vec<_>>())).collect();
    let mut random = widthwise_datasets::stream(13, "test.bootstrap");
    let mut slopes: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let again: Vec<f64> = ensembles
                .iter()
                .map(|members| {
                    let drawn: Vec<&T> =
                        members.iter().map(|_| &members[random.random_range(0..members.len())]).collect();
                    statistic(&drawn)
                })
                .collect();
            log_slope(widths, &again)
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    (log_slope(widths, &all), [slopes[DRAWS / 40], slopes[DRAWS - 1 - DRAWS / 40]])
}
