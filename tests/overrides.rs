//! `--set` in commands that are about a network: applied, as if it stood in the file, or refused with the keys that count.

use std::fs;

use tempfile::TempDir;
use widthwise::record::npy;

use crate::program::{Ended, end, program};

const EXPERIMENT: &str = r#"
[run]
name = "prep"
members = 2
[dataset]
source = { name = "uniform-sphere", input_dim = 5, train = 30, test = 12 }
[dataset.preprocessing]
train = 9
test = 6
normalize = "none"
targets = "binary"
[network]
depth = 1
width = 8
activation = "erf"
sigma_w2 = 1.5
sigma_b2 = 0.1
[probes]
examples = 4
jacobian_examples = 2
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.0.path().join("e.toml"), EXPERIMENT).unwrap();
        fs::write(desk.0.path().join("x.csv"), "0.5,1,2,-1,0.1\n-1,0,1.5,2,0.3\n0.2,0.4,-1,1,1\n").unwrap();
        fs::write(desk.0.path().join("y.csv"), "1\n-1\n0.5\n").unwrap();
        desk
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.0.path()))
    }

    /// A file that the command wrote.
    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }
}

/// The commands with all that they need but overrides, and a file that they write.
const ON_CONFIGURED: [(&str, &str); 4] = [
    ("kernel e.toml --inputs e.toml:train --right e.toml:test --out k", "k.nngp.npy"),
    ("predict e.toml --train e.toml:train --test e.toml:test --out k", "k.predictions.csv"),
    ("ntk e.toml --inputs e.toml:train --precision f64 --out k", "k.ntk.npy"),
    ("monte-carlo e.toml --inputs e.toml:train --members 4 --out k", "k.ntk.npy"),
];

const ON_FILES: [(&str, &str); 4] = [
    ("kernel e.toml --inputs x.csv --out k", "k.nngp.npy"),
    ("predict e.toml --train x.csv --targets y.csv --out k", "k.predictions.csv"),
    ("ntk e.toml --inputs x.csv --precision f64 --out k", "k.ntk.npy"),
    ("monte-carlo e.toml --inputs x.csv --members 4 --out k", "k.ntk.npy"),
];

#[test]
fn keys_of_the_data_are_applied_to_examples_that_a_configuration_names() {
    for (key, line_of_file, written) in [
        ("dataset.preprocessing.zca=0.1", "targets = \"binary\"", "targets = \"binary\"\nzca = 0.1"),
        ("dataset.preprocessing.normalize=sqrt_dim", "normalize = \"none\"", "normalize = \"sqrt_dim\""),
        ("dataset.preprocessing.train=7", "train = 9", "train = 7"),
        ("dataset.source.input_dim=4", "input_dim = 5", "input_dim = 4"),
        ("run.seed=5", "members = 2", "members = 2\nseed = 5"),
    ] {
        let (desk, other) = (Desk::new(), Desk::new());
        fs::write(other.0.path().join("e.toml"), EXPERIMENT.replace(line_of_file, written)).unwrap();
        for (line, file) in ON_CONFIGURED {
            desk.type_in(line).done();
            let plain = desk.file(file);
            desk.type_in(&format!("{line} --set {key}")).done();
            other.type_in(line).done();
            assert!(desk.file(file) != plain, "{line} --set {key} changes nothing");
            assert_eq!(desk.file(file), other.file(file), "{line} --set {key} is not what the file would say");
        }
    }
}

