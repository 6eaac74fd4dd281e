//! Whatever is done where: in shards, side by side, on one thread or several, killed and gone on with. The bytes are the same.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use widthwise::config::parse;
use widthwise::monitor::{Monitor, Silent, Stage};
use widthwise::record::manifest::Manifest;
use widthwise::run::{RunOptions, run};
use widthwise::signals::StopFlag;
use widthwise::training::Outcome;

use crate::program::{Ended, assert_equal_files, end, files, program};

const CONFIG: &str = r#"
[run]
name = "shared"
seed = 5
members = 5
checkpoint_every = 7
[dataset.preprocessing]
train = 24
test = 12
[network]
depth = 2
width = 16
activation = "tanh"
[training]
optimizer = { momentum = { beta = 0.9 } }
learning_rate = { critical = 0.1 }
batch_size = 8
[training.stop]
steps = 25
[probes]
schedule = { every = 10 }
examples = 8
jacobian_examples = 4
[explain]
members = 3
examples = 6
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.0.path().join("run.toml"), CONFIG).unwrap();
        desk
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.0.path()))
    }

    /// Lets the command die at a named place; false where it never passed it.
    fn dies(&self, line: &str, place: &str) -> bool {
        let mut command = program();
        command.args(line.split_whitespace()).current_dir(self.0.path()).env("WIDTHWISE_KILL_AT", place);
        end(&mut command).code.is_none()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.path(name))
    }

    /// Gives the command for every shard, and then again until the last of them has concluded.
    #[track_caller]
    fn shards(&self, line: &str, count: usize) {
        for _ in 0..3 {
            for shard in 1..=count {
                let ended = self.type_in(&format!("{line} --shard {shard}/{count}"));
                assert!(matches!(ended.code, Some(0 | 1 | 3)), "{line} --shard {shard}/{count}: {ended:?}");
                if !ended.out.contains("run the other shards") {
                    return;
                }
            }
        }
        panic!("{line} in {count} shards never came to an end");
    }
}

#[test]
fn a_run_leaves_the_same_bytes_however_it_is_shared_out() {
    let desk = Desk::new();
    desk.type_in("run run.toml --output whole --threads 2").ran();
    let expected = desk.files("whole");
    assert!(expected.contains_key(Path::new("error_budget.csv")));
    for threads in [1, 4] {
        let name = format!("threads{threads}");
        desk.type_in(&format!("run run.toml --output {name} --threads {threads}")).ran();
        assert_equal_files(&desk.files(&name), &expected, &name);
    }
    for (count, threads) in [(1, 2), (2, 1), (4, 2)] {
        let name = format!("shards{count}");
        desk.shards(&format!("run run.toml --output {name} --threads {threads}"), count);
        assert_equal_files(&desk.files(&name), &expected, &name);
    }
    // A shard that dies is given again; another finds what it left.
    let line = "run run.toml --output dying --threads 2";
    let places = [
        "manifest.json.before_rename:1",
        "config.toml.in_write:1",
        "checkpoint.safetensors.after_rename:2",
        "results.csv.in_row:3",
        "outcome.json.in_write:1",
        "outcome.json.after_rename:2",
        "member_000.csv.in_write:1",
        "member_002.csv.before_rename:1",
    ];
    for (index, place) in places.into_iter().enumerate() {
        desk.dies(&format!("{line} --shard {}/2", index % 2 + 1), place);
    }
    desk.shards(line, 2);
    assert_equal_files(&desk.files("dying"), &expected, "shards that died");
    // Of two shards one dies while it concludes.
    for place in
        ["training.csv.before_rename:1", "results.csv.after_rename:1", "manifest.json.in_write:2", "before_end:1"]
    {
        let name = place.replace([':', '.'], "_");
        let line = format!("run run.toml --output {name} --threads 2");
        desk.type_in(&format!("{line} --shard 1/2"));
        assert!(
            desk.dies(&format!("{line} --shard 2/2"), place) || desk.dies(&format!("{line} --shard 1/2"), place),
            "{place}"
        );
        desk.shards(&line, 2);
        assert_equal_files(&desk.files(&name), &expected, place);
    }
}

#[test]
fn shards_at_the_same_time_share_a_folder_and_a_whole_run_does_not() {
    let desk = Desk::new();
    desk.type_in("run run.toml --output whole").ran();
    let command = |shard: usize| {
        let mut command = program();
        let line = format!("run run.toml -q --threads 1 --output together --shard {shard}/3");
        command.args(line.split_whitespace()).current_dir(desk.0.path());
        command
    };
    let children: Vec<_> = (1..=3).map(|shard| command(shard).spawn().unwrap()).collect();
    for mut child in children {
        assert!(matches!(child.wait().unwrap().code(), Some(0 | 3)));
    }
    desk.shards("run run.toml --output together", 3);
    assert_equal_files(&desk.files("together"), &desk.files("whole"), "three at a time");
    // Others are not joined by mistake.
    let refused = desk.type_in("run run.toml --output together --shard 1/3 --set run.seed=6");
    refused.refused_with(&["another configuration", "run.seed is 5 there and 6 here"]);
    desk.type_in("run run.toml --output together --shard 1/3 --force").refused_with(&["--force and --shard"]);
    desk.type_in("run run.toml --output together").refused_with(&["already holds a run", "--resume"]);
}

