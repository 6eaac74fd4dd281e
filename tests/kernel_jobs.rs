//! Kernels of many examples: a job that is killed, stopped, damaged or out of room goes on to the same bytes, within its memory.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use faer::Mat;
use serde_json::Value;
use tempfile::TempDir;
use widthwise::record::npy;

use crate::program::{Ended, all_files, assert_equal_files, end, program};

const NETWORK: &str = "[network]\ndepth = 2\nactivation = \"erf\"\nsigma_w2 = 1.7\nsigma_b2 = 0.3\n";

/// 15 tiles of 16 rows.
const JOB: &str = "kernel network.toml --inputs x.npy --tile 16 -q --out";

/// A folder with inputs and the files of a job that nothing disturbed.
struct Desk {
    folder: TempDir,
    whole: BTreeMap<PathBuf, Vec<u8>>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("network.toml"), NETWORK).unwrap();
        let inputs = Mat::from_fn(70, 6, |i, j| ((7 * i + 3 * j) as f64).sin() + 0.1);
        npy::write(&folder.path().join("x.npy"), &inputs).unwrap();
        let mut desk = Self { folder, whole: BTreeMap::new() };
        fs::create_dir(desk.path("whole")).unwrap();
        desk.type_in(&format!("{JOB} whole/k")).done();
        desk.whole = all_files(&desk.path("whole"));
        assert_eq!(desk.whole.len(), 4, "{:?}", desk.whole.keys());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command
    }

    fn type_in(&self, line: &str) -> Ended {
        end(&mut self.command(line))
    }

    /// A folder for a job, empty.
    fn fresh(&self, name: &str) -> String {
        fs::create_dir(self.path(name)).unwrap();
        format!("{JOB} {name}/k")
    }

    #[track_caller]
    fn killed_at(&self, line: &str, point: &str) {
        let mut command = self.command(line);
        command.stdout(Stdio::null()).stderr(Stdio::null()).env("WIDTHWISE_KILL_AT", point);
        assert!(command.status().unwrap().signal().is_some(), "{point} was never passed");
    }

    #[track_caller]
    fn assert_whole(&self, name: &str) {
        assert_equal_files(&all_files(&self.path(name)), &self.whole, name);
    }
}

#[test]
fn killed_twice_at_any_place_a_job_reaches_the_same_bytes() {
    let desk = Desk::new();
    let places = [
        "tile.in_write:5",
        "tile.before_journal:3",
        "journal.in_line:2",
        "tile.after_journal:4",
        "finish.before_rename:1",
        "finish.after_rename:1",
        "finish.before_rename:2",
        "finish.before_remove:1",
        "k.ntk.csv.before_rename:1",
    ];
    for (number, first) in places.iter().enumerate() {
        let name = format!("killed_{number}");
        let line = desk.fresh(&name);
        desk.killed_at(&line, first);
        // Again where the job comes by once more: all places before the last tile, and then its end.
        let second = if number < 4 { ["tile.after_journal:2", "journal.in_line:1"][number % 2] } else { "" };
        if !second.is_empty() {
            desk.killed_at(&line, second);
        }
        desk.type_in(&line).done();
        desk.assert_whole(&name);
    }
}

#[test]
fn a_job_that_goes_on_says_so_and_computes_only_what_is_missing() {
    let desk = Desk::new();
    let line = desk.fresh("on").replace(" -q", "");
    desk.killed_at(&line, "tile.after_journal:11");
    assert!(desk.path("on/k.journal").is_file() && !desk.path("on/k.ntk.npy").exists());
    let ended = desk.type_in(&line).done();
    assert!(ended.err.contains("continuing an unfinished job: 11 of 15 tiles are there\n"), "{ended:?}");
    desk.assert_whole("on");
    // Another size of tiles, or none given, makes no other numbers.
    let other = desk.fresh("other").replace("--tile 16", "--tile 23");
    desk.killed_at(&other, "tile.after_journal:2");
    desk.type_in(&other.replace("--tile 23", "--memory 1GiB")).done();
    desk.assert_whole("other");
}

