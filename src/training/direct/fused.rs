//! The update rules of [`Updater`](crate::training::optimizer::Updater) on slices: gradient, moments and parameters in one pass, in place.
//!
//! Each entry goes through the operations of the rules on tensors in their order, so that the numbers are the same to the last bit.

use std::ops::{Add, Div, Mul, Range, Sub};

use burn::tensor::Element;
use bytemuck::Pod;
use pulp::{Arch, Simd, WithSimd};
use widthwise_probes::ntk::Number;

use crate::config::Optimizer;
use crate::host::lanes::Lanes;
use crate::training::optimizer::Updater;

/// A number with which updates are computed.
pub(super) trait Real:
    Number + Lanes + Element + Pod + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The square root.
    fn root(self) -> Self;

    /// The exponential.
    fn exp(self) -> Self;

    /// The natural logarithm.
    fn ln(self) -> Self;
}

impl Real for f32 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn exp(self) -> Self {
        f32::exp(self)
    }

    fn ln(self) -> Self {
        f32::ln(self)
    }
}

impl Real for f64 {
    fn root(self) -> Self {
        self.sqrt()
    }

    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn ln(self) -> Self {
        f64::ln(self)
    }
}

/// An update rule with the constants of one tensor at one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The optimizer.
    pub(super) optimizer: Optimizer,
    /// Base learning rate times the factor of the tensor.
    pub(super) rate: f64,
    /// Penalty toward the origin.
    pub(super) l2: f64,
    /// The step, counted from 1.
    pub(super) step: u64,
}

/// Entries of one tensor that are updated together; moments that the optimizer has not are empty.
pub(super) struct Entries<'a, T> {
    pub(super) parameter: &'a mut [T],
    pub(super) first: &'a mut [T],
    pub(super) second: &'a mut [T],
}

struct Pass<'a, T> {
    rule: &'a Rule,
    entries: Entries<'a, T>,
    gradient: &'a [T],
}

impl<T: Real> WithSimd for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.rule.pass(self.entries, self.gradient);
    }
}

impl<'a, T> Entries<'a, T> {
    /// Those in `range`.
    #[inline(always)]
    pub(super) fn part(&mut self, range: Range<usize>) -> Entries<'_, T> {
        Entries {
            parameter: &mut self.parameter[range.clone()],
            first: self.first.get_mut(range.clone()).unwrap_or_default(),
            second: self.second.get_mut(range).unwrap_or_default(),
        }
    }

    /// Cuts them into pieces of `count`, the last one shorter.
    pub(super) fn chunks(self, count: usize) -> impl Iterator<Item = Entries<'a, T>> {
        let [mut first, mut second] = [self.first, self.second].map(|moment| moment.chunks_mut(count));
        self.parameter.chunks_mut(count).map(move |parameter| Entries {
            parameter,
            first: first.next().unwrap_or_default(),
            second: second.next().unwrap_or_default(),
        })
    }
}

impl Rule {
    /// The rule of `updater` for a tensor whose rate is `factor` times the base rate, at `step` from 1.
    pub(super) fn new(updater: &Updater, factor: f64, step: u64) -> Self {
        Self { optimizer: updater.optimizer, rate: updater.learning_rate * factor, l2: updater.l2.strength, step }
    }

    /// Moves `entries` down their `gradient`.
    pub(super) fn update<T: Real>(&self, entries: Entries<'_, T>, gradient: &[T]) {
        Arch::new().dispatch(Pass { rule: self, entries, gradient });
    }

    /// In plain loops, which are compiled for the instruction set of the caller.
    #[inline(always)]
    pub(super) fn pass<T: Real>(&self, entries: Entries<'_, T>, gradient: &[T]) {
        let count = gradient.len();
        let parameter = &mut entries.parameter[..count];
        let (rate, l2) = (T::of(self.rate), T::of(self.l2));
        let has_penalty = self.l2 != 0.0;
        let penalized = |gradient: T, parameter: T| if has_penalty { gradient + parameter * l2 } else { gradient };
        match self.optimizer {
            Optimizer::GradientDescent {} => {
                for i in 0..count {
                    parameter[i] = parameter[i] - penalized(gradient[i], parameter[i]) * rate;
                }
            }
            Optimizer::Momentum { beta } => {
                let (beta, velocity) = (T::of(beta), &mut entries.first[..count]);
                for i in 0..count {
                    velocity[i] = velocity[i] * beta - penalized(gradient[i], parameter[i]) * rate;
                    parameter[i] += velocity[i];
                }
            }
            Optimizer::Nesterov { beta } => {
                let (beta, velocity) = (T::of(beta), &mut entries.first[..count]);
                for i in 0..count {
                    let push = penalized(gradient[i], parameter[i]) * rate;
                    velocity[i] = velocity[i] * beta - push;
                    parameter[i] = parameter[i] + velocity[i] * beta - push;
                }
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                let adam = Adam::new(self.step, [beta1, beta2, epsilon]);
                let (first, second) = (&mut entries.first[..count], &mut entries.second[..count]);
                for i in 0..count {
                    let g = penalized(gradient[i], parameter[i]);
                    parameter[i] -= adam.direction(&mut first[i], &mut second[i], g, rate);
                }
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let adam = Adam::new(self.step, [beta1, beta2, epsilon]);
                let kept = T::of(1.0 - self.rate * weight_decay);
                let (first, second) = (&mut entries.first[..count], &mut entries.second[..count]);
                for i in 0..count {
                    let g = penalized(gradient[i], parameter[i]);
                    parameter[i] = parameter[i] * kept - adam.direction(&mut first[i], &mut second[i], g, rate);
                }
            }
        }
    }
}

