//! Factors and constants between two kernels, and what they may be.

use faer::{Mat, MatRef};

use super::{Difference, Explanation, KernelQuestion};
use crate::error::TheoryError;

/// Relative difference at which a number is taken for a known one.
const RECOGNIZED: f64 = 1e-4;
/// Most outputs over which a sum is recognized.
const MOST_OUTPUTS: usize = 1000;

/// Numbers of the question that may turn up between two conventions.
#[derive(Debug)]
pub(super) struct Known {
    factors: Vec<(f64, String)>,
    constants: Vec<(f64, String)>,
}

impl Known {
    /// The numbers of `question`.
    ///
    /// # Errors
    /// As [`Architecture::weight_layers`](crate::architecture::Architecture::weight_layers).
    pub(super) fn new(question: &KernelQuestion) -> Result<Self, TheoryError> {
        let layers = question.architecture.weight_layers()?;
        let mut bases: Vec<(f64, String)> = Vec::new();
        let (mut variances, mut biases) = (Vec::new(), Vec::new());
        for layer in &layers {
            variances.push(layer.init.sigma_w2);
            biases.push(layer.init.sigma_b2);
        }
        let unique = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        for variance in unique(variances) {
            bases.push((variance, format!("sigma_w2 = {variance}")));
            bases.push((variance.sqrt(), format!("sigma_w = {:.6}", variance.sqrt())));
        }
        let features = question.architecture.input.features();
        bases.push((features as f64, format!("the number of input features, {features}")));
        bases.push((layers.len() as f64, format!("the number of weight layers, {}", layers.len())));
        let examples = question.left.examples();
        bases.push((examples as f64, format!("the number of examples, {examples}")));
        if let Some(hidden) = layers.iter().rev().find(|layer| !layer.is_readout) {
            bases.push((hidden.width as f64, format!("the width of the last hidden layer, {}", hidden.width)));
        }
        bases.retain(|(value, _)| *value > 0.0 && (value - 1.0).abs() > RECOGNIZED);
        let mut factors = vec![(2.0, "a convention of 1/2".to_owned()), (0.5, "a convention of 1/2".to_owned())];
        for (value, name) in bases {
            factors.push((1.0 / value, format!("one over {name}")));
            factors.push((value, name));
        }
        let mut constants = Vec::new();
        for bias in unique(biases).into_iter().filter(|bias| *bias > 0.0) {
            for times in 1..=layers.len() {
                let name =
                    if times == 1 { format!("sigma_b2 = {bias}") } else { format!("{times} times sigma_b2 = {bias}") };
                constants.push((times as f64 * bias, name));
            }
        }
        Ok(Self { factors, constants })
    }

    fn factor(&self, value: f64) -> String {
        let near = |known: f64| ((value - known) / known).abs() < RECOGNIZED;
        let mut names: Vec<String> =
            self.factors.iter().filter(|(known, _)| near(*known)).map(|(_, name)| name.clone()).collect();
        let outputs = (2..=MOST_OUTPUTS).find(|count| near(*count as f64));
        names.extend(outputs.map(|count| format!("a sum (trace) over {count} outputs instead of one of them")));
        let parts = (2..=MOST_OUTPUTS).find(|count| near(1.0 / *count as f64));
        names.extend(parts.map(|count| format!("a mean over {count} where here is a sum")));
        guesses(&names)
    }

    fn constant(&self, value: f64) -> String {
        let near = |known: f64| ((value.abs() - known) / known).abs() < RECOGNIZED;
        let names: Vec<String> =
            self.constants.iter().filter(|(known, _)| near(*known)).map(|(_, name)| name.clone()).collect();
        guesses(&names)
    }
}

fn guesses(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (perhaps {})", names.join("; or ")) }
}

/// The kernel times a factor, plus a constant, and both.
pub(super) fn all(known: &Known, kernel: MatRef<'_, f64>, other: MatRef<'_, f64>) -> Vec<Explanation> {
    let entries = (kernel.nrows() * kernel.ncols()) as f64;
    let dot = |a: MatRef<'_, f64>, b: MatRef<'_, f64>| -> f64 {
        (0..a.ncols()).map(|j| (0..a.nrows()).map(|i| a[(i, j)] * b[(i, j)]).sum::<f64>()).sum()
    };
    let (mean, other_mean) = (kernel.sum() / entries, other.sum() / entries);
    let explanation = |id: &str, text: String, kernel: Mat<f64>, complexity| Explanation {
        id: id.to_owned(),
        text,
        remains: Difference::between(kernel.as_ref(), other),
        complexity,
    };
    let changed = |factor: f64, constant: f64| {
        Mat::from_fn(kernel.nrows(), kernel.ncols(), |i, j| factor * kernel[(i, j)] + constant)
    };
    let mut found = Vec::new();
    let factor = dot(kernel, other) / dot(kernel, kernel);
    let text = format!("it is {} times as large{}", digits(factor), known.factor(factor));
    found.push(explanation("factor", text, changed(factor, 0.0), 2));
    let constant = other_mean - mean;
    let sign = if constant < 0.0 { "smaller" } else { "larger" };
    let text = format!("it is {sign} by {} everywhere{}", digits(constant.abs()), known.constant(constant));
    found.push(explanation("constant", text, changed(1.0, constant), 2));
    let centred =
        |matrix: MatRef<'_, f64>, mean: f64| Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] - mean);
    let (here, there) = (centred(kernel, mean), centred(other, other_mean));
    let factor = dot(here.as_ref(), there.as_ref()) / dot(here.as_ref(), here.as_ref());
    let constant = other_mean - factor * mean;
    let text = format!(
        "it is {} times this one{} plus {}{}",
        digits(factor),
        known.factor(factor),
        digits(constant),
        known.constant(constant)
    );
    found.push(explanation("factor_and_constant", text, changed(factor, constant), 4));
    // Two or three entries are met by any two numbers.
    found.retain(|found| found.complexity < kernel.nrows() * kernel.ncols());
    found
}

fn digits(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) { format!("{value:.5e}") } else { format!("{value:.6}") }
}
