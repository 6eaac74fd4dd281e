//! Budgets and machines that are too small: refused before anything is allocated, and what a refusal names is enough.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use faer::Mat;
use serde_json::Value;
use tempfile::TempDir;
use widthwise::record::npy;

use crate::program::{Ended, end, program};

const RUN: &str = "[run]\nname = \"wide\"\nmembers = 2\n[dataset]\nsource = \"uniform-sphere\"\n\
                   preprocessing = { train = 12, test = 8 }\n[training]\nstop = { steps = 2 }\n\
                   learning_rate = { absolute = 0.01 }\n[probes]\nexamples = 4\njacobian_examples = 2\n";

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("wide.toml"), "[network]\ndepth = 3\nwidth = 2048\n").unwrap();
        fs::write(folder.path().join("run.toml"), RUN).unwrap();
        npy::write(&folder.path().join("x.npy"), &Mat::from_fn(50, 20, |i, j| ((7 * i + 3 * j) as f64).sin())).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.path()))
    }

    /// The same with this much address space, as a machine without more memory.
    fn type_in_within(&self, mebibytes: u64, line: &str) -> Ended {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -v {}; exec \"$0\" \"$@\"", mebibytes << 10);
        shell.args(["-c", &limited]).arg(env!("CARGO_BIN_EXE_widthwise")).args(line.split_whitespace());
        end(shell.current_dir(self.path()).env("HOME", "/nonexistent").env("XDG_DATA_HOME", "/nonexistent"))
    }
}

/// Peak and budget in bytes.
fn memory(ended: &Ended) -> (u64, u64) {
    let mut lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.rfind(|line| line["event"] == "memory").unwrap();
    (line["peak_bytes"].as_u64().unwrap(), line["budget_bytes"].as_u64().unwrap())
}

