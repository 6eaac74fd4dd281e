//! The recursion on whole tensors `K[p, p']` of one pair: no shortcut, any graph; slow, and the reference for the others.

use super::TangentSource;
use super::field::{Field, Fields, Weighing};
use super::gaussians::{self, Left, activate};
use super::means::{carry_mean, norm_profile};
use super::positions::Alone;
use super::profile::Profiles;
use super::program::{Instruction, Program, Step};
use super::window::Window;

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct TensorScratch {
    pub(super) fields: Fields,
    unused: Vec<f64>,
}

impl TensorScratch {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.fields.bytes() + 8 * self.unused.capacity()
    }
}

/// `(1/C) sum_c x_c[p] y_c[p']` for all `p, p'`.
pub(super) fn products(left: &[f64], right: &[f64], positions: usize, nngp: &mut Vec<f64>) {
    let share = positions as f64 / left.len() as f64;
    nngp.resize(positions * positions, 0.0);
    for (x, y) in left.chunks_exact(positions).zip(right.chunks_exact(positions)) {
        for (row, x) in nngp.chunks_exact_mut(positions).zip(x) {
            row.iter_mut().zip(y).for_each(|(k, y)| *k += share * x * y);
        }
    }
}

/// Means of `K[p, p]` and `Theta[p, p]`.
fn diagonal_means(field: &Field) -> [f64; 2] {
    let positions = field.nngp.len().isqrt();
    let mean = |tensor: &[f64]| tensor.iter().step_by(positions + 1).sum::<f64>() / positions as f64;
    [mean(&field.nngp), mean(&field.ntk)]
}

/// Which two examples, and what is known of them.
pub(super) enum Who<'a> {
    /// Two examples of prepared sides.
    Pair((&'a Profiles, usize), (&'a Profiles, usize)),
    /// One with itself, its profile to be noted.
    Alone(&'a mut Alone),
}

/// Sends a pair through all layers; the sources are in the fields. Returns `K` and `Theta` after every weight layer.
pub(super) fn run(
    program: &Program,
    mut who: Who<'_>,
    gate: f64,
    source: TangentSource,
    scratch: &mut TensorScratch,
) -> Vec<[f64; 2]> {
    let mut layers = Vec::with_capacity(program.weight_layers);
    for instruction in &program.instructions {
        let operand = instruction.inputs[0];
        let mut field = scratch.fields.take(operand.state, operand.last);
        match &instruction.step {
            Step::Dense(weights) => {
                for tensor in field.tensors() {
                    let positions = tensor.len().isqrt();
                    let mean = tensor.iter().step_by(positions + 1).sum::<f64>() / positions as f64;
                    tensor.clear();
                    tensor.push(mean);
                }
                let gates = [gate];
                let gates = weights.gated.then_some(&gates[..]);
                Weighing::new(weights, 1.0, source).apply_to(&mut field, gates);
                feed_identity(source, weights.number, &mut field);
                layers.push(diagonal_means(&field));
            }
            Step::Convolution(weights, window) => {
                field.tensors().for_each(|tensor| convolve(window, tensor, &mut scratch.fields.scratch));
                Weighing::new(weights, 1.0 / window.cells() as f64, source).apply_to(&mut field, None);
                feed_identity(source, weights.number, &mut field);
                layers.push(diagonal_means(&field));
            }
            Step::Pool(window, factor) => {
                for tensor in field.tensors() {
                    pool(window, tensor, &mut scratch.fields.scratch);
                    tensor.iter_mut().for_each(|x| *x *= factor);
                }
            }
            Step::GlobalPool => {
                for tensor in field.tensors() {
                    let mean = tensor.iter().sum::<f64>() / tensor.len() as f64;
                    tensor.clear();
                    tensor.push(mean);
                }
            }
            Step::Sum(scales) => {
                let [height, width] = program.sizes[instruction.output];
                let first = std::mem::take(&mut field);
                field.nngp.resize((height * width).pow(2), 0.0);
                field.add_scaled(scales[0] * scales[0], &first, 1);
                for (scale, operand) in scales.iter().zip(&instruction.inputs).skip(1) {
                    field.add_scaled(scale * scale, scratch.fields.state(operand.state), 1);
                }
            }
            step => match &mut who {
                Who::Pair(left, right) => special(step, *left, *right, &mut field, &mut scratch.unused),
                Who::Alone(alone) => special_alone(program, instruction, alone, &mut field, &mut scratch.unused),
            },
        }
        if let Who::Alone(alone) = &mut who {
            carry_mean(program, instruction, alone);
        }
        scratch.fields.put(instruction.output, field);
    }
    layers
}

