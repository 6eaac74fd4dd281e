//! Jacot et al. 2018, distribution of trained networks on the circle: networks of two widths, trained on four points, against the 10th,
//! 50th and 90th percentiles of the infinite-width ensemble.
//!
//! In the limit outputs are Gaussian, so that percentile `p` lies at `mu + sigma q(p)`, `q` the quantile function of the standard normal
//! distribution. Each network has a share of test points below it; the mean of these shares over networks is `p`.

use statrs::distribution::{ContinuousCDF, Normal};
use widthwise_statistics::Estimate;
use widthwise_theory::dynamics::Prediction;

use super::circle::{REMARK, equal_angles, prepared, scattered_angles};
use super::numbers::NumberRow;
use super::problem::{EnsembleProblem, at_critical_rate, at_step, at_width, configured};
use super::table::{Expected, TableRow};
use super::{Findings, JACOT_2018, NoFindings, Recipe, Workplace};
use crate::error::Result;
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::session::DataSource;

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "jacot2018-percentiles",
    about: "Outputs of trained networks on the unit circle against the 10th, 50th and 90th percentile of the infinite-width ensemble",
    paper: JACOT_2018,
    reproduce,
};

/// The percentiles of the paper's figure.
const SHARES: [f64; 3] = [0.1, 0.5, 0.9];

/// Networks whose outputs are drawn.
const DRAWN: usize = 10;

/// Largest four standard errors of a share that agrees.
const REACH: f64 = 0.08;

const SETTINGS: &str = r#"
run.name = jacot2018_percentiles
run.seed = 5
dataset.source = { name = "uniform-sphere", input_dim = 2, train = 4, test = 36 }
dataset.preprocessing.train = 4
dataset.preprocessing.test = 36
network.sigma_b2 = 0.01
training.learning_rate.critical = 0.5
"#;

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (widths, members, steps) = place.size.of([([8, 16], 6, 4), ([50, 1000], 100, 200), ([50, 1000], 1000, 1000)]);
    let overrides = [format!("run.members={members}"), format!("training.stop.steps={steps}")];
    let base = configured(&[SETTINGS], &overrides)?;
    let angles = equal_angles(36);
    let mut found = Findings { remarks: vec![REMARK.to_owned()], ..Findings::default() };
    let mut panels = Vec::new();
    for (index, width) in widths.into_iter().enumerate() {
        let experiment = at_width(&base, width)?;
        let circle = || DataSource::Given(prepared(&scattered_angles(4), &angles));
        let (experiment, dynamics) = at_critical_rate(&experiment, circle())?;
        let problem = EnsembleProblem::new(&experiment, circle())?;
        let last = problem.session.last_step;
        let paths = problem.train_and_test(place)?;
        let outputs = at_step(&paths, last)?;
        let predicted = dynamics.test_prediction(problem.targets().as_ref(), &problem.training(last)?)?;
        let quantiles = SHARES.map(|share| percentile(&predicted, share));
        for (share, quantile) in SHARES.iter().zip(&quantiles) {
            let shares: Vec<f64> = outputs.iter().map(|outputs| share_below(outputs, quantile)).collect();
            let measured = Estimate::mean(&shares);
            let expected = Expected::Value { value: *share, reach: REACH };
            let percent = (100.0 * share).round();
            let quantity = format!("share of outputs below the {percent}th percentile, n = {width}");
            let row = TableRow::judged(quantity, expected, measured);
            let is_widest = index == 1;
            found.table.push(match is_widest {
                true => row.recalled("close to it"),
                false => row.recalled("close to it").not_judged("of infinite width"),
            });
            let name = format!("share_below_percentile_{percent}");
            let at = |number: NumberRow| number.at(last).over("test");
            found.numbers.push(at(NumberRow::mean("circle", width, &name, measured)).predicted(*share));
            found
                .numbers
                .extend(shares.iter().enumerate().map(|(m, &s)| at(NumberRow::new("circle", width, &name, s)).of(m)));
        }
        found.numbers.extend(points(width, last, &angles, &outputs, &quantiles));
        panels.extend(panel(width, &angles, &outputs, &quantiles, &problem));
        found.configs.push((format!("width_{width:05}"), experiment));
    }
    let drawn = format!("{DRAWN} trained networks");
    let legend = [
        LegendEntry::new(Sample::Band(palette::BLUE), "infinite width: 10th to 90th percentile"),
        LegendEntry::new(Sample::Line(Stroke::solid(palette::BLUE, 2.0)), "its median"),
        LegendEntry::new(
            Sample::Line(Stroke::dashed(palette::VERMILLION, 1.5)),
            "the same percentiles of all networks",
        ),
        LegendEntry::new(Sample::Line(Stroke::solid(palette::AXIS, 0.8).faded(0.5)), drawn),
        LegendEntry::new(
            Sample::Point { shape: Marker::Circle, color: palette::INK.to_owned(), filled: true },
            "training points",
        ),
    ];
    found.figure = Some(render(&panels, 2, &legend, "outputs of trained networks on the unit circle"));
    Ok(found)
}

/// Percentile `share` of Gaussian outputs at every example.
fn percentile(predicted: &Prediction, share: f64) -> Vec<f64> {
    let quantile = Normal::standard().inverse_cdf(share);
    let variances = predicted.variances();
    variances.iter().enumerate().map(|(i, v)| predicted.mean[(i, 0)] + v.max(0.0).sqrt() * quantile).collect()
}

