//! Width ladders through the program: slopes, verdicts and their controls, shards, and what a kill leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use widthwise::ladder::{Fit, FitStatistic, LadderQuantity, UnitRow};
use widthwise::verdict::Verdict;

use crate::program::{Ended, all_files, assert_equal_files, end, program, widthwise};

const CONFIG: &str = r#"
[run]
name = "small_ladder"
seed = 3
precision = "f64"

[dataset]
source = { name = "uniform-sphere", input_dim = 6 }

[dataset.preprocessing]
train = 8
test = 4
normalize = "sqrt_dim"
targets = "binary"

[network]
depth = 1
activation = "erf"
sigma_w2 = 2.0
sigma_b2 = 0.1

[training]
learning_rate = { critical = 0.25 }
stop = { steps = 20 }

[probes]
schedule = { every = 5 }
examples = 8
jacobian_examples = 8
"#;

/// A folder with the configuration in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.config(), text).unwrap();
        place
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("ladder.toml")
    }

    fn out(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn arguments(&self, out: &str, more: &str) -> Vec<String> {
        let fixed = ["ladder".to_owned(), self.config().display().to_string(), "--out".to_owned()];
        let mut arguments = fixed.to_vec();
        arguments.push(self.out(out).display().to_string());
        arguments.extend(more.split_whitespace().map(str::to_owned));
        arguments
    }

    fn ladder(&self, out: &str, more: &str) -> Ended {
        widthwise(self.arguments(out, more))
    }
}

