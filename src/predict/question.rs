//! What is asked, with everything that does not go together refused.

use widthwise_theory::bayes::InverseGamma;
use widthwise_theory::dynamics::{OutputLoss, StepRule, Training};

use super::PredictError;
use super::options::{PredictLoss, PredictMethod, PredictOptimizer, Solver};
use crate::config::NetworkConfig;

/// What is asked of infinitely wide networks.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What predicts.
    pub method: PredictMethod,
    /// How networks are trained.
    pub optimizer: PredictOptimizer,
    /// Step size above 0; 1 for the flow if left out.
    pub learning_rate: Option<f64>,
    /// Momentum coefficient, from 0 to below 1.
    pub beta: f64,
    /// Flow times or numbers of steps of at least 0, infinite for the limit.
    pub times: Vec<f64>,
    /// Loss that training lowers.
    pub loss: PredictLoss,
    /// Examples a step; all if left out.
    pub batch_size: Option<usize>,
    /// Networks to draw for the variance under a loss that is integrated; 0 for one that starts at zero.
    pub members: usize,
    /// Seed of the members and of the order of batches.
    pub seed: u64,
    /// Variance of the noise on training targets.
    pub noise: f64,
    /// Strength of the L2 penalty toward the initial parameters.
    pub ridge: f64,
    /// Added to the diagonal of the training kernel to make it solvable.
    pub jitter: f64,
    /// Distribution of the readout variance, for [`PredictMethod::StudentT`].
    pub prior: InverseGamma,
    /// How systems are solved.
    pub solver: Solver,
    /// Largest residual that [`Solver::Cg`] may leave, relative to the targets.
    pub tolerance: f64,
    /// Keeps whole covariances.
    pub covariance: bool,
}

impl Default for Question {
    /// An ensemble trained forever by gradient flow on squared loss.
    fn default() -> Self {
        Self {
            method: PredictMethod::Ntk,
            optimizer: PredictOptimizer::Flow,
            learning_rate: None,
            beta: 0.9,
            times: Vec::new(),
            loss: PredictLoss::Mse,
            batch_size: None,
            members: 0,
            seed: 1,
            noise: 0.0,
            ridge: 0.0,
            jitter: 0.0,
            prior: InverseGamma { shape: 2.0, scale: 2.0 },
            solver: Solver::Auto,
            tolerance: 1e-6,
            covariance: false,
        }
    }
}

/// A time of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Time {
    /// Flow time, or a number of steps.
    At(f64),
    /// The limit.
    Infinite,
}

impl Time {
    /// The number, infinity for the limit.
    pub fn number(self) -> f64 {
        match self {
            Self::At(time) => time,
            Self::Infinite => f64::INFINITY,
        }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(time) => write!(f, "{time}"),
            Self::Infinite => f.write_str("inf"),
        }
    }
}

/// How the numbers are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Computation {
    /// A posterior: no training, or training forever.
    Posterior,
    /// Training with squared loss, in closed form.
    Trained(Vec<Time>),
    /// Training with squared loss on batches of this size.
    Batches(Vec<Time>, usize),
    /// Training with another loss, step by step.
    Integrated(Vec<Time>, OutputLoss),
    /// A classifier of infinite depth.
    InfiniteDepth,
}

