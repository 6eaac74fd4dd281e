//! Every `widthwise` command of the documents is one that the program understands, on files that are there.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use widthwise::config::load;
use widthwise_testing::documents::{TypedCommand, commands, documents};

use super::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether these words only name a command.
fn is_a_name(words: &[String]) -> bool {
    let mut command = Cli::command();
    words.iter().skip(1).all(|word| match command.find_subcommand(word) {
        Some(found) => {
            command = found.clone();
            true
        }
        None => false,
    })
}

/// Asserts that the files exist that a command names within the repository, and returns its configuration, if that is one of them.
fn configuration(typed: &TypedCommand) -> Option<PathBuf> {
    let within = ["examples/", "results/", "docs/", "benches/", "tests/"];
    let moved = !typed.folder.as_os_str().is_empty();
    let files = typed.words.iter().filter(|word| {
        let is_new = word.contains(['*', '<']) || word.ends_with(".csv") || word.ends_with(".safetensors");
        !is_new && (within.iter().any(|folder| word.starts_with(folder)) || moved && word.contains(".toml"))
    });
    let paths: Vec<PathBuf> =
        files.map(|word| root().join(&typed.folder).join(word.split(':').next().unwrap_or_default())).collect();
    for path in &paths {
        assert!(path.exists(), "{}: {} does not exist", typed.place, path.display());
    }
    paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "toml"))
}

#[test]
fn every_command_of_the_documents_is_understood() {
    let mut lines = 0;
    let found = documents(root(), &["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"], &["docs", "results"]).unwrap();
    let typed = found.iter().flat_map(|document| commands(root(), document).unwrap());
    for typed in typed.filter(TypedCommand::is_own) {
        let configuration = configuration(&typed);
        if !typed.is_line && is_a_name(&typed.words) {
            continue;
        }
        if let Err(error) = Cli::try_parse_from(&typed.words) {
            panic!("{}: {}\n{error}", typed.place, typed.words.join(" "));
        }
        let sets: Vec<String> =
            typed.words.windows(2).filter(|pair| pair[0] == "--set").map(|pair| pair[1].clone()).collect();
        if !sets.iter().any(|set| set.ends_with("...")) {
            load(configuration.as_deref(), &sets).unwrap_or_else(|error| panic!("{}: {error}", typed.place));
        }
        lines += usize::from(typed.is_line);
    }
    assert!(lines > 50, "only {lines} commands were found");
}
