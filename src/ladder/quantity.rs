//! What is measured of every network of a ladder.

use serde::{Deserialize, Serialize};
use widthwise_theory::architecture::WidthRates;

/// One number, or one a layer, of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LadderQuantity {
    /// Largest root mean square distance of the outputs from those of the network's own linearization, over the steps examined.
    LinearizationGap,
    /// `|Theta_T - Theta_0| / |Theta_0|` of the full empirical tangent kernel, all outputs on all examples, Frobenius norms.
    #[serde(alias = "ntk_relative_change")]
    FullNtkRelativeChange,
    /// Largest root mean square distance of the outputs from those that the infinite-width kernel gives from equal initial
    /// outputs.
    InfiniteKernelGap,
    /// `|Theta_0 - Theta| / |Theta|` of the full empirical tangent kernel, with `Theta` the infinite-width kernel.
    #[serde(alias = "ntk_distance")]
    FullNtkDistance,
    /// `|W_T - W_0| / |W_0|` of a layer.
    WeightChange,
    /// Root mean square change of a layer's pre-activations in the first step; of the outputs in the last layer.
    #[serde(rename = "preactivation_change_step_1")]
    FirstPreactivationChange,
    /// The same after the last step.
    PreactivationChange,
    /// Mean diagonal of the initial tangent kernel.
    NtkMeanDiagonal,
    /// Its mean off the diagonal.
    NtkMeanOffDiagonal,
    /// Loss on the training set after the last step.
    TrainLoss,
    /// That loss less the one that the infinite-width kernel gives from equal initial outputs.
    TrainLossGap,
    /// Mean over examples of target times (output less what the infinite-width kernel gives), after the last step.
    TargetOverlapGap,
    /// 1 for a network whose loss stopped being a number; such a one has no numbers of its last step.
    Diverged,
}

/// What is asked about a quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LadderQuestion {
    /// The power of the width that it follows: the declared one, if there is one, and the exponents accepted for it.
    Exponent(Option<Declared>),
    /// Its value at infinite width.
    Limit,
    /// Nothing.
    None,
}

/// A declared power of the width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Declared {
    pub(super) exponent: f64,
    pub(super) accepted: [f64; 2],
    /// Standard deviation of the correction `c/n` at the narrowest width.
    pub(super) correction: f64,
    /// Whether the power holds only where the kernel hardly changes.
    pub(super) needs_lazy_widths: bool,
}

/// Standard deviation of the correction `c/n` at the narrowest width of what training changes to order `1/n`: three times the change of the kernel at
/// which a width counts as lazy. Found were -0.25 at width 64, in one and two hidden layers of erf.
const CORRECTION_OF_CHANGE: f64 = 0.3;

/// The same of everything else: half that change. Found was at most 0.08, of the readout's weights, and mostly less than 0.03.
const CORRECTION: f64 = 0.05;

impl LadderQuantity {
    /// The name in files and tables.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The name in random streams: the one that it had in the first version, so that renaming changes no drawn number.
    pub(super) fn stream_name(self) -> String {
        match self {
            Self::FullNtkRelativeChange => "ntk_relative_change".to_owned(),
            Self::FullNtkDistance => "ntk_distance".to_owned(),
            _ => self.name(),
        }
    }

    /// What is asked about it, in a layer if it has one, of a network with these rates.
    ///
    /// The leading power of the gap to the linearization and of the kernel's change is `1/n`; single narrow networks far from
    /// their ensemble flatten what is measured at widths that can be trained, so that [-1.15, -0.7] is accepted. What is
    /// declared by the central limit theorem is accepted within 0.1, and what one step moves within 0.15.
    ///
    /// The gap to the linearization and the kernel's change are given [`CORRECTION_OF_CHANGE`], all others [`CORRECTION`].
    pub(super) fn question(self, layer: Option<usize>, rates: &WidthRates) -> LadderQuestion {
        let entry = |rates: &[f64]| layer.and_then(|layer| rates.get(layer - 1)).copied();
        let needs_lazy_widths = rates.is_lazy();
        let within = |exponent: f64, reach: f64| Declared {
            exponent,
            accepted: [exponent - reach, exponent + reach],
            correction: CORRECTION,
            needs_lazy_widths,
        };
        let lazy = |exponent: f64| match needs_lazy_widths {
            true => Declared { accepted: [-1.15, -0.7], correction: CORRECTION_OF_CHANGE, ..within(exponent, 0.0) },
            false => within(exponent, 0.15),
        };
        let stable = |rate: Option<f64>| rate.filter(|_| rates.is_stable());
        match self {
            Self::LinearizationGap | Self::FullNtkRelativeChange => {
                LadderQuestion::Exponent(rates.kernel_change().map(lazy))
            }
            Self::InfiniteKernelGap => {
                let reach = if needs_lazy_widths { 0.1 } else { 0.15 };
                LadderQuestion::Exponent(rates.infinite_kernel_gap().map(|exponent| within(exponent, reach)))
            }
            Self::FullNtkDistance => {
                let declared = Declared { needs_lazy_widths: false, ..within(WidthRates::KERNEL_FLUCTUATION, 0.1) };
                LadderQuestion::Exponent(Some(declared))
            }
            Self::WeightChange => {
                LadderQuestion::Exponent(stable(entry(&rates.weight_change)).map(|exponent| within(exponent, 0.1)))
            }
            Self::FirstPreactivationChange => {
                let declared = |exponent| Declared { needs_lazy_widths: false, ..within(exponent, 0.15) };
                LadderQuestion::Exponent(entry(&rates.preactivation_change).map(declared))
            }
            Self::PreactivationChange => LadderQuestion::Exponent(
                stable(entry(&rates.preactivation_change)).map(|exponent| within(exponent, 0.15)),
            ),
            Self::NtkMeanDiagonal
            | Self::NtkMeanOffDiagonal
            | Self::TrainLoss
            | Self::TrainLossGap
            | Self::TargetOverlapGap => LadderQuestion::Limit,
            Self::Diverged => LadderQuestion::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for quantity in [LadderQuantity::FirstPreactivationChange, LadderQuantity::FullNtkDistance] {
            let name = quantity.name();
            assert_eq!(serde_json::from_value::<LadderQuantity>(name.clone().into()).unwrap(), quantity);
        }
        assert_eq!(LadderQuantity::FirstPreactivationChange.name(), "preactivation_change_step_1");
        // Folders of earlier versions.
        for (old, quantity) in [
            ("ntk_relative_change", LadderQuantity::FullNtkRelativeChange),
            ("ntk_distance", LadderQuantity::FullNtkDistance),
        ] {
            assert_eq!(serde_json::from_value::<LadderQuantity>(old.into()).unwrap(), quantity);
            assert_eq!(quantity.name(), format!("full_{old}"));
        }
    }
}
