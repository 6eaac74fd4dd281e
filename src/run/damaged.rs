//! Damaged files of a run: a verdict asked again with another theory is given, or the file is named.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use faer::Mat;
use rand::RngExt;

use super::*;
use crate::config::{ControlConfig, parse};
use crate::monitor::Silent;
use crate::record::npy;

/// Seeded mutations of each file.
const MUTATIONS: usize = 60;

const SMALL: &str = r#"
[run]
name = "small"
members = 2
[dataset]
source = { name = "gaussian-mixture", input_dim = 3, classes = 2, train = 12, test = 6 }
[dataset.preprocessing]
train = 12
test = 6
[network]
depth = 1
width = 6
[training.stop]
steps = 2
[probes]
schedule = "ends"
examples = 6
jacobian_examples = 2
[claims]
required = ["train_loss"]
"#;

struct Desk {
    _folder: tempfile::TempDir,
    run: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let options = RunOptions { output: Some(output.clone()), ..RunOptions::default() };
        run(&parse(SMALL, "small.toml", &[]).unwrap(), &options, &StopFlag::default(), &Silent).unwrap();
        Self { _folder: folder, run: output }
    }

    /// The verdict under a control, or what stands in its way, with `bytes` in place of the file `name`.
    fn with(&self, name: &str, bytes: &[u8]) -> Result<CheckReport, String> {
        let path = self.run.join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let control = ControlConfig { sigma_w2_factor: 1.5, ..ControlConfig::default() };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let plain = check(&self.run);
            recheck(&self.run, &control, None).and_then(|report| plain.map(|_| report))
        }));
        fs::write(&path, whole).unwrap();
        let ended = ended.unwrap_or_else(|_| panic!("a panic at {name}: {}", String::from_utf8_lossy(bytes)));
        ended.map_err(|error| format!("{error:#}"))
    }

    fn with_matrix(&self, name: &str, matrix: &Mat<f64>) -> Result<CheckReport, String> {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("matrix.npy");
        npy::write(&path, matrix).unwrap();
        self.with(name, &fs::read(&path).unwrap())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.run.join(name)).unwrap()
    }
}

const MATRICES: [&str; 7] =
    ["outputs_initial", "moments_initial", "moments_final", "units_initial", "units_final", "ntk_initial", "ntk_final"];

#[track_caller]
fn refused(ended: Result<CheckReport, String>, words: &[&str]) {
    let message = ended.map(|_| ()).unwrap_err();
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in {message}");
    }
}

#[test]
fn tables_that_cannot_be_those_of_the_run_are_named() {
    let desk = Desk::new();
    let text = String::from_utf8(desk.read("results.csv")).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    let row = rows.iter().position(|row| row.contains(",train_loss,") && row.contains(",1,gaussian-mixture")).unwrap();
    let with_row = |changed: &str| {
        let mut rows = rows.clone();
        rows[row] = changed;
        desk.with("results.csv", format!("{}\n", rows.join("\n")).as_bytes())
    };
    assert!(with_row(rows[row]).is_ok());
    for member in ["2", "999999999999", "18446744073709551615", "-1", "x", ""] {
        let changed = rows[row].replacen(",1,gaussian-mixture", &format!(",{member},gaussian-mixture"), 1);
        refused(with_row(&changed), &["results.csv is damaged", "member"]);
    }
    refused(with_row(&rows[row].replace("train_loss", "train_lass")), &["results.csv is damaged", "train_lass"]);
    refused(
        with_row(&rows[row].replace(",1,gaussian-mixture", ",0,gaussian-mixture")),
        &["results.csv is damaged", "two rows"],
    );
    let layer = rows.iter().position(|row| row.contains("partial_jacobian_norm")).unwrap();
    for number in ["0", "4", "18446744073709551615"] {
        let mut cells: Vec<String> = rows[layer].split(',').map(str::to_owned).collect();
        let header: Vec<&str> = rows[0].split(',').collect();
        cells[header.iter().position(|name| *name == "layer").unwrap()] = number.to_owned();
        let mut changed = rows.clone();
        let line = cells.join(",");
        changed[layer] = &line;
        let ended = desk.with("results.csv", format!("{}\n", changed.join("\n")).as_bytes());
        refused(ended, &["results.csv is damaged", "layer"]);
    }
    refused(desk.with("training.csv", b"member,step\nx,1\n"), &["training.csv", "damaged"]);
}

#[test]
fn matrices_that_cannot_be_those_of_a_member_are_named() {
    let desk = Desk::new();
    for name in MATRICES {
        let name = format!("members/001/{name}.npy");
        let whole = npy::read(&desk.run.join(&name)).unwrap();
        assert!(desk.with_matrix(&name, &whole).is_ok(), "{name}");
        let (rows, columns) = (whole.nrows(), whole.ncols());
        let first =
            |layer: f64| Mat::from_fn(rows, columns, |i, j| if (i, j) == (0, 0) { layer } else { whole[(i, j)] });
        let mut wrong = vec![
            Mat::from_fn(rows, columns - 1, |i, j| whole[(i, j)]),
            Mat::from_fn(rows, columns + 1, |i, _| whole[(i, 0)]),
            Mat::zeros(0, 0),
            Mat::zeros(1, 1),
        ];
        if name.contains("moments") || name.contains("units") {
            wrong.extend([0.0, -1.0, 1.5, 1e18, f64::NAN, f64::INFINITY].map(first));
        }
        if !name.contains("units") {
            wrong.push(Mat::from_fn(rows - 1, columns, |i, j| whole[(i, j)]));
        }
        for matrix in wrong {
            let file = Path::new(&name).file_name().unwrap().to_str().unwrap();
            refused(desk.with_matrix(&name, &matrix), &[file]);
        }
        refused(desk.with(&name, b"not numpy"), &["expected a .npy array"]);
    }
}

#[test]
fn mutated_files_of_a_run_give_a_verdict_or_a_sentence() {
    let desk = Desk::new();
    let mut random = widthwise_datasets::stream(17, "test.damaged");
    let matrices = MATRICES.map(|name| format!("members/000/{name}.npy"));
    let tables = ["results.csv", "training.csv", "manifest.json", "config.toml"].map(str::to_owned);
    let mut refusals = 0;
    for name in matrices.into_iter().chain(tables) {
        let whole = desk.read(&name);
        for _ in 0..MUTATIONS {
            let mut bytes = whole.clone();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(0..bytes.len());
                match random.random_range(0..5) {
                    0 => bytes[place] ^= 1 << random.random_range(0..8),
                    1 => bytes.truncate(place.max(1)),
                    2 => bytes[place] = b"0,9-.e\n\"x"[random.random_range(0..9)],
                    3 => drop(
                        bytes
                            .splice(place..place, whole[..random.random_range(0..whole.len().min(40))].iter().copied()),
                    ),
                    _ => drop(bytes.drain(place..(place + 9).min(bytes.len() - 1).max(place))),
                }
            }
            if let Err(message) = desk.with(&name, &bytes) {
                refusals += 1;
                assert!(message.len() > 10, "{name}: {message}");
            }
        }
    }
    assert!(refusals > MUTATIONS, "{refusals} refusals");
}
