//! How many threads a run has, counted by the system while it goes on.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::program::program;

/// Every library at work: automatic differentiation, products large enough to be shared, decompositions of kernels, all probes.
const EXPERIMENT: &str = r#"
[run]
name = "threads"
members = 2
[dataset.preprocessing]
train = 330
test = 20
[network]
depth = 2
width = 200
[training]
learning_rate = { critical = 0.1 }
batch_size = 64
[training.stop]
steps = 12
[probes]
schedule = { every = 6 }
examples = 320
"#;

/// The threads that `command` has had while it ran on [`EXPERIMENT`], itself included.
fn threads(command: &mut Command) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("experiment.toml");
    fs::write(&config, EXPERIMENT).unwrap();
    command.args(["run", "-q"]).arg(&config).arg("--output").arg(folder.path().join("run"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let tasks = format!("/proc/{}/task", child.id());
    let mut seen = BTreeSet::new();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let names = fs::read_dir(&tasks).into_iter().flatten().flatten();
        seen.extend(names.map(|entry| entry.file_name().into_string().unwrap()));
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    seen
}

#[test]
fn a_run_has_the_threads_that_it_was_given_and_no_others() {
    for count in [1, 2, 3] {
        let found = threads(program().args(["--threads", &count.to_string()]));
        assert_eq!(found.len(), count, "--threads {count}: {found:?}");
    }
}

#[test]
fn threads_that_are_not_given_are_those_of_the_environment_or_of_the_system() {
    let found = threads(program().env("RAYON_NUM_THREADS", "3"));
    assert_eq!(found.len(), 3, "RAYON_NUM_THREADS=3: {found:?}");
    let found = threads(program().env("RAYON_NUM_THREADS", "3").args(["--threads", "2"]));
    assert_eq!(found.len(), 2, "the option comes first: {found:?}");
    // Affinity and control groups of this process are those of its children.
    let available = std::thread::available_parallelism().unwrap().get();
    let found = threads(program().env_remove("RAYON_NUM_THREADS"));
    assert_eq!(found.len(), available, "as many as may run: {found:?}");
}
