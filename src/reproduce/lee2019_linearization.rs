//! Lee et al. 2019, a network next to its linearization: five hidden ReLU layers on images of two classes, squared loss. The distance
//! of the outputs, root mean square over examples, falls with the width.

use std::path::Path;

use widthwise_datasets::DatasetSpec;
use widthwise_statistics::Estimate;
use widthwise_statistics::power_law::power_of_estimates;

use super::figure::{line, lines_of};
use super::numbers::NumberRow;
use super::problem::{at_critical_rate, at_width, configured};
use super::table::{Expected, TableRow};
use super::{Findings, LEE_2019, NoFindings, Recipe, Stages, Workplace};
use crate::config::Checked;
use crate::ensemble::Ended;
use crate::error::{Result, bail};
use crate::explain::{PointRow, read_points};
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::render;
use crate::plot::svg::Stroke;
use crate::record::budget::Split;
use crate::record::manifest::Manifest;
use crate::run::{RunEnd, RunOptions, run};
use crate::session::DataSource;
use crate::training::Outcome;

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "lee2019-linearization",
    about: "Outputs and loss of networks next to those of their linearization, at growing widths: five hidden ReLU layers, two classes",
    paper: LEE_2019,
    reproduce,
};

/// The theorem's bound on the power of the width; leading order is -1, and few networks of small width flatten it.
const BOUND: Expected = Expected::AtMost { bound: -0.5, reach: 0.5 };

const SETTINGS: &str = "
run.name = lee2019_linearization
run.seed = 4
run.precision = f64
dataset.source.name = mnist
dataset.preprocessing.classes = [0, 1]
dataset.preprocessing.normalize = sqrt_dim
network.depth = 5
network.width = 1024
network.sigma_b2 = 0.1
training.learning_rate.critical = 0.2
probes.schedule.log = 20
probes.ntk = false
probes.jacobian_vectors = 0
probes.information = false
probes.gaussianity = false
explain.forecast = false
";

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (widths, members, examples, steps) = place.size.of([
        (vec![8, 16, 32], 2, 6, 4),
        (vec![64, 256, 1024], 4, 32, 100),
        (vec![128, 256, 512, 1024, 2048], 6, 256, 400),
    ]);
    let mut overrides = vec![
        format!("run.members={members}"),
        format!("explain.members={members}"),
        format!("explain.examples={examples}"),
        format!("dataset.preprocessing.train={examples}"),
        format!("dataset.preprocessing.test={examples}"),
        format!("training.stop.steps={steps}"),
    ];
    let has_cifar = widthwise_datasets::load(&DatasetSpec::Cifar10 {}, place.data_dir, 0).is_ok();
    if has_cifar {
        overrides.push("dataset.source.name=cifar10".to_owned());
    }
    let (base, _) = at_critical_rate(&configured(&[SETTINGS], &overrides)?, DataSource::Named(place.data_dir))?;
    let mut found = Findings::default();
    found.remarks.push(match has_cifar {
        true => "Data: airplanes and automobiles of CIFAR-10, as in the paper.".to_owned(),
        false => {
            "Data: zeros and ones of MNIST; CIFAR-10, which the paper has, was not found (`widthwise data fetch cifar10`).".to_owned()
        }
    });
    let mut drawn = Vec::new();
    for &width in &widths {
        let experiment = at_width(&base, width)?;
        let folder = place.work().join(format!("width_{width:05}"));
        train(&experiment, place, &folder)?;
        let paths = (0..members).map(|member| LinearizationCurve::read(&folder, member)).collect::<Result<Vec<_>>>()?;
        found.numbers.extend(paths.iter().enumerate().flat_map(|(member, path)| path.rows(width, member)));
        drawn.push((width, paths));
        found.configs.push((format!("width_{width:05}"), experiment));
    }
    for split in [Split::Train, Split::Test] {
        let at_end: Vec<(usize, Estimate)> =
            drawn.iter().map(|(width, paths)| (*width, mean(paths, |path| path.last(split).rmse))).collect();
        for &(width, rmse) in &at_end {
            let (number, split) = (NumberRow::mean("linearization", width, "rmse_at_end", rmse), name(split));
            found.numbers.push(number.at(steps).over(split));
        }
        let what = format!("RMSE between network and linearization, {} examples, step {steps}", name(split));
        let [first, .., last] = at_end.as_slice() else { continue };
        let widest = TableRow::shown(format!("{what}, n = {}", last.0), last.1);
        found.table.push(widest.recalled("about 0.05 at n = 2048"));
        let falls = last.1.minus(first.1);
        let quantity = format!("{what}: n = {} less n = {}", last.0, first.0);
        found.table.push(TableRow::judged(quantity, Expected::Below(0.0), falls));
        let power = power_of_estimates(&at_end);
        let bound = TableRow::judged(format!("{what}: power of the width"), BOUND, power);
        found.table.push(bound.recalled("-1/2 or faster"));
        if let Some((width, paths)) = drawn.last() {
            let ratio = mean(paths, |path| path.last(split).network_loss / path.last(split).linearized_loss);
            let quantity = format!("loss of the network over that of its linearization, {}, n = {width}", name(split));
            found.table.push(TableRow::shown(quantity, ratio).recalled("the curves overlay"));
        }
    }
    found.figure = figure(&drawn);
    Ok(found)
}

