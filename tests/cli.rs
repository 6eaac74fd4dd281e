//! The interface that scripts rely on: exit codes, headers of tables, JSON lines, silence, and what each command writes.
//! The file is long because it is a list of what each command promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use faer::Mat;
use serde_json::Value;
use tempfile::TempDir;
use widthwise::config::load;
use widthwise::network::build_architecture;
use widthwise::record::npy;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::kernel::{Inputs, kernels};

use crate::program::{Ended, all_files, assert_equal_files, end, files, program, type_in, widthwise};

const COMMANDS: [&str; 9] = ["run", "check", "report", "table", "data", "kernel", "predict", "config", "completions"];

/// An agreement that is easy to reach: one claim, and a resolution that any error meets.
const AGREEING: &str = r#"
[run]
name = "agreeing"
members = 8
[dataset.preprocessing]
train = 24
test = 12
[network]
depth = 1
width = 64
[training.stop]
steps = 4
[probes]
examples = 12
jacobian_examples = 6
[claims]
required = ["nngp_mean_diagonal"]
resolution = 100.0
"#;

/// One complete run for the tests that only read it.
struct Run {
    folder: TempDir,
    ended: Ended,
}

impl Run {
    fn agreeing() -> &'static Self {
        static RUN: OnceLock<Run> = OnceLock::new();
        RUN.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("experiment.toml"), AGREEING).unwrap();
            let mut run = program();
            let ended = end(run.args(["run", "experiment.toml", "--output", "out"]).current_dir(folder.path()));
            Run { folder, ended }
        })
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The program in a folder where `out` is the run.
    fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command
    }

    fn type_in(&self, line: &str) -> Ended {
        end(&mut self.command(line))
    }
}

fn header(path: &Path) -> String {
    fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned()
}

/// The objects on standard output, one a line.
#[track_caller]
fn objects(ended: &Ended) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    let objects: Vec<Value> = ended.out.lines().map(parse).collect();
    assert!(!objects.is_empty() && objects.iter().all(Value::is_object), "{ended:?}");
    objects
}

fn events(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["event"].as_str().unwrap()).collect()
}

#[test]
fn tables_have_the_columns_that_others_read() {
    let run = Run::agreeing();
    assert_eq!(
        header(&run.output().join("results.csv")),
        "schema_version,run,seed,members,dataset,family,parameterization,width,depth,step,flow_time,quantity,unit,\
         layer_from,layer,measured,std_error,se_method,kind,method,ceiling,flag,predicted,z,verdict"
    );
    assert_eq!(
        header(&run.output().join("training.csv")),
        "schema_version,run,member,step,epoch,flow_time,train_loss,test_loss,train_accuracy,test_accuracy,batch_loss"
    );
    assert_eq!(header(&run.output().join("times.csv")), "member,step,phase,wall_time_s");
    assert_eq!(
        run.type_in("table out").done().out.lines().next().unwrap(),
        "run,config_hash,outcome,schema_version,seed,members,dataset,family,parameterization,width,depth,step,\
         flow_time,quantity,unit,layer_from,layer,measured,std_error,se_method,kind,method,ceiling,flag,predicted,z,verdict"
    );
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let run = Run::agreeing();
    assert_eq!(run.ended.code, Some(0), "{:?}", run.ended);
    let agrees = run.type_in("check out");
    assert_eq!(agrees.code, Some(0), "{agrees:?}");
    assert!(agrees.out.contains("agrees: required comparisons: 1 agree"), "{agrees:?}");
    // The same run against a theory that is wrong on purpose.
    let before = all_files(&run.output());
    let disagrees = run.type_in("check out --control sigma-w2-factor=10");
    assert_eq!(disagrees.code, Some(1), "{disagrees:?}");
    assert!(disagrees.out.contains("disagrees:"), "{disagrees:?}");
    assert_equal_files(&all_files(&run.output()), &before, "a check writes nothing");
    // Nothing is required, so nothing is decided.
    let undecided =
        run.type_in("run experiment.toml -q --output undecided --set claims.required=[] --set run.members=2");
    assert_eq!(undecided.code, Some(3), "{undecided:?}");
    assert_eq!(run.type_in("check undecided").code, Some(3));
    let diverging = "run experiment.toml -q --output diverged --set training.learning_rate.critical=1e6 \
                     --set training.stop.steps=100 --set run.members=2";
    assert_eq!(run.type_in(diverging).code, Some(1));
    // One of the four verdicts is that of the run that ended with it.
    let changed = "run experiment.toml -q --output spoilt --set control.sigma_w2_factor=10.0";
    assert_eq!((run.type_in(changed).code, run.type_in("check spoilt").code), (Some(1), Some(1)));
    assert_eq!(run.type_in("run out/config.toml --output out --resume -q").code, Some(0), "complete already");
    let diverged = run.type_in("check diverged");
    assert!(diverged.code == Some(1) && diverged.out.contains("a network diverged"), "{diverged:?}");
    run.type_in("check nowhere").refused_with(&["nowhere is no folder of a run"]);
    for wrong in ["", "fly", "run --depth 3", "run -q -v", "check", "data fetch", "run --threads 0"] {
        assert_eq!(type_in(wrong).code, Some(2), "{wrong}");
    }
    for right in ["--help", "--version", "help run", "run -h"] {
        assert_eq!(type_in(right).code, Some(0), "{right}");
    }
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let run = Run::agreeing();
    let before = all_files(run.folder.path());
    let ended = run.type_in("run experiment.toml --dry-run --output planned").done();
    for word in ["data: ", "network: mlp of depth 1 and width 64", "8 members", "4 steps", "memory: ", "disk: "] {
        assert!(ended.out.contains(word), "no \"{word}\" in {}", ended.out);
    }
    assert!(!run.folder.path().join("planned").exists());
    let plan = run.type_in("run experiment.toml --dry-run --json").done();
    assert!(objects(&plan).iter().all(|object| object["event"] == "plan"));
    let after = all_files(run.folder.path());
    assert!(before.keys().all(|path| before.get(path) == after.get(path)));
    assert!(!run.folder.path().join("runs").exists());
}

