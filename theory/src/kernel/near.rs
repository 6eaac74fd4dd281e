//! Pairs of examples that come near collinear, and examples of extreme variance: one pair at a time, with [`NearPair`] instead of
//! a covariance.
//!
//! Rows of pairs carry `(a, c, b)`, whose rounding is an error of about `eps/u` in the complement `u = 1 - |rho|`. A layer that
//! takes nearby inputs apart makes it an error of the kernel, and so does a kink, whose `Vd` goes with `sqrt(u)`. Such pairs are
//! found by their correlation where they enter an activation, and computed again here. Whether one is depends on the pair alone.
//!
//! Graphs of dense layers without gates, activations, norms that subtract no mean, dropout and sums; not below positions.

use std::cell::RefCell;

use super::TangentSource;
use super::field::Weighing;
use super::prepared::PreparedInputs;
use super::program::{Program, Step};
use super::vector;
use crate::dual::closed_form::SAFE;
use crate::dual::near::{NearDual, NearPair};

/// Complements below which a pair is computed again: its error elsewhere is some `eps/u` behind a smooth function ...
const SMOOTH: f64 = 1e-4;
/// ... and some `eps/sqrt(2u)` behind a kink at zero, where nothing takes inputs apart faster than their angle; `u` has the rounding
/// of every layer before, so that this grows with the depth beyond so many layers.
const KINKED: (f64, f64) = (1e-6, 30.0);

/// Where to search for such pairs.
#[derive(Debug)]
pub(super) struct Watch {
    /// Of every activation slot the correlation above which a pair counts; `None` where others tell enough.
    limits: Vec<Option<f64>>,
}

impl Watch {
    /// `None` if the architecture has steps that are not carried here.
    pub(super) fn new(program: &Program) -> Option<Self> {
        let flat =
            program.sizes.iter().all(|size| *size == [1, 1]) && program.sources.iter().all(|source| source.inner);
        let carried = program.instructions.iter().all(|instruction| match &instruction.step {
            Step::Dense(weights) => !weights.gated,
            Step::Norm(slot) => !program.norms[*slot].subtracts,
            Step::Activation(..) | Step::Dropout(_) | Step::Sum(_) => true,
            Step::Convolution(..) | Step::Pool(..) | Step::GlobalPool => false,
        });
        if !flat || !carried {
            return None;
        }
        // In a plain chain of equal layers the complement goes one way: its ends tell.
        let plain = program.instructions.iter().all(|i| matches!(i.step, Step::Dense(_) | Step::Activation(..)));
        let mut before = None;
        let mut layers = Vec::new();
        for instruction in &program.instructions {
            match &instruction.step {
                Step::Dense(weights) => before = Some(weights.init),
                Step::Activation(function, _) => layers.push((function, before)),
                _ => {}
            }
        }
        let limits = (0..layers.len()).map(|slot| {
            let (function, _) = layers[slot];
            let differs = |other: usize| layers.get(other).is_none_or(|layer| *layer != layers[slot]);
            let smooth = function.smoothness().kinks.is_empty();
            // A first layer of an even function may draw inputs together that the others take apart.
            let is_first = slot.checked_sub(1).is_none_or(differs) || (smooth && slot == 1);
            // Smooth layers that draw inputs together keep the digits of the covariance.
            let is_last = differs(slot + 1) && (!smooth || slot + 1 < layers.len());
            let kinked = KINKED.0 * (layers.len() as f64 / KINKED.1).max(1.0);
            let limit = 1.0 - if smooth { SMOOTH } else { kinked };
            (!plain || is_first || is_last).then_some(limit)
        });
        Some(Self { limits: limits.collect() })
    }
}

/// The pairs of a block found so far.
pub(super) struct NearPairs<'a> {
    pub(super) watch: &'a Watch,
    /// The pair of an example with itself, which is always collinear.
    pub(super) own: Option<usize>,
    pub(super) pairs: &'a RefCell<Vec<usize>>,
}