/// Share of the outputs that lie below their quantile.
fn share_below(outputs: &[f64], quantile: &[f64]) -> f64 {
    outputs.iter().zip(quantile).filter(|(output, quantile)| output < quantile).count() as f64 / outputs.len() as f64
}

/// Percentile `share` of a sample, linear between its members.
fn sample_percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

/// The percentile of all networks at every example.
fn sampled(outputs: &[&Vec<f64>], share: f64) -> Vec<f64> {
    let examples = outputs.first().map_or(0, |outputs| outputs.len());
    (0..examples).map(|i| sample_percentile(outputs.iter().map(|outputs| outputs[i]), share)).collect()
}

fn points(width: usize, step: u64, angles: &[f64], outputs: &[&Vec<f64>], quantiles: &[Vec<f64>; 3]) -> Vec<NumberRow> {
    let mut rows = Vec::new();
    for (share, quantile) in SHARES.iter().zip(quantiles) {
        let name = format!("percentile_{}", (100.0 * share).round());
        for (i, value) in sampled(outputs, *share).into_iter().enumerate() {
            let row = NumberRow::new("circle", width, &name, value).at(step).on("test", i);
            rows.push(row.predicted(quantile[i]));
        }
    }
    for (i, &angle) in angles.iter().enumerate() {
        rows.push(NumberRow::new("circle", width, "angle", angle).on("test", i));
    }
    rows
}

fn panel(
    width: usize,
    angles: &[f64],
    outputs: &[&Vec<f64>],
    [low, middle, high]: &[Vec<f64>; 3],
    problem: &EnsembleProblem<'_>,
) -> Option<Panel> {
    let line = |values: &[f64], stroke| Mark::Line {
        points: angles.iter().copied().zip(values.iter().copied()).collect(),
        stroke,
    };
    let band = angles.iter().zip(low.iter().zip(high)).map(|(&angle, (&low, &high))| (angle, low, high));
    let mut marks = vec![Mark::Band { points: band.collect(), color: palette::BLUE }];
    marks.extend(outputs.iter().take(DRAWN).map(|o| line(o, Stroke::solid(palette::AXIS, 0.8).faded(0.5))));
    marks.push(line(middle, Stroke::solid(palette::BLUE, 2.0)));
    marks.extend(SHARES.map(|share| line(&sampled(outputs, share), Stroke::dashed(palette::VERMILLION, 1.5))));
    let train = &problem.session.prepared.train;
    let mut heights: Vec<f64> = outputs.iter().take(DRAWN).flat_map(|outputs| outputs.iter().copied()).collect();
    heights.extend(low.iter().chain(high));
    for (x, &target) in train.inputs.chunks_exact(2).zip(&train.targets) {
        marks.push(Mark::Point {
            at: (x[1].atan2(x[0]), target),
            shape: Marker::Circle,
            radius: 4.5,
            color: palette::INK.to_owned(),
            filled: true,
            tooltip: format!("target {target:?}"),
        });
    }
    Some(Panel {
        title: format!("n = {width}, {} networks", outputs.len()),
        x_label: "angle [rad]".to_owned(),
        y_label: "output after training".to_owned(),
        x: Scale::linear(angles.iter().copied())?,
        y: Scale::linear(heights)?,
        marks,
    })
}

#[cfg(test)]
mod tests {
    use faer::Mat;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn percentiles_are_those_of_the_normal_distribution() {
        let prediction =
            Prediction { mean: Mat::from_fn(1, 1, |_, _| 2.0), covariance: Mat::from_fn(1, 1, |_, _| 9.0) };
        // Abramowitz and Stegun, table 26.5: the 90th percentile is at 1.28155 standard deviations.
        for (share, quantile) in [(0.1, -1.28155), (0.5, 0.0), (0.9, 1.28155)] {
            assert!((percentile(&prediction, share)[0] - (2.0 + 3.0 * quantile)).abs() < 3.0 * 0.5e-5);
        }
    }

    #[test]
    fn gaussian_outputs_lie_below_a_percentile_as_often_as_it_says() {
        let members = 400;
        let mut random = widthwise_datasets::stream(1, "test.percentiles");
        let prediction = Prediction {
            mean: Mat::from_fn(8, 1, |i, _| i as f64),
            covariance: Mat::from_fn(8, 8, |i, j| if i == j { 0.25 } else { 0.0 }),
        };
        let outputs: Vec<Vec<f64>> = (0..members)
            .map(|_| (0..8).map(|i| i as f64 + 0.5 * random.sample::<f64, _>(StandardNormal)).collect())
            .collect();
        for share in SHARES {
            let quantile = percentile(&prediction, share);
            let found = Estimate::mean(&outputs.iter().map(|o| share_below(o, &quantile)).collect::<Vec<_>>());
            assert!(found.z(share).abs() < 4.0, "{share}: {found:?}");
            // Percentiles that are off by three tenths of a standard deviation would be noticed.
            let shifted: Vec<f64> = quantile.iter().map(|q| q + 0.15).collect();
            let found = Estimate::mean(&outputs.iter().map(|o| share_below(o, &shifted)).collect::<Vec<_>>());
            assert!(found.z(share) > 4.0, "{share}: {found:?}");
        }
    }

    #[test]
    fn percentiles_of_a_sample_lie_between_its_members() {
        assert_eq!(sample_percentile([4.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(sample_percentile([4.0, 1.0, 2.0], 0.25), 1.5);
        assert_eq!(sample_percentile([4.0, 1.0, 2.0], 1.0), 4.0);
    }
}
