//! The Taylor models of a network, trained on from where it stands with its own optimizer, batches and learning rate.
//!
//! The first-order model is linear in its parameters. Under updates linear in the gradient of a squared loss its outputs therefore
//! obey a recursion of their own, with the tangent kernel of that moment ([`widthwise_theory::MinibatchRun`]). Adam, unequal rates with a penalty
//! and the second-order model are trained in parameters.

use std::collections::BTreeMap;

use anyhow::Result;
use widthwise_theory::{BatchLoss, MinibatchRun, MinibatchTraining};

use super::points::{Outputs, Points};
use super::tangent::{Tangent, column, pushed, rows};
use super::twin::{Setting, Twin};
use crate::config::{Anchor, Loss};
use crate::network::{Order, Parameters, TaylorModel};
use crate::prediction::step_rule;
use crate::signals::StopFlag;
use crate::training::loss::examples_per_unit;

/// Whether the outputs of a linear model can be followed without its parameters.
pub(super) fn follows_outputs(setting: &Setting<'_>) -> bool {
    step_rule(setting.training.optimizer).is_some()
        && setting.training.loss != Loss::CrossEntropy
        && (setting.training.l2.strength == 0.0 || setting.uniform_rate().is_some())
}

/// Outputs at the probe steps from that of `twin` on. `tangent` is its kernel, where outputs are followed. `None` when stopped.
pub(super) fn path(
    twin: &Twin,
    order: Order,
    setting: &Setting<'_>,
    points: &Points,
    tangent: Option<&Tangent>,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    match tangent {
        Some(tangent) if order == Order::First && follows_outputs(setting) => {
            in_outputs(twin, setting, points, tangent, stop)
        }
        _ => in_parameters(twin, order, setting, points, stop),
    }
}

pub(super) fn in_parameters(
    twin: &Twin,
    order: Order,
    setting: &Setting<'_>,
    points: &Points,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    let mut model = TaylorModel::new(twin.network.clone(), order);
    let mut state = twin.state.clone();
    let look = |model: &TaylorModel, _: &_, _: u64| Ok(points.outputs(model));
    setting.train(&mut model, twin.step, &mut state, &twin.initial, points, stop, look)
}

pub(super) fn in_outputs(
    twin: &Twin,
    setting: &Setting<'_>,
    points: &Points,
    tangent: &Tangent,
    stop: &StopFlag,
) -> Result<Option<BTreeMap<u64, Outputs>>> {
    let Some(rule) = step_rule(setting.training.optimizer) else { unreachable!("updates linear in the gradient") };
    let mut batches = setting.batches();
    let (size, width) = (batches.size(), points.goals.ncols());
    let l2 = setting.training.l2;
    let training = MinibatchTraining {
        learning_rate: setting.learning_rate,
        rule,
        loss: BatchLoss::Scaled(1.0 / examples_per_unit(setting.training.loss, size)),
        ridge: l2.strength * setting.uniform_rate().unwrap_or(1.0),
    };
    let goals = column(&points.train_goals());
    let [train, test] = [&tangent.outputs.train, &tangent.outputs.test].map(column);
    let kernels = [tangent.train.as_ref(), tangent.test.as_ref()];
    let mut run = MinibatchRun::new(training, kernels[0], kernels[1], goals.as_ref(), train.as_ref(), test.as_ref())?;
    if l2.strength > 0.0 {
        let displacement = match l2.toward {
            Anchor::Zero => twin.network.parameters.clone(),
            Anchor::Init => differences(&twin.network.parameters, &twin.initial),
        };
        let Outputs { train, test } = pushed(&twin.network, points, &displacement);
        run = run.with_anchor(column(&train).as_ref(), column(&test).as_ref())?;
    }
    if let Some(velocity) = twin.state.moments.first().filter(|_| twin.step > 0) {
        // The program's velocity is added to parameters and holds the learning rate.
        let scale = -1.0 / setting.learning_rate;
        let Outputs { train, test } = pushed(&twin.network, points, velocity);
        run = run.with_velocity((column(&train) * scale).as_ref(), (column(&test) * scale).as_ref())?;
    }
    let mut path = BTreeMap::new();
    for step in twin.step..=setting.last_step {
        if setting.steps.contains(step) {
            let outputs = Outputs { train: rows(run.train_outputs(), width), test: rows(run.test_outputs(), width) };
            let is_finite = outputs.is_finite();
            path.insert(step, outputs);
            if !is_finite {
                break;
            }
        }
        if stop.is_raised() {
            return Ok(None);
        }
        if size == points.n {
            run.step(&Vec::from_iter(0..size * width))?;
        } else {
            let batch: Vec<usize> =
                batches.indices(step).iter().flat_map(|&i| (0..width).map(move |o| i as usize * width + o)).collect();
            run.step(&batch)?;
        }
    }
    Ok(Some(path))
}

fn differences(now: &[Parameters], origin: &[Parameters]) -> Vec<Parameters> {
    let pairs = now.iter().zip(origin);
    pairs
        .map(|(now, origin)| Parameters {
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
    use crate::session::Session;

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

    /// Largest difference between the two roads over both sets and all steps, relative to the largest output.
    fn difference(training: &str) -> f64 {
        let experiment = parse(&format!("{CONFIG}\n{training}"), "test", &[]).unwrap();
        let session = Session::new(&experiment, None, Device::flex()).unwrap();
        let points = Points::new(&session, &Device::flex(), DType::F64);
        let setting = Setting::new(&session, 0, 0.01).unwrap();
        let stop = StopFlag::default();
        assert!(follows_outputs(&setting));
        let start = Twin::new(session.network_on(0, &Device::flex(), DType::F64).unwrap(), &setting);
        let mut worst = 0.0_f64;
        start
            .path(&setting, &points, &stop, |twin| {
                let tangent = Tangent::new(&twin.network, &points);
                let by_outputs = in_outputs(twin, &setting, &points, &tangent, &stop)?.unwrap();
                let by_parameters = in_parameters(twin, Order::First, &setting, &points, &stop)?.unwrap();
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