#[test]
fn a_damaged_tile_is_noticed_and_computed_again() {
    let desk = Desk::new();
    let line = desk.fresh("damaged").replace(" -q", "");
    desk.killed_at(&line, "tile.after_journal:11");
    let part = desk.path("damaged/k.ntk.npy.part");
    let mut bytes = fs::read(&part).unwrap();
    // In the third row, and in the mirror of another tile.
    for place in [128 + 8 * (2 * 70 + 5), 128 + 8 * (40 * 70 + 3)] {
        bytes[place] ^= 0x10;
    }
    fs::write(&part, bytes).unwrap();
    let ended = desk.type_in(&line).done();
    let words = "9 of 15 tiles are there; 2 tiles do not match their checksums and are computed again";
    assert!(ended.err.contains(words), "{ended:?}");
    desk.assert_whole("damaged");
    // A file that is gone is begun anew.
    let line = desk.fresh("lost").replace(" -q", "");
    desk.killed_at(&line, "tile.after_journal:11");
    fs::remove_file(desk.path("lost/k.nngp.npy.part")).unwrap();
    desk.type_in(&line).done();
    desk.assert_whole("lost");
}

#[test]
fn another_job_does_not_take_the_place_of_an_unfinished_one() {
    let desk = Desk::new();
    let line = desk.fresh("taken");
    desk.killed_at(&line, "tile.after_journal:5");
    let before = all_files(&desk.path("taken"));
    npy::write(&desk.path("y.npy"), &Mat::from_fn(70, 6, |i, j| (i + j) as f64)).unwrap();
    for (other, words) in [
        (line.replace("x.npy", "y.npy"), "differs in inputs;"),
        (format!("{line} --set network.sigma_w2=1.5"), "differs in architecture;"),
        (format!("{line} --storage f32 --trained readout"), "differs in storage, trained;"),
        (format!("{line} --only ntk"), "differs in kernels;"),
        (format!("{line} --right y.npy"), "differs in right;"),
        (line.replace("--tile 16", "--tile 20"), "tile (there 16, here 20)"),
    ] {
        desk.type_in(&other).refused_with(&[words, "taken/k.journal", "--restart", "--out"]);
        assert_equal_files(&all_files(&desk.path("taken")), &before, &other);
    }
    desk.type_in(&format!("{line} --only ntk --restart")).done();
    desk.type_in(&line).done();
    fs::remove_file(desk.path("taken/k.nngp.npy.part")).unwrap_or_default();
    desk.assert_whole("taken");
    fs::write(desk.path("taken/k.journal"), "my diary\n").unwrap();
    desk.type_in(&line).refused_with(&["taken/k.journal is no journal"]);
    assert_eq!(fs::read_to_string(desk.path("taken/k.journal")).unwrap(), "my diary\n");
}

#[test]
fn a_signal_stops_a_job_between_tiles() {
    let desk = Desk::new();
    npy::write(&desk.path("many.npy"), &Mat::from_fn(3000, 6, |i, j| ((7 * i + 3 * j) as f64).sin())).unwrap();
    fs::create_dir(desk.path("stopped")).unwrap();
    let line = "kernel network.toml --inputs many.npy --tile 32 --out stopped/k --threads 1";
    let child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let journal = desk.path("stopped/k.journal");
    while fs::read_to_string(&journal).is_ok_and(|text| text.lines().count() < 14) || !journal.exists() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.out.contains("of 4465 tiles; the same command goes on"), "{ended:?}");
    // While a job is at work, a second one is refused; it is held asleep, so that it cannot end meanwhile.
    let mut first = desk.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let length = fs::metadata(&journal).unwrap().len();
    while fs::metadata(&journal).unwrap().len() == length {
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(Command::new("kill").args(["-STOP", &first.id().to_string()]).status().unwrap().success());
    desk.type_in(line).refused_with(&["another process is writing stopped/k.journal"]);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_disk_that_fills_up_keeps_what_is_done() {
    let desk = Desk::new();
    for blocks in [0, 1, 8, 60, 76, 100] {
        let name = format!("full_{blocks}");
        let line = desk.fresh(&name);
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -f {blocks}; exec \"$0\" {line}");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_widthwise")]).current_dir(desk.folder.path());
        let ended = end(&mut shell);
        if ended.code != Some(0) {
            ended.refused_with(&["cannot write", &name]);
        }
        desk.type_in(&line).done();
        desk.assert_whole(&name);
    }
}

