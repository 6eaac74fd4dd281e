//! Jacot et al. 2018, the tangent kernel on the unit circle: networks of two widths, before and after training, against the kernel of
//! infinite width. With the width the kernels of different initializations close in on it, and training moves them less.
//!
//! The table also holds the kernels of ReLU networks of 1, 3 and 10 hidden layers without biases, inputs of unit norm and first-layer
//! covariance `x . x'`, every later layer at `sigma_w2 = 2`, against their closed forms: `Theta(1) = L + 1`, and at right angles numbers
//! from an independent program.

use std::f64::consts::FRAC_1_PI;

use faer::Mat;
use widthwise_probes::{empirical_ntk, relative_distance};
use widthwise_statistics::Estimate;
use widthwise_statistics::power_law::power_of_estimates;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};
use widthwise_theory::kernel::{Inputs, kernels};

use super::circle::{REMARK, equal_angles, prepared, scattered_angles};
use super::figure::{Drawing, line};
use super::numbers::NumberRow;
use super::problem::{EnsembleProblem, at_critical_rate, at_step, at_width, configured};
use super::table::{Expected, TableRow};
use super::{Findings, JACOT_2018, NoFindings, Recipe, Workplace};
use crate::error::Result;
use crate::network::Network;
use crate::observation::Observation;
use crate::plot::palette;
use crate::plot::panel::Panel;
use crate::plot::scale::Scale;
use crate::plot::sheet::render;
use crate::plot::svg::Stroke;
use crate::prediction::mean_diagonal;
use crate::session::DataSource;

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "jacot2018-circle",
    about: "The tangent kernel on the unit circle before and after training at two widths, against that of infinite width",
    paper: JACOT_2018,
    reproduce,
};

/// Angles at which kernels are examined.
const ANGLES: usize = 32;

/// Of these, the number of `gamma = 0`.
const CENTRE: usize = ANGLES / 2;

/// Layers, `Theta(0)` and `K(0)` at right angles.
const REFERENCE: [(usize, f64, f64); 3] =
    [(1, FRAC_1_PI, FRAC_1_PI), (3, 1.060388, 0.604826), (10, 3.479377, 0.871536)];

const SETTINGS: &str = r#"
run.name = jacot2018_circle
run.seed = 6
dataset.source = { name = "uniform-sphere", input_dim = 2, train = 16, test = 32 }
dataset.preprocessing.train = 16
dataset.preprocessing.test = 32
network.sigma_b2 = 0.01
training.learning_rate.critical = 0.5
"#;

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (widths, members, steps) = place.size.of([([8, 32], 3, 4), ([500, 2000], 10, 200), ([500, 10_000], 10, 200)]);
    let overrides = [format!("run.members={members}"), format!("training.stop.steps={steps}")];
    let base = configured(&[SETTINGS], &overrides)?;
    let mut found = Findings { table: regression_values()?, ..Findings::default() };
    let (mut distances, mut changes, mut panels) = (Vec::new(), Vec::new(), Vec::new());
    for width in widths {
        let experiment = at_width(&base, width)?;
        let circle = || DataSource::Given(prepared(&scattered_angles(16), &equal_angles(ANGLES)));
        let (experiment, _) = at_critical_rate(&experiment, circle())?;
        let problem = EnsembleProblem::new(&experiment, circle())?;
        let infinite = problem.kernels(&problem.session.prepared.test)?.ntk;
        let inputs = problem.test_inputs();
        let observe = |network: &Network, _| {
            let kernel = empirical_ntk(&Observation::new(network, &network.batch(inputs)));
            kernel.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect()
        };
        let paths = problem.train(place, observe)?;
        let of_values = |values: Vec<&Vec<f64>>| -> Vec<Mat<f64>> {
            values.iter().map(|values| Mat::from_fn(ANGLES, ANGLES, |i, j| values[ANGLES * i + j])).collect()
        };
        let [before, after] = [of_values(at_step(&paths, 0)?), of_values(at_step(&paths, steps)?)];
        let distance: Vec<f64> = before.iter().map(|kernel| relative_distance(kernel, &infinite)).collect();
        let change: Vec<f64> = before.iter().zip(&after).map(|(b, a)| relative_distance(a, b)).collect();
        let size = before.iter().map(|kernel| mean_diagonal(kernel) / mean_diagonal(&infinite)).collect::<Vec<_>>();
        for (name, values, step) in [
            ("relative_distance_from_infinite", &distance, 0),
            ("relative_change", &change, steps),
            ("mean_diagonal_over_infinite", &size, 0),
        ] {
            let of = |(m, &value): (usize, &f64)| NumberRow::new("circle", width, name, value).of(m).at(step);
            found.numbers.extend(values.iter().enumerate().map(of));
            found.numbers.push(NumberRow::mean("circle", width, name, Estimate::mean(values)).at(step));
        }
        distances.push((width, Estimate::mean(&distance)));
        changes.push((width, Estimate::mean(&change)));
        if width == widths[1] {
            let quantity = format!("mean diagonal of the initial NTK over that of infinite width, n = {width}");
            let one = Expected::Value { value: 1.0, reach: 0.15 };
            found.table.push(TableRow::judged(quantity, one, Estimate::mean(&size)));
        }
        found.numbers.extend(curves(width, steps, [&before, &after], &infinite));
        panels.extend(panel(width, steps, [&before, &after], &infinite));
        found.configs.push((format!("width_{width:05}"), experiment));
    }
    let [narrow, wide] = widths;
    for (what, recalled, at) in [
        ("relative distance of the initial NTK from that of infinite width", "the spread falls", &distances),
        ("relative change of the NTK by training", "visible at n = 500, none at n = 10000", &changes),
    ] {
        for (width, value) in at {
            found.table.push(TableRow::shown(format!("{what}, n = {width}"), *value));
        }
        let power = power_of_estimates(at);
        let row = TableRow::judged(format!("{what}: power of the width"), Expected::Below(0.0), power);
        found.table.push(row.recalled(recalled));
    }
    found.remarks.push(REMARK.to_owned());
    found.remarks.push(format!(
        "Leading order is the power -1/2 for the distance and -1 for the change; two widths, {narrow} and {wide}, with {members} \
         networks each, decide the sign and not the power."
    ));
    let legend = [
        line(Stroke::solid(palette::BLUE, 1.0).faded(0.6), "before training"),
        line(Stroke::solid(palette::VERMILLION, 1.0).faded(0.6), format!("after {steps} steps")),
        line(Stroke::dashed(palette::INK, 1.8), "infinite width"),
    ];
    found.figure = Some(render(&panels, 2, &legend, "tangent kernels of single networks on the unit circle"));
    Ok(found)
}

