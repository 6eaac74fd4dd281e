//! The verdicts on trial: many small ensembles of which theory is right, each judged as it is and with every mistake put into theory. Says whether p-values are
//! uniform, how many runs cry wolf, and whether mistakes are noticed as often as `check --power` promised.

use std::collections::BTreeMap;
use std::path::Path;

use statrs::distribution::{ContinuousCDF, Normal};
use widthwise_statistics::gaussianity::{Null, kolmogorov_smirnov};
use widthwise_statistics::judge::holm;

use super::power::{Mistake, Rejudged};
use super::{RunOptions, run};
use crate::comparison::{claim_of, p_value};
use crate::config::{ControlConfig, parse};
use crate::error::{Result, bail};
use crate::monitor::Monitor;
use crate::quantity::{Quantity, Theory};
use crate::record::manifest::Manifest;
use crate::session::{DataSource, Session};
use crate::signals::StopFlag;
use crate::verdict::Verdict;

/// A network for which theory is exact or nearly so, small enough for hundreds of ensembles.
pub const EXPERIMENT: &str = r#"
[run]
name = "verdicts"
[dataset]
source = { name = "uniform-sphere", input_dim = 12, train = 16, test = 8 }
[dataset.preprocessing]
train = 16
test = 8
normalize = "sqrt_dim"
targets = "binary"
[network]
depth = 2
width = 128
activation = "relu"
sigma_w2 = 2.0
sigma_b2 = 0.1
[training]
learning_rate = { critical = 0.02 }
[training.stop]
steps = 8
[probes]
schedule = "ends"
examples = 16
jacobian_examples = 16
information = false
[claims]
required = ["weight_variance", "bias_variance", "nngp_mean_diagonal", "nngp_mean_off_diagonal", "ntk_mean_diagonal", "ntk_mean_off_diagonal", "ntk_overlap", "preactivation_variance", "partial_jacobian_norm", "train_loss", "test_loss", "ntk_frozen"]
"#;

/// Levels at which the shares of small p-values and of runs that cry wolf are counted.
pub const LEVELS: [f64; 2] = [0.05, 0.001];

/// What runs are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimPlace {
    /// The claim's name.
    pub claim: String,
    /// Earlier layer of a pair.
    pub layer_from: Option<usize>,
    /// Layer.
    pub layer: Option<usize>,
    /// Step.
    pub step: u64,
}

/// The p-values of one claim over all runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Uniformity {
    /// Which.
    pub place: ClaimPlace,
    /// Whether its prediction is a bound: then p-values may be as large as they like.
    pub is_bound: bool,
    /// Runs that had one.
    pub runs: usize,
    /// Kolmogorov-Smirnov distance from uniform.
    pub distance: f64,
    /// Its p-value.
    pub p_value: f64,
    /// Shares of p-values below [`LEVELS`].
    pub below: [f64; 2],
    /// Mean of z and its standard error: what is left of the bias of a prediction that holds up to terms of the width.
    pub bias: [f64; 2],
}

/// How often a mistake is noticed.
#[derive(Debug, Clone, PartialEq)]
pub struct Noticed {
    /// The mistake.
    pub mistake: Mistake,
    /// Share of runs that disagree.
    pub share: f64,
    /// What the first runs promised, in the mean.
    pub promised: f64,
}

/// What came of the trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Runs.
    pub runs: usize,
    /// Members of each.
    pub members: usize,
    /// Runs that agree, disagree and are undecided.
    pub verdicts: [usize; 3],
    /// Runs with a claim that is rejected at [`LEVELS`] after correction.
    pub wolves: [usize; 2],
    /// A claim each.
    pub claims: Vec<Uniformity>,
    /// A mistake each.
    pub mistakes: Vec<Noticed>,
}

/// Runs from which the promised power is read.
const PROMISING: usize = 10;

/// Judges `runs` ensembles of `members` networks, with seeds from 1 on. Nothing is kept; `None` if it was stopped.
///
/// # Errors
/// As [`run`].
pub fn trial(runs: usize, members: usize, stop: &StopFlag, monitor: &dyn Monitor) -> Result<Option<Trial>> {
    let folder = std::env::temp_dir().join(format!("widthwise-trial-{}", std::process::id()));
    let found = trial_in(&folder, runs, members, stop, monitor);
    let _ = std::fs::remove_dir_all(&folder);
    found
}

