//! A type name means one thing in the whole workspace, and prose keeps to the words of the field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Source files of the workspace, tests left out.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = ["", "theory", "probes", "datasets", "tensors", "statistics", "testing"];
    let mut open: Vec<PathBuf> = crates.iter().map(|name| root.join(name).join("src")).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                open.extend((name != "tests").then_some(path));
            } else if name.ends_with(".rs") && !name.contains("tests") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 400, "{}", found.len());
    found
}

/// The names of the types that the modules of a file define.
fn types(text: &str) -> impl Iterator<Item = &str> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let (kind, rest) = line.split_once(' ')?;
        let name = rest.split(|c: char| !c.is_alphanumeric()).next().filter(|name| !name.is_empty());
        name.filter(|_| ["struct", "enum", "trait", "type"].contains(&kind))
    })
}

#[test]
fn a_type_name_means_one_thing() {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in sources() {
        for name in types(&std::fs::read_to_string(&path).unwrap()) {
            defined.entry(name.to_owned()).or_default().push(path.display().to_string());
        }
    }
    assert!(defined.len() > 500, "{}", defined.len());
    // Every module may have an alias of its own error in `Result`.
    let twice: Vec<_> = defined.iter().filter(|(name, files)| files.len() > 1 && *name != "Result").collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn prose_keeps_to_the_words_of_the_field() {
    // Words that this project once had for what the field calls implementation, zero, target and padded image.
    let words = ["road", "roads", "nought", "noughts", "goal", "goals", "foretells", "befell", "canvas"];
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let found =
                line.split(|c: char| !c.is_alphanumeric()).find(|word| words.contains(&word.to_lowercase().as_str()));
            assert!(found.is_none(), "{}:{}: {found:?} in {line:?}", path.display(), number + 1);
        }
    }
}

/// No file is longer than 400 lines without a sentence that says why.
#[test]
fn long_files_say_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.to_path_buf()];
    let mut count = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                open.extend(
                    (!["target", "runs", "results"].contains(&name.as_str()) && !name.starts_with('.')).then_some(path),
                );
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let says_why = text
                    .lines()
                    .take_while(|line| line.starts_with("//!"))
                    .any(|line| line.contains("is long because"));
                assert!(text.lines().count() <= 400 || says_why, "{} has over 400 lines", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 500, "{count}");
}
