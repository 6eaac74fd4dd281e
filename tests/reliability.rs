//! Kills and full disks while files are written, signals, links, and files of others: nothing of anybody's is lost.
//! The file is long because all cases share one way to disturb a process.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Ended, all_files, assert_equal_files, end, files, program};

const LADDER: &str = r#"
[run]
name = "small"
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
[training]
stop = { steps = 4 }
[probes]
schedule = "ends"
examples = 8
jacobian_examples = 8
"#;

/// Explained afterwards; without the optional measurements.
const RUN: &str = r#"
[run]
name = "why"
members = 2
precision = "f64"
keep_weights = true
[dataset]
source = { name = "teacher-student", input_dim = 10, teacher_width = 3, train = 8, test = 8 }
[dataset.preprocessing]
train = 8
test = 8
[network]
depth = 1
width = 16
activation = "erf"
[training]
learning_rate = { critical = 0.1 }
stop = { steps = 6 }
[probes]
schedule = "ends"
examples = 6
jacobian_examples = 4
"#;

const RECIPE: &str = "reproduce jacot2018-circle --size tiny -q --out";

/// A folder with configurations.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("ladder.toml", LADDER);
        desk.write("run.toml", RUN);
        desk.write("net.toml", "[network]\ndepth = 2\nactivation = \"erf\"\n");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.args(line.split_whitespace()).current_dir(self.0.path());
        command
    }

    fn type_in(&self, line: &str) -> Ended {
        end(&mut self.command(line))
    }

    #[track_caller]
    fn killed_at(&self, line: &str, point: &str) {
        let mut command = self.command(line);
        command.stdout(Stdio::null()).stderr(Stdio::null()).env("WIDTHWISE_KILL_AT", point);
        assert!(command.status().unwrap().signal().is_some(), "{point} was never passed");
    }

    /// As on a disk that takes no file beyond so many blocks.
    fn on_a_full_disk(&self, line: &str, blocks: u32) -> Ended {
        let limited = format!("ulimit -f {blocks}; exec \"$0\" {line}");
        let own = self.command("");
        let mut shell = Command::new("bash");
        shell.args(["-c", &limited]).arg(own.get_program()).current_dir(self.0.path());
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        end(&mut shell)
    }
}

#[track_caller]
fn assert_no_parts(folder: &Path, what: &str) {
    let parts: Vec<_> =
        all_files(folder).into_keys().filter(|path| path.to_string_lossy().ends_with(".part")).collect();
    assert!(parts.is_empty(), "{what}: {parts:?} are left over");
}

#[test]
fn a_recipe_killed_while_it_writes_goes_on() {
    let desk = Desk::new();
    let code = desk.type_in(&format!("{RECIPE} whole")).code;
    assert!(matches!(code, Some(0 | 3)), "{code:?}");
    let whole = files(&desk.path("whole"));
    let places = ["in_write", "before_rename", "after_rename"];
    let mut points: Vec<String> = ["numbers.csv", "figure.svg", "table.csv", "table.md", "width_00032.toml"]
        .iter()
        .flat_map(|file| places.map(|place| format!("{file}.{place}:1")))
        .collect();
    // The manifest is written at the start, before the first result and after the last.
    points.extend(places.iter().flat_map(|place| [1, 2].map(|pass| format!("recipe.json.{place}:{pass}"))));
    points.extend(["recipe.json.in_write:3", "recipe.json.before_rename:3"].map(str::to_owned));
    for point in &points {
        let line = format!("{RECIPE} {point}");
        desk.killed_at(&line, point);
        assert_eq!(desk.type_in(&line).code, code, "{point}");
        assert_equal_files(&files(&desk.path(point)), &whole, point);
    }
    // After the last write it is done.
    desk.killed_at(&format!("{RECIPE} done"), "recipe.json.after_rename:3");
    desk.type_in(&format!("{RECIPE} done")).refused_with(&["holds results already", "--force"]);
    assert_equal_files(&files(&desk.path("done")), &whole, "done");
    // While it replaces other results, which are not half of the new ones then.
    for point in ["numbers.csv.in_write:1", "table.csv.after_rename:1", "recipe.json.before_rename:2"] {
        desk.killed_at(&format!("{RECIPE} done --force"), point);
        assert_eq!(desk.type_in(&format!("{RECIPE} done")).code, code, "{point}");
        assert_equal_files(&files(&desk.path("done")), &whole, point);
    }
}