/// Runs the experiment with its explanation.
fn train(experiment: &Checked, place: &Workplace<'_>, folder: &Path) -> Result<(), NoFindings> {
    let options = RunOptions {
        output: Some(folder.to_owned()),
        data_dir: place.data_dir.map(Into::into),
        resume: folder.join(Manifest::FILE).is_file(),
        force: false,
        shard: place.shard,
    };
    let width = experiment.network.width;
    match run(experiment, &options, place.stop, &Stages(place.monitor))?.end {
        RunEnd::Ended(Outcome::Interrupted) => Err(NoFindings::Paused(Ended::Interrupted)),
        RunEnd::Unfinished { done, all } => Err(NoFindings::Paused(Ended::Unfinished { done, all })),
        RunEnd::Ended(Outcome::Diverged) => bail!("a network of width {width} diverged"),
        RunEnd::Ended(_) => Ok(()),
    }
}

fn name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Test => "test",
    }
}

/// Mean of a number of every network.
fn mean(paths: &[LinearizationCurve], of: impl Fn(&LinearizationCurve) -> f64) -> Estimate {
    Estimate::mean(&paths.iter().map(of).collect::<Vec<_>>())
}

/// A network and its linearization at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CurvePoint {
    step: u64,
    split: Split,
    /// Root mean square of the difference of the outputs.
    rmse: f64,
    /// `1/2 <(f - y)^2>` of the network.
    network_loss: f64,
    /// The same of its linearization.
    linearized_loss: f64,
}

/// One network next to its linearization, by step.
struct LinearizationCurve(Vec<CurvePoint>);

impl LinearizationCurve {
    fn read(folder: &Path, member: usize) -> Result<Self> {
        Ok(Self(curve_points(&read_points(folder, member)?)))
    }

    fn of(&self, split: Split) -> impl Iterator<Item = &CurvePoint> {
        self.0.iter().filter(move |point| point.split == split)
    }

    fn last(&self, split: Split) -> CurvePoint {
        let nothing = CurvePoint { step: 0, split, rmse: f64::NAN, network_loss: f64::NAN, linearized_loss: f64::NAN };
        self.of(split).last().copied().unwrap_or(nothing)
    }