impl Question {
    /// Checks the parts of the question against each other, and says how it is answered.
    ///
    /// # Errors
    /// One sentence: what does not go together, and what to do.
    pub fn computation(&self) -> Result<Computation, PredictError> {
        let (method, optimizer, loss) = (self.method.name(), self.optimizer.name(), self.loss.name());
        let is_trained = self.method == PredictMethod::Ntk || !self.times.is_empty() || self.loss != PredictLoss::Mse;
        let mut times: Vec<f64> = self.times.clone();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let times: Vec<Time> =
            times.into_iter().map(|time| if time.is_finite() { Time::At(time) } else { Time::Infinite }).collect();
        if matches!(self.method, PredictMethod::StudentT | PredictMethod::InfiniteDepth) {
            if is_trained {
                return Err(PredictError::NoTraining { method });
            }
            if self.method == PredictMethod::InfiniteDepth {
                let is_given = self.noise > 0.0 || self.ridge > 0.0 || self.jitter > 0.0;
                return if is_given { Err(PredictError::NoSystem { method }) } else { Ok(Computation::InfiniteDepth) };
            }
        }
        if !is_trained {
            if self.ridge != 0.0 {
                return Err(PredictError::RidgeOfPosterior);
            }
            if self.optimizer != PredictOptimizer::Flow || self.learning_rate.is_some() {
                return Err(PredictError::OptimizerOfPosterior { method });
            }
            return Ok(Computation::Posterior);
        }
        let times = if times.is_empty() { vec![Time::Infinite] } else { times };
        if self.optimizer != PredictOptimizer::Flow {
            if self.learning_rate.is_none() {
                return Err(PredictError::NoLearningRate { optimizer });
            }
            let is_broken = |time: &&Time| matches!(time, Time::At(time) if time.fract() != 0.0 || *time > 1e15);
            if let Some(&time) = times.iter().find(is_broken) {
                return Err(PredictError::BrokenSteps { time, optimizer });
            }
        }
        if let Some(size) = self.batch_size {
            let is_known = self.optimizer.is_discrete()
                && self.loss == PredictLoss::Mse
                && self.noise == 0.0
                && !times.contains(&Time::Infinite);
            return if is_known { Ok(Computation::Batches(times, size)) } else { Err(PredictError::UnknownBatches) };
        }
        let Some(integrated) = self.loss.integrated() else { return Ok(Computation::Trained(times)) };
        if times.contains(&Time::Infinite) {
            return Err(PredictError::NoLimit { loss });
        }
        if self.ridge != 0.0 || self.noise != 0.0 {
            return Err(PredictError::SquaredLossAlone);
        }
        if (1..=3).contains(&self.members) {
            return Err(PredictError::FewMembers { members: self.members });
        }
        Ok(Computation::Integrated(times, integrated))
    }

    /// Refuses what a centred network, `f - f_0`, leaves no room for: it starts at zero, so that it is no draw of a random function and
    /// all of an ensemble are alike.
    ///
    /// # Errors
    /// One sentence: what does not go together, and what to do.
    pub fn expect_centred(&self, computation: &Computation, network: &NetworkConfig) -> Result<(), PredictError> {
        let what = match computation {
            _ if !network.centred => return Ok(()),
            Computation::Posterior => {
                format!("--method {} without --times conditions a random function", self.method.name())
            }
            Computation::Integrated(..) if self.members > 0 => {
                format!("--members {} draws initial outputs", self.members)
            }
            Computation::Trained(_) | Computation::Batches(..) | Computation::Integrated(..)
                if self.method == PredictMethod::NtkGp =>
            {
                "--method ntkgp adds a frozen random function to every network".to_owned()
            }
            Computation::Trained(_)
            | Computation::Batches(..)
            | Computation::Integrated(..)
            | Computation::InfiniteDepth => return Ok(()),
        };
        Err(PredictError::Centred { what })
    }

    /// What the large-N solver adds to the diagonal for this question, or that it does not know it.
    pub(super) fn iterative(&self, computation: &Computation) -> Result<f64, PredictError> {
        match computation {
            Computation::Posterior if self.method != PredictMethod::StudentT => Ok(self.noise),
            Computation::Trained(times) if times == &[Time::Infinite] && self.optimizer == PredictOptimizer::Flow => {
                Ok(self.ridge)
            }
            _ => Err(PredictError::MeansAlone),
        }
    }

    /// The optimizer at a time, as theory has it.
    pub(super) fn training(&self, time: Time) -> Training {
        let (learning_rate, beta) = (self.learning_rate.unwrap_or(1.0), self.beta);
        let steps = match time {
            Time::At(time) => time as u64,
            Time::Infinite => Training::FOREVER,
        };
        match self.optimizer {
            PredictOptimizer::Flow => Training::Flow { flow_time: learning_rate * time.number() },
            PredictOptimizer::GradientDescent => Training::GradientDescent { learning_rate, steps },
            PredictOptimizer::Momentum => Training::Momentum { learning_rate, beta, steps },
            PredictOptimizer::Nesterov => Training::Nesterov { learning_rate, beta, steps },
        }
    }

    /// The rule of a step; gradient descent for the flow, which has none.
    pub(super) fn rule(&self) -> StepRule {
        let beta = self.beta;
        match self.optimizer {
            PredictOptimizer::Flow | PredictOptimizer::GradientDescent => StepRule::GradientDescent,
            PredictOptimizer::Momentum => StepRule::Momentum { beta },
            PredictOptimizer::Nesterov => StepRule::Nesterov { beta },
        }
    }
}
