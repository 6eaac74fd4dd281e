//! Powers of the width at which training moves a network, derived from its table of gains, variances and rates.
//!
//! Let gains, standard deviations and learning-rate factors of the weights of layer `l` scale as `n^-a`, `n^-b` and `n^c`, and the
//! number of its inputs as `n^e` (`e = 0` in the first layer, else 1). With pre-activations of order one and a base learning rate
//! that does not depend on `n`, one step gives, in exponents of `n`,
//!
//! ```text
//! sensitivity of the outputs   s_{L+1} = 0,  s_l = s_{l+1} + m_{l+1} - (a_{l+1} + b_{l+1})        m = 0 above the last hidden layer, else 1/2
//! change of a weight           u_l = c_l - a_l + s_l                for steps linear in the gradient
//!                              u_l = c_l                            for steps invariant to its scale
//! the same relative to it      u_l + b_l
//! change of a pre-activation   r_l = max(u_l - a_l + e_l,  bias,  r_{l-1} + p_l - (a_l + b_l))     p = 1 in the readout, else 1/2
//! ```
//!
//! The update of a weight matrix is a sum of few outer products, so that `u_l - a_l + e_l` adds coherently over the inputs; so
//! does the readout's sum over hidden changes, which are aligned with its weights. This is the counting of the abc
//! parameterizations of Yang and Hu 2020 (2011.14522). With `rho` the largest hidden `r_l`:
//!
//! - The tangent kernel is a mean over units. Terms linear in the changes of its units have signs that average out,
//!   `n^(rho - 1/2)`; quadratic ones add, `n^(2 rho)`. At `rho = -1/2` both are `1/n`, and so is the distance from the linearized
//!   network: Dyer and Gur-Ari 2020 (1909.11304), Huang and Yau 2020 (1909.08156). The theorem of Lee et al. 2019 (1902.06720) bounds
//!   both by `n^-1/2`. At `rho = 0` nothing is frozen (feature learning).
//! - The kernel of a random network lies `n^-1/2` from its limit, by the central limit theorem, and with it the network that is
//!   trained from the one that the limiting kernel describes.

use crate::architecture::{Architecture, Scaling, UpdateRule};
use crate::error::TheoryError;

/// Exponents within this of each other are one: they come from logarithms of powers of two.
const SAME: f64 = 1e-9;

/// Exponents of the width, entry `l - 1` for weight layer `l`.
#[derive(Debug, Clone, PartialEq)]
pub struct WidthRates {
    /// Of `|W_t - W_0| / |W_0|` (Frobenius norms).
    pub weight_change: Vec<f64>,
    /// Of the root mean square change of the pre-activations after the first step, of the outputs in the last layer. It stays
    /// this one in later steps while [`WidthRates::is_stable`].
    pub preactivation_change: Vec<f64>,
}

impl WidthRates {
    /// Whether no pre-activation grows with the width under training.
    pub fn is_stable(&self) -> bool {
        self.preactivation_change.iter().all(|&rate| rate <= SAME)
    }