#[test]
fn other_keys_are_refused_with_those_that_count() {
    let desk = Desk::new();
    for (line, _) in ON_CONFIGURED {
        for key in ["training.stop.steps=3", "probes.examples=3", "control.sigma_w2_factor=2", "run.members=3"] {
            let words = [key, "does not read this key", "network.*", "dataset.*", "run.seed"];
            desk.type_in(&format!("{line} --set {key}")).refused_with(&words);
        }
    }
    for (line, _) in ON_FILES {
        for key in ["dataset.preprocessing.zca=0.1", "dataset={}"] {
            let words = [key, "does not read this key", "network.*", "CONFIG.toml:train"];
            desk.type_in(&format!("{line} --set {key}")).refused_with(&words);
        }
    }
    // A typing error is still one.
    desk.type_in("kernel e.toml --inputs x.csv --out k --set network.sigma_w=3").refused_with(&["did you mean"]);
    desk.type_in("kernel e.toml --inputs x.csv --out k --set netwrok.depth=3").refused_with(&["netwrok"]);
    // What an option or a source decides is not for an override.
    desk.type_in("kernel e.toml --inputs e.toml:train:3 --out k --set dataset.preprocessing.train=5")
        .refused_with(&["the count next to the source"]);
    desk.type_in("monte-carlo e.toml --inputs x.csv --width 16 --out k --set network.width=4")
        .refused_with(&["--width"]);
    desk.type_in("monte-carlo e.toml --inputs x.csv --seed 3 --out k --set run.seed=4").refused_with(&["run.seed"]);
    desk.type_in("ladder e.toml --out l --set probes.ntk=false").refused_with(&["probes.schedule", "training.*"]);
    desk.type_in("ladder e.toml --out l --set network.width=3").refused_with(&["--widths"]);
    desk.type_in("ladder e.toml --out l --seeds 2 --set run.members=3").refused_with(&["--seeds"]);
    let import = "weights import w.pt --network e.toml --input 5 --outputs 1 --out w.safetensors";
    desk.type_in(&format!("{import} --set dataset.source.name=mnist")).refused_with(&["weights import", "network.*"]);
}

#[test]
fn a_seed_counts_where_something_is_drawn_with_it() {
    let desk = Desk::new();
    for (index, (line, file)) in ON_FILES.into_iter().enumerate() {
        let ended = desk.type_in(&format!("{line} --set run.seed=9"));
        if index < 2 {
            // Infinite width draws nothing.
            ended.refused_with(&["run.seed=9", "would change nothing"]);
            continue;
        }
        ended.done();
        let nine = desk.file(file);
        desk.type_in(line).done();
        assert!(desk.file(file) != nine, "{line}");
        desk.type_in(&format!("{line} --seed 9")).done();
        assert_eq!(desk.file(file), nine, "{line}");
    }
}

#[test]
fn sampled_kernels_are_held_against_those_of_the_width_sampled() {
    // The tangent kernel of standard parameterization grows with the width.
    let desk = Desk::new();
    let line =
        "monte-carlo e.toml --inputs x.csv --members 400 --width 64 --out k --set network.parameterization=standard";
    desk.type_in(line).done();
    desk.type_in(
        "kernel e.toml --inputs x.csv --out exact --set network.parameterization=standard --set network.width=64",
    )
    .done();
    let [sampled, exact] =
        ["k", "exact"].map(|name| npy::read(&desk.0.path().join(format!("{name}.ntk.npy"))).unwrap());
    let ratio = sampled[(0, 0)] / exact[(0, 0)];
    assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    let ended = desk.type_in(&format!("{line} --json")).done();
    let ntk = ended.out.lines().find(|line| line.contains("\"kernel\":\"ntk\"")).unwrap();
    let found: serde_json::Value = serde_json::from_str(ntk).unwrap();
    let expected = (0..3).map(|i| exact[(i, i)]).sum::<f64>() / 3.0;
    let predicted = found["predicted_mean_diagonal"].as_f64().unwrap();
    assert!((predicted / expected - 1.0).abs() < 1e-12, "{predicted} {expected}");
}

#[test]
fn a_control_that_spoils_nothing_is_refused() {
    let desk = Desk::new();
    let run = "run e.toml --output r --set network.sigma_b2=0.0 --set training.stop.steps=1";
    assert!(desk.type_in(run).code.is_some_and(|code| code != 2));
    for control in ["drop-bias", "sigma-w2-factor=1", "time-factor=1.0"] {
        desk.type_in(&format!("check r --control {control}")).refused_with(&["leaves theory as it is"]);
    }
    assert_ne!(desk.type_in("check r --control sigma-w2-factor=1.5").code, Some(2));
}