#[test]
fn a_recipe_of_which_a_file_is_gone_is_not_done() {
    let desk = Desk::new();
    let line = format!("{RECIPE} out");
    let code = desk.type_in(&line).code;
    let whole = files(&desk.path("out"));
    fs::remove_file(desk.path("out/table.csv")).unwrap();
    assert_eq!(desk.type_in(&line).code, code);
    assert_equal_files(&files(&desk.path("out")), &whole, "made again");
}

#[test]
fn a_ladder_killed_anywhere_ends_with_its_configuration() {
    let desk = Desk::new();
    let line = |name: &str| format!("ladder ladder.toml --widths 4,8,16 --seeds 2 -q --out {name}");
    let code = desk.type_in(&line("whole")).code;
    let whole = files(&desk.path("whole"));
    assert!(whole.contains_key(Path::new("config.toml")), "{:?}", whole.keys());
    let names = ["ladder.json", "config.toml", "member_000.csv", "ladder.csv", "means.csv", "fits.csv"];
    for point in
        names.iter().flat_map(|file| ["in_write", "before_rename", "after_rename"].map(|p| format!("{file}.{p}:1")))
    {
        desk.killed_at(&line(&point), &point);
        assert_eq!(desk.type_in(&line(&point)).code, code, "{point}");
        assert_equal_files(&files(&desk.path(&point)), &whole, &point);
    }
    fs::remove_file(desk.path("whole/config.toml")).unwrap();
    assert_eq!(desk.type_in(&line("whole")).code, code);
    assert_equal_files(&files(&desk.path("whole")), &whole, "a lost configuration");
}

#[test]
fn an_explanation_killed_while_it_writes_goes_on() {
    let desk = Desk::new();
    desk.type_in("run run.toml -q --output run").ran();
    let copy = |name: &str| {
        for (path, bytes) in all_files(&desk.path("run")) {
            desk.write(&format!("{name}/{}", path.display()), bytes);
        }
        format!("explain {name} -q")
    };
    desk.type_in(&copy("whole")).done();
    let whole = files(&desk.path("whole"));
    let names = [
        "settings.json",
        "member_000.csv",
        "member_001.forecast.csv",
        "error_budget.csv",
        "forecast.csv",
        "report.html",
    ];
    for point in names.iter().flat_map(|file| ["in_write", "after_rename"].map(|place| format!("{file}.{place}:1"))) {
        let line = copy(&point);
        desk.killed_at(&line, &point);
        desk.type_in(&line).done();
        assert_equal_files(&files(&desk.path(&point)), &whole, &point);
    }
    // With other settings what was explained before goes, and what is another's stays.
    desk.write("whole/explain/notes.txt", "mine");
    desk.killed_at("explain whole -q --quadratic", "settings.json.before_rename:1");
    assert!(!desk.path("whole/explain/member_000.csv").exists());
    desk.type_in("explain whole -q").done();
    assert_eq!(fs::read(desk.path("whole/explain/notes.txt")).unwrap(), b"mine");
    fs::remove_file(desk.path("whole/explain/notes.txt")).unwrap();
    assert_equal_files(&files(&desk.path("whole")), &whole, "explained again");
}

#[test]
fn a_full_disk_is_told_and_nothing_has_to_be_removed_before_the_next_try() {
    let desk = Desk::new();
    let lines = [
        "reproduce jacot2018-circle --size tiny -q --out",
        "ladder ladder.toml --widths 4,8,16 --seeds 2 -q --out",
        "run run.toml -q --output",
    ];
    for (number, line) in lines.into_iter().enumerate() {
        let (whole, full) = (format!("whole_{number}"), format!("full_{number}"));
        let code = desk.type_in(&format!("{line} {whole}")).code;
        let mut refusals = 0;
        for blocks in [0, 1, 2, 4, 6, 12] {
            let ended = desk.on_a_full_disk(&format!("{line} {full}{}", resume(number, &desk.path(&full))), blocks);
            if ended.code == code {
                break;
            }
            refusals += 1;
            ended.refused_with(&["cannot write"]);
            if desk.path(&full).exists() {
                assert_no_parts(&desk.path(&full), line);
            }
        }
        assert!(refusals > 1, "{line}: the disk was never full");
        let ended = desk.type_in(&format!("{line} {full}{}", resume(number, &desk.path(&full))));
        // Where room was enough at the end, it is done already.
        assert!(ended.code == code || ended.err.contains("already"), "{line}: {ended:?}");
        assert_equal_files(&files(&desk.path(&full)), &files(&desk.path(&whole)), line);
    }
}

/// What a run needs to go on.
fn resume(number: usize, folder: &Path) -> &'static str {
    if number == 2 && folder.join("manifest.json").is_file() { " --resume" } else { "" }
}