    /// Of the change of the hidden pre-activations that move most: -1/2 in the kernel regime, 0 where features are learned.
    pub fn features(&self) -> f64 {
        let hidden = self.preactivation_change.len().saturating_sub(1);
        self.preactivation_change[..hidden].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Whether the network approaches the one of its initial tangent kernel, and its outputs move at all.
    pub fn is_lazy(&self) -> bool {
        self.trains() && (self.features() + 0.5).abs() <= SAME
    }

    /// Of the relative change of the tangent kernel and of the distance from the linearized network. `None` where training has no
    /// limit or moves no output.
    pub fn kernel_change(&self) -> Option<f64> {
        let rho = self.features();
        (self.trains() && rho >= -0.5 - SAME).then(|| (rho - 0.5).max(2.0 * rho))
    }

    /// Of the distance from the network that the infinite-width kernel describes, from equal initial outputs.
    pub fn infinite_kernel_gap(&self) -> Option<f64> {
        Some(self.kernel_change()?.max(Self::KERNEL_FLUCTUATION))
    }

    /// Of the distance of a random network's kernel from its limit.
    pub const KERNEL_FLUCTUATION: f64 = -0.5;

    fn trains(&self) -> bool {
        self.is_stable() && self.preactivation_change.last().is_some_and(|rate| rate.abs() <= SAME)
    }
}

impl Architecture {
    /// The [`WidthRates`] of this network when all hidden weight layers widen together.
    ///
    /// # Errors
    /// As [`Architecture::shapes`]; [`TheoryError::NoPrediction`] without a hidden weight layer.
    pub fn width_rates(&self, rule: UpdateRule) -> Result<WidthRates, TheoryError> {
        const WIDTH: usize = 1 << 10;
        let [narrow, wide] = [WIDTH, 2 * WIDTH].map(|width| self.with_hidden_width(width));
        let fan_ins = |architecture: &Self| -> Result<Vec<f64>, TheoryError> {
            Ok(architecture.weight_layers()?.iter().map(|layer| layer.fan_in as f64).collect())
        };
        let inputs: Vec<f64> = fan_ins(&narrow)?.into_iter().zip(fan_ins(&wide)?).map(exponent).collect();
        let count = inputs.len();
        if count < 2 {
            let reason = "the network has no hidden weight layer, so nothing depends on a width".into();
            return Err(TheoryError::NoPrediction { reason });
        }
        let scalings: Vec<(Scaling, Scaling)> = narrow.scalings(rule)?.into_iter().zip(wide.scalings(rule)?).collect();
        let power = |layer: usize, of: fn(&Scaling) -> f64| exponent((of(&scalings[layer].0), of(&scalings[layer].1)));
        let spread = |layer: usize| power(layer, |s| s.weight_gain) + 0.5 * power(layer, |s| s.weight_variance);
        let mut sensitivity = vec![0.0; count];
        for layer in (0..count - 1).rev() {
            let units = if layer + 2 == count { 0.0 } else { 0.5 };
            sensitivity[layer] = sensitivity[layer + 1] + units + spread(layer + 1);
        }
        let step = |layer: usize, gain: f64, rate: f64| match rule {
            UpdateRule::Linear => rate + gain + sensitivity[layer],
            UpdateRule::ScaleInvariant => rate,
        };
        let (mut weight_change, mut preactivation_change) = (Vec::new(), Vec::new());
        for layer in 0..count {
            let gain = power(layer, |s| s.weight_gain);
            let update = step(layer, gain, power(layer, |s| s.weight_rate));
            weight_change.push(rounded(update - 0.5 * power(layer, |s| s.weight_variance)));
            let mut change = update + gain + inputs[layer];
            if scalings[layer].0.bias_variance > 0.0 {
                let gain = power(layer, |s| s.bias_gain);
                change = change.max(step(layer, gain, power(layer, |s| s.bias_rate)) + gain);
            }
            if let Some(below) = preactivation_change.last() {
                let coherence = if layer + 1 == count { 1.0 } else { 0.5 };
                change = change.max(below + coherence + spread(layer));
            }
            preactivation_change.push(rounded(change));
        }
        Ok(WidthRates { weight_change, preactivation_change })
    }
}

/// The power of the width of a number at one width and at twice that width.
fn exponent((at_width, at_twice): (f64, f64)) -> f64 {
    (at_twice / at_width).log2()
}

/// Without the round-off of logarithms, and without a negative zero.
fn rounded(exponent: f64) -> f64 {
    (exponent / SAME).round() * SAME + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use crate::architecture::{InitScheme, InitVariance, InputShape, Layer, Parameterization};

    const NAMES: [Parameterization; 5] = [
        Parameterization::Standard,
        Parameterization::StandardLayerwise,
        Parameterization::Ntk,
        Parameterization::MeanField,
        Parameterization::Mup,
    ];

    fn rates(parameterization: Parameterization, hidden: usize, sigma_b2: f64, rule: UpdateRule) -> WidthRates {
        let init = InitVariance { sigma_w2: 1.7, sigma_b2 };
        let mut layers = Vec::new();
        for _ in 0..hidden {
            layers.push(Layer::Dense { width: 8, init });
            layers.push(Layer::Activation { function: Activation::Tanh });
        }
        layers.push(Layer::Dense { width: 2, init });
        let input = InputShape { channels: 5, height: 1, width: 1 };
        let init_scheme = InitScheme::Gaussian;
        let architecture = Architecture { input, layers, gates: None, parameterization, init_scheme };
        architecture.width_rates(rule).unwrap_or_else(|error| panic!("{error}"))
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-8, "{found:?} against {expected:?}");
        }
    }

    #[test]
    fn rates_are_those_derived_by_hand() {
        // Jacot et al. 2018; Yang and Hu 2020; for `standard` one learning rate moves the readout as n and deeper layers as sqrt n.
        let by_hand: [([f64; 4], [f64; 4]); 5] = [
            ([-0.5, 0.0, 0.0, 0.5], [-0.5, 0.5, 0.5, 1.0]),
            ([-0.5, -1.0, -1.0, -0.5], [-0.5, -0.5, -0.5, 0.0]),
            ([-0.5, -1.0, -1.0, -0.5], [-0.5, -0.5, -0.5, 0.0]),
            ([0.0, -0.5, -0.5, 0.0], [0.0; 4]),
            ([0.0, -0.5, -0.5, 0.0], [0.0; 4]),
        ];
        for (name, (weights, preactivations)) in NAMES.into_iter().zip(by_hand) {
            for sigma_b2 in [0.0, 0.3] {
                let found = rates(name, 3, sigma_b2, UpdateRule::Linear);
                eprintln!("{name:?}: {found:?}");
                close(&found.weight_change, &weights);
                close(&found.preactivation_change, &preactivations);
            }
        }
    }

    #[test]
    fn one_hidden_layer_has_no_middle() {
        let found = rates(Parameterization::Ntk, 1, 0.1, UpdateRule::Linear);
        close(&found.weight_change, &[-0.5, -0.5]);
        close(&found.preactivation_change, &[-0.5, 0.0]);
        let found = rates(Parameterization::Standard, 1, 0.1, UpdateRule::Linear);
        close(&found.preactivation_change, &[-0.5, 1.0]);
    }

    #[test]
    fn regimes_follow_from_the_features() {
        let of = |name| rates(name, 2, 0.1, UpdateRule::Linear);
        for name in [Parameterization::Ntk, Parameterization::StandardLayerwise] {
            assert!(of(name).is_lazy());
            close(&[of(name).kernel_change().unwrap(), of(name).infinite_kernel_gap().unwrap()], &[-1.0, -0.5]);
        }
        for name in [Parameterization::MeanField, Parameterization::Mup] {
            assert!(of(name).is_stable() && !of(name).is_lazy());
            close(&[of(name).kernel_change().unwrap(), of(name).infinite_kernel_gap().unwrap()], &[0.0, 0.0]);
        }
        assert!(!of(Parameterization::Standard).is_stable());
        assert_eq!(of(Parameterization::Standard).kernel_change(), None);
    }

    #[test]
    fn the_rates_of_adam_keep_feature_learning_in_mup_and_diverge_in_ntk() {
        for name in [Parameterization::MeanField, Parameterization::Mup] {
            close(&rates(name, 3, 0.3, UpdateRule::ScaleInvariant).preactivation_change, &[0.0; 4]);
        }
        // A step of fixed size in every weight: n terms of one sign, divided by sqrt n, in the middle and again in the readout.
        let ntk = rates(Parameterization::Ntk, 2, 0.0, UpdateRule::ScaleInvariant);
        close(&ntk.preactivation_change, &[0.0, 0.5, 1.0]);
        assert!(!ntk.is_stable());
    }

    #[test]
    fn without_a_hidden_layer_there_is_no_rate() {
        let input = InputShape { channels: 5, height: 1, width: 1 };
        let layers = vec![Layer::Dense { width: 1, init: InitVariance { sigma_w2: 1.0, sigma_b2: 0.0 } }];
        let architecture = Architecture {
            input,
            layers,
            gates: None,
            parameterization: Parameterization::Ntk,
            init_scheme: InitScheme::Gaussian,
        };
        let error = architecture.width_rates(UpdateRule::Linear).unwrap_err().to_string();
        assert!(error.contains("no hidden weight layer"), "{error}");
    }
}
