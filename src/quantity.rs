//! Every number that a run measures, by name.

use std::fmt;
use std::str::FromStr;

/// A measured number; the layer or pair of layers it belongs to stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// Loss on the training set, in the normalization of the run.
    TrainLoss,
    /// Loss on the test set.
    TestLoss,
    /// Mean diagonal entry of the empirical NNGP kernel of the readout on the probe examples.
    NngpMeanDiagonal,
    /// Mean entry off the diagonal of the same.
    NngpMeanOffDiagonal,
    /// Mean diagonal entry of the empirical NTK: its trace over the number of probe examples.
    NtkMeanDiagonal,
    /// Mean entry off the diagonal of the empirical NTK.
    NtkMeanOffDiagonal,
    /// Trace of the empirical NTK on the probe examples.
    NtkTrace,
    /// Largest eigenvalue of the empirical NTK.
    NtkTopEigenvalue,
    /// Second largest eigenvalue.
    NtkSecondEigenvalue,
    /// Third largest eigenvalue.
    NtkThirdEigenvalue,
    /// Largest over smallest eigenvalue.
    NtkConditionNumber,
    /// `|Theta_t - Theta_0| / |Theta_0|` of one member, Frobenius norms.
    NtkRelativeChange,
    /// `|Theta_t - Theta_s| / |Theta_s| / (t - s)` with s the look before: relative change a step.
    NtkVelocity,
    /// Centred alignment (CKA) of one member's kernel with its initial one.
    NtkInitialCka,
    /// Centred alignment (CKA) with the infinite-width kernel.
    NtkInfiniteCka,
    /// `exp` of the entropy of the eigenvalues over their sum (Roy and Vetterli 2007).
    NtkEffectiveRank,
    /// Share of a layer's parameters in the trace of the kernel.
    NtkLayerShare,
    /// Share of the targets in the span of the O leading eigenvectors, O the number of outputs.
    NtkLabelOverlap,
    /// Trace of the covariance of per-example loss gradients over the probe examples, parameters weighted with their
    /// learning-rate factors as in the kernel.
    GradientCovarianceTrace,
    /// `|W_t - W_0| / |W_0|` of the weights of a layer, Frobenius norms, biases left out.
    WeightDistance,
    /// Root mean square of `w_t - w_0` over the weights of a layer, in the coordinates of the parameterization.
    WeightRmsChange,
    /// `<Theta, Y Y^T> / (|Theta| |Y Y^T|)`.
    NtkTargetAlignment,
    /// `<Theta, Theta_inf> / <Theta_inf, Theta_inf>`.
    NtkOverlap,
    /// `|Theta - Theta_inf| / |Theta_inf|`.
    NtkDistance,
    /// Mean squared pre-activation over probe examples, units and positions.
    PreactivationVariance,
    /// `E z^4 / (E z^2)^2` over members and units, averaged over examples, without the bias of few values; 3 for a Gaussian.
    Kurtosis,
    /// Kurtosis less 3.
    ExcessKurtosis,
    /// Standardized third moment.
    Skewness,
    /// Kolmogorov-Smirnov distance of pre-activations, pooled over members, from the Gaussian of their variance.
    KsDistance,
    /// Kurtosis of as many independent Gaussian values at one input: its mean, and in place of an error its spread.
    KurtosisNull,
    /// The same of the skewness.
    SkewnessNull,
    /// The same of the Kolmogorov-Smirnov distance.
    KsDistanceNull,
    /// `1/n_l sum_ij (dz^l_i / dz^l0_j)^2`.
    PartialJacobianNorm,
    /// `I(X; b(T))` with T binned over its own range.
    InformationInputBinning,
    /// `I(b(T); Y)`.
    InformationLabelBinning,
    /// Upper KDE bound on `I(X; T + noise)`.
    InformationInputKdeUpper,
    /// Lower KDE bound on `I(X; T + noise)`.
    InformationInputKdeLower,
    /// Largest value that information about the input can take on the probe examples: `ln n`.
    InformationInputCeiling,
    /// Largest value that information about the label can take: `H(Y)`.
    InformationLabelCeiling,
    /// KDE estimate of `I(T + noise; Y)`, a difference of bounds.
    InformationLabelKde,
}

use Quantity::*;

