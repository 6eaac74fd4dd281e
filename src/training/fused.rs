//! The update rules of [`Updater`](super::optimizer::Updater) on slices: gradient, moments and parameters in one pass, in place.
//!
//! Each entry goes through the operations of the rules on tensors in their order, so that the numbers are the same to the last bit.

use std::ops::{Add, Div, Mul, Sub};

use burn::tensor::Element;
use widthwise_probes::ntk::Number;

use crate::config::Optimizer;

/// A number with which updates are computed.
pub(super) trait Real:
    Number + Element + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    fn root(self) -> Self {
        self.sqrt()
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

impl Rule {
    /// Moves `entries` down their `gradient`.
    pub(super) fn update<T: Real>(&self, entries: Entries<'_, T>, gradient: &[T]) {
        let Entries { parameter, first, second } = entries;
        let (rate, l2) = (T::of(self.rate), T::of(self.l2));
        let has_penalty = self.l2 != 0.0;
        let penalized = |gradient: T, parameter: T| if has_penalty { gradient + parameter * l2 } else { gradient };
        match self.optimizer {
            Optimizer::GradientDescent {} => {
                for (p, &g) in parameter.iter_mut().zip(gradient) {
                    *p = *p - penalized(g, *p) * rate;
                }
            }
            Optimizer::Momentum { beta } => {
                let beta = T::of(beta);
                for ((p, v), &g) in parameter.iter_mut().zip(first).zip(gradient) {
                    *v = *v * beta - penalized(g, *p) * rate;
                    *p += *v;
                }
            }
            Optimizer::Nesterov { beta } => {
                let beta = T::of(beta);
                for ((p, v), &g) in parameter.iter_mut().zip(first).zip(gradient) {
                    let push = penalized(g, *p) * rate;
                    *v = *v * beta - push;
                    *p = *p + *v * beta - push;
                }
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                let adam = Adam::new(self.step, [beta1, beta2, epsilon]);
                for (((p, m), v), &g) in parameter.iter_mut().zip(first).zip(second).zip(gradient) {
                    let g = penalized(g, *p);
                    *p -= adam.direction(m, v, g, rate);
                }
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let adam = Adam::new(self.step, [beta1, beta2, epsilon]);
                let kept = T::of(1.0 - self.rate * weight_decay);
                for (((p, m), v), &g) in parameter.iter_mut().zip(first).zip(second).zip(gradient) {
                    let g = penalized(g, *p);
                    *p = *p * kept - adam.direction(m, v, g, rate);
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

    fn direction(&self, m: &mut T, v: &mut T, g: T, rate: T) -> T {
        *m = *m * self.kept[0] + g * self.new[0];
        *v = *v * self.kept[1] + g * g * self.new[1];
        (*m / self.corrections[0]) * rate / ((*v / self.corrections[1]).root() + self.epsilon)
    }
}