fn fits(folder: &Path) -> Vec<Fit> {
    let mut reader = csv::Reader::from_path(folder.join("fits.csv")).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

/// The fitted power of the mean.
fn exponent(folder: &Path, quantity: LadderQuantity, layer: Option<usize>) -> Fit {
    let is_asked =
        |fit: &Fit| fit.statistic == FitStatistic::ExponentOfMean && (fit.quantity, fit.layer) == (quantity, layer);
    fits(folder).into_iter().find(is_asked).unwrap_or_else(|| panic!("no {quantity:?} {layer:?}"))
}

#[test]
fn one_hidden_layer_follows_the_declared_powers() {
    let place = Place::new(CONFIG);
    let ended = place.ladder("out", "--widths 64..1024 --seeds 24");
    eprintln!("{}", ended.out);
    let folder = place.out("out");
    for (quantity, layer, declared) in [
        (LadderQuantity::LinearizationGap, None, -1.0),
        (LadderQuantity::FullNtkRelativeChange, None, -1.0),
        (LadderQuantity::InfiniteKernelGap, None, -0.5),
        (LadderQuantity::FullNtkDistance, None, -0.5),
        (LadderQuantity::WeightChange, Some(1), -0.5),
        (LadderQuantity::WeightChange, Some(2), -0.5),
        (LadderQuantity::FirstPreactivationChange, Some(1), -0.5),
        (LadderQuantity::FirstPreactivationChange, Some(2), 0.0),
        (LadderQuantity::PreactivationChange, Some(1), -0.5),
        (LadderQuantity::PreactivationChange, Some(2), 0.0),
    ] {
        let fit = exponent(&folder, quantity, layer);
        assert!((fit.declared.unwrap() - declared).abs() < 1e-8, "{fit:?}");
        // What is accepted overlaps with what is measured; a wide interval may leave it undecided.
        assert!(matches!(fit.verdict, Some(Verdict::Agrees | Verdict::Undecided)), "{fit:?}");
        assert_eq!(fit.members, 24);
    }
    for fit in fits(&folder).iter().filter(|fit| fit.statistic == FitStatistic::Limit) {
        assert!(fit.z.is_none_or(|z| z.abs() < 4.0), "{fit:?}");
    }
    // Another level judges the same networks anew.
    let strict = place.ladder("out", "--widths 64..1024 --seeds 24 --set claims.significance=0.2");
    assert!(strict.code != Some(2) && strict.err.contains("120 networks are there already"), "{strict:?}");
    assert!(strict.out.contains("at most 0.2 for all rows together"), "{strict:?}");
    // A wrong theory is refuted by the same networks: 30 % on the weight variance moves the limit of the kernel.
    let changed = place.ladder("changed", "--widths 64..1024 --seeds 24 --set control.sigma_w2_factor=1.3");
    assert_eq!(changed.code, Some(1), "{changed:?}");
    let is_kernel = |fit: &&Fit| fit.quantity == LadderQuantity::NtkMeanDiagonal;
    let found = fits(&place.out("changed"));
    assert_eq!(found.iter().find(is_kernel).unwrap().verdict, Some(Verdict::Disagrees));
}

#[test]
fn a_mean_field_network_is_not_taken_for_a_lazy_one() {
    let place = Place::new(CONFIG);
    let all =
        "--widths 64..512 --seeds 12 --coordinates --set network.depth=2 --set network.parameterization=mean-field";
    let own = place.ladder("own", all);
    eprintln!("{}", own.out);
    assert_eq!(own.code, Some(0), "{own:?}");
    let wrong = place.ladder("own", &format!("{all} --rates-of ntk"));
    eprintln!("{}", wrong.out);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    for layer in [1, 2] {
        let fit = exponent(&place.out("own"), LadderQuantity::FirstPreactivationChange, Some(layer));
        assert_eq!(fit.verdict, Some(Verdict::Disagrees), "{fit:?}");
    }
}

#[test]
fn every_parameterization_moves_its_layers_as_derived_from_its_table() {
    let place = Place::new(CONFIG);
    for (name, code) in [("ntk", 0), ("standard-layerwise", 0), ("mup", 0), ("standard", 1)] {
        let more = format!(
            "--widths 64..512 --seeds 64 --coordinates --set network.depth=3 --set network.parameterization={name}"
        );
        let ended = place.ladder(name, &more);
        eprintln!("{name}\n{}", ended.out);
        assert_eq!(ended.code, Some(code), "{name}: {ended:?}");
        for layer in 1..=4 {
            let fit = exponent(&place.out(name), LadderQuantity::FirstPreactivationChange, Some(layer));
            assert_eq!(fit.verdict, Some(Verdict::Agrees), "{name}: {fit:?}");
        }
        assert_eq!(ended.out.contains("no learning rate serves all widths"), name == "standard", "{name}");
    }
}

#[test]
fn a_ladder_that_is_killed_and_one_in_shards_leave_the_same_bytes() {
    let place = Place::new(CONFIG);
    let all = "--widths 16,32,64 --seeds 3";
    let whole = place.ladder("whole", all);
    assert!(matches!(whole.code, Some(0 | 1 | 3)), "{whole:?}");
    let expected = all_files(&place.out("whole"));
    assert_eq!(expected.keys().filter(|path| path.starts_with("width_00032")).count(), 3);

    let kills = ["member_001.csv.in_write:2", "member_002.csv.before_rename:1", "member_000.csv.after_rename:1"];
    for kill in kills {
        let killed = end(program().args(place.arguments("killed", all)).env("WIDTHWISE_KILL_AT", kill));
        assert_eq!(killed.code, None, "{kill}: {killed:?}");
    }
    assert!(all_files(&place.out("killed")).len() < expected.len());
    let resumed = place.ladder("killed", all);
    assert!(resumed.err.contains("networks are there already"), "{resumed:?}");
    assert_eq!((resumed.code, &resumed.out.replace("killed", "whole")), (whole.code, &whole.out));
    assert_equal_files(&all_files(&place.out("killed")), &expected, "killed and resumed");

    let first = place.ladder("shards", &format!("{all} --shard 1/2"));
    assert_eq!(first.code, Some(3), "{first:?}");
    assert!(first.out.contains("5 of 9 networks"), "{first:?}");
    assert!(!place.out("shards").join("fits.csv").exists());
    place.ladder("shards", &format!("{all} --shard 2/2"));
    assert_equal_files(&all_files(&place.out("shards")), &expected, "two shards");
    let one_thread = place.ladder("threads", &format!("{all} --threads 1"));
    assert_eq!(one_thread.code, whole.code);
    assert_equal_files(&all_files(&place.out("threads")), &expected, "one thread");

    // More seeds and widths add to what is there.
    place.ladder("killed", "--widths 16,32,64,128 --seeds 4");
    let more = all_files(&place.out("killed"));
    let is_unit = |path: &&PathBuf| path.to_string_lossy().starts_with("width_");
    for path in expected.keys().filter(is_unit) {
        assert_eq!(more[path], expected[path], "{}", path.display());
    }
    assert_eq!(more.keys().filter(is_unit).count(), 16);
}

#[test]
fn members_of_different_widths_share_no_draws() {
    // In a linear network of two inputs the kernel is a sum of squared weights. One stream for all widths would give a network of twice
    // the width the narrow one's draws among its own, and their kernels a correlation of 1/4 + 1/4 over sqrt(3/2 * 3/4), 0.47.
    let place = Place::new(CONFIG);
    let linear = "--set network.family=deep_linear --set network.sigma_b2=0 --set dataset.source.input_dim=2 \
                  --set dataset.preprocessing.train=2 --set dataset.preprocessing.test=1 --set probes.examples=2 \
                  --set probes.jacobian_examples=2 --set training.stop.steps=1";
    place.ladder("out", &format!("--widths 16,32,64 --seeds 200 {linear}"));
    let mut reader = csv::Reader::from_path(place.out("out").join("ladder.csv")).unwrap();
    let mut diagonals: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for row in reader.deserialize::<UnitRow>() {
        let row = row.unwrap();
        if row.quantity == LadderQuantity::NtkMeanDiagonal {
            diagonals.entry(row.width).or_default().push(row.value);
        }
    }
    let centred = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let off: Vec<f64> = values.iter().map(|value| value - mean).collect();
        let norm = off.iter().map(|value| value * value).sum::<f64>().sqrt();
        off.iter().map(|value| value / norm).collect::<Vec<_>>()
    };
    for (narrow, wide) in [(16, 32), (32, 64)] {
        let (a, b) = (centred(&diagonals[&narrow]), centred(&diagonals[&wide]));
        let correlation: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        // Without correlation its standard error is 1/sqrt(members).
        assert!(correlation.abs() < 4.0 / 200.0_f64.sqrt(), "{narrow}, {wide}: {correlation}");
        assert_eq!(a.len(), 200);
    }
}

