//! Damaged files of the program's own and of PyTorch: an error in a sentence or a valid result, never a panic, and no memory on
//! the word of a header.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{DType, Device, Tensor};
use faer::Mat;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use widthwise::config::{Checked, parse};
use widthwise::ensemble::Shard;
use widthwise::ladder::{LadderOptions, LadderOutcome, ladder_experiment, run_ladder};
use widthwise::monitor::Silent;
use widthwise::network::{LayerParameters, Network, build_architecture};
use widthwise::record::budget::{read_budget, read_forecasts};
use widthwise::record::checkpoint::{self, Position};
use widthwise::record::manifest::Manifest;
use widthwise::record::npy;
use widthwise::record::registration::Registration;
use widthwise::record::tiles::{Fingerprint, Grid, MatrixFile, MatrixTarget, StoredNumber, TiledJob};
use widthwise::record::weights::{Weights, WeightsError, pytorch};
use widthwise::report::{Records, TableReader, join, write_report};
use widthwise::run::{BundleOptions, OpenedRun, RunOptions, bundle, check, judge_again, run};
use widthwise::signals::StopFlag;
use widthwise_theory::architecture::{Architecture, InputShape, UpdateRule};

mod mutator;

use mutator::survive;

/// One test at a time: they watch the memory of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Lets `read` see damaged copies of what lies at `path`.
fn damage(parser: &str, seed: u64, cases: usize, path: &Path, mut read: impl FnMut() -> Result<(), String>) {
    let valid = fs::read(path).unwrap();
    survive(parser, seed, cases, std::slice::from_ref(&valid), |bytes| {
        fs::write(path, bytes).unwrap();
        read()
    });
    fs::write(path, valid).unwrap();
}

/// As [`damage`], within the header of a safetensors file, whose length is kept right: types, shapes and places of tensors.
fn damage_header(parser: &str, seed: u64, cases: usize, path: &Path, mut read: impl FnMut() -> Result<(), String>) {
    let valid = fs::read(path).unwrap();
    let (start, rest) = valid.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*start) as usize);
    let header = String::from_utf8(header.to_vec()).unwrap();
    let types = ["F64", "F16", "BF16", "I32", "U8", "BOOL", "F8_E4M3"].map(|other| header.replacen("F32", other, 1));
    // The same bytes as numbers of another type and shape.
    let shapes = [
        ("[2,2]", "[4]"),
        ("[2,2]", "[1,2,2]"),
        ("[2,2]", "[1,4]"),
        ("\"F32\",\"shape\":[2,2]", "\"F16\",\"shape\":[4,2]"),
    ];
    let shapes = shapes.map(|(from, to)| header.replacen(from, to, 1));
    let mut number = 0;
    survive(parser, seed, cases, &[header.into_bytes()], |bytes| {
        number += 1;
        let forms: Vec<&[u8]> = types.iter().chain(&shapes).map(|text| text.as_bytes()).collect();
        let header = if number > 1 && number <= forms.len() + 1 { forms[number - 2] } else { bytes };
        fs::write(path, [&(header.len() as u64).to_le_bytes(), header, data].concat()).unwrap();
        read()
    });
    fs::write(path, valid).unwrap();
}

