//! The words of the table of quantities.

use super::Quantity;

macro_rules! probes {
    ($($(#[$doc:meta])* $probe:ident $name:ident),* $(,)?) => {
        /// The parts of a snapshot.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Probe {
            $($(#[$doc])* $probe,)*
        }

        impl Probe {
            /// All, in the order in which a snapshot takes them.
            pub const ALL: &[Self] = &[$(Self::$probe),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$probe => stringify!($name),)*
                }
            }
        }
    };
}

probes! {
    /// Loss and accuracy on the whole training and test sets.
    Evaluation evaluation,
    /// Mean entries of the empirical NNGP kernel of the readout.
    Nngp nngp,
    /// The empirical NTK: entries, eigenvalues, alignments, changes and layer shares.
    Ntk ntk,
    /// Covariance of per-example loss gradients.
    GradientCovariance gradient_covariance,
    /// Distances of the weights from their start.
    WeightDistance weight_distance,
    /// Partial Jacobian norms.
    PartialJacobian partial_jacobian,
    /// Mean squared pre-activations.
    PreactivationVariance preactivation_variance,
    /// Variances of weights and biases, as pre-activations show them.
    LayerVariances layer_variances,
    /// Information by binning.
    InformationBinning information_binning,
    /// Bounds on information by kernel density estimates.
    InformationKde information_kde,
    /// Shape of the distribution of pre-activations over an ensemble, from sums at the first and last snapshot.
    Gaussianity gaussianity,
}

/// Hands the probes that are switched by a key of their name and nothing else to another macro: each gets that key in `[probes]`, in its
/// schema and in the commented file. The key may be left out, and is then not written: the text of older experiments stays.
macro_rules! probes_with_switch {
    ($then:ident) => {
        $then! { Nngp nngp, WeightDistance weight_distance, PartialJacobian partial_jacobian, PreactivationVariance preactivation_variance, LayerVariances layer_variances }
    };
}
pub(crate) use probes_with_switch;

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

/// A number of the same network before training that goes with another one, and whose mean theory knows: what it is off by says how much of the
/// other's distance is chance ([`controlled_mean`](widthwise_statistics::controlled_mean)). It has a claim of its own, so that no error of theory is taken
/// off unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlVariate {
    /// The quantity, which has no layer.
    Of(Quantity),
    /// That of the last hidden layer.
    LastHidden(Quantity),
    /// That of the layer before; the first layer has none.
    LayerBefore(Quantity),
}

impl ControlVariate {
    /// The quantity and its layer, for a number of `layer` in a network of `depth` hidden ones.
    pub fn place(self, layer: Option<usize>, depth: usize) -> Option<(Quantity, Option<usize>)> {
        match self {
            Self::Of(quantity) => Some((quantity, None)),
            Self::LastHidden(quantity) => (depth > 0).then_some((quantity, Some(depth))),
            Self::LayerBefore(quantity) => {
                layer.and_then(|layer| layer.checked_sub(1)).filter(|before| *before > 0).map(|l| (quantity, Some(l)))
            }
        }
    }
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