/// The kernels without biases against their reference values.
fn regression_values() -> Result<Vec<TableRow>> {
    let mut rows = Vec::new();
    for (depth, ntk, nngp) in REFERENCE {
        // Inputs at right angles; x . x' = sigma_w2 x . x' / d with sigma_w2 = d = 2.
        let inputs = Inputs::new(vec![1.0, 0.0, 0.0, 1.0], InputShape::flat(2))?;
        let found = kernels(&relu_without_bias(depth), &inputs, None)?;
        let row = |what: &str, value, decimals, found: f64| {
            let quantity = format!("{what}, ReLU without bias, L = {depth}");
            TableRow::judged(quantity, Expected::Digits { value, decimals }, Estimate::exact(found))
        };
        rows.push(row("Theta(x, x)", (depth + 1) as f64, 6, found.ntk[(0, 0)]));
        rows.push(row("Theta at right angles", ntk, 6, found.ntk[(0, 1)]));
        rows.push(row("K at right angles", nngp, 6, found.nngp[(0, 1)]));
    }
    Ok(rows)
}

fn relu_without_bias(depth: usize) -> Architecture {
    // Every layer at sigma_w2 = 2 and two input features: the first covariance is x . x'.
    let init = InitVariance { sigma_w2: 2.0, sigma_b2: 0.0 };
    let hidden = [Layer::Dense { width: 1, init }, Layer::Activation { function: Activation::Relu }];
    let layers = std::iter::repeat_n(hidden, depth).flatten().chain([Layer::Dense { width: 1, init }]);
    Architecture {
        input: InputShape::flat(2),
        layers: layers.collect(),
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    }
}

/// `Theta(x(0), x(gamma))` of every network and of infinite width.
fn curves(width: usize, steps: u64, [before, after]: [&[Mat<f64>]; 2], infinite: &Mat<f64>) -> Vec<NumberRow> {
    let mut rows = Vec::new();
    for (step, kernels) in [(0, before), (steps, after)] {
        for (member, kernel) in kernels.iter().enumerate() {
            rows.extend((0..ANGLES).map(|i| {
                let row = NumberRow::new("circle", width, "ntk", kernel[(CENTRE, i)]);
                row.of(member).at(step).on("test", i).predicted(infinite[(CENTRE, i)])
            }));
        }
    }
    let angles = equal_angles(ANGLES);
    rows.extend(angles.iter().enumerate().map(|(i, &a)| NumberRow::new("circle", width, "angle", a).on("test", i)));
    rows
}

fn panel(width: usize, steps: u64, [before, after]: [&[Mat<f64>]; 2], infinite: &Mat<f64>) -> Option<Panel> {
    let angles = equal_angles(ANGLES);
    let mut drawing = Drawing::default();
    let points =
        |kernel: &Mat<f64>| angles.iter().enumerate().map(|(i, &angle)| (angle, kernel[(CENTRE, i)])).collect();
    for (color, kernels) in [(palette::BLUE, before), (palette::VERMILLION, after)] {
        kernels.iter().for_each(|kernel| drawing.line(points(kernel), Stroke::solid(color, 1.0).faded(0.6)));
    }
    drawing.line(points(infinite), Stroke::dashed(palette::INK, 1.8));
    let title = format!("n = {width}, {} networks, steps 0 and {steps}", before.len());
    drawing.panel(title, ["angle [rad]", "NTK entry with angle 0"], Scale::linear(angles.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn kernels_without_biases_have_their_reference_values() {
        let rows = regression_values().unwrap();
        assert_eq!(rows.len(), 9);
        for row in rows {
            assert_eq!(row.verdict, Some(Verdict::Agrees), "{row:?}");
        }
    }

    #[test]
    fn the_middle_angle_is_zero() {
        assert!(equal_angles(ANGLES)[CENTRE].abs() < 8.0 * f64::EPSILON);
    }
}
