//! Meaning of state: what must not change a number does not change a byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use widthwise::record::checkpoint::WEIGHTS_FILE;
use widthwise::record::row::TrainingRow;

use crate::program::{assert_equal_files, files, widthwise};

/// Minibatches and every probe.
const SMALL: &str = r#"
[run]
name = "reproducible"
members = 2
keep_weights = true
[dataset.preprocessing]
train = 64
test = 32
[network]
depth = 2
width = 32
[training]
optimizer = { nesterov = { beta = 0.8 } }
learning_rate = { critical = 0.2 }
batch_size = 16
[training.stop]
steps = 30
[probes]
schedule = { every = 4 }
examples = 24
jacobian_vectors = 3
"#;

/// Wide enough that matrix products are shared among threads and that steps are taken without a graph, on kernels large enough that their
/// decompositions are shared too, and small enough that a run takes seconds.
const WIDE: &str = r#"
[run]
name = "wide"
members = 2
keep_weights = true
[dataset.preprocessing]
train = 340
test = 128
[network]
depth = 2
width = 512
[training]
optimizer = "momentum"
learning_rate = { critical = 0.1 }
batch_size = 128
[training.stop]
steps = 6
[probes]
schedule = { every = 3 }
examples = 330
"#;

/// Without activations, in such blocks too, by another rule.
const DEEP_LINEAR: &str = r#"
[run]
name = "deep_linear"
members = 1
keep_weights = true
[dataset.preprocessing]
train = 140
test = 20
[network]
family = "deep_linear"
depth = 2
width = 300
[training]
optimizer = "adam"
loss = "cross_entropy"
learning_rate = { absolute = 1e-3 }
batch_size = 70
[training.stop]
steps = 6
[probes]
schedule = { every = 3 }
examples = 130
"#;

/// Gates, in blocks of examples that the number of threads cuts.
const GATED: &str = r#"
[run]
name = "gated"
members = 1
keep_weights = true
[dataset.preprocessing]
train = 140
test = 20
[network]
family = "gated_deep_linear"
depth = 2
width = 40
sigma_b2 = 0.0
[training]
optimizer = "momentum"
learning_rate = { critical = 0.1 }
batch_size = 35
[training.stop]
steps = 8
[probes]
schedule = { every = 4 }
examples = 130
"#;

/// Convolutions of a few hundred thousand rows.
const IMAGES: &str = r#"
[run]
name = "images"
members = 2
keep_weights = true
[dataset.preprocessing]
train = 48
test = 24
[network]
family = "cnn"
depth = 2
width = 48
convolution = { stride = [2, 2], readout = "global_average" }
[training]
optimizer = "adam"
learning_rate = { absolute = 1e-3 }
[training.stop]
steps = 3
[probes]
schedule = "ends"
examples = 24
jacobian_examples = 8
"#;

/// Sums over the examples of more than four million numbers.
const MANY: &str = r#"
[run]
name = "many"
members = 1
keep_weights = true
[dataset.preprocessing]
train = 4500
test = 10
[network]
depth = 1
width = 1024
[training]
learning_rate = { absolute = 1e-6 }
batch_size = 4400
[training.stop]
steps = 2
[probes]
schedule = "ends"
examples = 8
jacobian_vectors = 0
information = false
ntk = false
"#;

struct Runs {
    folder: TempDir,
    config: PathBuf,
}

impl Runs {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("experiment.toml");
        fs::write(&config, text).unwrap();
        Self { folder, config }
    }

    fn run(&self, name: &str, options: &[&str]) -> PathBuf {
        let output = self.folder.path().join(name);
        let (config, folder) = (self.config.to_str().unwrap(), output.to_str().unwrap());
        widthwise([&["run", config, "--output", folder, "-q"], options].concat()).ran();
        output
    }
}

/// The loss of every batch, bit by bit.
fn batch_losses(run: &Path) -> BTreeMap<(usize, u64), u64> {
    let mut reader = csv::Reader::from_path(run.join("training.csv")).unwrap();
    let rows = reader.deserialize().map(|row| row.unwrap());
    rows.filter_map(|row: TrainingRow| Some(((row.member, row.step), row.batch_loss?.to_bits()))).collect()
}

fn weights(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(run);
    files.retain(|path, _| path.ends_with(WEIGHTS_FILE));
    files
}

#[test]
fn probes_change_neither_a_loss_nor_a_weight() {
    let runs = Runs::of(SMALL);
    let watched = runs.run("watched", &[]);
    let (losses, expected) = (batch_losses(&watched), weights(&watched));
    assert_eq!((losses.len(), expected.len()), (2 * 30, 2));
    let off = ["schedule=ends", "ntk=false", "jacobian_vectors=0", "information=false", "gaussianity=false"];
    let other = ["schedule={log=5}", "examples=7", "jacobian_vectors=1", "information_bins=3"];
    for (name, overrides) in [("off", &off[..]), ("other", &other)] {
        let overrides: Vec<String> = overrides.iter().map(|text| format!("probes.{text}")).collect();
        let options: Vec<&str> = overrides.iter().flat_map(|text| ["--set", text]).collect();
        let run = runs.run(name, &options);
        assert_eq!(batch_losses(&run), losses, "probes {name}");
        assert_equal_files(&weights(&run), &expected, &format!("probes {name}"));
    }
}

#[test]
fn the_seed_decides_everything() {
    let runs = Runs::of(SMALL);
    let once = runs.run("once", &[]);
    assert_equal_files(&files(&runs.run("twice", &[])), &files(&once), "the same seed");
    let (losses, others) = (batch_losses(&once), batch_losses(&runs.run("other", &["--set", "run.seed=2"])));
    assert!(losses.iter().all(|(place, loss)| others[place] != *loss), "another seed gives other losses");
    // Members of one seed are not copies either.
    assert!((0..30).all(|step| losses[&(0, step)] != losses[&(1, step)]));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    for text in [SMALL, WIDE, IMAGES, DEEP_LINEAR, GATED, MANY] {
        let runs = Runs::of(text);
        let one = files(&runs.run("1", &["--threads", "1"]));
        for threads in ["2", "3", "5"] {
            let many = files(&runs.run(threads, &["--threads", threads]));
            assert_equal_files(&many, &one, &format!("{threads} threads"));
        }
    }
}