#[test]
fn quiet_leaves_the_verdict_only() {
    let run = Run::agreeing();
    let short = "--set run.members=2 --set claims.required=[]";
    let loud = run.type_in(&format!("run experiment.toml --output loud {short}")).ran();
    assert!(loud.err.contains("data: bundled MNIST subset") && loud.out.contains("nngp_mean_diagonal"), "{loud:?}");
    let quiet = run.type_in(&format!("run experiment.toml -q --output quiet {short}")).ran();
    assert_eq!(quiet.err, "");
    assert_eq!(quiet.out.lines().count(), 2, "{quiet:?}");
    assert!(quiet.out.starts_with("undecided: ") && quiet.out.ends_with("report: quiet/report.html\n"), "{quiet:?}");
    assert_eq!(run.type_in("check -q out").done().out.lines().count(), 1);
    // Saying less changes no result.
    assert_equal_files(&files(&run.folder.path().join("quiet")), &files(&run.folder.path().join("loud")), "quiet");
}

#[test]
fn json_is_one_object_a_line_and_nothing_else() {
    let run = Run::agreeing();
    let ended = run.type_in("run experiment.toml --json --output json --set run.members=2").ran();
    assert_eq!(ended.err, "");
    let lines = objects(&ended);
    let events_of_run = events(&lines);
    for event in ["note", "started", "step", "probe", "trained", "claim", "verdict", "end"] {
        assert!(events_of_run.contains(&event), "no {event} in {events_of_run:?}");
    }
    assert_eq!(lines.last().unwrap()["outcome"], "finished");
    let check = run.type_in("check out --json").done();
    assert_eq!(objects(&check).last().unwrap()["verdict"], "agrees");
    for (line, event) in [
        ("report out --json", "report"),
        ("table out --out joined.csv --json", "table"),
        ("data list --json", "dataset"),
        ("data info mnist --json", "dataset"),
        ("data info twelve-bit --json", "dataset"),
        ("config check experiment.toml --json", "config"),
    ] {
        assert_eq!(events(&objects(&run.type_in(line).done()))[0], event, "{line}");
    }
    let table = objects(&run.type_in("table out --json").done());
    assert!(table.iter().all(|row| row["quantity"].is_string() && row["measured"].is_number()));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let run = Run::agreeing();
    assert!(!run.type_in("check out").out.contains('\x1b'), "no terminal, no colour");
    // A terminal of the system's, which holds both standard output and standard error.
    let on_terminal = |set: &[(&str, &str)]| {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{} check out", env!("CARGO_BIN_EXE_widthwise")), "/dev/null"]);
        command.env_remove("NO_COLOR").env("TERM", "xterm").envs(set.iter().copied());
        command.stdin(Stdio::null()).current_dir(run.folder.path()).output()
    };
    let Ok(plain) = on_terminal(&[]) else {
        eprintln!("skipped: no `script` to make a terminal");
        return;
    };
    let coloured = |output: &[u8]| String::from_utf8_lossy(output).contains("\x1b[32magrees");
    assert!(coloured(&plain.stdout), "{plain:?}");
    for set in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let output = on_terminal(&set).unwrap().stdout;
        let text = String::from_utf8_lossy(&output);
        assert!(text.contains("agrees") && !text.contains("\x1b["), "{set:?}: {text}");
    }
    assert!(coloured(&on_terminal(&[("NO_COLOR", "")]).unwrap().stdout), "an empty NO_COLOR is none");
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let overview = type_in("--help").done().out;
    for command in COMMANDS {
        assert!(overview.contains(&format!("  widthwise {command}")), "{command} is not in the overview");
        let help = type_in(&format!("{command} --help")).done().out;
        assert!(help.contains("Example") && help.contains(&format!("\n  widthwise {command}")), "{command}: {help}");
    }
    assert!(overview.contains("Exit codes") && overview.contains("130"), "{overview}");
    assert_eq!(type_in("--version").done().out, format!("widthwise {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = type_in(&format!("completions {shell}")).done().out;
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("data-dir") && script.contains("force"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("widthwise.bash");
    fs::write(&file, type_in("completions bash").out).unwrap();
    match Command::new("bash").arg("-n").arg(&file).status() {
        Ok(status) => assert!(status.success(), "bash does not read its completions"),
        Err(_) => eprintln!("skipped: no bash"),
    }
}

#[test]
fn a_fresh_configuration_is_valid_and_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let type_in = |line: &str| end(program().args(line.split(' ')).current_dir(folder.path()));
    assert!(type_in("config init").done().out.contains("experiment.toml written"));
    let written = fs::read_to_string(folder.path().join("experiment.toml")).unwrap();
    assert_eq!(type_in("config init -").done().out, written);
    type_in("config init").refused_with(&["experiment.toml exists already", "--force"]);
    type_in("config init --force").done();
    let valid = type_in("config check experiment.toml").done();
    assert_eq!(valid.out, "experiment.toml: valid; 16 x mlp of depth 3 and width 1024 on mnist\n");
    // What -v prints is a configuration itself, and the same one.
    let resolved = type_in("config check experiment.toml -v").done().out;
    let (resolved, _) = resolved.rsplit_once("\nexperiment.toml: valid").unwrap();
    fs::write(folder.path().join("resolved.toml"), resolved).unwrap();
    let again = type_in("config check resolved.toml -v").done().out;
    assert!(again.starts_with(resolved), "{again}");
}

/// Inputs of five examples with three values each.
fn inputs() -> Mat<f64> {
    Mat::from_fn(5, 3, |i, j| ((7 * i + 3 * j) as f64).sin() / 3.0 + 0.1)
}

fn csv_of(matrix: &Mat<f64>) -> String {
    let row = |i| (0..matrix.ncols()).map(|j| format!("{:?}", matrix[(i, j)])).collect::<Vec<_>>().join(",");
    (0..matrix.nrows()).map(|i| row(i) + "\n").collect()
}

/// Asserts that both files of a kernel hold `expected` to the last bit, the text with 17 significant digits.
#[track_caller]
fn assert_kernel(prefix: &Path, name: &str, expected: &Mat<f64>) {
    let file = |ending| PathBuf::from(format!("{}.{name}.{ending}", prefix.display()));
    assert_eq!(&npy::read(&file("npy")).unwrap(), expected, "{name}");
    let text = fs::read_to_string(file("csv")).unwrap();
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((cells.len(), cells[0].len()), (expected.nrows(), expected.ncols()));
    for (i, row) in cells.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            assert_eq!(cell.parse::<f64>().unwrap(), expected[(i, j)], "{name} {i} {j}");
            let digits = cell.split('e').next().unwrap().chars().filter(char::is_ascii_digit).count();
            assert_eq!(digits, 17, "{cell}");
        }
    }
}

