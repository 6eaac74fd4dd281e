//! Every experiment of `examples/`, shortened, from the real program to its report.
//!
//! Data sets that are nowhere on this machine are skipped, with a line that says so. They are searched for in the folder that
//! WIDTHWISE_TEST_DATA names, or in `shared/data` next to the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use widthwise::config::{Experiment, GateKind, load};
use widthwise_datasets::catalog;
use widthwise_datasets::locate::{Located, SearchPath, locate};

use crate::program::{Ended, widthwise};

/// Few examples, few steps, small networks: an example then takes about a second.
fn shortened(experiment: &Experiment) -> Vec<String> {
    let mut overrides = vec![
        "run.members=2".to_owned(),
        "training.stop.steps=3".to_owned(),
        "probes.examples=12".to_owned(),
        "probes.jacobian_examples=6".to_owned(),
        "dataset.preprocessing.train=24".to_owned(),
        "dataset.preprocessing.test=12".to_owned(),
    ];
    if experiment.network.widths.is_none() {
        let width = if experiment.network.reads_images() { 4 } else { 16 };
        overrides.push(format!("network.width={width}"));
    }
    if experiment.training.batch_size.is_some() {
        overrides.push("training.batch_size=8".to_owned());
    }
    if experiment.network.is_gated() && experiment.network.gates.kind != GateKind::Task {
        overrides.push("network.gates.count=3".to_owned());
    }
    overrides
}

/// The folder that holds the whole of the data set, if the example needs one that is not bundled.
fn data_of(experiment: &Experiment) -> Result<Option<PathBuf>, String> {
    let Some(entry) = catalog::find(experiment.dataset.source.name()) else { return Ok(None) };
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("WIDTHWISE_TEST_DATA").map_or(beside, PathBuf::from);
    let search = SearchPath { folders: vec![folder.clone()], explicit: true };
    match locate(entry, &search) {
        Located::Complete { .. } => Ok(Some(folder)),
        Located::Incomplete { .. } if entry.id == catalog::MNIST.id => Ok(None),
        Located::Incomplete { missing, .. } => {
            Err(format!("{} lacks {} of {}", folder.display(), missing.join(", "), entry.id))
        }
    }
}

#[test]
fn every_example_runs() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut paths: Vec<_> = fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let outputs = tempfile::tempdir().unwrap();
    let mut runs = 0;
    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = path.to_str().unwrap();
        widthwise(["config", "check", file, "-q"]).done();
        let experiment = load(Some(path), &[]).unwrap();
        let data_dir = match data_of(&experiment) {
            Ok(data_dir) => data_dir,
            Err(reason) => {
                eprintln!("skipped: {name}, since {reason}");
                continue;
            }
        };
        let output = outputs.path().join(name);
        let mut arguments =
            vec!["run".to_owned(), file.to_owned(), "--output".to_owned(), output.display().to_string()];
        arguments.extend(shortened(&experiment).into_iter().flat_map(|text| ["--set".to_owned(), text]));
        arguments.extend(data_dir.into_iter().flat_map(|path| ["--data-dir".to_owned(), path.display().to_string()]));
        let ended = widthwise(&arguments);
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{name}: {ended:?}");
        let again = load(Some(&output.join("config.toml")), &[]).unwrap();
        assert_eq!(again, load(Some(path), &shortened(&experiment)).unwrap(), "{name}");
        let page = fs::read_to_string(output.join("report.html")).unwrap();
        assert!(page.contains(name) && page.contains("<svg"), "{name} has a report without figures");
        let Ended { code, out, err } = widthwise(["check", output.to_str().unwrap()]);
        assert_eq!(code, ended.code, "{name}: {out}{err}");
        runs += 1;
    }
    assert!(runs >= 12, "only {runs} of {} examples ran", paths.len());
}