    fn rows(&self, width: usize, member: usize) -> Vec<NumberRow> {
        let row = |point: &CurvePoint, quantity: &str, value| {
            NumberRow::new("linearization", width, quantity, value).of(member).at(point.step).over(name(point.split))
        };
        let of = |point: &CurvePoint| {
            [
                row(point, "rmse", point.rmse),
                row(point, "network_loss", point.network_loss),
                row(point, "linearized_loss", point.linearized_loss),
            ]
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// Distances and losses of every step and split, rows of which stand together.
fn curve_points(rows: &[PointRow]) -> Vec<CurvePoint> {
    let same = |a: &PointRow, b: &PointRow| (a.step, a.split) == (b.step, b.split);
    rows.chunk_by(same)
        .map(|rows| {
            let average = |of: &dyn Fn(&PointRow) -> Option<f64>| {
                rows.iter().map(|row| of(row).unwrap_or(f64::NAN)).sum::<f64>() / rows.len() as f64
            };
            CurvePoint {
                step: rows[0].step,
                split: rows[0].split,
                rmse: average(&|row| Some((row.network? - row.linearized?).powi(2))).sqrt(),
                network_loss: average(&|row| Some(0.5 * (row.network? - row.target).powi(2))),
                linearized_loss: average(&|row| Some(0.5 * (row.linearized? - row.target).powi(2))),
            }
        })
        .collect()
}

fn figure(drawn: &[(usize, Vec<LinearizationCurve>)]) -> Option<String> {
    let mut panels = Vec::new();
    for split in [Split::Train, Split::Test] {
        for (what, is_loss) in [("RMSE, network and linearization", false), ("Loss", true)] {
            let (mut marks, mut heights, mut steps) = (Vec::new(), Vec::new(), Vec::new());
            for (index, (_, paths)) in drawn.iter().enumerate() {
                let color = palette::category(index);
                let mut line = |of: &dyn Fn(&CurvePoint) -> f64, stroke| {
                    let Some(first) = paths.first() else { return };
                    let points: Vec<(f64, f64)> = first
                        .of(split)
                        .enumerate()
                        .map(|(at, point)| {
                            let values = paths.iter().filter_map(|path| path.of(split).nth(at)).map(of);
                            steps.push(point.step);
                            (point.step as f64, values.sum::<f64>() / paths.len() as f64)
                        })
                        .filter(|(step, value)| is_loss || *step > 0.0 && *value > 0.0)
                        .collect();
                    heights.extend(points.iter().map(|(_, value)| *value));
                    marks.push(Mark::Line { points, stroke });
                };
                if is_loss {
                    line(&|point| point.network_loss, Stroke::solid(color, 1.8));
                    line(&|point| point.linearized_loss, Stroke::dashed(color, 1.8));
                } else {
                    line(&|point| point.rmse, Stroke::solid(color, 1.8));
                }
            }
            let y = Scale::log_if_wide(heights)?;
            panels.push(Panel {
                title: format!("{what}, {} examples", name(split)),
                x_label: "training step (log scale)".to_owned(),
                y_label: axis_title(if is_loss { "loss" } else { "RMSE of the outputs" }, "", &y),
                x: Scale::steps(steps)?,
                y,
                marks,
            });
        }
    }
    let mut legend = lines_of(drawn.iter().map(|(width, _)| *width));
    legend.push(line(Stroke::dashed(palette::AXIS, 1.8), "linearization"));
    Some(render(&panels, 2, &legend, "networks next to their linearization, means over networks"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_losses_are_means_over_examples() {
        let row = |step, target, linearized, network| PointRow {
            linearized: Some(linearized),
            network,
            ..PointRow::new((step, Split::Test), [0, 0], target, |_| None)
        };
        let rows = [row(0, 1.0, 0.5, Some(0.5)), row(3, 1.0, 0.0, Some(3.0)), row(3, -1.0, 0.0, Some(-4.0))];
        let found = curve_points(&rows);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].rmse, found[0].network_loss), (0.0, 0.125));
        // Root of (9 + 16) / 2; halves of (4 + 9) / 2 and of (1 + 1) / 2.
        let expected =
            CurvePoint { step: 3, split: Split::Test, rmse: 12.5_f64.sqrt(), network_loss: 3.25, linearized_loss: 0.5 };
        assert_eq!(found[1], expected);
        // A network that has diverged has no distance.
        assert!(curve_points(&[row(3, 1.0, 0.0, None)])[0].rmse.is_nan());
    }
}