fn trial_in(
    folder: &Path,
    runs: usize,
    members: usize,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<Option<Trial>> {
    let mistakes = Mistake::all();
    let mut found: BTreeMap<ClaimPlace, Vec<[f64; 2]>> = BTreeMap::new();
    let (mut verdicts, mut wolves) = ([0; 3], [0; 2]);
    let mut noticed = vec![0usize; mistakes.len()];
    let mut promised = vec![0.0; mistakes.len()];
    for seed in 1..=runs {
        let overrides = [format!("run.seed={seed}"), format!("run.members={members}")];
        let experiment = match parse(EXPERIMENT, "the experiment of the trial", &overrides) {
            Ok(experiment) => experiment,
            Err(error) => bail!("{error}"),
        };
        let options = RunOptions { output: Some(folder.to_owned()), force: true, ..RunOptions::default() };
        let summary = run(&experiment, &options, stop, monitor)?;
        let Some(check) = summary.check else { return Ok(None) };
        verdicts[index(check.verdict)] += 1;
        let session = Session::new(&experiment, DataSource::Named(None), crate::session::device(&experiment)?)?;
        let rejudged = Rejudged::new(folder, &session, Manifest::read(folder)?.learning_rate);
        let rows = rejudged.rows(&ControlConfig::default())?;
        let steps = super::power::steps_of(&rows);
        let mut of_run = Vec::new();
        for row in &rows {
            let (Some(claim), Some(p), Some(z)) = (claim_of(row, &steps), p_value(row), row.z) else { continue };
            let place =
                ClaimPlace { claim: claim.to_owned(), layer_from: row.layer_from, layer: row.layer, step: row.step };
            found.entry(place).or_default().push([p, z]);
            of_run.push(p);
        }
        for (wolves, level) in wolves.iter_mut().zip(LEVELS) {
            *wolves += usize::from(holm(&of_run, level).contains(&true));
        }
        let mutations = rejudged.mutations()?;
        for (mistake, verdict) in mutations.mistakes.iter().zip(&mutations.verdicts) {
            let place = mistakes.iter().position(|other| other == mistake);
            if let Some(place) = place.filter(|_| *verdict == Verdict::Disagrees) {
                noticed[place] += 1;
            }
        }
        if seed <= PROMISING {
            for (promised, mistake) in promised.iter_mut().zip(&mistakes) {
                *promised += rejudged.chance(*mistake)? / PROMISING.min(runs) as f64;
            }
        }
    }
    let claims = found.into_iter().map(|(place, found)| uniformity(place, &found)).collect();
    let share = |count: usize| count as f64 / runs as f64;
    let mistakes = mistakes
        .into_iter()
        .zip(noticed)
        .zip(promised)
        .map(|((mistake, noticed), promised)| Noticed { mistake, share: share(noticed), promised })
        .collect();
    Ok(Some(Trial { runs, members, verdicts, wolves, claims, mistakes }))
}

fn index(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Agrees => 0,
        Verdict::Disagrees => 1,
        Verdict::Undecided | Verdict::NoPrediction => 2,
    }
}

fn uniformity(place: ClaimPlace, found: &[[f64; 2]]) -> Uniformity {
    let is_bound = Quantity::of_claim(&place.claim).is_some_and(|quantity| quantity.theory() == Theory::UpperBound);
    let runs = found.len() as f64;
    let below = LEVELS.map(|level| found.iter().filter(|[p, _]| *p < level).count() as f64 / runs);
    // A p-value is uniform if its Gaussian quantile is Gaussian.
    let gaussian = Normal::standard();
    let quantiles: Vec<f64> = found.iter().map(|[p, _]| gaussian.inverse_cdf(p.clamp(1e-12, 1.0 - 1e-12))).collect();
    let outcome = kolmogorov_smirnov(&quantiles, Null::Known { mean: 0.0, variance: 1.0 });
    let (distance, p_value) = outcome.map_or((f64::NAN, f64::NAN), |outcome| (outcome.statistic, outcome.p_value));
    let z: Vec<f64> = found.iter().map(|[_, z]| *z).collect();
    let mean = widthwise_statistics::Estimate::mean(&z);
    Uniformity { place, is_bound, runs: found.len(), distance, p_value, below, bias: [mean.value, mean.std_error] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> ClaimPlace {
        ClaimPlace { claim: "train_loss".to_owned(), layer_from: None, layer: None, step: 1 }
    }

    #[test]
    fn uniform_p_values_are_told_from_small_ones() {
        let even: Vec<[f64; 2]> = (0..200).map(|i| [(f64::from(i) + 0.5) / 200.0, 0.0]).collect();
        let found = uniformity(place(), &even);
        assert!((found.distance - 0.0025).abs() < 1e-9 && found.p_value > 0.999, "{found:?}");
        assert_eq!(found.below, [0.05, 0.0]);
        let small: Vec<[f64; 2]> = even.iter().map(|[p, z]| [p * p, *z]).collect();
        assert!(uniformity(place(), &small).p_value < 1e-9);
    }

    /// A short form of the trial: theory is right, and what is wrong by a factor is seen.
    #[test]
    fn a_few_small_runs_keep_what_was_promised() {
        let stop = StopFlag::default();
        let found = trial(4, 8, &stop, &crate::monitor::Silent).unwrap().unwrap();
        assert_eq!(found.verdicts[1], 0, "{found:?}");
        assert_eq!(found.wolves[1], 0, "{found:?}");
        let noticed = |mistake| found.mistakes.iter().find(|noticed| noticed.mistake == mistake).unwrap();
        for mistake in [Mistake::SigmaW2(1.1), Mistake::NngpForNtk] {
            let Noticed { share, promised, .. } = *noticed(mistake);
            assert!(share == 1.0 && promised > super::super::power::NOTICED, "{mistake:?}: {share}, {promised}");
        }
        let weights = found.claims.iter().filter(|claim| claim.place.claim == "weight_variance").count();
        assert_eq!(weights, 2);
    }
}
