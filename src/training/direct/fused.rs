//! The update rules of [`Updater`](crate::training::optimizer::Updater) on slices: gradient, moments and parameters in one pass, in place.
//!
//! Each entry goes through the operations of the rules on tensors in their order, so that the numbers are the same to the last bit.

use std::ops::{Add, Div, Mul, Range, Sub};

use burn::tensor::Element;
use bytemuck::Pod;
use pulp::{Arch, Simd, WithSimd};
use widthwise_tensors::Number;

use crate::config::Optimizer;
use crate::host::lanes::{Lanes, load, store};
use crate::host::tanh::tanh_each;
use crate::training::optimizer::Updater;

/// A number with which updates are computed.
pub(super) trait UpdateNumber:
    Number + Lanes + Element + Pod + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The exponential.
    fn exp(self) -> Self;

    /// The natural logarithm.
    fn ln(self) -> Self;

    /// The hyperbolic tangent in the place of each number.
    fn tanh_each(numbers: &mut [Self]);
}

impl UpdateNumber for f32 {
    fn exp(self) -> Self {
        f32::exp(self)
    }

    fn ln(self) -> Self {
        f32::ln(self)
    }

    fn tanh_each(numbers: &mut [Self]) {
        tanh_each(numbers);
    }
}

impl UpdateNumber for f64 {
    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn ln(self) -> Self {
        f64::ln(self)
    }

    fn tanh_each(numbers: &mut [Self]) {
        numbers.iter_mut().for_each(|x| *x = x.tanh());
    }
}

/// An update rule with the constants of one tensor at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    optimizer: Optimizer,
    /// Base learning rate times the factor of the tensor.
    rate: f64,
    /// Penalty toward the origin.
    l2: f64,
    /// Of Adam's moments, which begin at zero.
    corrections: [f64; 2],
}

/// Entries of one tensor that are updated together; moments that the optimizer has not are empty.
pub(super) struct UpdateSlice<'a, T> {
    pub(super) parameter: &'a mut [T],
    pub(super) first: &'a mut [T],
    pub(super) second: &'a mut [T],
}

struct Pass<'a, T> {
    rule: &'a Rule,
    entries: UpdateSlice<'a, T>,
    gradient: &'a [T],
}

impl<T: UpdateNumber> WithSimd for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let whole = self.gradient.len() - self.gradient.len() % lanes;
        for start in (0..whole).step_by(lanes) {
            let place = start..start + lanes;
            let gradient = load::<T, S, 1>(simd, &self.gradient[place.clone()], None);
            self.rule.row(simd, self.entries.part(place), None, gradient);
        }
        let rest = &self.gradient[whole..];
        if !rest.is_empty() {
            let gradient = load::<T, S, 1>(simd, rest, Some(rest.len()));
            self.rule.row(simd, self.entries.part(whole..self.gradient.len()), Some(rest.len()), gradient);
        }
    }
}

impl<'a, T> UpdateSlice<'a, T> {
    /// Those in `range`.
    #[inline(always)]
    pub(super) fn part(&mut self, range: Range<usize>) -> UpdateSlice<'_, T> {
        UpdateSlice {
            parameter: &mut self.parameter[range.clone()],
            first: self.first.get_mut(range.clone()).unwrap_or_default(),
            second: self.second.get_mut(range).unwrap_or_default(),
        }
    }

    /// Cuts them into pieces of `count`, the last one shorter.
    pub(super) fn chunks(self, count: usize) -> impl Iterator<Item = UpdateSlice<'a, T>> {
        let [mut first, mut second] = [self.first, self.second].map(|moment| moment.chunks_mut(count));
        self.parameter.chunks_mut(count).map(move |parameter| UpdateSlice {
            parameter,
            first: first.next().unwrap_or_default(),
            second: second.next().unwrap_or_default(),
        })
    }
}

