//! Jacot et al. 2018, convergence along a principal component: targets `f_0 + c v`, `v` the second principal component of MNIST under the
//! tangent kernel. In the limit the outputs move along `v` alone, and what is left of the way decays as `(1 - eta lambda_2)^t`.
//!
//! Networks are centred, `f - f_0`, and trained toward `c v`; `v` is an eigenvector of the infinite-width kernel on the training images,
//! `<v^2> = 1`, and `c = 1/2`. The deviation from the line is `f - <f, v> v`, root mean square over images.

use faer::{Mat, Side};
use widthwise_datasets::{Examples, Prepared};
use widthwise_statistics::Estimate;
use widthwise_statistics::power_law::power_of_estimates;
use widthwise_tensors::to_f64;

use super::figure::{Drawing, line, lines_of};
use super::numbers::NumberRow;
use super::problem::{EnsembleProblem, PARITY_OF_DIGITS, at_critical_rate, at_step, at_width, configured};
use super::table::{Expected, TableRow};
use super::{Findings, JACOT_2018, NoFindings, Recipe, Workplace};
use crate::config::{Checked, Stop};
use crate::error::{OrRefused, Result, ensure};
use crate::network::{Network, NoTap};
use crate::plot::palette;
use crate::plot::panel::Panel;
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::Stroke;
use crate::session::{DataSource, Session};

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "jacot2018-mnist-pc",
    about: "Convergence along the second principal component of MNIST, and deviation from it, at three widths",
    paper: JACOT_2018,
    reproduce,
};

/// The component, from 1.
const COMPONENT: usize = 2;

/// Length of the way.
const LENGTH: f64 = 0.5;

/// Share of the way that is left at the end.
const LEFT: f64 = 0.1;

/// Most steps for that.
const MOST_STEPS: f64 = 5000.0;

const SETTINGS: &str = "
run.name = jacot2018_mnist_pc
run.seed = 7
dataset.preprocessing.test = 1
network.sigma_b2 = 0.01
network.width = 1000
network.centred = true
training.learning_rate.critical = 0.25
training.stop.steps = 100
probes.schedule.log = 16
";

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (widths, members, images) =
        place.size.of([([8, 16, 32], 3, 8), ([100, 300, 1000], 10, 128), ([100, 1000, 10_000], 10, 512)]);
    let overrides = [format!("run.members={members}"), format!("dataset.preprocessing.train={images}")];
    let base = configured(&[PARITY_OF_DIGITS, SETTINGS], &overrides)?;
    let component = component(&base, place)?;
    let remark = "Targets are those of numbers.csv, half the component; the configurations name the parity of the digits in their place.";
    let mut found = Findings { remarks: vec![remark.to_owned()], ..Findings::default() };
    let (mut left, mut deviations, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
    for width in widths {
        let experiment = at_width(&component.experiment, width)?;
        let problem = EnsembleProblem::new(&experiment, DataSource::Given(component.prepared.clone()))?;
        let data = &problem.session.data;
        let observe = |network: &Network, _| {
            let Projection { along, aside } =
                projection(&to_f64(network.forward(&data.train, &mut NoTap)), &component.vector);
            vec![along, aside]
        };
        let paths = problem.train(place, observe)?;
        let mut path = Vec::new();
        for step in problem.steps() {
            let ways = at_step(&paths, step)?;
            let still: Vec<f64> = ways.iter().map(|projection| 1.0 - projection[0] / LENGTH).collect();
            let aside: Vec<f64> = ways.iter().map(|projection| projection[1]).collect();
            let theory = component.factor.powf(step as f64);
            for (name, values, theory) in [("left_of_the_way", &still, theory), ("deviation", &aside, 0.0)] {
                let number = NumberRow::mean("mnist", width, name, Estimate::mean(values));
                found.numbers.push(number.at(step).over("train").predicted(theory));
            }
            path.push((step, Estimate::mean(&still), Estimate::mean(&aside), theory));
        }
        let Some(&(step, still, aside, theory)) = path.last() else { continue };
        let quantity = format!("share of the way left after {step} steps, n = {width}");
        let row = TableRow::judged(quantity, Expected::Value { value: theory, reach: 0.5 * theory }, still);
        found.table.push(match width == widths[2] {
            true => row.recalled("exponential decay"),
            false => row.recalled("close to exponential").not_judged("of infinite width"),
        });
        left.push((width, still));
        deviations.push((width, aside));
        drawn.push((width, path));
        found.configs.push((format!("width_{width:05}"), experiment));
    }
    for (width, aside) in &deviations {
        found.table.push(TableRow::shown(format!("deviation from the line at the end, n = {width}"), *aside));
    }
    let power = power_of_estimates(&deviations);
    let row = TableRow::judged("deviation from the line at the end: power of the width", Expected::Below(0.0), power);
    found.table.push(row.recalled("falls with the width"));
    found.numbers.extend(component.vector.iter().enumerate().map(|(i, &value)| {
        NumberRow { width: None, ..NumberRow::new("mnist", 0, "target", LENGTH * value) }.on("train", i)
    }));
    found.figure = figure(&drawn);
    Ok(found)
}

/// The principal component and how fast it is learned.
struct Component {
    /// `v` on the training images, `<v^2> = 1`.
    vector: Vec<f64>,
    /// `1 - eta lambda_2`.
    factor: f64,
    /// The base experiment at its critical rate, with steps until [`LEFT`] of the way is left.
    experiment: Checked,
    /// Its images with `c v` as targets.
    prepared: Prepared,
}

