//! Means of the units at every position, for norms that subtract them.
//!
//! Zero after weights, `E[phi]` after an activation, and carried along linear maps. `LayerNorm` leaves `(m - mu) / s`, with `mu`
//! the mean over all that is normalized together.

use super::positions::Alone;
use super::program::{Instruction, NormSlot, Program, Step};
use super::window::Window;

/// `[1/s, m, m - mu]` of a norm at mean squares `squares`; the last two are empty where nothing is subtracted, and the last where
/// `mu = m`.
pub(super) fn norm_profile(norm: &NormSlot, squares: &[f64], mean: &[f64]) -> [Vec<f64>; 3] {
    let positions = squares.len() as f64;
    let average = |numbers: &[f64]| numbers.iter().sum::<f64>() / positions;
    let subtracts = norm.subtracts && !mean.is_empty();
    let inverse = |variance: f64| (variance + norm.epsilon).sqrt().recip();
    if !norm.flat {
        let centre = |p: usize| if subtracts { mean[p] * mean[p] } else { 0.0 };
        let inverses = squares.iter().enumerate().map(|(p, square)| inverse(square - centre(p)));
        return [inverses.collect(), if subtracts { mean.to_vec() } else { Vec::new() }, Vec::new()];
    }
    let common = if subtracts { average(mean) } else { 0.0 };
    let inverses = vec![inverse(average(squares) - common * common); squares.len()];
    match subtracts {
        true => [inverses, mean.to_vec(), mean.iter().map(|m| m - common).collect()],
        false => [inverses, Vec::new(), Vec::new()],
    }
}

/// Means of the state that `instruction` makes, from those of the states that it reads and the profile just noted.
pub(super) fn carry_mean(program: &Program, instruction: &Instruction, alone: &mut Alone) {
    let Alone { profile, means, .. } = alone;
    if means.is_empty() {
        return;
    }
    let mut carried = means[instruction.inputs[0].state].clone();
    match &instruction.step {
        Step::Dense(_) | Step::Convolution(..) => carried.clear(),
        Step::Pool(window, factor) => pool(window, factor.sqrt(), &mut carried),
        Step::GlobalPool if carried.is_empty() => {}
        Step::GlobalPool => carried = vec![carried.iter().sum::<f64>() / carried.len() as f64],
        Step::Activation(function, _) => {
            let variances = profile.variances.last().map(Vec::as_slice).unwrap_or_default();
            carried = variances.iter().map(|&q| function.mean(q)).collect();
        }
        Step::Norm(_) => {
            let Some([inverse, old, rest]) = profile.norms.last() else { return };
            for (p, (m, inverse)) in carried.iter_mut().zip(inverse).enumerate() {
                let left = if old.is_empty() { *m } else { rest.get(p).copied().unwrap_or(0.0) };
                *m = left * inverse;
            }
        }
        Step::Dropout(_) => {}
        Step::Sum(scales) => carried = sum(program, instruction, scales, means),
    }
    means[instruction.output] = carried;
}

fn pool(window: &Window, factor: f64, mean: &mut Vec<f64>) {
    if mean.is_empty() {
        return;
    }
    window.sum(mean, &mut Vec::new());
    mean.iter_mut().for_each(|m| *m *= factor);
}

fn sum(program: &Program, instruction: &Instruction, scales: &[f64], means: &[Vec<f64>]) -> Vec<f64> {
    let [height, width] = program.sizes[instruction.output];
    let mut sum = Vec::new();
    for (scale, operand) in scales.iter().zip(&instruction.inputs) {
        let mean = &means[operand.state];
        if mean.is_empty() {
            continue;
        }
        sum.resize(height * width, 0.0);
        sum.iter_mut().enumerate().for_each(|(p, s)| *s += scale * mean[p % mean.len()]);
    }
    sum
}
