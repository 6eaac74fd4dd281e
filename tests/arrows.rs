//! Which crate may depend on which, asked of cargo: an arrow that is not drawn in ARCHITECTURE.md is a failure here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crate name to the names it depends on directly, development and build dependencies included for the workspace.
struct Graph {
    members: BTreeSet<String>,
    direct: BTreeMap<String, BTreeSet<String>>,
    /// The same, without what only tests are built with.
    built: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of_workspace() -> Self {
        let cargo = |arguments: &[&str], program: &str| {
            let mut command = Command::new(program);
            let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let version = cargo(&["-vV"], "rustc");
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        // Packages of other platforms need not have been downloaded.
        let platform = ["metadata", "--format-version", "1", "--offline", "--filter-platform", host];
        let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let metadata: Value = serde_json::from_str(&cargo(&platform, &program)).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let names: BTreeMap<String, String> =
            list(&metadata["packages"]).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let members = list(&metadata["workspace_members"]).iter().map(|id| names[&text(id)].clone()).collect();
        let is_built = |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
        let arrows = |is_taken: &dyn Fn(&Value) -> bool| {
            list(&metadata["resolve"]["nodes"]).iter().fold(BTreeMap::new(), |mut arrows, node| {
                let dependencies = list(&node["deps"]).into_iter().filter(is_taken);
                let dependencies = dependencies.map(|dependency| names[&text(&dependency["pkg"])].clone());
                arrows.entry(names[&text(&node["id"])].clone()).or_insert_with(BTreeSet::new).extend(dependencies);
                arrows
            })
        };
        Self { members, direct: arrows(&|_| true), built: arrows(&is_built) }
    }

    /// Everything that `name` is built of or tested with, itself excluded.
    fn all(&self, name: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(next) = open.pop() {
            for dependency in self.direct.get(&next).into_iter().flatten() {
                if found.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        found
    }
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let graph = Graph::of_workspace();
    let [datasets, probes, theory] = ["widthwise-datasets", "widthwise-probes", "widthwise-theory"];
    let [tensors, statistics, testing] = ["widthwise-tensors", "widthwise-statistics", "widthwise-testing"];
    let inner = [datasets, probes, theory, tensors, statistics, testing];
    let members = inner.into_iter().chain(["widthwise"]).map(str::to_owned);
    assert_eq!(graph.members, members.collect());
    // The root uses all of them, so the walk below is over a graph that has arrows.
    assert!(inner.into_iter().chain(["burn"]).all(|name| graph.all("widthwise").contains(name)));
    assert!(graph.all(probes).contains("burn"));
    assert_eq!(graph.all(testing), BTreeSet::new(), "what tests state needs nothing");
    assert!(graph.built.values().all(|built| !built.contains(testing)), "tests alone state bounds");
    for member in inner {
        assert!(!graph.all(member).contains("widthwise"), "{member} depends on the program");
    }
    assert!(!graph.all(tensors).iter().any(|name| name.starts_with("widthwise")), "tensors are the ground floor");
    assert!(!graph.all(probes).contains(theory), "what measures depends on what predicts");
    assert!(!graph.all(theory).contains(probes), "what predicts depends on what measures");
    for (member, others) in [
        (theory, [datasets, probes, statistics]),
        (datasets, [theory, probes, statistics]),
        (statistics, [theory, probes, datasets]),
    ] {
        let all = graph.all(member);
        let is_framework = |name: &&String| *name == "burn" || name.starts_with("burn-") || name.starts_with("cubecl");
        assert_eq!(all.iter().find(is_framework), None, "{member} depends on the framework");
        assert!(others.iter().all(|other| !all.contains(*other)), "{member} depends on another member");
    }
}

#[test]
fn the_library_needs_no_command_line() {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = |features: &[&str]| {
        let mut command = Command::new(&program);
        let what = ["tree", "--offline", "--package", "widthwise", "--edges", "normal", "--prefix", "none"];
        let output = command.args(what).args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let [whole, library] = [tree(&[]), tree(&["--no-default-features"])];
    assert!(library.contains("burn") && library.contains("widthwise-theory"), "{library:?}");
    for terminal in ["clap", "clap_builder", "clap_complete", "indicatif", "console"] {
        assert!(!library.contains(terminal), "the library needs {terminal}");
    }
    assert!(["clap", "clap_complete", "indicatif"].iter().all(|name| whole.contains(*name)), "{whole:?}");
}

/// Top-level modules of a crate root in `src/`, as its `mod` lines name them.
fn modules(root: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(source(root)).unwrap();
    let declared = text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    declared.filter_map(|rest| rest.strip_suffix(';')).map(str::to_owned).collect()
}

fn source(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// The code of a file: without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every top-level module, and those that its files name after `crate::`.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let known: BTreeSet<String> = modules("lib.rs").union(&modules("main.rs")).cloned().collect();
    assert!(known.len() > 20, "{known:?}");
    let tests_only = ["tests.rs", "tests", "fixture.rs", "damaged.rs", "mutations.rs"];
    let mut found: BTreeMap<String, BTreeSet<String>> =
        known.iter().map(|name| (name.clone(), BTreeSet::new())).collect();
    let mut open = vec![source("")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if tests_only.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let inner = path.strip_prefix(source("")).unwrap();
            let top = inner.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
            let Some(arrows) = found.get_mut(&top) else { continue };
            let text = code(&std::fs::read_to_string(&path).unwrap());
            assert!(
                !text.contains("use crate::{"),
                "{}: one module an import, so that this test can read it",
                path.display()
            );
            for rest in text.split("crate::").skip(1) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name != top && known.contains(&name) {
                    arrows.insert(name);
                }
            }
        }
    }
    found
}

/// All that can be reached from a module along its imports.
fn reached(imports: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        for name in &imports[next] {
            if found.insert(name.clone()) {
                open.push(name);
            }
        }
    }
    found
}

#[test]
fn modules_import_each_other_in_one_direction() {
    let imports = imports();
    for name in imports.keys() {
        assert!(!reached(&imports, name).contains(name), "{name} is part of a circle: {imports:?}");
    }
    // What is on the left reaches nothing on the right, directly or through others.
    for (left, right) in [
        ("training", "record measurement prediction comparison report session run"),
        ("network", "record training measurement report session"),
        ("host", "network training config record"),
        ("plot", "report record config run"),
        ("prediction", "measurement record comparison report run"),
        ("measurement", "prediction comparison report run ladder explain reproduce"),
        ("record", "measurement comparison report run session ladder explain reproduce"),
        ("comparison", "report run session ladder explain reproduce"),
        ("report", "run session ladder reproduce explain measurement prediction"),
        ("ladder", "run report reproduce explain"),
        ("explain", "run report reproduce ladder"),
        ("run", "ladder reproduce"),
        ("examples", "kernels predict run session ladder explain reproduce report"),
        ("kernels", "predict run session ladder explain reproduce report measurement comparison"),
        ("predict", "run session ladder explain reproduce report measurement comparison"),
        ("bench", "run session ladder explain reproduce report predict"),
        ("terminal", "commands cli"),
        ("cli", "commands"),
    ] {
        let reached = reached(&imports, left);
        let forbidden: Vec<&str> = right.split(' ').filter(|name| reached.contains(*name)).collect();
        assert!(forbidden.is_empty(), "{left} reaches {forbidden:?}");
    }
}

/// Without `anyhow` its errors can be told apart, and without any of them it builds with `--no-default-features`.
#[test]
fn the_library_names_no_crate_of_the_command_line() {
    let outer = modules("main.rs");
    let mut open = vec![source("")];
    while let Some(path) = open.pop() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "main" || outer.contains(&name) {
            continue;
        } else if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            for name in ["anyhow", "clap", "indicatif"] {
                assert!(!text.contains(name), "{} names {name}", path.display());
            }
        }
    }
}
