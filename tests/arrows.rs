//! Which crate may depend on which, asked of cargo: an arrow that is not drawn in ARCHITECTURE.md is a failure here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Crate name to the names it depends on directly, development and build dependencies included for the workspace.
struct Graph {
    members: BTreeSet<String>,
    direct: BTreeMap<String, BTreeSet<String>>,
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
        let direct = list(&metadata["resolve"]["nodes"]).iter().fold(BTreeMap::new(), |mut direct, node| {
            let dependencies =
                list(&node["deps"]).iter().map(|dep| names[&text(&dep["pkg"])].clone()).collect::<Vec<_>>();
            direct.entry(names[&text(&node["id"])].clone()).or_insert_with(BTreeSet::new).extend(dependencies);
            direct
        });
        Self { members, direct }
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
    assert_eq!(graph.members, BTreeSet::from(["widthwise", datasets, probes, theory].map(str::to_owned)));
    // The root uses all three, so the walk below is over a graph that has arrows.
    assert!([datasets, probes, theory, "burn"].iter().all(|name| graph.all("widthwise").contains(*name)));
    assert!(graph.all(probes).contains("burn"));
    for member in [datasets, probes, theory] {
        assert!(!graph.all(member).contains("widthwise"), "{member} depends on the program");
    }
    assert!(!graph.all(probes).contains(theory), "what measures depends on what predicts");
    assert!(!graph.all(theory).contains(probes), "what predicts depends on what measures");
    for (member, others) in [(theory, [datasets, probes]), (datasets, [theory, probes])] {
        let all = graph.all(member);
        let is_framework = |name: &&String| *name == "burn" || name.starts_with("burn-") || name.starts_with("cubecl");
        assert_eq!(all.iter().find(is_framework), None, "{member} depends on the framework");
        assert!(others.iter().all(|other| !all.contains(*other)), "{member} depends on another member");
    }
}
