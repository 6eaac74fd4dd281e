//! What a run will be judged by is written before its first step, has one hash wherever it is asked for, and cannot be changed unnoticed.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use widthwise::record::manifest::Manifest;
use widthwise::record::registration::Registration;

use crate::program::{Ended, all_files, assert_equal_files, end, program};

/// Two claims that are easy to agree with.
const EXPERIMENT: &str = r#"
[run]
name = "registered"
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
required = ["nngp_mean_diagonal", "train_loss"]
resolution = 100.0
"#;

/// A complete run in a folder of its own, for tests that change it; made once and copied.
struct Registered(TempDir);

impl Registered {
    fn new() -> Self {
        static RUN: OnceLock<TempDir> = OnceLock::new();
        let made = RUN.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("experiment.toml"), EXPERIMENT).unwrap();
            type_in(folder.path(), "run experiment.toml --output out").done();
            folder
        });
        let own = tempfile::tempdir().unwrap();
        for (path, bytes) in all_files(made.path()) {
            let path = own.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self(own)
    }

    fn out(&self, name: &str) -> PathBuf {
        self.0.path().join("out").join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.out(name)).unwrap()
    }

    fn type_in(&self, line: &str) -> Ended {
        type_in(self.0.path(), line)
    }

    /// Replaces text that has to be there.
    #[track_caller]
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from}");
        fs::write(self.out(name), text.replacen(from, to, 1)).unwrap();
    }
}

fn type_in(folder: &Path, line: &str) -> Ended {
    end(program().args(line.split_whitespace()).current_dir(folder))
}

/// The hash that a dry run prints.
fn planned(folder: &Path, more: &str) -> String {
    let ended = type_in(folder, &format!("run experiment.toml --dry-run {more}")).done();
    let line = ended.out.lines().find_map(|line| line.strip_prefix("registration: SHA-256 "));
    line.unwrap().to_owned()
}

