//! Kernels whose numbers overflow, underflow or are divided by zero: named, and never written.

use std::fs;
use std::path::Path;

use faer::Mat;
use tempfile::TempDir;
use widthwise::record::npy;

use crate::program::{Ended, end, program};

const NORMED: &str = r#"
[network]
family = "layers"
width = 5
activation = "tanh"
parameterization = "standard"
sigma_w2 = 1.0
sigma_b2 = 0.0
layers = ["dense", { NORM = { epsilon = 0.0 } }, "activation", "dense", { NORM = { epsilon = 0.0 } }]
"#;

/// Relu without biases: every entry of a kernel is of order `sigma_w2^depth`.
const DEEP: &str =
    "[network]\ndepth = 300\nwidth = 64\nactivation = \"relu\"\nparameterization = \"standard\"\nsigma_b2 = 0.0\n";

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for norm in ["layer_norm", "rms_norm"] {
            fs::write(folder.path().join(format!("{norm}.toml")), NORMED.replace("NORM", norm)).unwrap();
        }
        fs::write(folder.path().join("deep.toml"), DEEP).unwrap();
        // Pre-activations of the first example have no variance and no mean square.
        fs::write(folder.path().join("x.csv"), "0,0,0,0\n1,1,1,1\n0.5,-1,2,0.25\n1,2,3,5\n").unwrap();
        fs::write(folder.path().join("zeros.csv"), "0,0,0,0\n0,0,0,0\n").unwrap();
        let targets: Mat<f64> = Mat::from_fn(4, 1, |i, _| i as f64);
        npy::write(&folder.path().join("y.npy"), &targets).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.path()))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Refuses `line` with these words and leaves no file.
    #[track_caller]
    fn refuses(&self, line: &str, words: &[&str]) {
        let before = self.names();
        self.type_in(line).refused_with(words);
        assert_eq!(self.names(), before, "{line}");
    }
}

#[test]
fn a_norm_without_epsilon_names_the_entries_of_examples_without_variance() {
    let desk = Desk::new();
    for norm in ["layer_norm", "rms_norm"] {
        let words = ["row 1, column 1 is NaN", "entries that are not finite", "epsilon above 0"];
        for command in ["kernel", "ntk", "ntk --output full --outputs 2 --per-layer"] {
            desk.refuses(&format!("{command} {norm}.toml --inputs x.csv --out k"), &words);
        }
        let words = ["not finite", "overflow"];
        desk.refuses(&format!("ntk {norm}.toml --inputs x.csv --top-k 2 --out k"), &words);
        desk.refuses(&format!("monte-carlo {norm}.toml --inputs x.csv --members 2 --out k"), &words);
        for method in ["nngp --noise 0.1", "ntk", "nngp --noise 0.1 --solver cg"] {
            let line = format!("predict {norm}.toml --train x.csv --targets y.npy --method {method} --out k");
            let ended = desk.type_in(&line);
            ended.refused_with(&["finite"]);
            assert!(!ended.err.contains("repeated examples"), "{}", ended.err);
        }
    }
    // Examples with variance have a kernel.
    fs::write(desk.path().join("sound.csv"), "0.5,-1,2,0.25\n1,2,3,5\n").unwrap();
    desk.type_in("kernel layer_norm.toml --inputs sound.csv --out k").done();
    desk.type_in("ntk layer_norm.toml --inputs sound.csv --out e").done();
}

#[test]
fn numbers_that_overflow_are_named_in_every_command() {
    let desk = Desk::new();
    fs::write(desk.path().join("sound.csv"), "0.5,-1,2,0.25\n1,2,3,5\n1,0,0,1\n-1,2,0,4\n").unwrap();
    let much = "--set network.sigma_w2=1e3";
    let words = ["entries that are not finite", "network.sigma_w2"];
    for command in ["kernel", "ntk", "ntk --precision f64 --storage f64", "monte-carlo --members 2"] {
        desk.refuses(&format!("{command} deep.toml --inputs sound.csv --out k {much}"), &words);
    }
    // 1e60 is a number in f64 and none in f32, where it is stored.
    let some = "--set network.depth=20 --set network.sigma_w2=2e3";
    desk.type_in(&format!("kernel deep.toml --inputs sound.csv --out k {some}")).done();
    desk.refuses(
        &format!("kernel deep.toml --inputs sound.csv --storage f32 --out s {some}"),
        &["row 1, column 1 is inf"],
    );
    for method in ["nngp --noise 0.1", "ntk"] {
        let line = format!("predict deep.toml --train sound.csv --targets y.npy --method {method} --out p {much}");
        desk.type_in(&line).refused_with(&["not finite", "row 1, column 1"]);
    }
}