#[test]
fn the_start_of_a_configuration_is_written_whole_or_not_at_all() {
    let desk = Desk::new();
    let full = desk.on_a_full_disk("config init new.toml", 1);
    full.refused_with(&["cannot write new.toml"]);
    assert!(!desk.path("new.toml").exists());
    desk.type_in("config init new.toml").done();
}

/// Starts `line`, sends `signal` when it is at work, and gives its end and how long that took.
fn stopped_by(desk: &Desk, line: &str, signal: &str) -> (Ended, Duration) {
    let child = desk.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let since = Instant::now();
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "{line} was over before the signal");
    (child.wait_with_output().unwrap().into(), since.elapsed())
}

#[test]
fn every_command_ends_with_130_soon_after_a_signal() {
    let desk = Desk::new();
    let row = |i: usize| (0..6).map(|j| format!("{}", ((7 * i + 3 * j) as f64).sin())).collect::<Vec<_>>().join(",");
    let rows = |count: usize| (0..count).map(|i| row(i) + "\n").collect::<String>();
    desk.write("x.csv", rows(1500));
    desk.write("y.csv", (0..1500).map(|i| format!("{}\n", i % 2)).collect::<String>());
    desk.write("few.csv", rows(4));
    fs::create_dir(desk.path("download")).unwrap();
    // Without a byte on the disk, but with a checksum to compute.
    File::create(desk.path("download/cifar-10-binary.tar.gz")).unwrap().set_len(64 << 30).unwrap();
    let deep = "--set network.depth=3000 --set network.activation=gelu";
    let lines = [
        format!("predict net.toml --train x.csv --targets y.csv --out p.csv {deep}"),
        "monte-carlo net.toml --inputs few.csv --out m --width 512 --members 1000000".to_owned(),
        "data import download --data-dir data".to_owned(),
        format!("kernel net.toml --inputs x.csv --out k --tile 1500 {deep}"),
        "run run.toml --output slow --set training.stop.steps=1000000000".to_owned(),
        "run --output theory --set network.depth=3000 --set network.width=1 --set network.activation=gelu --set \
         dataset.preprocessing.train=2000 --set probes.examples=2000 --set probes.jacobian_examples=2 --set probes.ntk=false --set claims.required=[] --set training.learning_rate={absolute=1e-3}"
            .to_owned(),
        "ladder ladder.toml --widths 64,128,256 --seeds 2 --out l --set training.stop.steps=10000000".to_owned(),
        "reproduce lee2019-widths --full --out r".to_owned(),
        "bench train --repeats 1000".to_owned(),
    ];
    for (number, line) in lines.iter().enumerate() {
        let signal = ["TERM", "USR1", "INT"][number % 3];
        let (ended, took) = stopped_by(&desk, line, signal);
        assert_eq!(ended.code, Some(130), "{line}: {ended:?}");
        // A run before its first step has nothing to say.
        let is_told = ended.err.contains("stopped") || ended.out.contains("stopped");
        assert!(is_told || line.contains("--output theory"), "{line}: {ended:?}");
        assert!(took < Duration::from_secs(10), "{line}: {took:?}");
    }
    let (ended, _) = stopped_by(&desk, &lines[0], "USR1");
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.err.contains("stopped by SIGUSR1"), "{ended:?}");
    fs::remove_dir_all(desk.path("download")).unwrap();
    // Unfinished files go, but for what the same command continues.
    for path in all_files(desk.0.path()).into_keys().filter(|path| path.to_string_lossy().ends_with(".part")) {
        assert!(path.to_string_lossy().starts_with("k."), "{} is left over", path.display());
    }
}

#[test]
fn a_part_that_another_writes_is_waited_for_and_left_to_it() {
    let desk = Desk::new();
    // The writer of a part is waited for; that is when the signal comes.
    fs::create_dir_all(desk.path("out")).unwrap();
    let part = desk.path("out/.t.toml.part");
    let held = File::create(&part).unwrap();
    held.lock().unwrap();
    let (ended, _) = stopped_by(&desk, "config init out/t.toml --force", "TERM");
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(part.exists(), "the part of another was removed");
    drop(held);
    desk.type_in("config init out/t.toml --force").done();
    assert!(!part.exists() && desk.path("out/t.toml").is_file());
}

