//! A run in one file: others judge it again to the last digit without its data, and notice every byte that was changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use tempfile::TempDir;
use widthwise_datasets::catalog::MNIST;

use crate::program::{Ended, all_files, end, program};

/// Every kind of number that is judged, and a required claim that agrees.
const EXPERIMENT: &str = r#"
[run]
name = "bundled"
members = 4
[dataset.preprocessing]
train = 24
test = 12
[network]
depth = 2
width = 32
[training.stop]
steps = 6
[probes]
schedule = { every = 2 }
examples = 12
jacobian_examples = 6
[claims]
required = ["nngp_mean_diagonal"]
resolution = 100.0
[explain]
members = 1
"#;

/// Regression on generated examples, without classes.
const WITHOUT_CLASSES: &str = r#"
[run]
name = "teacher"
members = 2
[dataset]
source = { name = "uniform-sphere", train = 12, test = 4 }
[dataset.preprocessing]
train = 12
test = 4
[network]
depth = 1
width = 16
[training.stop]
steps = 2
[probes]
schedule = "ends"
examples = 8
jacobian_examples = 4
"#;

const CONTROLS: [&str; 4] = ["sigma-w2-factor=1.3", "time-factor=2", "drop-bias", "nngp-for-ntk"];

/// A complete run with its bundle, made once and only read.
struct Bundled {
    folder: TempDir,
}

impl Bundled {
    fn get() -> &'static Self {
        static RUN: OnceLock<Bundled> = OnceLock::new();
        RUN.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let bundled = Self { folder };
            fs::write(bundled.path("experiment.toml"), EXPERIMENT).unwrap();
            bundled.type_in("run experiment.toml --output out").done();
            bundled.type_in("bundle out").done();
            bundled
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.folder.path()))
    }

    fn archive(&self) -> Vec<u8> {
        fs::read(self.path("out.tar.gz")).unwrap()
    }

    /// A folder with the archive unpacked by the usual means.
    fn unpacked(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        tar::Archive::new(GzDecoder::new(self.archive().as_slice())).unpack(folder.path()).unwrap();
        folder
    }
}

/// The program where the data of the run are damaged, so that whoever looks for them fails.
fn without_data(folder: &Path, line: &str) -> Ended {
    let data = folder.join("data");
    fs::create_dir_all(data.join("mnist")).unwrap();
    for file in MNIST.files {
        fs::write(data.join("mnist").join(format!("{}.gz", file.name)), "no data").unwrap();
    }
    end(program().args(line.split_whitespace()).env("WIDTHWISE_DATA", &data).current_dir(folder))
}

/// What a check prints about claims.
fn claims(ended: &Ended) -> Vec<&str> {
    ended.out.lines().filter(|line| !line.starts_with("bundle: ")).collect()
}

