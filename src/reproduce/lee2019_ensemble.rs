//! Lee et al. 2019, predictive distribution over time: mean and variance of the outputs of an ensemble of trained networks on test
//! examples, against those that the infinite-width kernels give.
//!
//! Each network gives, at each step, its regression `b_m = sum_x mu f_m / sum_x mu^2` on the predicted mean `mu(x)`, one in the mean over
//! networks, and `r_m = <(f_m - mu)^2 / sigma^2>_x`, which is one in the mean if the variance is the predicted `sigma^2(x)`.

use statrs::distribution::{ContinuousCDF, Normal};
use widthwise_statistics::Estimate;
use widthwise_theory::dynamics::Prediction;

use super::figure::{Drawing, line};
use super::numbers::NumberRow;
use super::problem::{EnsembleProblem, PARITY_OF_DIGITS, at_critical_rate, at_step, configured};
use super::table::{Expected, TableRow};
use super::{Findings, LEE_2019, NoFindings, Recipe, Workplace};
use crate::error::Result;
use crate::plot::palette;
use crate::plot::panel::Mark;
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::session::DataSource;

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "lee2019-ensemble",
    about: "Mean and variance of an ensemble of networks on test images while it trains, against the infinite-width prediction",
    paper: LEE_2019,
    reproduce,
};

/// Test examples that are drawn.
const DRAWN: usize = 3;

/// Largest four standard errors of a ratio that agrees.
const REACH: f64 = 0.3;

/// Chance that any of the z values exceeds its bound although all means are as predicted.
const SIGNIFICANCE: f64 = 1e-3;

const SETTINGS: &str = "
run.name = lee2019_ensemble
run.seed = 3
dataset.preprocessing.test = 32
network.activation = erf
network.sigma_w2 = 2.25
network.sigma_b2 = 0.1
training.learning_rate.critical = 0.5
probes.schedule.log = 8
";

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (width, members, train, steps) = place.size.of([(16, 4, 6, 4), (512, 100, 16, 64), (1024, 200, 256, 1024)]);
    let overrides = [
        format!("network.width={width}"),
        format!("run.members={members}"),
        format!("dataset.preprocessing.train={train}"),
        format!("training.stop.steps={steps}"),
    ];
    let draft = configured(&[PARITY_OF_DIGITS, SETTINGS], &overrides)?;
    let data = || DataSource::Named(place.data_dir);
    let (experiment, dynamics) = at_critical_rate(&draft, data())?;
    let problem = EnsembleProblem::new(&experiment, data())?;
    let paths = problem.train_and_test(place)?;

    let mut found = Findings::default();
    let (mut largest, mut count) = (0.0_f64, 0);
    let mut drawn = Vec::new();
    let mut ratios = Vec::new();
    for step in problem.steps() {
        let outputs = at_step(&paths, step)?;
        let predicted = dynamics.test_prediction(problem.targets().as_ref(), &problem.training(step)?)?;
        let variances = predicted.variances();
        for (example, &variance) in variances.iter().enumerate() {
            let values: Vec<f64> = outputs.iter().map(|outputs| outputs[example]).collect();
            let (mean, mu) = (Estimate::mean(&values), predicted.mean[(example, 0)]);
            let squares: Vec<f64> = values.iter().map(|value| (value - mu).powi(2)).collect();
            let spread = Estimate::mean(&squares);
            // The null hypothesis knows the variance.
            largest = largest.max(((mean.value - mu) / (variance / values.len() as f64).sqrt()).abs());
            count += 1;
            let at = |number: NumberRow| number.at(step).on("test", example);
            found.numbers.push(at(NumberRow::mean("ensemble", width, "mean_output", mean)).predicted(mu));
            found.numbers.push(at(NumberRow::mean("ensemble", width, "variance", spread)).predicted(variance));
            if example < DRAWN {
                drawn.push((step, example, mean.value, spread.value.sqrt(), mu, variance.sqrt()));
            }
        }
        let slope = (step > 0).then(|| Estimate::mean(&regressions(&outputs, &predicted)));
        let ratio = Estimate::mean(&variance_ratios(&outputs, &predicted));
        let overall = |name: &str, found: Estimate| {
            NumberRow::mean("ensemble", width, name, found).at(step).over("test").predicted(1.0)
        };
        found.numbers.extend(slope.map(|slope| overall("regression_on_predicted_mean", slope)));
        found.numbers.push(overall("variance_over_predicted", ratio));
        ratios.push((step, ratio));
        let one = Expected::Value { value: 1.0, reach: REACH };
        let is_row = [0, problem.session.last_step].contains(&step) || Some(&step) == middle(&problem.steps());
        if is_row {
            let rows = slope.map(|slope| (format!("outputs regressed on the predicted mean, step {step}"), slope));
            let rows = rows.into_iter().chain([(format!("variance over predicted variance, step {step}"), ratio)]);
            found
                .table
                .extend(rows.map(|(what, found)| TableRow::judged(what, one, found).recalled("within the band")));
        }
    }
    let bound = Normal::standard().inverse_cdf(1.0 - 0.5 * SIGNIFICANCE / f64::from(count));
    let quantity = format!("largest |z| of {count} means, all steps");
    found.table.push(TableRow::judged(quantity, Expected::AtMost { bound, reach: 0.0 }, Estimate::exact(largest)));
    found.figure = figure(&drawn, &ratios);
    found.configs = vec![("lee2019_ensemble".to_owned(), experiment)];
    Ok(found)
}

