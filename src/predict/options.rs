//! What a prediction may be asked with.

use widthwise_theory::dynamics::OutputLoss;

/// What predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictMethod {
    /// Posterior of the NNGP kernel.
    Nngp,
    /// Ensemble of trained networks.
    Ntk,
    /// Posterior of the tangent kernel.
    NtkGp,
    /// Posterior with a random readout variance.
    StudentT,
    /// Classifier of infinitely many layers.
    InfiniteDepth,
}

impl PredictMethod {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nngp => "nngp",
            Self::Ntk => "ntk",
            Self::NtkGp => "ntkgp",
            Self::StudentT => "student-t",
            Self::InfiniteDepth => "infinite-depth",
        }
    }
}

/// How networks are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictOptimizer {
    /// Gradient flow.
    Flow,
    /// Full-batch gradient descent.
    GradientDescent,
    /// Heavy-ball momentum.
    Momentum,
    /// Nesterov's momentum.
    Nesterov,
}

impl PredictOptimizer {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::GradientDescent => "gradient-descent",
            Self::Momentum => "momentum",
            Self::Nesterov => "nesterov",
        }
    }

    /// Whether it takes steps.
    pub fn is_discrete(self) -> bool {
        self != Self::Flow
    }
}

/// The loss that training lowers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictLoss {
    /// 1/2 sum (f - y)^2.
    Mse,
    /// Softmax cross-entropy; targets are probabilities or classes.
    CrossEntropy,
    /// Binary cross-entropy of every output.
    Logistic,
    /// Quadratic to a distance of 1, then linear.
    Huber,
    /// Squared hinge; targets are -1 or 1.
    SquaredHinge,
}

impl PredictLoss {
    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::CrossEntropy => "cross-entropy",
            Self::Logistic => "logistic",
            Self::Huber => "huber",
            Self::SquaredHinge => "squared-hinge",
        }
    }

    /// As theory has it, if it must be integrated.
    pub fn integrated(self) -> Option<OutputLoss> {
        match self {
            Self::Mse => None,
            Self::CrossEntropy => Some(OutputLoss::SoftmaxCrossEntropy),
            Self::Logistic => Some(OutputLoss::Logistic),
            Self::Huber => Some(OutputLoss::Huber { delta: 1.0 }),
            Self::SquaredHinge => Some(OutputLoss::SquaredHinge),
        }
    }
}

/// How systems are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// [`Solver::Direct`] up to 4000 training examples, where it fits into memory; then [`Solver::Cg`].
    Auto,
    /// Whole kernels in double precision.
    Direct,
    /// Preconditioned conjugate gradients on a kernel in single precision.
    Cg,
}

impl Solver {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Cg => "cg",
        }
    }
}

/// Every value of a list, by its name.
macro_rules! named {
    ($kind:ident, $what:literal, [$($value:ident),+]) => {
        impl $kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),+];
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let names = || Self::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
                let found = Self::ALL.iter().find(|known| known.name() == text).copied();
                found.ok_or_else(|| format!("no {} is called {text}; there are {}", $what, names()))
            }
        }
    };
}

named!(PredictMethod, "method", [Nngp, Ntk, NtkGp, StudentT, InfiniteDepth]);
named!(PredictOptimizer, "optimizer", [Flow, GradientDescent, Momentum, Nesterov]);
named!(PredictLoss, "loss", [Mse, CrossEntropy, Logistic, Huber, SquaredHinge]);
named!(Solver, "solver", [Auto, Direct, Cg]);