/// Finds the component of the base experiment's images under the infinite-width kernel.
fn component(base: &Checked, place: &Workplace<'_>) -> Result<Component> {
    let data = || DataSource::Named(place.data_dir);
    let (experiment, _) = at_critical_rate(base, data())?;
    let problem = EnsembleProblem::new(&experiment, data())?;
    let (eigenvalue, vector) = principal_component(&problem.kernels(&problem.session.prepared.train)?.ntk, COMPONENT)?;
    let Session { architecture, prepared, .. } = &problem.session;
    let factor = 1.0 - problem.session.learning_rate(architecture)? * eigenvalue;
    let steps = (LEFT.ln() / factor.ln()).ceil();
    ensure!(
        steps.is_finite() && steps > 0.0 && steps <= MOST_STEPS,
        "the second principal component of these images decays by {factor} a step, too slowly to be watched"
    );
    let targets = vector.iter().map(|v| LENGTH * v).collect();
    let train = Examples { targets, labels: Vec::new(), ..prepared.train.clone() };
    let test = Examples { labels: Vec::new(), ..prepared.test.clone() };
    let prepared = Prepared { classes: 0, train, test, ..prepared.clone() };
    let mut changed = experiment.clone().into_inner();
    changed.training.stop = Stop { steps: Some(steps as u64), ..Stop::default() };
    Ok(Component { vector, factor, experiment: Checked::new(changed)?, prepared })
}

/// The `number`-th largest eigenvalue of a kernel, from 1, and its eigenvector with mean square one, the sign chosen so that the
/// largest entry is positive.
fn principal_component(kernel: &Mat<f64>, number: usize) -> Result<(f64, Vec<f64>)> {
    let n = kernel.nrows();
    ensure!(number <= n, "{n} images have no {number}th principal component; take more");
    let found =
        kernel.self_adjoint_eigen(Side::Lower).ok().or_refused(|| "the kernel of the images has no eigenvalues")?;
    let (values, vectors) = (found.S().column_vector(), found.U());
    // Eigenvalues ascend.
    let column: Vec<f64> = (0..n).map(|i| vectors[(i, n - number)]).collect();
    let largest = column.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
    let scale = (n as f64).sqrt() * largest.signum();
    Ok((values[n - number], column.into_iter().map(|entry| entry * scale).collect()))
}

/// Outputs as a way along a direction and away from it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Projection {
    /// `<f v>`.
    along: f64,
    /// Root mean square of `f - <f v> v`.
    aside: f64,
}

/// Splits `outputs`; `<v^2> = 1`.
fn projection(outputs: &[f64], v: &[f64]) -> Projection {
    let n = v.len() as f64;
    let along = outputs.iter().zip(v).map(|(f, v)| f * v).sum::<f64>() / n;
    let aside = outputs.iter().zip(v).map(|(f, v)| (f - along * v).powi(2)).sum::<f64>() / n;
    Projection { along, aside: aside.sqrt() }
}

type DrawnProjection = (usize, Vec<(u64, Estimate, Estimate, f64)>);

fn figure(drawn: &[DrawnProjection]) -> Option<String> {
    let steps = || drawn.iter().flat_map(|(_, path)| path.iter().map(|row| row.0));
    let panel = |title: &str, axis: &str, of: fn(&(u64, Estimate, Estimate, f64)) -> Estimate, has_theory: bool| {
        let mut drawing = Drawing::default();
        for (index, (_, path)) in drawn.iter().enumerate() {
            let color = palette::category(index);
            let band = path.iter().map(|row| {
                let found = of(row);
                (row.0 as f64, found.value - found.std_error, found.value + found.std_error)
            });
            drawing.band(band.collect(), color);
            drawing.line(path.iter().map(|row| (row.0 as f64, of(row).value)).collect(), Stroke::solid(color, 1.8));
        }
        if let Some((_, path)) = drawn.first().filter(|_| has_theory) {
            drawing.line(path.iter().map(|row| (row.0 as f64, row.3)).collect(), Stroke::dashed(palette::INK, 1.5));
        }
        drawing.panel(title.to_owned(), ["training step (log scale)", axis], Scale::steps(steps()))
    };
    let panels: Vec<Panel> = [
        panel("Left of the way along the component", "share of the initial distance", |row| row.1, true),
        panel("Deviation from the component", "RMS deviation of outputs", |row| row.2, false),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut legend = lines_of(drawn.iter().map(|(width, _)| *width));
    legend.push(LegendEntry::new(Sample::Band(palette::AXIS), "± standard error over networks"));
    legend.push(line(Stroke::dashed(palette::INK, 1.5), "infinite width"));
    Some(render(&panels, 2, &legend, "convergence along the second principal component of MNIST"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_components_are_those_of_a_known_kernel() {
        // Eigenvalues 3 and 2 along (1, 1, 0) and (0, 0, 1), and 1 along (1, -1, 0).
        let kernel = Mat::from_fn(3, 3, |i, j| [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]][i][j]);
        let round_off = 1e2 * f64::EPSILON;
        for (number, value, direction) in
            [(1, 3.0, [1.5_f64.sqrt(), 1.5_f64.sqrt(), 0.0]), (2, 2.0, [0.0, 0.0, 3.0_f64.sqrt()])]
        {
            let (found, vector) = principal_component(&kernel, number).unwrap();
            assert!((found - value).abs() < round_off);
            assert!(vector.iter().zip(direction).all(|(a, b)| (a - b).abs() < round_off), "{vector:?}");
        }
        assert!(principal_component(&kernel, 4).unwrap_err().to_string().contains("take more"));
    }

    #[test]
    fn a_way_is_split_at_right_angles() {
        let v = [1.0, 1.0, -1.0, -1.0];
        let found = projection(&[3.0, 1.0, -1.0, -3.0], &v);
        // Along 2, and (1, -1, 1, -1) aside.
        assert_eq!(found, Projection { along: 2.0, aside: 1.0 });
    }
}