impl NearPairs<'_> {
    /// Notes the pairs of a row that are near collinear at an activation.
    pub(super) fn note(&self, slot: usize, covariances: &[f64], root: f64, roots: &[f64]) {
        let Some(limit) = self.watch.limits[slot] else { return };
        let middle = self.own.unwrap_or(covariances.len());
        for range in [0..middle, (middle + 1).min(covariances.len())..covariances.len()] {
            let (c, roots) = (&covariances[range.clone()], &roots[range.clone()]);
            if vector::exceeds(c, limit, root, roots) {
                let beyond = c.iter().zip(roots).map(|(c, other)| c.abs() > limit * (root * other));
                self.pairs.borrow_mut().extend(range.zip(beyond).filter(|(_, beyond)| *beyond).map(|(pair, _)| pair));
            }
        }
    }
}

/// Whether products of this variance leave the range of numbers.
pub(super) fn is_extreme(variance: f64) -> bool {
    variance > 0.0 && variance.is_finite() && !SAFE.contains(&variance)
}

/// `K` and `Theta` at the readout of two examples, and after every weight layer if `layers` is given.
pub(super) fn pair(
    program: &Program,
    left: (&PreparedInputs<'_>, usize),
    right: (&PreparedInputs<'_>, usize),
    source: TangentSource,
    mut layers: Option<&mut Vec<[f64; 2]>>,
) -> [f64; 2] {
    // One order for both (x, y) and (y, x): the result is the same number to the last bit.
    let swapped = left.0.orders[left.1] > right.0.orders[right.1];
    let (left, right) = if swapped { (right, left) } else { (left, right) };
    let mut states: Vec<Option<(NearPair, f64)>> = vec![None; program.sizes.len()];
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (index, place) in program.sources.iter().enumerate() {
        let x = left.0.sources[index].rows(left.1..left.1 + 1, &mut x);
        let y = right.0.sources[index].rows(right.1..right.1 + 1, &mut y);
        states[place.state] = Some((of_inputs(x, y), 0.0));
    }
    let mut readout = [0.0; 2];
    for instruction in &program.instructions {
        let mut inputs = instruction.inputs.iter().filter_map(|operand| states[operand.state]);
        let Some((mut near, mut theta)) = inputs.next() else { continue };
        match &instruction.step {
            Step::Dense(weights) => {
                let weighing = Weighing::new(weights, 1.0, source);
                theta = weighing.tangent(near.covariance(), theta);
                let [factor, bias] = weighing.factors();
                near = near.scaled(factor.sqrt());
                if bias > 0.0 {
                    near = NearPair::sum(&[near, NearPair::constant(bias)]);
                }
                readout = [near.covariance(), theta];
                if let Some(layers) = &mut layers {
                    layers.push(readout);
                }
            }
            Step::Activation(function, slot) => {
                let sides = [left, right].map(|(side, index)| (&side.profiles.activations[*slot], index));
                near.roots = sides.map(|(gaussians, index)| gaussians.roots[index]);
                let series = sides.map(|(gaussians, index)| gaussians.series(index));
                let series = if let [Some(left), Some(right)] = series { Some([left, right]) } else { None };
                let NearDual { pair, slope } = function.near_dual(&near, series);
                (near, theta) = (pair, if theta == 0.0 { 0.0 } else { theta * slope });
            }
            Step::Norm(slot) => {
                let epsilon = program.norms[*slot].epsilon;
                let [x, y] = near.roots;
                let [s, t] = near.roots.map(|root| root.hypot(epsilon.sqrt()));
                // x/s - y/t, of which rounding would leave little.
                let difference = epsilon * (near.difference / s / t) * ((x + y) / (x * t + y * s));
                near = NearPair { roots: [x / s, y / t], difference, ..near };
                theta = theta / s / t;
            }
            // Masks differ from example to example: variances grow, the covariance does not.
            Step::Dropout(keep) => {
                let complement = (1.0 - keep) + keep * near.complement;
                near = NearPair { complement, ..near.scaled(keep.sqrt().recip()) };
            }
            Step::Sum(scales) => {
                let rest: Vec<(NearPair, f64)> = inputs.collect();
                let all = || std::iter::once((near, theta)).chain(rest.iter().copied()).zip(scales);
                let parts: Vec<NearPair> = all().map(|((part, _), scale)| part.scaled(scale.abs())).collect();
                let sum = all().map(|((_, theta), scale)| scale * scale * theta).sum();
                (near, theta) = (NearPair::sum(&parts), sum);
            }
            Step::Convolution(..) | Step::Pool(..) | Step::GlobalPool => unreachable!("Watch::new knows no such step"),
        }
        if let (Step::Dense(weights), TangentSource::Preactivations(number)) = (&instruction.step, source)
            && number == weights.number
        {
            theta = 1.0;
        }
        states[instruction.output] = Some((near, theta));
    }
    readout
}

/// `x.x/d`, `y.y/d` and `x.y/d` of two rows of data.
///
/// With `p` the largest entry of `x`, the minors `x_p y_i - x_i y_p`, each to rounding, are `x_p` times the distances of `y` from
/// the line of `x` along the axes; what of them is orthogonal to `x` is the sine of the angle. Exactly collinear rows have none.
fn of_inputs(x: &[f64], y: &[f64]) -> NearPair {
    let largest = |row: &[f64]| row.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let scales = [x, y].map(|row| power_of_two(largest(row)));
    let [x_largest, y_largest] = [x, y].map(largest);
    if x_largest == 0.0 || y_largest == 0.0 || !(x_largest * y_largest).is_finite() {
        let norm = |row: &[f64]| (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64).sqrt();
        return NearPair::new([norm(x), norm(y)], norm(x) - norm(y), 0.0);
    }
    let count = x.len() as f64;
    let of = |row: &[f64], scale: f64| -> Vec<f64> { row.iter().map(|x| x / scale).collect() };
    let (u, v) = (of(x, scales[0]), of(y, scales[1]));
    let pivot = (0..u.len()).fold(0, |best, i| if u[i].abs() > u[best].abs() { i } else { best });
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (uu, vv, uv) = (dot(&u, &u), dot(&v, &v), dot(&u, &v));
    let minors: Vec<f64> = u.iter().zip(&v).map(|(a, b)| difference_of_products(u[pivot], *b, *a, v[pivot])).collect();
    let along = dot(&minors, &u) / uu;
    let across: f64 = minors.iter().zip(&u).map(|(m, a)| (m - along * a).powi(2)).sum();
    let sine = (across / (u[pivot] * u[pivot] * vv)).min(1.0);
    let sign = if uv < 0.0 { -1.0 } else { 1.0 };
    let roots = [scales[0] * (uu / count).sqrt(), scales[1] * (vv / count).sqrt()];
    let sum = roots[0] + roots[1];
    // (x - y).(x + y), of which each factor is exact where x and y are close.
    let ratio = scales[1] / scales[0];
    let difference = match (0.25..=4.0).contains(&ratio) {
        true => {
            let squares = u.iter().zip(&v).map(|(a, b)| (a - sign * ratio * b) * (a + sign * ratio * b));
            scales[0] * (squares.sum::<f64>() / count) / (sum / scales[0])
        }
        false => roots[0] - roots[1],
    };
    NearPair { sign, ..NearPair::new(roots, difference, sine / (1.0 + (1.0 - sine).sqrt())) }
}

/// The power of two below a positive number.
fn power_of_two(x: f64) -> f64 {
    f64::from_bits(x.max(f64::MIN_POSITIVE).to_bits() & f64::INFINITY.to_bits())
}

/// `a b - c d` to rounding (Kahan; Jeannerod, Louvet and Muller 2013).
fn difference_of_products(a: f64, b: f64, c: f64, d: f64) -> f64 {
    let product = c * d;
    let error = c.mul_add(d, -product);
    a.mul_add(b, -product) - error
}
