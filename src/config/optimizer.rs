//! `training.optimizer`: the update rules, and what is asked of every one of them.

use serde::{Deserialize, Serialize};

/// `training.optimizer`, for instance `{ momentum = { beta = 0.9 } }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// `theta <- theta - eta grad`, on the whole training set or on minibatches.
    GradientDescent {},
    /// `v <- beta v - eta grad; theta <- theta + v`.
    Momentum {
        /// Momentum coefficient in `[0, 1)`.
        #[serde(default = "default_beta")]
        beta: f64,
    },
    /// `v <- beta v - eta grad(theta + beta v)` in the form that evaluates the gradient at the stored point.
    Nesterov {
        /// Momentum coefficient in `[0, 1)`.
        #[serde(default = "default_beta")]
        beta: f64,
    },
    /// Kingma and Ba 2015 (1412.6980).
    Adam {
        /// Decay of the first moment.
        #[serde(default = "default_beta")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
    },
    /// Adam with decoupled weight decay `theta <- theta - eta weight_decay theta` (1711.05101).
    AdamW {
        /// Decay of the first moment.
        #[serde(default = "default_beta")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// Decoupled decay.
        #[serde(default = "default_weight_decay")]
        weight_decay: f64,
    },
}

impl Optimizer {
    /// One of every kind, with constants that are not those of the defaults.
    pub fn one_of_each() -> [Self; 5] {
        let (beta, beta1, beta2, epsilon) = (0.8, 0.9, 0.99, 1e-6);
        [
            Self::GradientDescent {},
            Self::Momentum { beta },
            Self::Nesterov { beta },
            Self::Adam { beta1, beta2, epsilon },
            Self::AdamW { beta1, beta2, epsilon, weight_decay: 0.1 },
        ]
    }

    /// Decays of the first and second moment of a rule whose steps do not scale with the gradient; nothing for one that is linear in it.
    pub fn moment_decays(self) -> Option<[f64; 2]> {
        match self {
            Self::GradientDescent {} | Self::Momentum { .. } | Self::Nesterov { .. } => None,
            Self::Adam { beta1, beta2, .. } | Self::AdamW { beta1, beta2, .. } => Some([beta1, beta2]),
        }
    }

    /// Decay of the velocity of a rule that has one.
    pub fn velocity_decay(self) -> Option<f64> {
        match self {
            Self::Momentum { beta } | Self::Nesterov { beta } => Some(beta),
            Self::GradientDescent {} | Self::Adam { .. } | Self::AdamW { .. } => None,
        }
    }
}

fn default_beta() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.999
}

fn default_epsilon() -> f64 {
    1e-8
}

fn default_weight_decay() -> f64 {
    0.01
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each stands in the list. A new rule is a new arm here, and a new entry there.
    fn place(optimizer: Optimizer) -> usize {
        match optimizer {
            Optimizer::GradientDescent {} => 0,
            Optimizer::Momentum { .. } => 1,
            Optimizer::Nesterov { .. } => 2,
            Optimizer::Adam { .. } => 3,
            Optimizer::AdamW { .. } => 4,
        }
    }

    #[test]
    fn every_kind_is_listed_once() {
        assert_eq!(Optimizer::one_of_each().map(place), [0, 1, 2, 3, 4]);
    }
}