#[test]
fn no_link_in_the_place_of_a_temporary_file_is_followed() {
    let desk = Desk::new();
    desk.write("x.csv", "1,2,3\n4,5,6\n");
    desk.type_in("run run.toml -q --output done").ran();
    let cases = [
        ("a/.manifest.json.part", "run run.toml -q --output a"),
        ("b/.ladder.json.part", "ladder ladder.toml --widths 4,8,16 --seeds 2 -q --out b"),
        ("c/.recipe.json.part", "reproduce jacot2018-circle --size tiny -q --out c"),
        ("d/.t.csv.part", "table done --out d/t.csv"),
        ("e/k.nngp.npy.part", "kernel net.toml --inputs x.csv --out e/k"),
        ("f/.p.predictions.csv.part", "predict net.toml --train x.csv --targets x.csv --test x.csv --out f/p"),
        ("g/.c.toml.part", "config init g/c.toml --force"),
        ("h/.m.ntk.npy.part", "monte-carlo net.toml --inputs x.csv --members 2 --width 8 --out h/m"),
    ];
    for (link, line) in cases {
        for precious in ["precious.txt", "absent.txt"] {
            desk.write("precious.txt", "precious");
            let link = desk.path(link);
            let _ = fs::remove_dir_all(link.parent().unwrap());
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(desk.path(precious), &link).unwrap();
            let ended = desk.type_in(line);
            assert!(matches!(ended.code, Some(0 | 1 | 3)), "{line}: {ended:?}");
            assert!(!link.is_symlink(), "{line}");
            assert_eq!(fs::read(desk.path("precious.txt")).unwrap(), b"precious", "{line}");
            assert!(!desk.path("absent.txt").exists(), "{line}");
        }
    }
    // What has to stay between commands is refused as a link.
    for (link, line) in [
        ("i/.lock", "run run.toml -q --output i"),
        ("j/k.journal", "kernel net.toml --inputs x.csv --out j/k"),
        ("l/.lock", "reproduce jacot2018-circle --size tiny -q --out l"),
    ] {
        let link = desk.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(desk.path("absent.txt"), &link).unwrap();
        desk.type_in(line).refused_with(&["is a link", "remove it"]);
        assert!(!desk.path("absent.txt").exists(), "{line}");
    }
}

