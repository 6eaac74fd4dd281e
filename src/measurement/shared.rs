//! What the probes of one snapshot read, each piece made when a probe first asks for it and then kept.

use std::cell::OnceCell;

use faer::Mat;

use super::{Past, evaluation};
use crate::config::{Loss, ProbesConfig};
use crate::data::Data;
use crate::network::Network;
use crate::ntk::{ntk_by_layer, total};
use crate::objective::Evaluation;
use crate::observation::Observation;

/// A network at one step of one member, and what it is held against.
pub(super) struct Shared<'a> {
    pub(super) network: &'a Network,
    pub(super) data: &'a Data,
    pub(super) config: &'a ProbesConfig,
    pub(super) kind: Loss,
    /// Seed, member, step.
    pub(super) place: (u64, usize, u64),
    /// Its initial kernel and weights, and the kernel before.
    pub(super) past: &'a Past<'a>,
    evaluation: OnceCell<Evaluation>,
    observation: OnceCell<Observation<'a>>,
    ntk: OnceCell<TangentKernel>,
}

/// The empirical NTK on the probe examples, outputs averaged.
pub(super) struct TangentKernel {
    /// A matrix a layer.
    pub(super) by_layer: Vec<Mat<f64>>,
    /// Their sum.
    pub(super) total: Mat<f64>,
}

impl<'a> Shared<'a> {
    /// Nothing is made yet.
    pub(super) fn new(
        network: &'a Network,
        data: &'a Data,
        config: &'a ProbesConfig,
        kind: Loss,
        place: (u64, usize, u64),
        past: &'a Past<'a>,
    ) -> Self {
        let (evaluation, observation, ntk) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { network, data, config, kind, place, past, evaluation, observation, ntk }
    }

    /// Loss and accuracy on the whole training and test sets.
    pub(super) fn evaluation(&self) -> &Evaluation {
        self.evaluation.get_or_init(|| evaluation::evaluate_shared(self))
    }

    /// Whether the loss is a number; a diverged network has nothing else to show.
    pub(super) fn is_finite(&self) -> bool {
        self.evaluation().train_loss.is_finite()
    }

    /// The forward pass of the probe examples. Where they are all training examples the evaluation reads it too.
    pub(super) fn observation(&self) -> &Observation<'a> {
        self.observation.get_or_init(|| Observation::new(self.network, &self.data.probe))
    }

    /// The empirical NTK.
    pub(super) fn ntk(&self) -> &TangentKernel {
        self.ntk.get_or_init(|| {
            let by_layer = ntk_by_layer(self.observation());
            TangentKernel { total: total(&by_layer), by_layer }
        })
    }

    /// The kernel, if a probe asked for it.
    pub(super) fn into_ntk(self) -> Option<Mat<f64>> {
        self.ntk.into_inner().map(|ntk| ntk.total)
    }
}