impl Rule {
    /// The rule of `updater` at `step` from 1, for a tensor with the base rate.
    pub(super) fn new(updater: &Updater, step: u64) -> Self {
        let optimizer = updater.optimizer;
        let corrections =
            optimizer.moment_decays().map_or([1.0; 2], |decays| decays.map(|beta| 1.0 - beta.powf(step as f64)));
        Self { optimizer, rate: updater.learning_rate, l2: updater.l2.strength, corrections }
    }

    /// The same for a tensor whose rate is `factor` times the base rate.
    pub(super) fn at_rate(self, factor: f64) -> Self {
        Self { rate: self.rate * factor, ..self }
    }

    /// Moves `entries` down their `gradient`.
    pub(super) fn update<T: UpdateNumber>(&self, entries: UpdateSlice<'_, T>, gradient: &[T]) {
        Arch::new().dispatch(Pass { rule: self, entries, gradient });
    }

    /// Moves a row of registers, the last one filled in part where `part` says so.
    #[inline(always)]
    pub(super) fn row<T: UpdateNumber, S: Simd, const VECTORS: usize>(
        &self,
        simd: S,
        entries: UpdateSlice<'_, T>,
        part: Option<usize>,
        gradient: [T::Vector<S>; VECTORS],
    ) {
        let UpdateSlice { parameter, first, second } = entries;
        let none = [T::splat(simd, T::ZERO); VECTORS];
        let mut parameters = load::<T, S, VECTORS>(simd, parameter, part);
        let mut m = if first.is_empty() { none } else { load::<T, S, VECTORS>(simd, first, part) };
        let mut v = if second.is_empty() { none } else { load::<T, S, VECTORS>(simd, second, part) };
        for i in 0..VECTORS {
            [parameters[i], m[i], v[i]] = self.moved::<T, S>(simd, [parameters[i], m[i], v[i]], gradient[i]);
        }
        store::<T, S, VECTORS>(simd, parameter, part, parameters);
        if !first.is_empty() {
            store::<T, S, VECTORS>(simd, first, part, m);
        }
        if !second.is_empty() {
            store::<T, S, VECTORS>(simd, second, part, v);
        }
    }

    /// Parameters and moments after the step. The moments are Adam's; momentum knows the first alone, the velocity.
    #[inline(always)]
    fn moved<T: UpdateNumber, S: Simd>(
        &self,
        simd: S,
        [parameter, m, v]: [T::Vector<S>; 3],
        gradient: T::Vector<S>,
    ) -> [T::Vector<S>; 3] {
        let rate = number::<T, S>(simd, self.rate);
        let mut g = gradient;
        if self.l2 != 0.0 {
            g = T::plus(simd, g, T::times(simd, parameter, number::<T, S>(simd, self.l2)));
        }
        match self.optimizer {
            Optimizer::GradientDescent {} => [T::minus(simd, parameter, T::times(simd, g, rate)), m, v],
            Optimizer::Momentum { beta } => {
                let velocity = T::minus(simd, T::times(simd, m, number::<T, S>(simd, beta)), T::times(simd, g, rate));
                [T::plus(simd, parameter, velocity), velocity, v]
            }
            Optimizer::Nesterov { beta } => {
                let (push, beta) = (T::times(simd, g, rate), number::<T, S>(simd, beta));
                let velocity = T::minus(simd, T::times(simd, m, beta), push);
                let ahead = T::plus(simd, parameter, T::times(simd, velocity, beta));
                [T::minus(simd, ahead, push), velocity, v]
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                let [m, v, way] = self.adam::<T, S>(simd, [m, v, g], [beta1, beta2, epsilon]);
                [T::minus(simd, parameter, way), m, v]
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let [m, v, way] = self.adam::<T, S>(simd, [m, v, g], [beta1, beta2, epsilon]);
                let kept = T::times(simd, parameter, number::<T, S>(simd, 1.0 - self.rate * weight_decay));
                [T::minus(simd, kept, way), m, v]
            }
        }
    }

