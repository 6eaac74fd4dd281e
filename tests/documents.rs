//! What the documents point to is there: every relative link, every heading within a document, and every file that they name.

use std::fs;
use std::path::{Path, PathBuf};

use widthwise_testing::documents;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let files = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let found = documents::documents(root(), &files, &["docs", "results"]).unwrap();
    found.into_iter().map(|path| root().join(path)).collect()
}

/// The text without fenced blocks.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(path: &Path) -> Vec<String> {
    let headings = prose(path);
    let headings =
        headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut links = 0;
    for document in documents() {
        let name = document.display();
        for rest in prose(&document).split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(path.exists(), "{name}: {target} leads nowhere");
            assert!(anchor.is_empty() || anchors(&path).iter().any(|a| a == anchor), "{name}: no heading {target}");
            links += 1;
        }
    }
    assert!(links > 30, "only {links} links were found");
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let folders: Vec<String> = ["src", "theory", "probes", "statistics", "datasets", "tensors", "testing", "tests"]
        .iter()
        .chain(&["results", "examples", "benches", "docs"])
        .map(|folder| format!("{folder}/"))
        .collect();
    let mut named = 0;
    for document in documents().into_iter().filter(|path| !path.ends_with("CHANGELOG.md")) {
        for line in prose(&document).lines() {
            for span in line.split('`').skip(1).step_by(2) {
                let is_name = span.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
                if is_name && folders.iter().any(|folder| span.starts_with(folder.as_str())) {
                    assert!(root().join(span).exists(), "{}: there is no {span}", document.display());
                    named += 1;
                }
            }
        }
    }
    assert!(named > 60, "only {named} files are named");
}

/// The second and third column of the map name files relative to the folder in the first.
#[test]
fn every_file_of_the_map_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let map = text.split("\n## Map\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut named = 0;
    for line in map.lines().filter(|line| line.starts_with("| `")) {
        let spans: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let (folders, files): (Vec<&str>, Vec<&str>) = spans.iter().partition(|span| !span.ends_with(".rs"));
        let base = if spans[0].ends_with(".rs") { "src" } else { spans[0] };
        for file in files.into_iter().filter(|file| !file.starts_with("src/") && !file.starts_with("tests/")) {
            let places = ["", "src"].map(|inner| root().join(base).join(inner).join(file));
            let in_one_named = folders.iter().any(|folder| root().join(base).join(folder).join(file).exists());
            assert!(in_one_named || places.iter().any(|place| place.exists()), "{base}: there is no {file}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} files are named");
}

#[test]
fn a_newcomer_reads_few_lines_first() {
    let lines = |name: &str| fs::read_to_string(root().join(name)).unwrap().lines().count();
    for (name, most) in [("README.md", 130), ("ARCHITECTURE.md", 115)] {
        assert!(lines(name) <= most, "{name} has {} lines, of at most {most}; move what is long to docs/", lines(name));
    }
}

#[test]
fn every_column_of_the_results_is_explained() {
    let results = fs::read_to_string(root().join("results/mnist_mlp/results.csv")).unwrap();
    let page = fs::read_to_string(root().join("docs/outputs.md")).unwrap();
    let since_version_2 = ["kind", "method", "ceiling", "flag"];
    for column in results.lines().next().unwrap().split(',').chain(since_version_2) {
        assert!(page.contains(&format!("`{column}`")), "docs/outputs.md does not explain {column}");
    }
}