#[test]
fn numbers_that_underflow_to_nothing_but_zeros_are_refused() {
    let desk = Desk::new();
    fs::write(desk.path().join("sound.csv"), "0.5,-1,2,0.25\n1,2,3,5\n1,0,0,1\n-1,2,0,4\n").unwrap();
    let little = "--set network.sigma_w2=1e-3";
    let words = ["is 0 in every entry although the inputs are not", "network.sigma_w2"];
    for command in ["kernel", "ntk --precision f64 --storage f64", "ntk --top-k 2", "monte-carlo --members 2"] {
        desk.refuses(&format!("{command} deep.toml --inputs sound.csv --out k {little}"), &words);
    }
    for command in ["kernel", "ntk --output diagonal", "ntk --right sound.csv", "kernel --right sound.csv"] {
        desk.refuses(&format!("{command} deep.toml --inputs sound.csv --out k {little}"), &words);
    }
    let line = format!("predict deep.toml --train sound.csv --targets y.npy --method nngp --out p {little}");
    let ended = desk.type_in(&line);
    ended.refused_with(&words);
    assert!(!ended.err.contains("repeated examples"), "{}", ended.err);
    // 1e-60 is a number in f64 and zero in f32.
    let some = "--set network.depth=20 --set network.sigma_w2=1e-3";
    desk.type_in(&format!("kernel deep.toml --inputs sound.csv --out k {some}")).done();
    desk.refuses(&format!("kernel deep.toml --inputs sound.csv --storage f32 --out s {some}"), &words);
}

#[test]
fn zeros_that_are_right_are_written() {
    let desk = Desk::new();
    for command in ["kernel", "ntk"] {
        desk.type_in(&format!("{command} deep.toml --inputs zeros.csv --set network.depth=2 --out z")).done();
        assert_eq!(npy::read(&desk.path().join("z.ntk.npy")).unwrap()[(0, 1)], 0.0);
    }
    // Orthogonal examples of a linear network.
    fs::write(desk.path().join("a.csv"), "1,0,0,0\n0,1,0,0\n").unwrap();
    fs::write(desk.path().join("b.csv"), "0,0,1,0\n").unwrap();
    let linear = "--set network.depth=1 --set network.activation=identity";
    desk.type_in(&format!("kernel deep.toml --inputs a.csv --right b.csv --out o {linear}")).done();
    assert_eq!(npy::read(&desk.path().join("o.nngp.npy")).unwrap()[(1, 0)], 0.0);
}

#[test]
fn a_run_has_no_prediction_from_numbers_that_are_lost() {
    let desk = Desk::new();
    let run = "[dataset]\nsource = \"uniform-sphere\"\npreprocessing = { train = 6, test = 4 }\n[training]\n\
               stop = { steps = 1 }\nlearning_rate = { absolute = 0.1 }\n\
               [probes]\nexamples = 4\njacobian_examples = 2\n[run]\nmembers = 1\nprecision = \"f64\"\n\
               [network]\nwidth = 64\nsigma_b2 = 0.0\nactivation = \"relu\"\nparameterization = \"standard\"\n";
    fs::write(desk.path().join("run.toml"), run).unwrap();
    for (sigma_w2, word, code) in [("1e3", "not finite", 1), ("1e-3", "0 in every entry", 2)] {
        let line = format!("run run.toml --output r --force --set network.depth=300 --set network.sigma_w2={sigma_w2}");
        let ended = desk.type_in(&line);
        // The network's own numbers are lost too: it diverges, or has no kernel before training.
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("no kernel") && ended.err.contains(word), "{ended:?}");
        for kernel in ["kernels/ntk_infinite.npy", "members/000/ntk_initial.npy"] {
            assert!(!desk.path().join("r").join(kernel).exists(), "{kernel}");
        }
    }
}
