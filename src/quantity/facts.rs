//! The words of the table of quantities.

use super::Quantity;

/// The parts of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Loss and accuracy on the whole training and test sets.
    Evaluation,
    /// Mean entries of the empirical NNGP kernel of the readout.
    Nngp,
    /// The empirical NTK: entries, eigenvalues, alignments, changes and layer shares.
    Ntk,
    /// Covariance of per-example loss gradients.
    GradientCovariance,
    /// Distances of the weights from their start.
    WeightDistance,
    /// Partial Jacobian norms.
    PartialJacobian,
    /// Mean squared pre-activations.
    PreactivationVariance,
    /// Information by binning.
    InformationBinning,
    /// Bounds on information by kernel density estimates.
    InformationKde,
    /// Shape of the distribution of pre-activations over an ensemble, from sums at the first and last snapshot.
    Gaussianity,
}

/// What theory says about a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theory {
    /// Nothing: eigenvalues, alignments and distances of random matrices are biased by their noise; information has no limit here.
    None,
    /// Its value, from which it may differ to both sides.
    Value,
    /// An upper bound.
    UpperBound,
}

/// The comparison of a quantity with theory that can decide the verdict of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its name in `claims.required`.
    pub name: &'static str,
    /// Which rows it is about.
    pub when: When,
    /// The size of which `claims.resolution` is a share.
    pub scale: ClaimScale,
}

/// How far from its prediction a number may lie and still agree, before `claims.resolution` takes its share of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimScale {
    /// As far as the prediction itself lies from zero.
    Prediction,
    /// As the prediction of another quantity, at the same step and layers: entries off the diagonal of a kernel are judged on the scale of
    /// those on it, since their mean may be near zero.
    Of(Quantity),
    /// One: measures of the shape of a distribution have no size of their own, and the prediction is zero or close to it.
    One,
}

/// The rows that a claim is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Those of the first step.
    First,
    /// Those of the hidden layers at the first step: the readout's few outputs are too noisy to tell anything of their own.
    FirstHidden,
    /// Those of the first and of the last step.
    Ends,
    /// Those of the last step, where training took one.
    Last,
    /// Those of four measured steps after the first, spread evenly over the schedule, the last among them.
    FourSteps,
}

impl Probe {
    /// All, in the order in which a snapshot takes them.
    pub const ALL: [Self; 10] = [
        Self::Evaluation,
        Self::Nngp,
        Self::Ntk,
        Self::GradientCovariance,
        Self::WeightDistance,
        Self::PartialJacobian,
        Self::PreactivationVariance,
        Self::InformationBinning,
        Self::InformationKde,
        Self::Gaussianity,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::Nngp => "nngp",
            Self::Ntk => "ntk",
            Self::GradientCovariance => "gradient_covariance",
            Self::WeightDistance => "weight_distance",
            Self::PartialJacobian => "partial_jacobian",
            Self::PreactivationVariance => "preactivation_variance",
            Self::InformationBinning => "information_binning",
            Self::InformationKde => "information_kde",
            Self::Gaussianity => "gaussianity",
        }
    }
}