#[test]
fn kernels_of_files_are_those_of_theory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let network = "[network]\ndepth = 3\nactivation = \"erf\"\nsigma_w2 = 1.5\nsigma_b2 = 0.05\n";
    fs::write(path("network.toml"), network).unwrap();
    let left = inputs();
    let right = Mat::from_fn(2, 3, |i, j| left[(i + 1, j)] + 0.25);
    fs::write(path("left.csv"), "a,b,c\n".to_owned() + &csv_of(&left)).unwrap();
    npy::write(&path("left.npy"), &left).unwrap();
    npy::write(&path("right.npy"), &right).unwrap();

    let network = load(Some(&path("network.toml")), &[]).unwrap().network.clone();
    let shape = InputShape::flat(3);
    let architecture = build_architecture(&network, shape, 1, None).unwrap();
    let flat = |m: &Mat<f64>| {
        Inputs::new(m.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect(), shape)
    };
    let (left, right) = (flat(&left).unwrap(), flat(&right).unwrap());
    let square = kernels(&architecture, &left, None).unwrap();
    let cross = kernels(&architecture, &left, Some(&right)).unwrap();

    for (line, prefix, expected) in [
        ("kernel network.toml --inputs left.csv --out from_csv", "from_csv", &square),
        ("kernel network.toml --inputs left.npy --out from_npy --threads 1 --tile 2", "from_npy", &square),
        ("kernel network.toml --inputs left.csv --right right.npy --out cross", "cross", &cross),
    ] {
        let ended = end(program().args(line.split(' ')).current_dir(folder.path())).done();
        assert!(ended.out.contains(&format!("{prefix}.ntk.npy")), "{ended:?}");
        assert_kernel(&path(prefix), "nngp", &expected.nngp);
        assert_kernel(&path(prefix), "ntk", &expected.ntk);
    }
    let json = end(program()
        .args("kernel network.toml --inputs left.csv --out j --json".split(' '))
        .current_dir(folder.path()));
    assert_eq!(events(&objects(&json.done())), ["progress", "kernel", "kernel", "memory"]);
}