#[test]
fn a_bundle_is_judged_as_its_run_without_the_data() {
    let run = Bundled::get();
    let elsewhere = run.unpacked();
    fs::copy(run.path("out.tar.gz"), elsewhere.path().join("it.tar.gz")).unwrap();
    let original = run.type_in("check out").done();
    without_data(elsewhere.path(), "run it.toml").refused_with(&[]);
    for bundle in ["it.tar.gz", "bundled"] {
        let checked = without_data(elsewhere.path(), &format!("check {bundle}")).done();
        assert_eq!(claims(&checked), claims(&original), "{bundle}");
        assert!(checked.out.contains("judged again from what the members measured"), "{checked:?}");
    }
    // Exit code, and every digit of every number.
    for control in CONTROLS {
        let line = |run: &str| format!("check {run} --control {control} --json");
        let original = run.type_in(&line("out"));
        assert!(matches!(original.code, Some(0 | 1 | 3)) && original.out.lines().count() > 15, "{original:?}");
        for bundle in ["it.tar.gz", "bundled"] {
            let checked = without_data(elsewhere.path(), &line(bundle));
            assert_eq!((checked.code, &checked.out), (original.code, &original.out), "{bundle} {control}");
        }
    }
    // The run itself needs what is not there.
    fs::create_dir(elsewhere.path().join("copy")).unwrap();
    for (path, bytes) in all_files(&run.path("out")) {
        let path = elsewhere.path().join("copy").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    without_data(elsewhere.path(), "check copy --control drop-bias").refused_with(&["train-images-idx3-ubyte"]);
}

#[test]
fn a_bundle_is_drawn_and_joined_as_its_run() {
    let run = Bundled::get();
    let folder = run.unpacked();
    let draw = |folder: &Path, line: &str| without_data(folder, line).done();
    draw(folder.path(), "report bundled");
    for file in ["report.html", "figures/loss.svg", "figures/error_budget.svg"] {
        let drawn = fs::read_to_string(folder.path().join("bundled").join(file)).unwrap();
        assert_eq!(drawn, fs::read_to_string(run.path("out").join(file)).unwrap(), "{file}");
    }
    // What was drawn since is no part of the bundle.
    draw(folder.path(), "check bundled");
    fs::copy(run.path("out.tar.gz"), folder.path().join("it.tar.gz")).unwrap();
    let expected = run.type_in("table out").done().out;
    assert_eq!(draw(folder.path(), "table bundled").out, expected);
    assert_eq!(draw(folder.path(), "table it.tar.gz").out, expected);
    without_data(folder.path(), "report it.tar.gz").refused_with(&["it.tar.gz is a file", "tar -xzf"]);
}

#[test]
fn one_run_has_one_archive() {
    let run = Bundled::get();
    let own = tempfile::tempdir().unwrap();
    let out = own.path().join("again.tar.gz");
    let line = |folder: &str| format!("bundle {folder} --out {} --json", out.display());
    let made = run.type_in(&line("out")).done();
    assert_eq!(fs::read(&out).unwrap(), run.archive());
    let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((&made["event"], &made["has_data"]), (&"bundle".into(), &true.into()));
    assert_eq!(made["bytes"].as_u64(), Some(run.archive().len() as u64));
    // Nor does it matter when the files were written, or that they were packed before.
    let unpacked = run.unpacked();
    end(program().args(line("bundled").split(' ')).current_dir(unpacked.path())).done();
    assert_eq!(fs::read(&out).unwrap(), run.archive());
    // All that is in it is needed, and everything needed is there: nothing of a run is left but figures, weights and times.
    let names: Vec<String> =
        all_files(&unpacked.path().join("bundled")).into_keys().map(|path| path.display().to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("members/")).count(), 4 * 7, "{names:?}");
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with("members/")).collect();
    assert_eq!(
        others,
        [
            "SHA256SUMS",
            "bundle.json",
            "config.toml",
            "data/test_inputs.npy",
            "data/test_labels.npy",
            "data/test_targets.npy",
            "data/train_inputs.npy",
            "data/train_labels.npy",
            "data/train_targets.npy",
            "error_budget.csv",
            "manifest.json",
            "registration.toml",
            "results.csv",
            "training.csv",
        ]
    );
}

#[test]
fn examples_without_classes_are_bundled_too() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("experiment.toml"), WITHOUT_CLASSES).unwrap();
    let type_in = |line: &str| end(program().args(line.split(' ')).current_dir(folder.path()));
    type_in("run experiment.toml --output out").ran();
    type_in("bundle out").done();
    let [original, bundled] = ["out", "out.tar.gz"].map(|run| type_in(&format!("check {run} --json")));
    assert_eq!((original.code, original.out), (bundled.code, bundled.out));
    let [original, bundled] =
        ["out", "out.tar.gz"].map(|run| type_in(&format!("check {run} --json --control drop-bias")));
    assert_eq!((original.code, original.out), (bundled.code, bundled.out));
}

#[test]
fn every_changed_file_of_a_bundle_is_named() {
    let run = Bundled::get();
    let folder = run.unpacked();
    let inner = folder.path().join("bundled");
    for (path, bytes) in all_files(&inner) {
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(inner.join(&path), changed).unwrap();
        let words = if path.ends_with("SHA256SUMS") { "SHA256SUMS".to_owned() } else { path.display().to_string() };
        without_data(folder.path(), "check bundled").refused_with(&["is damaged", &words, "copy it again"]);
        fs::remove_file(inner.join(&path)).unwrap();
        without_data(folder.path(), "check bundled").refused_with(&["is damaged", &words]);
        fs::write(inner.join(&path), bytes).unwrap();
    }
    // A verdict to one's liking, and a file more than there was.
    let results = fs::read_to_string(inner.join("results.csv")).unwrap();
    fs::write(
        inner.join("results.csv"),
        results.replacen(",undecided", ",agrees", 1).replacen(",disagrees", ",agrees", 1),
    )
    .unwrap();
    without_data(folder.path(), "check bundled").refused_with(&["the SHA-256 of results.csv"]);
    fs::write(inner.join("results.csv"), results).unwrap();
    fs::copy(inner.join("members/000/ntk_final.npy"), inner.join("members/000/ntk_final.npy.bak")).unwrap();
    without_data(folder.path(), "check bundled").done();
    fs::create_dir(inner.join("members/004")).unwrap();
    fs::copy(inner.join("members/000/ntk_final.npy"), inner.join("members/004/ntk_final.npy")).unwrap();
    without_data(folder.path(), "check bundled")
        .refused_with(&["members/004/ntk_final.npy, which is not in SHA256SUMS"]);
}