fn memory(ended: &Ended) -> (u64, u64) {
    let mut lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.rfind(|line| line["event"] == "memory").unwrap();
    (line["peak_bytes"].as_u64().unwrap(), line["budget_bytes"].as_u64().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn the_peak_of_memory_stays_within_the_budget() {
    let desk = Desk::new();
    // 72 MB of output for each kernel, 10 MB of inputs.
    npy::write(&desk.path("many.npy"), &Mat::from_fn(3000, 400, |i, j| ((7 * i + 3 * j) as f64).sin())).unwrap();
    let line = "kernel network.toml --inputs many.npy --out many --json --set network.activation=relu";
    let refused = desk.type_in(&format!("{line} --memory 16MiB"));
    refused.refused_with(&["--memory 16MiB is too little", "at least --memory"]);
    let least = refused.err.rsplit("at least --memory ").next().unwrap().split(' ').next().unwrap().to_owned();
    for budget in ["96MiB", "160MiB"] {
        let (peak, limit) = memory(&desk.type_in(&format!("{line} --memory {budget}")).done());
        assert!(peak <= limit, "{peak} bytes of {limit}, after a least of {least}");
    }
    // Less of it makes smaller tiles and the same numbers.
    desk.type_in(&line.replace("--out many", "--out roomy")).done();
    let same = |name: &str| {
        fs::read(desk.path(&format!("many.{name}.npy"))).unwrap()
            == fs::read(desk.path(&format!("roomy.{name}.npy"))).unwrap()
    };
    assert!(same("nngp") && same("ntk"));
}

#[test]
fn single_precision_states_its_error() {
    let desk = Desk::new();
    let ended = desk.type_in("kernel network.toml --inputs x.npy --out single --storage f32 --json").done();
    for line in ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if line["event"] == "kernel" {
            let error = line["storage_error"].as_f64().unwrap();
            assert!(error > 0.0 && error <= f64::from(f32::EPSILON) / 2.0, "{line}");
        }
    }
    let (double, single) = (desk.path("whole/k.ntk.npy"), desk.path("single.ntk.npy"));
    assert!(fs::metadata(&single).unwrap().len() < fs::metadata(&double).unwrap().len() * 6 / 10);
    let (double, single) = (npy::read(&double).unwrap(), npy::read(&single).unwrap());
    assert!((0..70).all(|i| (0..70).all(|j| single[(i, j)] == f64::from(double[(i, j)] as f32))));
}

/// The words that `--compare` prints about `other`, with its exit code.
fn compared(desk: &Desk, other: &Mat<f64>, rest: &str) -> (Option<i32>, String) {
    npy::write(&desk.path("other.npy"), other).unwrap();
    let ended =
        desk.type_in(&format!("kernel network.toml --inputs x.npy --out compared -q --compare {rest}other.npy"));
    (ended.code, ended.out + &ended.err)
}

#[test]
fn a_kernel_from_elsewhere_is_compared_and_its_difference_named() {
    let desk = Desk::new();
    let read = |name: &str| npy::read(&desk.path(&format!("whole/k.{name}.npy"))).unwrap();
    let (ntk, nngp) = (read("ntk"), read("nngp"));
    let expect = |(code, text): (Option<i32>, String), expected: i32, words: &str| {
        assert_eq!(code, Some(expected), "{text}");
        assert!(text.contains(words), "no \"{words}\" in {text}");
    };
    expect(compared(&desk, &ntk, ""), 0, "the ntk equals other.npy: largest difference 0 of");
    expect(compared(&desk, &nngp, "nngp="), 0, "the nngp equals");
    expect(compared(&desk, &nngp, ""), 1, "likely because it is the NNGP kernel");
    expect(compared(&desk, &(&ntk * 0.5), ""), 1, "0.500000 times as large (perhaps a convention of 1/2");
    let order = |i: usize| (3 * i + 5) % 70;
    let permuted = Mat::from_fn(70, 70, |i, j| ntk[(order(i), order(j))]);
    expect(compared(&desk, &permuted, ""), 1, "likely because its examples are in another order");
    let noise = Mat::from_fn(70, 70, |i, j| ntk[(i, j)] + ((i * j) as f64).sin());
    let unknown = compared(&desk, &noise, "");
    expect(unknown.clone(), 1, "no known difference of conventions explains it");
    expect(unknown, 1, "nearest: ");
    let mut missing = ntk.clone();
    missing[(3, 4)] = f64::NAN;
    expect(compared(&desk, &missing, ""), 2, "row 4, column 5 is NaN");
    expect(compared(&desk, &Mat::zeros(3, 3), ""), 2, "other.npy is 3 x 3, but the ntk here is 70 x 70");
    let doubled = Mat::from_fn(140, 140, |i, j| ntk[(i / 2, j / 2)]);
    expect(compared(&desk, &doubled, ""), 2, "one row for each example and output?");

    let cross = "kernel network.toml --inputs x.npy --right some.npy --out cross -q";
    npy::write(&desk.path("some.npy"), &Mat::from_fn(4, 6, |i, j| (i + j) as f64)).unwrap();
    desk.type_in(cross).done();
    let kernel = npy::read(&desk.path("cross.ntk.npy")).unwrap();
    npy::write(&desk.path("turned.npy"), &kernel.transpose().to_owned()).unwrap();
    let ended = desk.type_in(&format!("{cross} --compare turned.npy"));
    assert!(ended.code == Some(1) && ended.out.contains("likely because it is transposed"), "{ended:?}");
    let refused = desk.type_in(&format!("{cross} --only ntk --compare nngp=turned.npy"));
    refused.refused_with(&["--only ntk leaves it out"]);
    desk.type_in(&format!("{cross} --compare missing.npy")).refused_with(&["cannot read missing.npy"]);
    assert!(desk.type_in(&format!("{cross} --compare other.csv")).code == Some(2));
}

#[test]
fn data_sets_are_sources_of_inputs() {
    let desk = Desk::new();
    let kernel = |inputs: &str, out: &str| {
        desk.type_in(&format!("kernel network.toml --inputs {inputs} --out {out} -q")).done();
        npy::read(&desk.path(&format!("{out}.ntk.npy"))).unwrap()
    };
    let named = kernel("mnist:train:20", "named");
    assert_eq!(named.nrows(), 20);
    // The default preprocessing and seed of an experiment.
    fs::write(desk.path("data.toml"), "[dataset.preprocessing]\ntrain = 20\ntest = 5\n").unwrap();
    assert_eq!(kernel("data.toml:train", "configured"), named);
    assert_eq!(kernel("data.toml:test", "tested").nrows(), 5);
    assert_ne!(kernel("data.toml:test:20", "tested"), named);
    fs::write(desk.path("cnn.toml"), "[network]\nfamily = \"cnn\"\ndepth = 1\n").unwrap();
    // A data set knows the shape of its images.
    desk.type_in("kernel cnn.toml --inputs mnist:test:2 --out cnn -q").done();
    let refuses = |inputs: &str, words: &[&str]| {
        desk.type_in(&format!("kernel network.toml --inputs {inputs} --out none -q")).refused_with(words);
    };
    refuses("mnits:train", &["mnits", "mnist", "NAME:train"]);
    refuses("mnist:train:100000", &["100000", "5000"]);
    refuses("missing.toml:train", &["missing.toml"]);
    refuses("cifar10:train:5", &["cifar10", "widthwise data fetch cifar10"]);
    refuses("mnist", &["--inputs", "mnist:train:2000"]);
    assert!(!Path::new(&desk.path("none.ntk.npy")).exists());
}