#[test]
fn a_dry_run_has_the_hash_of_the_run() {
    let run = Registered::new();
    let hash = planned(run.0.path(), "");
    // Neither where the results go nor with what they are computed is part of it.
    assert_eq!(hash, planned(run.0.path(), "--output elsewhere --threads 1"));
    let text = run.text(Registration::FILE);
    assert_eq!(hash, Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(Manifest::read(&run.0.path().join("out")).unwrap().registration.as_deref(), Some(hash.as_str()));
    assert!(run.text("report.html").contains(&hash));
    let checked = run.type_in("check out").done();
    assert!(checked.out.contains(&format!("registered before training: SHA-256 {hash}")), "{checked:?}");
    let lines = run.type_in("check out --json").done();
    let first: Value = serde_json::from_str(lines.out.lines().next().unwrap()).unwrap();
    assert_eq!((&first["event"], &first["sha256"]), (&"registration".into(), &hash.as_str().into()));
    // With -v the text itself, from which it can be taken again.
    let shown = run.type_in("run experiment.toml --dry-run -v").done();
    assert!(shown.out.starts_with(&text), "{shown:?}");
    for other in
        ["claims.resolution=0.2", "claims.significance=0.01", "claims.required=[]", "run.seed=2", "run.members=5"]
    {
        assert_ne!(hash, planned(run.0.path(), &format!("--set {other}")), "{other}");
    }
}

#[test]
fn claims_are_registered_with_their_layers_and_steps() {
    let run = Registered::new();
    let text = run.text(Registration::FILE);
    for line in [
        "{ name = \"train_loss\", quantity = \"train_loss\", is_required = true, sides = \"two\", scale = \"prediction\", when = \"four_steps\", layers = [], steps = [2, 4, 6] }",
        "{ name = \"ntk_frozen\", quantity = \"ntk_relative_change\", is_required = false, sides = \"upper\", scale = \"prediction\", when = \"last\", layers = [], steps = [6] }",
        "{ name = \"excess_kurtosis\", quantity = \"excess_kurtosis\", is_required = false, sides = \"two\", scale = \"one\", when = \"first_hidden\", layers = [1, 2], steps = [0] }",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    let read: Registration = toml::from_str(&text).unwrap();
    assert_eq!(read.required, ["nngp_mean_diagonal", "train_loss"]);
    assert_eq!((read.significance, read.resolution, read.seed, read.members), (1e-3, 100.0, 1, 4));
    // Every judged row of this run was foreseen, and everything foreseen was judged.
    let judged: Vec<Value> = run
        .type_in("check out --json")
        .done()
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"] == "claim")
        .collect();
    for claim in &read.claims {
        let layers: Vec<Option<u64>> =
            if claim.layers.is_empty() { vec![None] } else { claim.layers.iter().map(|l| Some(*l as u64)).collect() };
        for (layer, step) in layers.iter().flat_map(|layer| claim.steps.iter().map(move |step| (layer, step))) {
            let found = judged.iter().any(|row| {
                row["claim"] == claim.name.as_str() && row["step"] == *step && row["layer"].as_u64() == *layer
            });
            // A pair of layers begins below the last hidden one.
            assert!(found || claim.name == "partial_jacobian_norm", "{} {layer:?} {step}", claim.name);
        }
    }
}

#[test]
fn the_file_is_there_before_the_first_step_and_stays() {
    let run = Registered::new();
    let (hash, whole) = (planned(run.0.path(), ""), run.text(Registration::FILE));
    for point in ["registration.toml.after_rename:1", "architecture.json.in_write:1", "probe:1"] {
        let output = run.0.path().join(point);
        let mut command = program();
        command.args(["run", "-q", "experiment.toml", "--output"]).arg(&output).current_dir(run.0.path());
        let killed = end(command.env("WIDTHWISE_KILL_AT", point));
        assert_eq!(killed.code, None, "{point}: {killed:?}");
        assert!(!output.join("results.csv").exists(), "{point}: something was measured");
        assert_eq!(fs::read_to_string(output.join(Registration::FILE)).unwrap(), whole, "{point}");
        assert_eq!(Manifest::read(&output).unwrap().registration, Some(hash.clone()), "{point}");
        run.type_in(&format!("run experiment.toml --output {point} --resume")).done();
        assert_eq!(fs::read_to_string(output.join(Registration::FILE)).unwrap(), whole, "{point}");
    }
}

#[test]
fn whatever_is_judged_by_something_else_is_named() {
    // File, what is replaced, by what, and what the sentence says.
    let cases: [(&str, &str, &str, &[&str]); 9] = [
        (
            "config.toml",
            "resolution = 100.0",
            "resolution = 200.0",
            &["claims.resolution was registered as 100.0 and is 200.0 now"],
        ),
        (
            "config.toml",
            "significance = 0.001",
            "significance = 0.05",
            &["claims.significance was registered as 0.001 and is 0.05 now"],
        ),
        ("config.toml", "\"nngp_mean_diagonal\", ", "", &["claims.required was registered as"]),
        ("config.toml", "width = 32", "width = 33", &["network.width was registered as 32 and is 33 now"]),
        ("config.toml", "time_factor = 1.0", "time_factor = 1.5", &["control.time_factor was registered as 1.0"]),
        (Registration::FILE, "resolution = 100.0", "resolution = 200.0", &["its SHA-256 is", "in manifest.json"]),
        (Manifest::FILE, "\"members\": 4", "\"members\": 3", &["members was registered as 4 and is 3 now"]),
        (Manifest::FILE, "\"registration\": \"", "\"registration\": \"0", &["its SHA-256 is"]),
        (Manifest::FILE, "\"registration\"", "\"forgotten\"", &["manifest.json names no registration"]),
    ];
    for (file, from, to, words) in cases {
        let run = Registered::new();
        run.edit(file, from, to);
        let before = all_files(run.0.path());
        for line in ["check out", "check out --control sigma-w2-factor=1.2", "bundle out"] {
            run.type_in(line).refused_with(words);
        }
        assert_equal_files(&all_files(run.0.path()), &before, "refused");
        // A run that is over is not gone on with either.
        assert_eq!(run.type_in("run experiment.toml --output out --resume").code, Some(2), "{file}: {to}");
    }
    let run = Registered::new();
    fs::remove_file(run.out(Registration::FILE)).unwrap();
    run.type_in("check out").refused_with(&["registration.toml is not there"]);
    run.type_in("report out").done();
    assert!(run.text("report.html").contains("registration.toml is not there"));
}

#[test]
fn what_does_not_change_the_experiment_is_let_pass() {
    let run = Registered::new();
    let text = run.text("config.toml");
    fs::write(run.out("config.toml"), format!("# looked at\n{}", text.replace('\n', "\r\n"))).unwrap();
    run.type_in("check out").done();
}

#[test]
fn rows_that_were_not_registered_are_refused() {
    let run = Registered::new();
    // The loss at the third of the measured steps becomes one of a step at which nobody was to measure.
    let text = run.text("results.csv");
    let changed: String = text
        .lines()
        .map(|line| {
            let is_row = line.contains(",0..4,") && line.contains(",4,");
            if is_row { line.replacen(",4,", ",5,", 1) + "\n" } else { format!("{line}\n") }
        })
        .collect();
    assert_ne!(changed, text);
    fs::write(run.out("results.csv"), changed).unwrap();
    run.type_in("check out").refused_with(&["results.csv judges", "at step 5, which was not registered"]);
}

#[test]
fn runs_of_before_are_checked_as_before() {
    let run = Registered::new();
    let mut manifest: Value = serde_json::from_str(&run.text(Manifest::FILE)).unwrap();
    manifest.as_object_mut().unwrap().remove("registration");
    fs::write(run.out(Manifest::FILE), manifest.to_string()).unwrap();
    fs::remove_file(run.out(Registration::FILE)).unwrap();
    let checked = run.type_in("check out").done();
    assert!(checked.out.contains("not registered"), "{checked:?}");
    run.type_in("report out").done();
    assert!(run.text("report.html").contains("Not registered"));
    run.type_in("run experiment.toml --output out --resume").done();
    // The committed ones are registered.
    for (folder, code) in [("results/mnist_mlp", 0), ("results/mnist_mlp_mean_field", 1)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let checked = end(program().arg("check").arg(&folder));
        assert_eq!(checked.code, Some(code), "{checked:?}");
        assert!(checked.out.starts_with("registered before training: SHA-256"), "{checked:?}");
    }
}

/// What a run is judged by must not change with the program half-way.
#[test]
fn a_run_that_another_version_registered_is_not_gone_on_with() {
    let run = Registered::new();
    let mut command = program();
    command.args(["run", "-q", "experiment.toml", "--output", "begun"]).current_dir(run.0.path());
    assert_eq!(end(command.env("WIDTHWISE_KILL_AT", "probe:3")).code, None);
    let begun = run.0.path().join("begun");
    let read: Registration = toml::from_str(&fs::read_to_string(begun.join(Registration::FILE)).unwrap()).unwrap();
    let other = Registration { widthwise_version: "0.0.9".into(), ..read };
    other.write(&begun).unwrap();
    let manifest = Manifest::read(&begun).unwrap();
    Manifest { registration: Some(other.hash()), ..manifest }.write(&begun).unwrap();
    let words = ["registered by another version", "0.0.9", "--force"];
    run.type_in("run experiment.toml --output begun --resume").refused_with(&words);
    run.type_in("run experiment.toml --output begun --shard 1/2").refused_with(&words);
    run.type_in("run experiment.toml --output begun --force").done();
    assert_eq!(fs::read_to_string(begun.join(Registration::FILE)).unwrap(), run.text(Registration::FILE));
}

/// A run that was begun before there were registrations is gone on with, and is not registered when it ends.
#[test]
fn a_run_begun_without_a_registration_ends_without_one() {
    let run = Registered::new();
    let command = |line: &str| {
        let mut command = program();
        command.args(line.split(' ')).current_dir(run.0.path());
        command
    };
    let killed = end(command("run -q experiment.toml --output begun").env("WIDTHWISE_KILL_AT", "probe:3"));
    assert_eq!(killed.code, None, "{killed:?}");
    let begun = run.0.path().join("begun");
    let manifest = Manifest::read(&begun).unwrap();
    // Without its file it is another matter than never having been registered.
    let registration = fs::read(begun.join(Registration::FILE)).unwrap();
    fs::write(begun.join(Registration::FILE), [&registration[..], b"# mine\n"].concat()).unwrap();
    run.type_in("run experiment.toml --output begun --resume").refused_with(&["is not what was registered"]);
    fs::remove_file(begun.join(Registration::FILE)).unwrap();
    run.type_in("run experiment.toml --output begun --resume").refused_with(&["registration.toml is not there"]);
    Manifest { registration: None, ..manifest }.write(&begun).unwrap();
    run.type_in("run experiment.toml --output begun --resume").done();
    assert_eq!(Manifest::read(&begun).unwrap().registration, None);
    assert!(!begun.join(Registration::FILE).exists());
}