const ALL: [(Quantity, &str); 40] = [
    (TrainLoss, "train_loss"),
    (TestLoss, "test_loss"),
    (NngpMeanDiagonal, "nngp_mean_diagonal"),
    (NngpMeanOffDiagonal, "nngp_mean_off_diagonal"),
    (NtkMeanDiagonal, "ntk_mean_diagonal"),
    (NtkMeanOffDiagonal, "ntk_mean_off_diagonal"),
    (NtkTrace, "ntk_trace"),
    (NtkTopEigenvalue, "ntk_top_eigenvalue"),
    (NtkSecondEigenvalue, "ntk_second_eigenvalue"),
    (NtkThirdEigenvalue, "ntk_third_eigenvalue"),
    (NtkConditionNumber, "ntk_condition_number"),
    (NtkRelativeChange, "ntk_relative_change"),
    (NtkVelocity, "ntk_velocity"),
    (NtkInitialCka, "ntk_initial_cka"),
    (NtkInfiniteCka, "ntk_infinite_cka"),
    (NtkEffectiveRank, "ntk_effective_rank"),
    (NtkLayerShare, "ntk_layer_share"),
    (NtkLabelOverlap, "ntk_label_overlap"),
    (GradientCovarianceTrace, "gradient_covariance_trace"),
    (WeightDistance, "weight_distance"),
    (WeightRmsChange, "weight_rms_change"),
    (NtkTargetAlignment, "ntk_target_alignment"),
    (NtkOverlap, "ntk_overlap"),
    (NtkDistance, "ntk_distance"),
    (PreactivationVariance, "preactivation_variance"),
    (Kurtosis, "kurtosis"),
    (ExcessKurtosis, "excess_kurtosis"),
    (Skewness, "skewness"),
    (KsDistance, "ks_distance"),
    (KurtosisNull, "kurtosis_null"),
    (SkewnessNull, "skewness_null"),
    (KsDistanceNull, "ks_distance_null"),
    (PartialJacobianNorm, "partial_jacobian_norm"),
    (InformationInputBinning, "information_input_binning"),
    (InformationLabelBinning, "information_label_binning"),
    (InformationInputKdeUpper, "information_input_kde_upper"),
    (InformationInputKdeLower, "information_input_kde_lower"),
    (InformationLabelKde, "information_label_kde"),
    (InformationInputCeiling, "information_input_ceiling"),
    (InformationLabelCeiling, "information_label_ceiling"),
];

impl Quantity {
    /// The name in files.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(quantity, _)| *quantity == self).map_or("", |(_, name)| name)
    }

    /// The unit, empty for a pure number.
    pub fn unit(self) -> &'static str {
        match self {
            InformationInputBinning
            | InformationLabelBinning
            | InformationInputKdeUpper
            | InformationInputKdeLower
            | InformationLabelKde
            | InformationInputCeiling
            | InformationLabelCeiling => "nats",
            NtkVelocity => "1/step",
            _ => "",
        }
    }

    /// Whether it is made from gradients that are weighted layer by layer with learning-rate factors.
    pub fn weighs_layers(self) -> bool {
        matches!(
            self,
            NtkMeanDiagonal
                | NtkMeanOffDiagonal
                | NtkTrace
                | NtkTopEigenvalue
                | NtkSecondEigenvalue
                | NtkThirdEigenvalue
                | NtkConditionNumber
                | NtkRelativeChange
                | NtkVelocity
                | NtkInitialCka
                | NtkInfiniteCka
                | NtkEffectiveRank
                | NtkLayerShare
                | NtkLabelOverlap
                | NtkTargetAlignment
                | NtkOverlap
                | NtkDistance
                | GradientCovarianceTrace
        )
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = ALL.iter().find(|(_, known)| *known == name);
        known.map(|(quantity, _)| *quantity).ok_or_else(|| format!("no quantity is called {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_made_from_a_tangent_kernel_weighs_layers() {
        for (quantity, name) in ALL {
            let is_tangent = name.starts_with("ntk_") || name == "gradient_covariance_trace";
            assert_eq!(quantity.weighs_layers(), is_tangent, "{name}");
        }
    }

    #[test]
    fn names_are_distinct_and_come_back() {
        for (quantity, name) in ALL {
            assert_eq!(name.parse::<Quantity>(), Ok(quantity));
            assert_eq!(quantity.name(), name);
        }
    }
}