fn feed_identity(source: TangentSource, number: usize, field: &mut Field) {
    if source != TangentSource::Preactivations(number) {
        return;
    }
    let positions = field.nngp.len().isqrt();
    field.ntk.clear();
    field.ntk.resize(field.nngp.len(), 0.0);
    field.ntk.iter_mut().step_by(positions + 1).for_each(|theta| *theta = 1.0);
}

fn convolve(window: &Window, tensor: &mut Vec<f64>, scratch: &mut Vec<f64>) {
    let (rows, columns) = (&window.rows, &window.columns);
    rows.sum_along_diagonals(tensor, columns.size, columns.size, scratch);
    columns.sum_along_diagonals(scratch, rows.out, 1, tensor);
}

fn pool(window: &Window, tensor: &mut Vec<f64>, scratch: &mut Vec<f64>) {
    let (rows, columns) = (&window.rows, &window.columns);
    let after = rows.size * columns.size;
    rows.sum(tensor, columns.size * after, scratch);
    columns.sum(scratch, after, tensor);
    rows.sum(tensor, columns.size, scratch);
    columns.sum(scratch, 1, tensor);
}

/// Activations, norms and dropout of two examples.
fn special(step: &Step, left: (&Profiles, usize), right: (&Profiles, usize), field: &mut Field, unused: &mut Vec<f64>) {
    let positions = field.nngp.len().isqrt();
    match step {
        Step::Activation(_, slot) => {
            let (a, b) = (&left.0.activations[*slot], &right.0.activations[*slot]);
            for p in 0..positions {
                let row = p * positions..(p + 1) * positions;
                let theta = field.ntk.get_mut(row.clone()).unwrap_or(&mut []);
                let first = Left::One(a, left.1 * positions + p);
                activate(first, b, right.1 * positions, &mut field.nngp[row], theta, unused);
            }
        }
        Step::Norm(slot) => {
            let a = left.0.norms[*slot].side(left.1..left.1 + 1);
            let b = right.0.norms[*slot].side(right.1..right.1 + 1);
            normalize(field, [a.inverse, a.mean, a.rest], [b.inverse, b.mean, b.rest]);
        }
        // Masks differ from example to example.
        Step::Dropout(_) => {}
        _ => unreachable!("linear steps are the same for all"),
    }
}

/// The same of one example with itself, noting its profile.
fn special_alone(
    program: &Program,
    instruction: &Instruction,
    alone: &mut Alone,
    field: &mut Field,
    unused: &mut Vec<f64>,
) {
    let positions = field.nngp.len().isqrt();
    let on_diagonal = |tensor: &[f64]| tensor.iter().step_by(positions + 1).copied().collect::<Vec<f64>>();
    match &instruction.step {
        Step::Activation(function, _) => {
            let (variances, tangents) = (on_diagonal(&field.nngp), on_diagonal(&field.ntk));
            let gaussians = gaussians::Gaussians::new(function, variances.clone(), positions);
            for p in 0..positions {
                let row = p * positions..(p + 1) * positions;
                let theta = field.ntk.get_mut(row.clone()).unwrap_or(&mut []);
                let first = if positions == 1 { Left::One(&gaussians, 0) } else { Left::One(&gaussians, p) };
                activate(first, &gaussians, 0, &mut field.nngp[row], theta, unused);
            }
            for (p, q) in variances.iter().enumerate() {
                let (dual, entry) = (function.dual_diagonal(*q), p * (positions + 1));
                field.nngp[entry] = dual.value;
                if let Some(theta) = field.ntk.get_mut(entry) {
                    *theta = dual.derivative * tangents[p];
                }
            }
            alone.profile.variances.push(variances);
        }
        Step::Norm(slot) => {
            let mean = alone.means.get(instruction.inputs[0].state).map(Vec::as_slice).unwrap_or_default();
            let numbers = norm_profile(&program.norms[*slot], &on_diagonal(&field.nngp), mean);
            let side = numbers.each_ref().map(Vec::as_slice);
            normalize(field, side, side);
            alone.profile.norms.push(numbers);
        }
        Step::Dropout(keep) => {
            field.tensors().for_each(|tensor| tensor.iter_mut().step_by(positions + 1).for_each(|x| *x /= keep));
        }
        _ => unreachable!("linear steps are the same for all"),
    }
}

fn normalize(field: &mut Field, left: [&[f64]; 3], right: [&[f64]; 3]) {
    let positions = left[0].len();
    let product = |which: usize, p: usize, r: usize| match left[which].is_empty() {
        true => 0.0,
        false => left[which][p] * right[which][r],
    };
    for p in 0..positions {
        for r in 0..positions {
            let entry = p * positions + r;
            let factor = product(0, p, r);
            field.nngp[entry] = (field.nngp[entry] - product(1, p, r) + product(2, p, r)) * factor;
            if let Some(theta) = field.ntk.get_mut(entry) {
                *theta *= factor;
            }
        }
    }
}
