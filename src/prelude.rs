//! What most programs on the library name, to be imported at once.

pub use burn::tensor::{DType, Device};
pub use widthwise_probes::{Observed, empirical_nngp, empirical_ntk, relative_distance};
pub use widthwise_statistics::Estimate;
pub use widthwise_tensors::to_f64;
pub use widthwise_theory::activation::Activation;
pub use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization, UpdateRule,
};
pub use widthwise_theory::kernel::{Inputs, Kernels, kernels};

pub use crate::config::{Loss, NetworkConfig, Schedule, TrainingConfig};
pub use crate::data::Data;
pub use crate::examples::Arrays;
pub use crate::kernels::Budget;
pub use crate::measurement::evaluate;
pub use crate::memory::Bytes;
pub use crate::monitor::{Monitor, Silent};
pub use crate::network::{Network, NoTap, build_architecture};
pub use crate::objective::Evaluation;
pub use crate::observation::Observation;
pub use crate::predict::{ExampleSet, PredictLoss, PredictOptimizer, PredictionData, Question, predict};
pub use crate::training::schedule::ProbeSteps;
pub use crate::training::{Observer, Outcome, Trainee, TrainingPlan, train};
