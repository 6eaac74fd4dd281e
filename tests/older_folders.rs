//! Folders that earlier versions wrote stay readable.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{end, program};

/// What is left of a run of the first version: rows of the ensemble, and of one member.
fn first_version() -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema_1");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, folder.path().join("old").join(path.file_name().unwrap())).unwrap();
    }
    let header = fs::read_to_string(folder.path().join("old/results.csv")).unwrap();
    assert!(
        header.lines().next().unwrap().ends_with("std_error,se_method,predicted,z,verdict"),
        "no older folder any more"
    );
    folder
}

#[test]
fn a_folder_of_the_first_version_is_checked_drawn_and_joined() {
    let folder = first_version();
    let type_in = |line: &str| end(program().args(line.split(' ')).current_dir(folder.path()));
    let expected: i32 =
        fs::read_to_string(folder.path().join("old/expected_exit_code")).unwrap().trim().parse().unwrap();
    let checked = type_in("check old");
    assert_eq!(checked.code, Some(expected), "{checked:?}");
    assert!(checked.out.starts_with("not registered"), "{checked:?}");
    let drawn = type_in("report old");
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    assert!(folder.path().join("old/figures/ntk.svg").is_file());
    let joined = type_in("table old");
    let lines: Vec<Vec<&str>> = joined.out.lines().map(|line| line.split(',').collect()).collect();
    let kind = lines[0].iter().position(|column| *column == "kind").unwrap();
    assert!(
        lines.len() > 10 && lines[1..].iter().all(|line| line.len() == lines[0].len() && line[kind].is_empty()),
        "{joined:?}"
    );
}

#[test]
fn a_run_that_an_earlier_version_began_is_not_gone_on_with() {
    let folder = first_version();
    let path = folder.path().join("old/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["outcome"] = "interrupted".into();
    fs::write(&path, manifest.to_string()).unwrap();
    let resumed =
        end(program().args(["run", "old/config.toml", "--output", "old", "--resume"]).current_dir(folder.path()));
    assert_eq!(resumed.code, Some(2), "{resumed:?}");
    assert!(
        resumed.err.contains("schema_version 1, this one writes 2") && resumed.err.contains("--force"),
        "{resumed:?}"
    );
}