/// Kingma and Ba 2015 (1412.6980), algorithm 1.
struct Adam<T> {
    kept: [T; 2],
    new: [T; 2],
    corrections: [T; 2],
    epsilon: T,
}

impl<T: Real> Adam<T> {
    fn new(step: u64, [beta1, beta2, epsilon]: [f64; 3]) -> Self {
        let betas = [beta1, beta2];
        Self {
            kept: betas.map(T::of),
            new: betas.map(|beta| T::of(1.0 - beta)),
            corrections: betas.map(|beta| T::of(1.0 - beta.powf(step as f64))),
            epsilon: T::of(epsilon),
        }
    }

    #[inline(always)]
    fn direction(&self, m: &mut T, v: &mut T, g: T, rate: T) -> T {
        *m = *m * self.kept[0] + g * self.new[0];
        *v = *v * self.kept[1] + g * g * self.new[1];
        (*m / self.corrections[0]) * rate / ((*v / self.corrections[1]).root() + self.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::config::{Anchor, L2};
    use crate::network::Parameters;
    use crate::training::optimizer::{OptimizerState, moment_count};

    /// Three steps on slices and on tensors, with gradients and rates without structure.
    fn both<T: Real + PartialEq + std::fmt::Debug>(optimizer: Optimizer, l2: f64) {
        let device = Device::flex();
        let values = |seed: usize| -> Vec<T> {
            (0..37).map(|i| T::of((1.0 + (seed * 53 + i * 17) as f64).sin() * 0.7)).collect()
        };
        let tensor = |values: &[T]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [1, values.len()]), (&device, T::DTYPE))
        };
        let mut parameter = values(1);
        let mut moments = vec![vec![T::of(0.0); 37]; moment_count(optimizer)];
        let mut on_tensors = vec![Parameters { weight: tensor(&parameter), bias: None }];
        let mut state = OptimizerState::new(optimizer, &on_tensors);
        let (learning_rate, factor) = (0.013, 1.7);
        let updater = Updater { optimizer, learning_rate, l2: L2 { strength: l2, toward: Anchor::Zero }, anchor: None };
        let scaling = widthwise_theory::Scaling {
            weight_gain: 1.0,
            bias_gain: 1.0,
            weight_variance: 1.0,
            bias_variance: 0.0,
            weight_rate: factor,
            bias_rate: 1.0,
        };
        for step in 1..=3 {
            let gradient = values(step as usize + 1);
            let rule = Rule { optimizer, rate: learning_rate * factor, l2, step };
            let mut sets = moments.iter_mut().map(Vec::as_mut_slice);
            let (first, second) = (sets.next().unwrap_or_default(), sets.next().unwrap_or_default());
            rule.update(Entries { parameter: &mut parameter, first, second }, &gradient);
            let gradients = vec![Parameters { weight: tensor(&gradient), bias: None }];
            updater.update(step, &mut on_tensors, gradients, &[scaling], &mut state);
            assert_eq!(parameter, T::pull(on_tensors[0].weight.clone()), "{optimizer:?}, penalty {l2}, step {step}");
            for (found, expected) in moments.iter().zip(&state.moments) {
                assert_eq!(*found, T::pull(expected[0].weight.clone()), "{optimizer:?}, penalty {l2}, step {step}");
            }
        }
    }

    #[test]
    fn slices_are_updated_as_tensors_are_to_the_last_bit() {
        let (beta, beta1, beta2, epsilon) = (0.8, 0.9, 0.99, 1e-6);
        for optimizer in [
            Optimizer::GradientDescent {},
            Optimizer::Momentum { beta },
            Optimizer::Nesterov { beta },
            Optimizer::Adam { beta1, beta2, epsilon },
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay: 0.1 },
        ] {
            for l2 in [0.0, 0.3] {
                both::<f32>(optimizer, l2);
                both::<f64>(optimizer, l2);
            }
        }
    }
}