fn said<T>(result: Result<T, impl std::fmt::Display>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

#[test]
fn damaged_matrices() {
    let _alone = alone();
    let folder = folder();
    let path = folder.path().join("k.npy");
    for (seed, (rows, columns)) in [(1, (5, 5)), (2, (1, 7)), (3, (40, 3))] {
        npy::write(&path, &Mat::from_fn(rows, columns, |i, j| (i * j) as f64 - 0.5)).unwrap();
        damage("npy", seed, 1500, &path, || said(npy::read(&path)));
        damage("tiles of npy", seed, 1500, &path, || {
            let file = MatrixFile::open(&path, false).map_err(|error| error.to_string())?;
            let (mut bytes, mut values) = (Vec::new(), Vec::new());
            let (rows, columns) = (file.rows().min(8), file.columns());
            said(file.read_values(0..rows, 0..columns, &mut bytes, &mut values))
        });
    }
}

fn layers() -> Vec<LayerParameters> {
    let device = Device::flex();
    let weight = Tensor::<2>::from_data([[1.0_f32, -2.5], [0.1, 7.0]], &device);
    let bias = Tensor::<2>::from_data([[3.0_f32, 0.25]], &device);
    let readout = Tensor::<2>::from_data([[0.5_f32], [2.0]], &device);
    let offset = Tensor::<2>::from_data([[-0.5_f32]], &device);
    vec![LayerParameters { weight, bias: Some(bias) }, LayerParameters { weight: readout, bias: Some(offset) }]
}

fn architecture(keys: &str, input: InputShape, outputs: usize) -> Architecture {
    let network = parse(&format!("[network]\n{keys}"), "test", &[]).unwrap().into_inner().network;
    build_architecture(&network, input, outputs, None).unwrap()
}

/// The network in a file of weights or a checkpoint.
fn network(path: &Path) -> Result<Network, WeightsError> {
    Weights::read(path)?.network(UpdateRule::Linear, &Device::flex(), DType::F32)
}

#[test]
fn damaged_checkpoints() {
    let _alone = alone();
    let folder = folder();
    let path = folder.path().join(checkpoint::FILE);
    let position = Position { step: 5, results_bytes: 77, ..Position::default() };
    let position = Position { architecture: Some(plain()), ..position };
    let layers = layers();
    checkpoint::write(&path, &position, &[("parameters".to_owned(), &layers), ("moment0".to_owned(), &layers)])
        .unwrap();
    let device = Device::flex();
    damage("checkpoints", 4, 3000, &path, || said(checkpoint::read(&path, &device)));
    damage("networks of checkpoints", 5, 1500, &path, || said(network(&path)));
    damage_header("architectures of checkpoints", 38, 3000, &path, || said(checkpoint::read_architecture(&path)));
    damage_header("headers of checkpoints", 35, 3000, &path, || said(checkpoint::read(&path, &device)));
    damage("recognized checkpoints", 6, 500, &path, || {
        if checkpoint::is_checkpoint(&path) { Ok(()) } else { Err("it is no checkpoint".to_owned()) }
    });
}

/// Two inputs, two hidden units, one output, biases.
fn plain() -> Architecture {
    architecture("depth = 1\nwidth = 2\nsigma_b2 = 0.1", InputShape::flat(2), 1)
}

#[test]
fn damaged_weights() {
    let _alone = alone();
    let folder = folder();
    let path = folder.path().join("weights.safetensors");
    checkpoint::write_weights(&path, &plain(), &layers()).unwrap();
    damage("weights", 7, 4000, &path, || said(Weights::read(&path)));
    damage_header("headers of weights", 36, 3000, &path, || said(Weights::read(&path)));
    damage_header("headers of networks", 37, 3000, &path, || said(network(&path)));
    damage_header("headers of architectures", 39, 3000, &path, || said(checkpoint::read_architecture(&path)));
}

#[test]
fn damaged_state_dicts_of_pytorch() {
    let _alone = alone();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch");
    let folder = folder();
    let architecture = architecture("widths = [8, 5]\nactivation = \"tanh\"\nsigma_b2 = 0.3", InputShape::flat(6), 3);
    let named = |ending: &str| -> Vec<PathBuf> {
        let paths = fs::read_dir(&fixtures).unwrap().map(|entry| entry.unwrap().path());
        paths
            .filter(|path| {
                path.file_name().is_some_and(|name| {
                    name.to_string_lossy().starts_with("mlp") && name.to_string_lossy().ends_with(ending)
                })
            })
            .collect()
    };
    let found = [named(".pt"), named(".safetensors")].concat();
    assert!(found.len() > 1, "{found:?}");
    for (number, original) in found.iter().enumerate() {
        let path = folder.path().join(original.file_name().unwrap());
        fs::copy(original, &path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        damage(&name, 8 + number as u64, 600, &path, || said(pytorch::import(&path, &architecture, &[])));
    }
}

#[test]
fn damaged_journals() {
    let _alone = alone();
    let folder = folder();
    let [journal, file] = ["k.journal", "k.npy"].map(|name| folder.path().join(name));
    let target = MatrixTarget {
        files: vec![file],
        journal: journal.clone(),
        grid: Grid { rows: 5, columns: 5, tile: 2, is_symmetric: true },
        keep_tile: false,
        storage: StoredNumber::F64,
        fingerprint: Fingerprint::default().with("storage", "f64").with_numbers("inputs", &[1.0, 2.0]),
        restart: false,
    };
    let mut job = TiledJob::open(&target).unwrap();
    for tile in 0..3 {
        let block = job.blocks()[tile].clone();
        let values = vec![1.5; block.rows.len() * block.columns.len()];
        job.store(tile, &[&values], |_, _| {}).unwrap();
    }
    drop(job);
    damage("journals", 12, 3000, &journal, || {
        let mut job = TiledJob::open(&target).map_err(|error| error.to_string())?;
        said(job.verify(|_, _, _| true))
    });
}

const EXPERIMENT: &str = r#"
[run]
name = "small"
members = 2
[dataset]
source = { name = "uniform-sphere", input_dim = 6 }
[dataset.preprocessing]
train = 8
test = 4
targets = "binary"
[network]
depth = 1
width = 8
activation = "erf"
[training]
stop = { steps = 4 }
[probes]
schedule = "ends"
examples = 8
jacobian_examples = 4
"#;

fn experiment() -> Checked {
    parse(EXPERIMENT, "small", &["explain.members=2".to_owned()]).unwrap()
}

#[test]
fn damaged_files_of_runs() {
    let _alone = alone();
    let dir = folder();
    let folder = dir.path().join("out");
    let options = RunOptions { output: Some(folder.clone()), ..RunOptions::default() };
    run(&experiment(), &options, &StopFlag::default(), &Silent).unwrap();
    let path = |name: &str| folder.join(name);
    let table = || join(std::slice::from_ref(&folder), TableReader::Spreadsheet, &mut Vec::new());
    damage("manifest.json, strictly", 22, 3000, &path("manifest.json"), || said(Manifest::read(&folder)));
    damage("manifest.json, recognized", 23, 1000, &path("manifest.json"), || said(Manifest::recognize(&folder)));
    damage("manifest.json in tables", 24, 500, &path("manifest.json"), || said(table()));
    damage("results.csv in tables", 25, 1500, &path("results.csv"), || said(table()));
    damage("results.csv in checks", 26, 600, &path("results.csv"), || {
        check(&folder).map(drop).map_err(|e| format!("{e:#}"))
    });
    damage("results.csv in reports", 27, 50, &path("results.csv"), || said(write_report(&folder)));
    damage("training.csv", 28, 1500, &path("training.csv"), || said(Records::read(&folder)));
    damage("training.csv in reports", 29, 50, &path("training.csv"), || said(write_report(&folder)));
    damage("error_budget.csv", 30, 1500, &path("error_budget.csv"), || {
        read_budget(&folder).map(drop).map_err(|e| format!("{e:#}"))
    });
    damage("error_budget.csv in reports", 31, 50, &path("error_budget.csv"), || said(write_report(&folder)));
    damage("forecast.csv", 32, 1000, &path("forecast.csv"), || {
        read_forecasts(&folder).map(drop).map_err(|e| format!("{e:#}"))
    });
}

#[test]
fn damaged_bundles() {
    let _alone = alone();
    let dir = folder();
    let (folder, path) = (dir.path().join("out"), dir.path().join("out.tar.gz"));
    let options = RunOptions { output: Some(folder.clone()), ..RunOptions::default() };
    run(&experiment(), &options, &StopFlag::default(), &Silent).unwrap();
    bundle(&folder, &BundleOptions::default()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    damage("registrations", 40, 1500, &folder.join("registration.toml"), || {
        let text = fs::read(folder.join("registration.toml")).unwrap();
        said(Registration::recall(Some(&hash(&text)), Some(&text)))
    });
    damage("registrations in reports", 41, 50, &folder.join("registration.toml"), || said(write_report(&folder)));
    damage("bundles", 42, 300, &path, || said(OpenedRun::open(&path)));
    // Below the compression, which would notice most of it.
    survive("archives of bundles", 43, 600, &[plain.clone()], |bytes| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        fs::write(&path, encoder.finish().unwrap()).unwrap();
        said(OpenedRun::open(&path))
    });
    tar::Archive::new(plain.as_slice()).unpack(dir.path()).unwrap();
    let inner = dir.path().join("small");
    damage("checksums", 44, 600, &inner.join("SHA256SUMS"), || said(OpenedRun::open(&inner)));
    // As if whoever changed the file had changed its checksum too.
    for (file, seed, cases) in
        [("bundle.json", 45, 400), ("data/train_inputs.npy", 46, 200), ("data/train_labels.npy", 47, 200)]
    {
        damage(file, seed, cases, &inner.join(file), || said(judge_again(&inner, None)));
    }
}

#[test]
fn damaged_files_of_ladders() {
    let _alone = alone();
    let dir = folder();
    let folder = dir.path().join("ladder");
    let experiment = ladder_experiment(&parse(EXPERIMENT, "small", &[]).unwrap(), false).unwrap();
    let options = LadderOptions {
        widths: vec![4, 8, 16],
        members: 2,
        shard: Shard::WHOLE,
        folder: folder.clone(),
        data_dir: None,
        is_coordinate_check: false,
        rates_of: None,
    };
    let judge = || match run_ladder(&experiment, &options, &StopFlag::default(), &Silent) {
        Ok(LadderOutcome::Judged(_)) => Ok(()),
        Ok(other) => Err(format!("the ladder is not judged: {other:?}")),
        Err(error) => Err(format!("{error:#}")),
    };
    judge().unwrap();
    damage("networks of ladders", 33, 80, &folder.join("width_00008/member_001.csv"), judge);
    damage("ladder.json", 34, 80, &folder.join("ladder.json"), judge);
}
