//! Every number that a run measures: one table from which its name, its unit, its label in figures, how far it is to be trusted, the
//! probe that measures it, what theory says about it and its claim follow.

mod facts;
#[cfg(test)]
mod tests;
mod trust;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub(crate) use facts::probes_with_switch;
pub use facts::{Claim, ClaimScale, ControlVariate, Probe, Theory, When};
pub use trust::{Flag, Kind, Trust};

/// What is known of a quantity; none of it can be left out of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    kind: Kind,
    method: &'static str,
    probe: Probe,
    theory: Theory,
    claim: Option<Claim>,
    control: Option<ControlVariate>,
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $quantity:ident { $($fact:ident: $value:expr),* })*) => {
        /// A measured number; the layer or pair of layers it belongs to accompanies it. Rows of ensembles have this order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Quantity {
            $($(#[$doc])* $quantity,)*
        }

        impl Quantity {
            /// All, in their order.
            pub const ALL: &[Self] = &[$(Self::$quantity),*];

            const fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$quantity => &Facts { $($fact: $value),* },)*
                }
            }
        }
    };
}

quantities! {
    /// Loss on the training set, in the normalization of the run.
    TrainLoss {
        name: "train_loss", label: "training loss", unit: "",
        kind: Kind::Exact, method: "whole_set",
        probe: Probe::Evaluation, theory: Theory::Value, claim: Some(Claim { name: "train_loss", when: When::FourSteps, scale: ClaimScale::Prediction }), control: None
    }
    /// Loss on the test set.
    TestLoss {
        name: "test_loss", label: "test loss", unit: "",
        kind: Kind::Exact, method: "whole_set",
        probe: Probe::Evaluation, theory: Theory::Value, claim: Some(Claim { name: "test_loss", when: When::FourSteps, scale: ClaimScale::Prediction }), control: None
    }
    /// Mean diagonal entry of the empirical NNGP kernel of the readout on the probe examples.
    NngpMeanDiagonal {
        name: "nngp_mean_diagonal", label: "NNGP mean diagonal", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Nngp, theory: Theory::Value, claim: Some(Claim { name: "nngp_mean_diagonal", when: When::First, scale: ClaimScale::Prediction }), control: Some(ControlVariate::LastHidden(Quantity::PreactivationVariance))
    }
    /// Mean entry off the diagonal of the same.
    NngpMeanOffDiagonal {
        name: "nngp_mean_off_diagonal", label: "NNGP mean off-diagonal", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Nngp, theory: Theory::Value, claim: Some(Claim { name: "nngp_mean_off_diagonal", when: When::First, scale: ClaimScale::Of(Quantity::NngpMeanDiagonal) }), control: Some(ControlVariate::LastHidden(Quantity::PreactivationVariance))
    }
    /// Mean diagonal entry of the empirical NTK: its trace over the number of probe examples.
    NtkMeanDiagonal {
        name: "ntk_mean_diagonal", label: "NTK mean diagonal", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::Value, claim: Some(Claim { name: "ntk_mean_diagonal", when: When::Ends, scale: ClaimScale::Prediction }), control: Some(ControlVariate::Of(Quantity::NngpMeanDiagonal))
    }
    /// Mean entry off the diagonal of the empirical NTK.
    NtkMeanOffDiagonal {
        name: "ntk_mean_off_diagonal", label: "NTK mean off-diagonal", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::Value, claim: Some(Claim { name: "ntk_mean_off_diagonal", when: When::Ends, scale: ClaimScale::Of(Quantity::NtkMeanDiagonal) }), control: Some(ControlVariate::Of(Quantity::NngpMeanDiagonal))
    }
    /// Trace of the empirical NTK on the probe examples.
    NtkTrace {
        name: "ntk_trace", label: "NTK trace", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::Value, claim: None, control: Some(ControlVariate::Of(Quantity::NngpMeanDiagonal))
    }
    /// Largest eigenvalue of the empirical NTK.
    NtkTopEigenvalue {
        name: "ntk_top_eigenvalue", label: "NTK top eigenvalue", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Second largest eigenvalue.
    NtkSecondEigenvalue {
        name: "ntk_second_eigenvalue", label: "NTK second eigenvalue", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Third largest eigenvalue.
    NtkThirdEigenvalue {
        name: "ntk_third_eigenvalue", label: "NTK third eigenvalue", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Largest over smallest eigenvalue.
    NtkConditionNumber {
        name: "ntk_condition_number", label: "NTK condition number", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// `|Theta_t - Theta_0| / |Theta_0|` of one member, Frobenius norms.
    NtkRelativeChange {
        name: "ntk_relative_change", label: "NTK relative change", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::UpperBound, claim: Some(Claim { name: "ntk_frozen", when: When::Last, scale: ClaimScale::Prediction }), control: None
    }
    /// `|Theta_t - Theta_s| / |Theta_s| / (t - s)` with s the step at which it was last measured: relative change a step.
    NtkVelocity {
        name: "ntk_velocity", label: "NTK velocity", unit: "1/step",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Centred alignment (CKA) of one member's kernel with its initial one.
    NtkInitialCka {
        name: "ntk_initial_cka", label: "CKA with initial NTK", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Centred alignment (CKA) with the infinite-width kernel.
    NtkInfiniteCka {
        name: "ntk_infinite_cka", label: "CKA with infinite NTK", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// `exp` of the entropy of the eigenvalues over their sum (Roy and Vetterli 2007).
    NtkEffectiveRank {
        name: "ntk_effective_rank", label: "NTK effective rank", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Share of a layer's parameters in the trace of the kernel.
    NtkLayerShare {
        name: "ntk_layer_share", label: "share of the NTK trace", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Share of the targets in the span of the O leading eigenvectors, O the number of outputs.
    NtkLabelOverlap {
        name: "ntk_label_overlap", label: "label overlap of leading NTK eigenvectors", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Trace of the covariance of per-example loss gradients, parameters weighted with their learning-rate factors as in the kernel.
    GradientCovarianceTrace {
        name: "gradient_covariance_trace", label: "gradient covariance trace", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::GradientCovariance, theory: Theory::None, claim: None, control: None
    }
    /// `|W_t - W_0| / |W_0|` of the weights of a layer, Frobenius norms, biases left out.
    WeightDistance {
        name: "weight_distance", label: "relative weight change", unit: "",
        kind: Kind::Exact, method: "weights",
        probe: Probe::WeightDistance, theory: Theory::None, claim: None, control: None
    }
    /// Root mean square of `w_t - w_0` over the weights of a layer, in the coordinates of the parameterization.
    WeightRmsChange {
        name: "weight_rms_change", label: "RMS weight change", unit: "",
        kind: Kind::Exact, method: "weights",
        probe: Probe::WeightDistance, theory: Theory::None, claim: None, control: None
    }
    /// `<Theta, Y Y^T> / (|Theta| |Y Y^T|)`.
    NtkTargetAlignment {
        name: "ntk_target_alignment", label: "NTK target alignment", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// `<Theta, Theta_inf> / <Theta_inf, Theta_inf>`.
    NtkOverlap {
        name: "ntk_overlap", label: "overlap with infinite NTK", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::Value, claim: Some(Claim { name: "ntk_overlap", when: When::Ends, scale: ClaimScale::Prediction }), control: Some(ControlVariate::Of(Quantity::NngpMeanDiagonal))
    }
    /// `|Theta - Theta_inf| / |Theta_inf|`.
    NtkDistance {
        name: "ntk_distance", label: "distance to infinite NTK", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::Ntk, theory: Theory::None, claim: None, control: None
    }
    /// Mean squared pre-activation over probe examples, units and positions.
    PreactivationVariance {
        name: "preactivation_variance", label: "pre-activation variance", unit: "",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::PreactivationVariance, theory: Theory::Value, claim: Some(Claim { name: "preactivation_variance", when: When::FirstHidden, scale: ClaimScale::Prediction }), control: Some(ControlVariate::LayerBefore(Quantity::PreactivationVariance))
    }
    /// Fan-in times the variance of a layer's weights, gains included, as its pre-activations show it ([`widthwise_probes::layer_variances`]).
    WeightVariance {
        name: "weight_variance", label: "fan-in times weight variance", unit: "",
        kind: Kind::Estimate, method: "conditional_covariance",
        probe: Probe::LayerVariances, theory: Theory::Value, claim: Some(Claim { name: "weight_variance", when: When::FirstHidden, scale: ClaimScale::Prediction }), control: None
    }
    /// The variance of a layer's biases, gains included, found in the same way.
    BiasVariance {
        name: "bias_variance", label: "bias variance", unit: "",
        kind: Kind::Estimate, method: "conditional_covariance",
        probe: Probe::LayerVariances, theory: Theory::Value, claim: Some(Claim { name: "bias_variance", when: When::FirstHidden, scale: ClaimScale::Of(Quantity::PreactivationVariance) }), control: None
    }
    /// `E z^4 / (E z^2)^2` over members and units, averaged over examples, without the bias of few values; 3 for a Gaussian.
    Kurtosis {
        name: "kurtosis", label: "kurtosis", unit: "",
        kind: Kind::Estimate, method: "unbiased_moments",
        probe: Probe::Gaussianity, theory: Theory::Value, claim: None, control: None
    }
    /// Kurtosis less 3.
    ExcessKurtosis {
        name: "excess_kurtosis", label: "excess kurtosis", unit: "",
        kind: Kind::Estimate, method: "unbiased_moments",
        probe: Probe::Gaussianity, theory: Theory::Value, claim: Some(Claim { name: "excess_kurtosis", when: When::FirstHidden, scale: ClaimScale::One }), control: None
    }
    /// Standardized third moment.
    Skewness {
        name: "skewness", label: "skewness", unit: "",
        kind: Kind::Estimate, method: "unbiased_moments",
        probe: Probe::Gaussianity, theory: Theory::Value, claim: None, control: None
    }
    /// Kolmogorov-Smirnov distance of pre-activations, pooled over members, from the Gaussian of their variance.
    KsDistance {
        name: "ks_distance", label: "Kolmogorov–Smirnov distance", unit: "",
        kind: Kind::Estimate, method: "pooled_units",
        probe: Probe::Gaussianity, theory: Theory::None, claim: None, control: None
    }
    /// Kurtosis of as many independent Gaussian values at one input: its mean, and in place of an error its spread.
    KurtosisNull {
        name: "kurtosis_null", label: "kurtosis of as many Gaussian values", unit: "",
        kind: Kind::Estimate, method: "gaussian_values",
        probe: Probe::Gaussianity, theory: Theory::None, claim: None, control: None
    }
    /// The same of the skewness.
    SkewnessNull {
        name: "skewness_null", label: "skewness of as many Gaussian values", unit: "",
        kind: Kind::Estimate, method: "gaussian_values",
        probe: Probe::Gaussianity, theory: Theory::None, claim: None, control: None
    }
    /// The same of the Kolmogorov-Smirnov distance.
    KsDistanceNull {
        name: "ks_distance_null", label: "Kolmogorov–Smirnov distance of as many Gaussian values", unit: "",
        kind: Kind::Estimate, method: "gaussian_values",
        probe: Probe::Gaussianity, theory: Theory::None, claim: None, control: None
    }
    /// `1/n_l sum_ij (dz^l_i / dz^l0_j)^2`.
    PartialJacobianNorm {
        name: "partial_jacobian_norm", label: "partial Jacobian norm", unit: "",
        kind: Kind::Estimate, method: "hutchinson",
        probe: Probe::PartialJacobian, theory: Theory::Value, claim: Some(Claim { name: "partial_jacobian_norm", when: When::FirstHidden, scale: ClaimScale::Prediction }), control: None
    }
    /// `I(X; b(T))` with T binned over its own range.
    InformationInputBinning {
        name: "information_input_binning", label: "I(X;T), binning", unit: "nats",
        kind: Kind::Exact, method: "adaptive_bins",
        probe: Probe::InformationBinning, theory: Theory::None, claim: None, control: None
    }
    /// `I(b(T); Y)`.
    InformationLabelBinning {
        name: "information_label_binning", label: "I(T;Y), binning", unit: "nats",
        kind: Kind::Exact, method: "adaptive_bins",
        probe: Probe::InformationBinning, theory: Theory::None, claim: None, control: None
    }
    /// Upper KDE bound on `I(X; T + noise)`.
    InformationInputKdeUpper {
        name: "information_input_kde_upper", label: "I(X;T), KDE upper bound", unit: "nats",
        kind: Kind::Upper, method: "kde",
        probe: Probe::InformationKde, theory: Theory::None, claim: None, control: None
    }
    /// Lower KDE bound on `I(X; T + noise)`.
    InformationInputKdeLower {
        name: "information_input_kde_lower", label: "I(X;T), KDE lower bound", unit: "nats",
        kind: Kind::Lower, method: "kde",
        probe: Probe::InformationKde, theory: Theory::None, claim: None, control: None
    }
    /// Largest value that information about the input can take on the probe examples: `ln n`.
    InformationInputCeiling {
        name: "information_input_ceiling", label: "ceiling of I(X;T)", unit: "nats",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::InformationBinning, theory: Theory::None, claim: None, control: None
    }
    /// Largest value that information about the label can take: `H(Y)`.
    InformationLabelCeiling {
        name: "information_label_ceiling", label: "ceiling of I(T;Y)", unit: "nats",
        kind: Kind::Exact, method: "probe_examples",
        probe: Probe::InformationBinning, theory: Theory::None, claim: None, control: None
    }
    /// KDE estimate of `I(T + noise; Y)`, a difference of bounds.
    InformationLabelKde {
        name: "information_label_kde", label: "I(T;Y), KDE", unit: "nats",
        kind: Kind::Estimate, method: "kde",
        probe: Probe::InformationKde, theory: Theory::None, claim: None, control: None
    }
    /// Upper KDE bound on `I(T + noise; Y)`.
    InformationLabelKdeUpper {
        name: "information_label_kde_upper", label: "I(T;Y), KDE upper bound", unit: "nats",
        kind: Kind::Upper, method: "kde",
        probe: Probe::InformationKde, theory: Theory::None, claim: None, control: None
    }
    /// Lower KDE bound on `I(T + noise; Y)`.
    InformationLabelKdeLower {
        name: "information_label_kde_lower", label: "I(T;Y), KDE lower bound", unit: "nats",
        kind: Kind::Lower, method: "kde",
        probe: Probe::InformationKde, theory: Theory::None, claim: None, control: None
    }
}

impl Quantity {
    /// The name in files.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The name in figures and tables for readers.
    pub const fn label(self) -> &'static str {
        self.facts().label
    }

    /// The unit, empty for a pure number.
    pub const fn unit(self) -> &'static str {
        self.facts().unit
    }

    /// How it is found and what it says, unless the estimator knows better.
    pub const fn trust(self) -> Trust {
        let Facts { kind, method, .. } = *self.facts();
        Trust { kind, method: Cow::Borrowed(method), ceiling: None, flag: None }
    }

    /// Which probe measures it.
    pub const fn probe(self) -> Probe {
        self.facts().probe
    }

    /// What theory says about it.
    pub const fn theory(self) -> Theory {
        self.facts().theory
    }

    /// The claim about it, if there is one.
    pub const fn claim(self) -> Option<Claim> {
        self.facts().claim
    }

    /// What takes noise off it.
    pub const fn control(self) -> Option<ControlVariate> {
        self.facts().control
    }

    /// The quantity that the claim of this name is about.
    pub fn of_claim(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|quantity| quantity.claim().is_some_and(|claim| claim.name == name))
    }

    /// The same number of Gaussian values, where that is found too.
    pub fn of_gaussian_values(self) -> Option<Self> {
        match self {
            Self::Kurtosis => Some(Self::KurtosisNull),
            Self::Skewness => Some(Self::SkewnessNull),
            Self::KsDistance => Some(Self::KsDistanceNull),
            _ => None,
        }
    }

    /// Whether it is made from gradients that are weighted layer by layer with learning-rate factors.
    pub fn weighs_layers(self) -> bool {
        matches!(self.probe(), Probe::Ntk | Probe::GradientCovariance)
    }

    /// Whether theory gives an upper bound for the quantity of this name.
    pub fn is_bounded(name: &str) -> bool {
        name.parse::<Self>().is_ok_and(|quantity| quantity.theory() == Theory::UpperBound)
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
        let known = Self::ALL.iter().find(|known| known.name() == name);
        known.copied().ok_or_else(|| format!("no quantity is called {name}"))
    }
}