#[test]
fn a_table_joins_the_ends_of_runs() {
    let run = Run::agreeing();
    run.type_in(
        "run experiment.toml -q --output narrow --set network.width=16 --set run.members=2 --set claims.required=[]",
    )
    .ran();
    let alone: Vec<usize> =
        ["out", "narrow"].map(|name| run.type_in(&format!("table {name}")).done().out.lines().count() - 1).to_vec();
    let joined = run.type_in("table out narrow").done().out;
    assert_eq!(joined.lines().count(), 1 + alone.iter().sum::<usize>());
    let written = run.type_in("table out narrow --out both.csv").done();
    assert!(written.out.contains("rows of 2 runs in both.csv"), "{written:?}");
    assert_eq!(fs::read_to_string(run.folder.path().join("both.csv")).unwrap(), joined);
    run.type_in("table out nowhere --out none.csv").refused_with(&["nowhere"]);
    assert!(!run.folder.path().join("none.csv").exists());
    // A ladder lies next to runs, in whatever matches `runs/*`.
    run.type_in("ladder experiment.toml -q --coordinates --widths 8..32 --seeds 2 --out rungs").ran();
    let beside = run.type_in("table out rungs narrow").done();
    assert_eq!(beside.out, joined);
    assert!(beside.err.contains("left out: rungs is a ladder"), "{beside:?}");
    run.type_in("table rungs").refused_with(&["rungs is no run", "give the folder of a run"]);
}

