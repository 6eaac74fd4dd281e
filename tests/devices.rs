//! The other devices against flex: a short training and every probe on `ndarray` and on `wgpu`.
//!
//! Built with the cargo features of those names only. All three compute in f32 and add in different orders: after `STEPS`
//! steps at widths of 24 a number may differ by the round-off of a few hundred additions, amplified a little by training.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[expect(dead_code, reason = "other tests use the rest")]
mod networks;
#[expect(dead_code, reason = "other tests use the rest")]
mod program;
mod transfers;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use widthwise::config::parse;
use widthwise::monitor::Silent;
use widthwise::record::row::Row;
use widthwise::run::{RunOptions, run};
use widthwise::signals::StopFlag;
use widthwise::training::Outcome;

const STEPS: usize = 12;

/// Relative f32 round-off of sums of a few hundred terms through three layers and `STEPS` steps.
const ROUND_OFF: f64 = 1000.0 * f32::EPSILON as f64;

fn rows(folder: &Path, device: &str, overrides: &[&str]) -> Vec<Row> {
    let steps = format!("training.stop.steps={STEPS}");
    let device = format!("run.device={device}");
    let common = [
        device.as_str(),
        "run.members=2",
        "run.checkpoint_every=5",
        "dataset.preprocessing.train=24",
        "dataset.preprocessing.test=16",
        "probes.examples=12",
        "probes.jacobian_examples=6",
        "network.width=24",
        "network.depth=2",
        "training.learning_rate={absolute=0.01}",
        "claims.required=[]",
        steps.as_str(),
    ];
    let all: Vec<String> = common.iter().chain(overrides).map(|text| (*text).to_owned()).collect();
    let experiment = parse("", "test", &all).unwrap();
    let options = RunOptions { output: Some(folder.to_owned()), ..RunOptions::default() };
    let summary = run(&experiment, &options, &StopFlag::default(), &Silent).unwrap();
    assert_eq!(summary.outcome(), Outcome::Finished);
    let mut reader = csv::Reader::from_path(folder.join("results.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).filter(|row: &Row| !row.members.contains("..")).collect()
}

fn agree(device: &str) {
    let families: [(&str, &[&str]); 5] = [
        ("mlp", &["network.activation=gelu", "training.optimizer=momentum"]),
        ("mlp adam", &["network.activation=erf", "training.optimizer=adam", "training.loss=cross_entropy"]),
        (
            "cnn",
            &["network.family=cnn", "network.width=4", "network.activation=tanh", "network.convolution.stride=[2,2]"],
        ),
        (
            "cnn circular",
            &[
                "network.family=cnn",
                "network.width=4",
                "network.convolution.padding=circular",
                "network.convolution.readout=global_average",
                "network.convolution.stride=[3,3]",
            ],
        ),
        ("gated", &["network.family=gated_deep_linear", "network.gates.count=3", "training.batch_size=8"]),
    ];
    for (name, overrides) in families {
        let folder = tempfile::tempdir().unwrap();
        let reference = rows(&folder.path().join("flex"), "flex", overrides);
        let found = rows(&folder.path().join(device), device, overrides);
        assert_eq!(reference.len(), found.len(), "{name}");
        let mut largest = (0.0, String::new());
        for (expected, found) in reference.iter().zip(&found) {
            assert_eq!((&expected.quantity, expected.step), (&found.quantity, found.step), "{name}");
            let (Some(a), Some(b)) = (expected.measured, found.measured) else {
                assert_eq!(expected.measured, found.measured, "{name}: {}", expected.quantity);
                continue;
            };
            let bound = match expected.quantity.as_str() {
                // The smallest eigenvalue carries the round-off of the largest: a condition number kappa amplifies by kappa.
                "ntk_condition_number" => ROUND_OFF * a.max(1.0),
                // A difference of nearly equal kernels, relative to their size.
                "ntk_relative_change" => ROUND_OFF / a.max(ROUND_OFF),
                // A difference of entropies of the order of a nat, which may be small itself.
                name if name.starts_with("information_label") => ROUND_OFF / a.abs().clamp(ROUND_OFF, 1.0),
                _ => ROUND_OFF,
            };
            let difference = (a - b).abs() / a.abs().max(f64::MIN_POSITIVE);
            let difference = if a == b { 0.0 } else { difference };
            assert!(
                difference <= bound,
                "{name} on {device}: {} at step {}, layer {:?}: {b} against {a} on flex, {difference:e} apart",
                expected.quantity,
                expected.step,
                expected.layer
            );
            if difference > largest.0 && bound == ROUND_OFF {
                largest = (difference, expected.quantity.clone());
            }
        }
        eprintln!(
            "{device}, {name}: {} numbers, largest relative difference {:e} ({})",
            found.len(),
            largest.0,
            largest.1
        );
    }
}

#[test]
fn ndarray_agrees_with_flex() {
    agree("ndarray");
}

/// One test at a time on wgpu: one of them counts what the device is asked to do.
static WGPU: Mutex<()> = Mutex::new(());

#[test]
fn wgpu_agrees_with_flex() {
    let _alone = WGPU.lock().unwrap_or_else(PoisonError::into_inner);
    agree("wgpu");
}

#[test]
fn training_on_wgpu_transfers_no_more_than_it_must() {
    let _alone = WGPU.lock().unwrap_or_else(PoisonError::into_inner);
    transfers::a_step_reads_nothing_and_sends_no_more_than_it_must();
}

#[test]
fn a_machine_without_a_gpu_is_told_so_in_a_sentence() {
    let mut command = program::program();
    // Where Vulkan and EGL search for drivers.
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
        command.env(variable, "/nonexistent.json");
    }
    let ended = program::end(command.args(["bench", "train", "--device", "wgpu", "--repeats", "1"]));
    ended.refused_with(&["device wgpu", "no GPU", "install a driver", "use device flex"]);
}