#[test]
fn a_manifest_of_another_program_makes_no_run() {
    let desk = Desk::new();
    let manifests = [
        ("extension", r#"{"manifest_version": 3, "name": "mine", "version": "1.0"}"#),
        ("array", "[1, 2]"),
        ("half", "{\"schema_version\": 1, \"run\""),
        ("data", r#"{"schema_version": 1, "config_hash": "abc"}"#),
        ("empty", ""),
    ];
    for (name, manifest) in manifests {
        desk.write(&format!("{name}/manifest.json"), manifest);
        for file in ["results.csv", "config.toml", "figures/graph.svg", "members/list.txt", "report.html"] {
            desk.write(&format!("{name}/{file}"), "mine");
        }
        let before = all_files(&desk.path(name));
        for flags in ["", "--resume", "--force"] {
            let line = format!("run run.toml -q --output {name} {flags}");
            desk.type_in(&line).refused_with(&["no run of this program", "manifest.json", "--output"]);
            assert_equal_files(&all_files(&desk.path(name)), &before, &line);
        }
    }
    // Nor does a checkpoint of another program.
    desk.write("other/checkpoint.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    desk.type_in("run run.toml -q --output other --force").refused_with(&["no run of this program"]);
    // A manifest that was lost or damaged is replaced together with its run, which the checkpoint proves.
    desk.killed_at("run run.toml -q --output own", "outcome.json.after_rename:1");
    desk.write("own/manifest.json", "{\"half");
    desk.type_in("run run.toml -q --output own --force").ran();
}

#[test]
fn force_removes_only_what_a_run_makes() {
    let desk = Desk::new();
    desk.type_in("run run.toml -q --output out --set explain.members=2").ran();
    let mine = [
        "figures/mine.svg",
        "kernels/nngp_infinite.npy.txt",
        "members/000/notes.txt",
        "members/000/own.npy",
        "members/list.csv",
        "explain/member_x.csv",
        "explain/deep/settings.json",
        "thesis.tex",
    ];
    for name in mine {
        desk.write(&format!("out/{name}"), "mine");
    }
    // Fewer members and no explanation: what is left of the first run would show.
    let line = "run run.toml -q --set run.members=1 --set probes.ntk=false --set run.keep_weights=false --output";
    desk.type_in(&format!("{line} out --force")).ran();
    for name in mine {
        assert_eq!(fs::read(desk.path("out").join(name)).unwrap(), b"mine", "{name}");
        fs::remove_file(desk.path("out").join(name)).unwrap();
    }
    desk.type_in(&format!("{line} expected")).ran();
    assert_equal_files(&files(&desk.path("out")), &files(&desk.path("expected")), "replaced");
}

/// A run whose files say what no run says.
fn spoilt(desk: &Desk, name: &str, file: &str, from: &str, to: &str) {
    for (path, bytes) in all_files(&desk.path("run")) {
        desk.write(&format!("{name}/{}", path.display()), bytes);
    }
    let path = desk.path(name).join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn nothing_that_a_file_says_moves_the_terminal() {
    let desk = Desk::new();
    desk.type_in("run run.toml -q --output run").ran();
    const ESCAPE: &str = "\x1b[2J\u{9b}31m\x07\u{202e}";
    desk.write("x.csv", "1,2,3\n4,5,6\n");
    desk.write("cell.csv", format!("1,2\n3,{ESCAPE}\n"));
    desk.write(&format!("{ESCAPE}.csv"), "1,2\nx,y\n");
    desk.write("value.toml", "[network]\nactivation = \"\\u001b[2J\\u009b31m\\u0007\"\n");
    desk.write("key.toml", "[network]\n\"\\u001b[2J\\u009b\" = 3\n");
    desk.write("syntax.toml", format!("[network]\nactivation = {ESCAPE}\n"));
    desk.write("name.toml", RUN.replace("\"why\"", "\"\\u001b[2Jwhy\""));
    spoilt(&desk, "manifest", "manifest.json", "\"why\"", "\"\\u001b[2J\\u009b31mwhy\"");
    spoilt(&desk, "results", "results.csv", "teacher-student", ESCAPE);
    spoilt(&desk, "number", "results.csv", ",why,", &format!(",{ESCAPE},"));
    spoilt(&desk, "header", "results.csv", "quantity", ESCAPE);
    spoilt(&desk, "json", "manifest.json", "\"outcome\": \"", &format!("\"outcome\": \"{}", "\\u001b[2J\\u009b"));
    let name = format!("{ESCAPE}.csv");
    let lines = [
        vec!["kernel", "net.toml", "--out", "k", "--inputs", "cell.csv"],
        vec!["kernel", "net.toml", "--out", "k", "--inputs", &name],
        vec!["predict", "net.toml", "--out", "p", "--train", "x.csv", "--targets", "cell.csv"],
        vec!["config", "check", "value.toml"],
        vec!["config", "check", "key.toml"],
        vec!["config", "check", "syntax.toml"],
        vec!["--json", "config", "check", "name.toml"],
        vec!["-v", "config", "check", "name.toml"],
        vec!["config", "check", ESCAPE],
        vec!["table", "manifest", "results"],
        vec!["--json", "table", "manifest", "results"],
        vec!["check", "number"],
        vec!["check", "header"],
        vec!["check", "json"],
        vec!["report", "header"],
        vec!["data", "info", ESCAPE],
        vec!["run", "name.toml", "--dry-run"],
    ];
    let mut quoted = 0;
    for line in lines {
        let mut command = desk.command("");
        let ended = end(command.args(&line));
        for text in [&ended.out, &ended.err] {
            let is_command =
                |c: char| c.is_control() && c != '\n' && c != '\t' || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!text.contains(is_command), "{line:?}: {ended:?}");
            quoted += usize::from(text.to_lowercase().contains("1b"));
        }
        assert!(matches!(ended.code, Some(0..=3)), "{line:?}: {ended:?}");
    }
    assert!(quoted > 10, "only {quoted} messages quote what was found");
}

#[test]
fn a_table_hands_no_formula_on() {
    let desk = Desk::new();
    desk.type_in("run run.toml -q --output run").ran();
    for (number, formula) in ["=HYPERLINK(1)", "+1+1", "-1+1", "@SUM(A1)", "\\tx"].into_iter().enumerate() {
        let name = format!("spoilt_{number}");
        spoilt(&desk, &name, "manifest.json", "\"run\": \"why\"", &format!("\"run\": \"{formula}\""));
        let table = desk.type_in(&format!("table {name}")).done().out;
        let shown = formula.replace("\\t", "\t");
        assert!(table.lines().skip(1).all(|line| line.starts_with(&format!("'{shown},"))), "{table}");
        desk.type_in(&format!("table {name} --out t.csv")).done();
        assert_eq!(fs::read_to_string(desk.path("t.csv")).unwrap(), table);
        // A program that reads JSON gets the text as it is.
        let json = desk.type_in(&format!("--json table {name}")).done().out;
        let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(first["run"], shown.as_str());
    }
    // Negative numbers stay numbers.
    let table = desk.type_in("table run").done().out;
    assert!(table.contains(",-") && !table.contains('\''), "{table}");
}