#[test]
fn a_report_is_drawn_again_byte_for_byte() {
    let run = Run::agreeing();
    run.type_in("run experiment.toml -q --output drawn --set run.members=2").ran();
    let folder = run.folder.path().join("drawn");
    let before = all_files(&folder);
    assert!(before.keys().any(|path| path.starts_with("figures")));
    fs::remove_dir_all(folder.join("figures")).unwrap();
    fs::remove_file(folder.join("report.html")).unwrap();
    run.type_in("report drawn").done();
    assert_equal_files(&all_files(&folder), &before, "drawn again");
}

#[test]
fn data_sets_are_listed_described_and_imported() {
    let list = type_in("data list").done().out;
    for name in widthwise_datasets::spec::NAMES {
        assert!(list.lines().any(|line| line.starts_with(name)), "{name}");
        type_in(&format!("data info {name}")).done();
    }
    let info = type_in("data info cifar10").done().out;
    for word in ["terms", "data_batch_1.bin", "address", "not here; `widthwise data fetch cifar10`"] {
        assert!(info.contains(word), "no {word} in {info}");
    }
    type_in("data info mnits").refused_with(&["no data set is called \"mnits\"", "mnist"]);
    type_in("data fetch twelve-bit").refused_with(&["generated"]);

    let target = tempfile::tempdir().unwrap();
    let import = |from: &Path| {
        let (from, to) = (from.to_str().unwrap(), target.path().to_str().unwrap());
        widthwise(["data", "import", from, "--data-dir", to])
    };
    // The bundled subset has the names of MNIST's files and is not MNIST.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let refused = import(&root.join("datasets/bundled"));
    refused.refused_with(&[
        "train-images-idx3-ubyte.gz was refused",
        "it holds 5000 images of 28 x 28",
        "not MNIST's file",
    ]);
    assert!(!refused.err.contains("delete"), "{refused:?}");
    let mnist = list.lines().find(|line| line.starts_with("mnist")).unwrap();
    assert!(mnist.contains("5000") && !mnist.contains("60000"), "{mnist}");
    assert!(all_files(target.path()).is_empty());
    let whole = std::env::var_os("WIDTHWISE_TEST_DATA").map_or(root.join("../shared/data"), PathBuf::from);
    if !whole.join("mnist").is_dir() {
        eprintln!("skipped: no whole MNIST in {}", whole.display());
        return;
    }
    // One file of four: imported, and not enough.
    let part = tempfile::tempdir().unwrap();
    fs::copy(whole.join("mnist/t10k-labels-idx1-ubyte.gz"), part.path().join("labels.GZ")).unwrap();
    let partly = import(part.path());
    assert!(partly.code == Some(1) && partly.out.contains("checksum verified"), "{partly:?}");
    assert!(
        partly.err.contains("mnist still lacks train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k"),
        "{partly:?}"
    );
    let imported = import(&whole.join("mnist")).done();
    assert_eq!(imported.out.matches("checksum verified").count(), 4, "{imported:?}");
    let folder = target.path().to_str().unwrap();
    let list = widthwise(["data", "list", "--data-dir", folder]).done().out;
    assert!(list.lines().any(|line| line.starts_with("mnist") && line.contains(folder)), "{list}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let run = Run::agreeing();
    for line in ["table out", "completions bash", "data list", "check out", "config init -", "--help"] {
        let mut child = run.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert!(ended.code == Some(0) && ended.err.is_empty(), "{line}: {ended:?}");
    }
    let mut training = run.command("run experiment.toml --json --output unread --set run.members=2");
    let mut child = training.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert!(matches!(ended.code, Some(0 | 3)), "a run goes on without a listener: {ended:?}");
    assert!(run.folder.path().join("unread/report.html").is_file());
}

#[test]
fn committed_results_have_the_verdicts_that_stand_beside_them() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let folders = fs::read_dir(&results).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut runs: Vec<PathBuf> = folders.filter(|path| path.join("manifest.json").is_file()).collect();
    runs.sort();
    for run in &runs {
        let stated = run.join("expected_exit_code");
        let text = fs::read_to_string(&stated).unwrap_or_else(|error| panic!("{}: {error}", stated.display()));
        let expected: i32 = text.trim().parse().unwrap();
        let ended = widthwise(["check", run.to_str().unwrap()]);
        assert_eq!(ended.code, Some(expected), "{}: {ended:?}", run.display());
    }
    eprintln!("{} committed results checked", runs.len());
}
