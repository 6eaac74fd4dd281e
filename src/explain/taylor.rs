//! The Taylor models of a network, trained on from where it stands with its own optimizer, batches and learning rate.
//!
//! The first-order model is linear in its parameters. Under updates linear in the gradient of a squared loss its outputs therefore
//! obey a recursion of their own, with the tangent kernel of that moment ([`widthwise_theory::dynamics::MinibatchRun`]). Adam, unequal rates with a penalty
//! and the second-order model are trained in parameters.

use std::collections::BTreeMap;

use widthwise_theory::dynamics::MinibatchTraining;

use super::paths::Common;
use super::points::{Outputs, Points};
use super::tangent::{Tangent, pushed};
use crate::config::Loss;
use crate::error::Result;
use crate::network::{LayerParameters, TaylorModel, TaylorOrder};
use crate::prediction::{LinearPath, minibatch_training, step_rule};
use crate::signals::StopFlag;
use crate::training::Trainee;

/// Whether the outputs of a linear model can be followed without its parameters.
pub(super) fn follows_outputs(common: &Common<'_>) -> bool {
    step_rule(common.training.optimizer).is_some()
        && common.training.loss != Loss::CrossEntropy
        && (common.training.l2.strength == 0.0 || common.uniform_rate().is_some())
}

/// Outputs at the probe steps from that of `twin` on. `tangent` is its kernel, where outputs are followed. `None` when stopped.
pub(super) fn path(
    twin: &Trainee,
    order: TaylorOrder,
    common: &Common<'_>,
    points: &Points,
    tangent: Option<&Tangent>,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    match tangent {
        Some(tangent) if order == TaylorOrder::First && follows_outputs(common) => {
            in_outputs(twin, common, points, tangent, stop)
        }
        _ => in_parameters(twin, order, common, points, stop),
    }
}

pub(super) fn in_parameters(
    twin: &Trainee,
    order: TaylorOrder,
    common: &Common<'_>,
    points: &Points,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    let model = TaylorModel::new(twin.model.clone(), order);
    common.path(twin.with(model), points, stop, |_| Ok(()))
}

pub(super) fn in_outputs(
    twin: &Trainee,
    common: &Common<'_>,
    points: &Points,
    tangent: &Tangent,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    let size = twin.batches.size();
    let l2 = common.training.l2;
    let Some(training) = minibatch_training(common.training, common.learning_rate, size) else {
        unreachable!("updates linear in the gradient")
    };
    let mut path = LinearPath::new(
        MinibatchTraining { ridge: l2.strength * common.uniform_rate().unwrap_or(1.0), ..training },
        [tangent.train.as_ref(), tangent.test.as_ref()],
        points.targets.get(..points.n, ..),
        [tangent.outputs.train.as_ref(), tangent.outputs.test.as_ref()],
        (size < points.n).then(|| (twin.batches.clone(), twin.step)),
    )?;
    if l2.strength > 0.0 {
        let displacement = match &twin.updater.anchor {
            None => twin.model.parameters.clone(),
            Some(initial) => differences(&twin.model.parameters, initial),
        };
        let Outputs { train, test } = pushed(&twin.model, points, &displacement);
        path = path.with_anchor([&train, &test])?;
    }
    if let Some(velocity) = twin.state.moments.first().filter(|_| twin.step > 0) {
        // The program's velocity is added to parameters and holds the learning rate.
        let Outputs { train, test } = pushed(&twin.model, points, velocity);
        path = path.with_velocity([&train, &test], -1.0 / common.learning_rate)?;
    }
    let mut found = BTreeMap::new();
    for step in twin.step..=common.last_step {
        if common.steps.contains(step) {
            let outputs = points.split(&path.outputs());
            let is_finite = outputs.is_finite();
            found.insert(step, outputs);
            if !is_finite {
                break;
            }
        }
        if stop.is_raised() {
            return Ok(None);
        }
        path.advance(step + 1 - twin.step)?;
    }
    Ok(Some(found))
}

fn differences(now: &[LayerParameters], origin: &[LayerParameters]) -> Vec<LayerParameters> {
    let pairs = now.iter().zip(origin);
    pairs
        .map(|(now, origin)| LayerParameters {
            weight: now.weight.clone() - origin.weight.clone(),
            bias: now.bias.clone().zip(origin.bias.clone()).map(|(now, origin)| now - origin),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::config::parse;
    use crate::session::{DataSource, Session};

    const CONFIG: &str = r#"
        [dataset]
        source = { name = "teacher-student", input_dim = 6, teacher_width = 5, train = 9, test = 5 }
        [dataset.preprocessing]
        train = 9
        test = 5
        [network]
        depth = 2
        width = 12
        activation = "tanh"
        [probes]
        schedule = { every = 5 }
        examples = 4
        jacobian_examples = 4
        [explain]
        members = 1
        [training]
        stop = { steps = 20 }
        learning_rate = { absolute = 0.01 }
    "#;

    /// Largest difference between the two paths over both sets and all steps, relative to the largest output.
    fn difference(training: &str) -> f64 {
        let experiment = parse(&format!("{CONFIG}\n{training}"), "test", &[]).unwrap();
        let session = Session::new(&experiment, DataSource::Named(None), Device::flex()).unwrap();
        let points = Points::new(&session, &Device::flex(), DType::F64);
        let common = Common::new(&session, 0, 0.01).unwrap();
        let stop = StopFlag::default();
        assert!(follows_outputs(&common));
        let start = common.trainee(session.network_on(0, &Device::flex(), DType::F64).unwrap());
        let mut worst = 0.0_f64;
        common
            .path(start, &points, &stop, |twin| {
                let tangent = Tangent::new(&twin.model, &points);
                let by_outputs = in_outputs(twin, &common, &points, &tangent, &stop)?.unwrap();
                let by_parameters = in_parameters(twin, TaylorOrder::First, &common, &points, &stop)?.unwrap();
                assert_eq!(Vec::from_iter(by_outputs.keys()), Vec::from_iter(by_parameters.keys()));
                for (found, expected) in by_outputs.values().zip(by_parameters.values()) {
                    let scale = expected.train.norm_max().max(expected.test.norm_max());
                    worst = worst.max((&found.train - &expected.train).norm_max() / scale);
                    worst = worst.max((&found.test - &expected.test).norm_max() / scale);
                }
                Ok(())
            })
            .unwrap();
        worst
    }

    #[test]
    fn outputs_follow_the_parameters_from_every_snapshot_on() {
        for training in [
            "",
            "loss = \"half_mean\"\nbatch_size = 4",
            "optimizer = { momentum = { beta = 0.8 } }\nbatch_size = 4",
            "optimizer = { nesterov = { beta = 0.7 } }\nloss = \"half_mean\"\nl2 = { strength = 0.3, toward = \"init\" }",
            "optimizer = { momentum = { beta = 0.6 } }\nbatch_size = 3\nl2 = { strength = 0.2, toward = \"zero\" }",
        ] {
            let off = difference(training);
            assert!(off < 1e-12, "{training}: {off:e}");
        }
    }
}