/// The step in the middle of the schedule.
fn middle(steps: &[u64]) -> Option<&u64> {
    steps.get(steps.len() / 2)
}

/// `b_m` of every network.
fn regressions(outputs: &[&Vec<f64>], predicted: &Prediction) -> Vec<f64> {
    let mean = |example: usize| predicted.mean[(example, 0)];
    let norm: f64 = (0..predicted.mean.nrows()).map(|example| mean(example).powi(2)).sum();
    let of = |outputs: &&Vec<f64>| outputs.iter().enumerate().map(|(x, f)| mean(x) * f).sum::<f64>() / norm;
    outputs.iter().map(of).collect()
}

/// `r_m` of every network.
fn variance_ratios(outputs: &[&Vec<f64>], predicted: &Prediction) -> Vec<f64> {
    let variances = predicted.variances();
    let of = |outputs: &&Vec<f64>| {
        let terms = outputs.iter().enumerate().map(|(x, f)| (f - predicted.mean[(x, 0)]).powi(2) / variances[x]);
        terms.sum::<f64>() / variances.len() as f64
    };
    outputs.iter().map(of).collect()
}

type DrawnOutputs = (u64, usize, f64, f64, f64, f64);

fn figure(drawn: &[DrawnOutputs], ratios: &[(u64, Estimate)]) -> Option<String> {
    let mut outputs = Drawing::default();
    for example in 0..DRAWN {
        let color = palette::category(example);
        let rows = || drawn.iter().filter(|row| row.1 == example);
        outputs.band(rows().map(|row| (row.0 as f64, row.4 - row.5, row.4 + row.5)).collect(), color);
        let mut line = |of: fn(&DrawnOutputs) -> f64, stroke| {
            outputs.line(rows().map(|row| (row.0 as f64, of(row))).collect(), stroke);
        };
        line(|row| row.4, Stroke::solid(color, 1.8));
        line(|row| row.2, Stroke::dashed(color, 1.8));
        line(|row| row.2 - row.3, Stroke::dashed(color, 1.0).faded(0.7));
        line(|row| row.2 + row.3, Stroke::dashed(color, 1.0).faded(0.7));
    }
    let level = Mark::Level { y: 1.0, label: "theory".to_owned() };
    let mut ratio = Drawing { marks: vec![level], heights: vec![1.0] };
    for (step, found) in ratios {
        let name = format!("step {step}\nratio ");
        ratio.estimate(*step as f64, *found, (Marker::Circle, 4.0, palette::BLUE), &name);
    }
    let steps = || Scale::steps(ratios.iter().map(|(step, _)| *step));
    let outputs =
        outputs.panel(format!("Outputs on {DRAWN} test images"), ["training step (log scale)", "output"], steps())?;
    let ratio = ratio.panel(
        "Variance over predicted variance".to_owned(),
        ["training step (log scale)", "measured / predicted variance"],
        steps(),
    )?;
    let legend = [
        LegendEntry::new(Sample::Band(palette::AXIS), "infinite width: mean ± standard deviation"),
        line(Stroke::dashed(palette::AXIS, 1.8), "ensemble: mean"),
        line(Stroke::dashed(palette::AXIS, 1.0).faded(0.7), "ensemble: mean ± standard deviation"),
        LegendEntry::new(Sample::Bar(palette::BLUE), "standard error over networks"),
    ];
    Some(render(&[outputs, ratio], 2, &legend, "mean and variance of an ensemble while it trains"))
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;

    #[test]
    fn networks_are_held_against_mean_and_variance() {
        let predicted = Prediction {
            mean: Mat::from_fn(2, 1, |i, _| [1.0, 2.0][i]),
            covariance: Mat::from_fn(2, 2, |i, j| if i == j { [0.25, 4.0][i] } else { 0.5 }),
        };
        let member = vec![1.5, 4.0];
        // (1 * 1.5 + 2 * 4) / 5, and the mean of 0.25/0.25 and 4/4.
        assert_eq!(regressions(&[&member], &predicted), [1.9]);
        assert_eq!(variance_ratios(&[&member], &predicted), [1.0]);
    }
}