    /// Kingma and Ba 2015 (1412.6980), algorithm 1: the next moments, and the way that parameters go.
    #[inline(always)]
    fn adam<T: UpdateNumber, S: Simd>(
        &self,
        simd: S,
        [m, v, g]: [T::Vector<S>; 3],
        [beta1, beta2, epsilon]: [f64; 3],
    ) -> [T::Vector<S>; 3] {
        let m = mixed::<T, S>(simd, m, beta1, g);
        let v = mixed::<T, S>(simd, v, beta2, T::times(simd, g, g));
        let [first, second] = self.corrections;
        let mean = T::over(simd, m, number::<T, S>(simd, first));
        let root = T::root(simd, T::over(simd, v, number::<T, S>(simd, second)));
        let spread = T::plus(simd, root, number::<T, S>(simd, epsilon));
        [m, v, T::over(simd, T::times(simd, mean, number::<T, S>(simd, self.rate)), spread)]
    }
}

/// A constant. A function, for closures may be compiled apart, without the processor's vectors.
#[inline(always)]
fn number<T: UpdateNumber, S: Simd>(simd: S, value: f64) -> T::Vector<S> {
    T::splat(simd, T::of(value))
}

/// `beta old + (1 - beta) new`.
#[inline(always)]
fn mixed<T: UpdateNumber, S: Simd>(simd: S, old: T::Vector<S>, beta: f64, new: T::Vector<S>) -> T::Vector<S> {
    let kept = T::times(simd, old, number::<T, S>(simd, beta));
    T::plus(simd, kept, T::times(simd, new, number::<T, S>(simd, 1.0 - beta)))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::config::{Anchor, L2};
    use crate::network::LayerParameters;
    use crate::training::optimizer::{OptimizerState, moment_count};

    /// Three steps on slices and on tensors, with gradients and rates without structure.
    fn both<T: UpdateNumber + PartialEq + std::fmt::Debug>(optimizer: Optimizer, l2: f64) {
        let device = Device::flex();
        let values = |seed: usize| -> Vec<T> {
            (0..37).map(|i| T::of((1.0 + (seed * 53 + i * 17) as f64).sin() * 0.7)).collect()
        };
        let tensor = |values: &[T]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, values.len()]), (&device, T::DTYPE))
        };
        let mut parameter = values(1);
        let mut moments = vec![vec![T::of(0.0); 37]; moment_count(optimizer)];
        let mut on_tensors = vec![LayerParameters { weight: tensor(&parameter), bias: None }];
        let mut state = OptimizerState::new(optimizer, &on_tensors);
        let (learning_rate, factor) = (0.013, 1.7);
        let updater = Updater { optimizer, learning_rate, l2: L2 { strength: l2, toward: Anchor::Zero }, anchor: None };
        let scaling = widthwise_theory::architecture::Scaling {
            weight_gain: 1.0,
            bias_gain: 1.0,
            weight_variance: 1.0,
            bias_variance: 0.0,
            weight_rate: factor,
            bias_rate: 1.0,
        };
        for step in 1..=3 {
            let gradient = values(step as usize + 1);
            let rule = Rule::new(&updater, step).at_rate(factor);
            let mut sets = moments.iter_mut().map(Vec::as_mut_slice);
            let (first, second) = (sets.next().unwrap_or_default(), sets.next().unwrap_or_default());
            rule.update(UpdateSlice { parameter: &mut parameter, first, second }, &gradient);
            let gradients = vec![LayerParameters { weight: tensor(&gradient), bias: None }];
            updater.update(step, &mut on_tensors, gradients, &[scaling], &mut state);
            assert_eq!(parameter, T::pull(on_tensors[0].weight.clone()), "{optimizer:?}, penalty {l2}, step {step}");
            for (found, expected) in moments.iter().zip(&state.moments) {
                assert_eq!(*found, T::pull(expected[0].weight.clone()), "{optimizer:?}, penalty {l2}, step {step}");
            }
        }
    }

    #[test]
    fn slices_are_updated_as_tensors_are_to_the_last_bit() {
        for optimizer in Optimizer::one_of_each() {
            for l2 in [0.0, 0.3] {
                both::<f32>(optimizer, l2);
                both::<f64>(optimizer, l2);
            }
        }
    }
}