/// The budget that a refusal names.
#[track_caller]
fn named(refused: &Ended) -> String {
    refused.refused_with(&["is too little for", "at least --memory "]);
    refused.err.rsplit("at least --memory ").next().unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_budget_that_ntk_names_is_enough_and_held() {
    let desk = Desk::new();
    let layers = "[network]\nfamily = \"cnn\"\ndepth = 2\nwidth = 64\n";
    fs::write(desk.path().join("cnn.toml"), layers).unwrap();
    npy::write(&desk.path().join("images.npy"), &Mat::from_fn(20, 192, |i, j| ((7 * i + 3 * j) as f64).sin())).unwrap();
    for (line, budgets) in [
        ("ntk wide.toml --inputs x.npy", ["1MiB", "40MiB", "75MiB"]),
        ("ntk wide.toml --inputs x.npy --outputs 3 --output full --precision f64", ["16MiB", "100MiB", "180MiB"]),
        ("ntk wide.toml --inputs x.npy --outputs 4 --top-k 3", ["40MiB", "75MiB", "150MiB"]),
        ("ntk cnn.toml --inputs images.npy --shape 3,8,8 --outputs 2", ["1MiB", "20MiB", "30MiB"]),
    ] {
        for budget in budgets {
            let ended = desk.type_in(&format!("{line} --json --out k --memory {budget}"));
            if ended.code == Some(0) {
                let (peak, limit) = memory(&ended);
                assert!(peak as f64 <= 1.1 * limit as f64, "{line}: {peak} bytes of {limit}");
                continue;
            }
            let enough = named(&ended);
            let (peak, limit) = memory(&desk.type_in(&format!("{line} --json --out k --memory {enough}")).done());
            assert!(peak <= limit, "{line} --memory {enough}: {peak} bytes of {limit}");
        }
    }
}

#[test]
fn the_budget_that_kernel_and_predict_name_is_enough_and_held() {
    let desk = Desk::new();
    let numbers = |rows: usize, columns: usize| {
        let row = |i: usize| (0..columns).map(|j| ((7 * i + 3 * j) as f64).sin().to_string()).collect::<Vec<_>>();
        (0..rows).map(|i| row(i).join(",") + "\n").collect::<String>()
    };
    fs::write(desk.path().join("many.csv"), numbers(1_500, 300)).unwrap();
    fs::write(desk.path().join("y.csv"), numbers(1_500, 2)).unwrap();
    npy::write(&desk.path().join("many.npy"), &Mat::from_fn(1_500, 300, |i, j| ((7 * i + 3 * j) as f64).sin()))
        .unwrap();
    let gated = "[network]\nfamily = \"gated_deep_linear\"\ndepth = 2\ngates = { kind = \"heaviside\", count = 4 }\n";
    fs::write(desk.path().join("gated.toml"), gated).unwrap();
    for line in [
        "kernel wide.toml --inputs many.csv",
        "kernel wide.toml --inputs many.npy --right many.csv --only ntk --tile 512",
        "kernel gated.toml --inputs many.npy --storage f32",
        "kernel wide.toml --inputs mnist:train:700",
        "predict wide.toml --train many.csv --targets y.csv --times 0,1",
        "predict wide.toml --train many.csv --targets y.csv --solver direct",
        "predict wide.toml --train many.npy --targets y.csv --method nngp --noise 0.1 --solver cg",
        "predict wide.toml --train mnist:train:600 --test mnist:test:200 --times inf",
    ] {
        // Below the program itself, and below what the inputs take.
        for budget in ["1MiB", "40MiB"] {
            let refused = desk.type_in(&format!("{line} --json --out k --memory {budget}"));
            if refused.code == Some(0) {
                continue;
            }
            let enough = named(&refused);
            let (peak, limit) = memory(&desk.type_in(&format!("{line} --json --out k --memory {enough}")).done());
            assert!(peak as f64 <= 1.1 * limit as f64, "{line} --memory {enough}: {peak} bytes of {limit}");
        }
    }
}

#[test]
fn weights_in_a_file_are_held_within_the_budget_too() {
    let desk = Desk::new();
    let run = "run run.toml --output r --set network.depth=2 --set network.width=1500 --set run.keep_weights=last -q";
    desk.type_in(run).ran();
    let line = "ntk r --inputs run.toml:train --json --out k";
    for budget in ["1MiB", "30MiB"] {
        let enough = named(&desk.type_in(&format!("{line} --memory {budget}")));
        let (peak, limit) = memory(&desk.type_in(&format!("{line} --memory {enough}")).done());
        assert!(peak <= limit, "--memory {enough}: {peak} bytes of {limit}");
    }
}

#[test]
fn networks_that_no_machine_holds_are_refused_in_every_command() {
    let desk = Desk::new();
    let words = ["of memory are needed for", "but only", "MiB are free", "network.width"];
    let wide = "--set network.width=1000000";
    for command in ["monte-carlo wide.toml --inputs x.npy --members 2 --out k", "run run.toml --output r"] {
        desk.type_in(&format!("{command} {wide}")).refused_with(&words);
    }
    desk.type_in("monte-carlo wide.toml --inputs x.npy --members 2 --out k --width 1000000").refused_with(&words);
    desk.type_in("ladder run.toml --widths 4,8,1000000 --seeds 2 --out l").refused_with(&words);
    desk.type_in("run run.toml --output r --set network.init=orthogonal --set network.width=1000000")
        .refused_with(&words);
    for memory in ["2GiB", "100000TiB"] {
        let ended = desk.type_in(&format!("ntk wide.toml --inputs x.npy --out k {wide} --memory {memory}"));
        ended.refused_with(&["a network of 2000"]);
    }
    // Filters as large as networks.
    let filters = "[network]\nfamily = \"cnn\"\ndepth = 2\nwidth = 100000\n\
                   convolution = { filter_size = [999, 999], padding = \"circular\" }\n";
    fs::write(desk.path().join("filters.toml"), filters).unwrap();
    let line = "monte-carlo filters.toml --inputs x.npy --shape 5,2,2 --members 2 --out k";
    desk.type_in(line).refused_with(&words);
    // Examples without number; infinite widths need no memory.
    let source = "source = { name = \"uniform-sphere\", input_dim = 1000000, train = 1000000000 }";
    fs::write(desk.path().join("many.toml"), RUN.replace("source = \"uniform-sphere\"", source)).unwrap();
    desk.type_in("run many.toml --output r").refused_with(&words[..3]);
    desk.type_in("kernel wide.toml --inputs many.toml:train --out k").refused_with(&words[..3]);
    desk.type_in(&format!("kernel wide.toml --inputs x.npy --out k {wide}")).done();
}

#[test]
fn less_memory_than_a_network_needs_is_refused_and_enough_is_taken() {
    let desk = Desk::new();
    // 4.2 million parameters in f64, three times for training: 96 MiB.
    let line =
        "run run.toml --output r --force --set run.precision=f64 --set network.depth=2 --set network.width=2048 -q";
    let words = ["are needed for the training of a network of 42", "ulimit -v", "network.width"];
    let program = 64;
    desk.type_in_within(program + 60, line).refused_with(&words);
    desk.type_in_within(4096, line).ran();
    // 1,600 examples have kernels of 20 MiB each: of theory, of the network that is probed, and of that which sets the rate.
    for (memory, keys, words) in [
        (400, "train=3200", "lower dataset.preprocessing.train"),
        (50, "train=1600 --set training.optimizer={adam={}} --set probes.examples=1600", "lower probes.examples"),
        (
            150,
            "train=1600 --set network.depth=10 --set training.learning_rate={critical_empirical=0.5}",
            "give learning_rate.absolute",
        ),
    ] {
        let line = format!(
            "run run.toml --output r --force -q --set network.width=16 --set network.depth=2 --set dataset.preprocessing.{keys}"
        );
        desk.type_in_within(program + memory, &line).refused_with(&["ulimit -v", words]);
    }
    let ladder = "ladder run.toml --widths 4,8,16 --seeds 2 --out l --set dataset.preprocessing.train=2000";
    desk.type_in_within(program + 10, ladder).refused_with(&["ulimit -v", "the kernels of infinite width on 2000"]);
    let line = "monte-carlo wide.toml --inputs x.npy --members 3 --precision f64 --out k";
    desk.type_in_within(program + 60, line).refused_with(&["are needed for a network and its kernels of", "ulimit -v"]);
    // Not as many networks side by side as there are threads, and the same numbers.
    desk.type_in_within(4096, &format!("{line} --threads 4")).done();
    let narrow = fs::read(desk.path().join("k.ntk.npy")).unwrap();
    desk.type_in(&format!("{line} --threads 1")).done();
    assert_eq!(narrow, fs::read(desk.path().join("k.ntk.npy")).unwrap());
}