/// Lets other processes, played by this one, work at a certain moment of a run.
struct Meanwhile<F> {
    is_note: bool,
    work: F,
}

impl<F: Fn() + Sync> Monitor for Meanwhile<F> {
    fn note(&self, line: &str) {
        if self.is_note && line.starts_with("data: ") {
            (self.work)();
        }
    }

    fn stage(&self, _: &Stage<'_>) {
        if !self.is_note {
            (self.work)();
        }
    }
}

#[test]
fn what_others_do_meanwhile_is_neither_lost_nor_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let experiment = parse(CONFIG, "test", &["explain.members=0".to_owned()]).unwrap();
    let options = |name: &str, shard: &str| RunOptions {
        output: Some(dir.path().join(name)),
        shard: shard.parse().unwrap(),
        ..RunOptions::default()
    };
    let never = StopFlag::default();
    run(&experiment, &options("whole", "1/1"), &never, &Silent).unwrap();
    let whole = files(&dir.path().join("whole"));
    // A process is stopped before its first member, while others come to the end of the run.
    let stop = StopFlag::default();
    let work = || {
        ["1/2", "2/2"]
            .iter()
            .for_each(|shard| drop(run(&experiment, &options("ended", shard), &never, &Silent).unwrap()));
        stop.raise();
    };
    let late = run(&experiment, &options("ended", "1/3"), &stop, &Meanwhile { is_note: false, work }).unwrap();
    assert_eq!(late.outcome(), Outcome::Interrupted);
    assert_equal_files(&files(&dir.path().join("ended")), &whole, "stopped late");
    // Another machine begins the run at a rate that is rounded differently.
    let folder = dir.path().join("rounded");
    let work = || {
        run(&experiment, &options("rounded", "2/2"), &never, &Silent).unwrap();
        let mut manifest = Manifest::read(&folder).unwrap();
        manifest.learning_rate *= 1.0 + f64::EPSILON;
        manifest.write(&folder).unwrap();
    };
    let refused = run(&experiment, &options("rounded", "1/2"), &never, &Meanwhile { is_note: true, work });
    let message = format!("{:#}", refused.unwrap_err());
    assert!(message.contains("begun meanwhile at the learning rate"), "{message}");
    run(&experiment, &options("rounded", "1/2"), &never, &Silent).unwrap();
    assert!(
        Manifest::read(&folder).unwrap().learning_rate
            != Manifest::read(&dir.path().join("whole")).unwrap().learning_rate
    );
}

#[test]
fn explanations_leave_the_same_bytes_however_they_are_shared_out() {
    let desk = Desk::new();
    let without = "--set explain.members=0";
    for name in ["whole", "one", "four"] {
        desk.type_in(&format!("run run.toml --output {name} {without}")).ran();
    }
    desk.type_in("explain whole --threads 2").ran();
    let expected = desk.files("whole");
    assert_eq!(expected.keys().filter(|path| path.starts_with("explain")).count(), 11);
    desk.type_in("explain one --threads 1").ran();
    assert_equal_files(&desk.files("one"), &expected, "one thread");
    assert!(desk.dies("explain four --shard 2/4", "member_001.csv.before_rename:1"));
    desk.shards("explain four", 4);
    assert_equal_files(&desk.files("four"), &expected, "four shards");
}

#[test]
fn a_recipe_leaves_the_same_bytes_however_it_is_shared_out() {
    let desk = Desk::new();
    for (recipe, place) in [
        ("jacot2018-circle", "member_001.npy.before_rename:1"),
        ("lee2019-linearization", "checkpoint.safetensors.after_rename:1"),
        ("lee2019-widths", "member_001.csv.in_write:1"),
    ] {
        let line = format!("reproduce {recipe} --size tiny");
        let whole = desk.type_in(&format!("{line} --out {recipe} --threads 2"));
        assert!(matches!(whole.code, Some(0 | 1 | 3)), "{whole:?}");
        let expected = desk.files(recipe);
        let name = format!("{recipe}.shards");
        desk.dies(&format!("{line} --out {name} --shard 1/2"), place);
        // Parts of a recipe follow each other: every shard is given until all of them are done.
        for _ in 0..8 {
            (1..=2).for_each(|shard| drop(desk.type_in(&format!("{line} --out {name} --threads 1 --shard {shard}/2"))));
        }
        assert_equal_files(&desk.files(&name), &expected, recipe);
        // Killed alone, it goes on with what it has.
        let name = format!("{recipe}.killed");
        desk.dies(&format!("{line} --out {name}"), place);
        desk.type_in(&format!("{line} --out {name}"));
        assert_equal_files(&desk.files(&name), &expected, recipe);
    }
}