#[test]
fn outputs_and_optimizers_of_all_kinds_have_a_linearization() {
    // Wide networks that hardly move: what is left of the gap is far below the distance that the outputs travel.
    for more in [
        "--set training.optimizer={momentum={beta=0.7}} --set training.batch_size=3",
        "--set training.optimizer={nesterov={beta=0.5}} --set training.loss=half_mean",
        "--set training.l2={strength=0.3,toward=\"init\"} --set training.batch_size=4 --set training.loss=half_mean",
        "--set network.depth=2 --set dataset.preprocessing.targets=one_hot",
    ] {
        let place = Place::new(CONFIG);
        let ended = place.ladder("out", &format!("--widths 128,256,512 --seeds 4 {more}"));
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{more}: {ended:?}");
        let mut reader = csv::Reader::from_path(place.out("out").join("means.csv")).unwrap();
        let rows: Vec<widthwise::ladder::MeanRow> = reader.deserialize().collect::<Result<_, _>>().unwrap();
        let mean = |quantity: LadderQuantity, layer: Option<usize>, width: usize| {
            let is_asked =
                |row: &&widthwise::ladder::MeanRow| (row.quantity, row.layer, row.width) == (quantity, layer, width);
            rows.iter().find(is_asked).unwrap_or_else(|| panic!("{more}: no {quantity:?}")).mean
        };
        let readout = rows.iter().filter_map(|row| row.layer).max();
        let travelled = mean(LadderQuantity::PreactivationChange, readout, 512);
        let gap = mean(LadderQuantity::LinearizationGap, None, 512);
        eprintln!("{more}: outputs travel {travelled:.3}, the linearization is {gap:.2e} off");
        assert!(gap < 0.05 * travelled, "{more}: {gap} of {travelled}");
    }
}

#[test]
fn what_a_ladder_cannot_do_is_refused_in_a_sentence() {
    let place = Place::new(CONFIG);
    let small = "--widths 16,32,64 --seeds 2";
    for (more, words) in [
        ("--widths 64", ["too few for a slope", "64,128,256"]),
        ("--widths 64,x,256", ["\"x\"", "not a whole number"]),
        ("--shard 3/2", ["expected I/N", "2/4"]),
        ("--seeds 1", ["1 is not in 2..=100000", "--seeds"]),
        ("--set network.widths=[8,16]", ["all hidden layers together", "leave out network.widths"]),
        ("--set training.stop.loss=0.1", ["different numbers of steps", "training.stop.steps"]),
        (
            "--set dataset.preprocessing.targets=one_hot --set dataset.preprocessing.train=2050",
            ["at most 4096", "dataset.preprocessing.train"],
        ),
    ] {
        let more = if more.starts_with("--set") { format!("{small} {more}") } else { more.to_owned() };
        place.ladder("refused", &more).refused_with(&words);
    }
    assert!(!place.out("refused").exists());
    place.ladder("out", small);
    for (more, words) in [
        ("--set training.stop.steps=21", ["another configuration", "training.stop.steps is "]),
        ("--set run.seed=4", ["another configuration", "--out"]),
        ("--coordinates", ["another configuration", "--out"]),
    ] {
        place.ladder("out", &format!("{small} {more}")).refused_with(&words);
    }
    fs::create_dir(place.out("full")).unwrap();
    fs::write(place.out("full").join("notes.txt"), "mine").unwrap();
    place.ladder("full", small).refused_with(&["holds files that are no ladder"]);
    let unit = place.out("out").join("width_00016").join("member_000.csv");
    let text = fs::read_to_string(&unit).unwrap();
    fs::write(&unit, &text[..text.len() - 40]).unwrap();
    let ended = place.ladder("out", small);
    ended.refused_with(&["member_000.csv is damaged", "remove it"]);
    fs::remove_file(&unit).unwrap();
    let again = place.ladder("out", small);
    assert!(again.code != Some(2), "{again:?}");
    assert_eq!(fs::read_to_string(&unit).unwrap(), text);
}