#[test]
fn every_changed_byte_of_an_archive_is_noticed() {
    let run = Bundled::get();
    let folder = tempfile::tempdir().unwrap();
    let (archive, path) = (run.archive(), folder.path().join("it.tar.gz"));
    // The first ten bytes are a header, of which time and system say nothing about the content.
    for at in (10..archive.len()).step_by(archive.len() / 16).chain([archive.len() - 1, archive.len() - 5]) {
        let mut changed = archive.clone();
        changed[at] ^= 0x10;
        fs::write(&path, changed).unwrap();
        let ended = without_data(folder.path(), "check it.tar.gz");
        assert_eq!(ended.code, Some(2), "byte {at}: {ended:?}");
        assert!(ended.err.contains("damaged") && ended.err.contains("it.tar.gz"), "byte {at}: {ended:?}");
        assert!(!ended.err.contains("panicked"), "byte {at}: {ended:?}");
    }
    for length in [0, 5, 100, archive.len() / 2, archive.len() - 1] {
        fs::write(&path, &archive[..length]).unwrap();
        without_data(folder.path(), "check it.tar.gz").refused_with(&["it.tar.gz", "damaged"]);
    }
}

/// Whoever changes a verdict and then makes a bundle of it is found out by whoever judges it again.
#[test]
fn a_verdict_that_was_changed_before_is_found_out() {
    let run = Bundled::get();
    let folder = run.unpacked();
    let inner = folder.path().join("bundled");
    let results = fs::read_to_string(inner.join("results.csv")).unwrap();
    let changed = results.replacen(",disagrees\n", ",agrees\n", 1);
    let changed = if changed == results { results.replacen(",undecided\n", ",agrees\n", 1) } else { changed };
    assert_ne!(changed, results);
    fs::write(inner.join("results.csv"), changed).unwrap();
    without_data(folder.path(), "bundle bundled --out forged.tar.gz").done();
    without_data(folder.path(), "check forged.tar.gz").refused_with(&["records another verdict about"]);
}

#[test]
fn what_is_no_finished_run_is_refused_in_a_sentence() {
    let run = Bundled::get();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = tempfile::tempdir().unwrap();
    let out = own.path().join("x.tar.gz");
    let refused = |folder: &Path, words: &[&str]| {
        end(program().arg("bundle").arg(folder).arg("--out").arg(&out)).refused_with(words);
        assert!(!out.exists());
    };
    refused(&run.path("nowhere"), &["is no folder of a run"]);
    refused(&run.path("experiment.toml"), &["is a file"]);
    refused(&root.join("results/mnist_mlp"), &["holds only a part of a run", "members/000/outputs_initial.npy"]);
    refused(&root.join("results/ladder"), &["is no folder of a run"]);
    let unfinished = own.path().join("unfinished");
    let mut command = program();
    command.args(["run", "-q"]).arg(run.path("experiment.toml")).arg("--output").arg(&unfinished);
    end(command.env("WIDTHWISE_KILL_AT", "probe:3"));
    refused(&unfinished, &["is unfinished", "--resume"]);
}

#[test]
fn a_bundle_may_go_without_its_data() {
    let run = Bundled::get();
    let own = tempfile::tempdir().unwrap();
    let out = own.path().join("it.tar.gz");
    let made = run.type_in(&format!("bundle out --without-data --out {}", out.display())).done();
    assert!(made.err.contains("the data are left out"), "{made:?}");
    assert!(fs::metadata(&out).unwrap().len() < run.archive().len() as u64);
    let recorded = without_data(own.path(), "check it.tar.gz").done();
    assert!(recorded.out.contains("the verdicts are those recorded"), "{recorded:?}");
    assert_eq!(claims(&recorded), claims(&run.type_in("check out")));
    let control = "--control sigma-w2-factor=1.3 --json";
    without_data(own.path(), &format!("check it.tar.gz {control}")).refused_with(&["train-images-idx3-ubyte"]);
    // With the data it is judged as the run is.
    let given = end(program().args(format!("check it.tar.gz {control}").split(' ')).current_dir(own.path()));
    let original = run.type_in(&format!("check out {control}"));
    assert_eq!((given.code, given.out), (original.code, original.out));
}
