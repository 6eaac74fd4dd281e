//! Every `widthwise` command of the documents is one that the program understands, on files that are there.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use widthwise::config::load;

use super::Cli;

/// A command of a document, its folder, and whether it stands in a line of its own.
struct Typed {
    place: String,
    words: Vec<String>,
    folder: PathBuf,
    is_line: bool,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md, CONTRIBUTING.md, ARCHITECTURE.md and all that `docs` and `results` hold.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].iter().map(|name| root().join(name)).collect();
    let mut open = vec![root().join("docs"), root().join("results")];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Words as a shell takes them, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let (mut found, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => {
                if ["#", "|", ">"].contains(&word.as_str()) {
                    break;
                }
                if !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    found
}

fn commands(path: &Path) -> Vec<Typed> {
    let text = fs::read_to_string(path).unwrap();
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut found, mut fence, mut folder) = (Vec::new(), None, root().to_owned());
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}, line {}", number + 1);
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.to_owned()) };
            folder = root().to_owned();
        } else if fence.as_deref() == Some("sh") {
            if let Some(into) = line.strip_prefix("cd ") {
                folder = root().join(into);
            }
            let line = line.trim_start();
            if line.starts_with("widthwise ") {
                found.push(Typed { place, words: words(line), folder: folder.clone(), is_line: true });
            }
        } else if fence.is_none() {
            let spans = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("widthwise "));
            found.extend(spans.map(|span| {
                let (place, folder) = (place.clone(), root().to_owned());
                Typed { place, words: words(span), folder, is_line: false }
            }));
        }
    }
    found
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
fn configuration(typed: &Typed) -> Option<PathBuf> {
    let within = ["examples/", "results/", "docs/", "benches/", "tests/"];
    let moved = typed.folder != root();
    let files = typed.words.iter().filter(|word| {
        let is_new = word.contains(['*', '<']) || word.ends_with(".csv") || word.ends_with(".safetensors");
        !is_new && (within.iter().any(|folder| word.starts_with(folder)) || moved && word.contains(".toml"))
    });
    let paths: Vec<PathBuf> = files.map(|word| typed.folder.join(word.split(':').next().unwrap_or_default())).collect();
    for path in &paths {
        assert!(path.exists(), "{}: {} does not exist", typed.place, path.display());
    }
    paths.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "toml"))
}

#[test]
fn every_command_of_the_documents_is_understood() {
    let mut lines = 0;
    for typed in documents().iter().flat_map(|path| commands(path)) {
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

#[test]
fn words_are_those_of_a_shell() {
    let found = words("widthwise kernel a.toml --set 'network.activation = { sin = {} }'   # a comment | and more");
    assert_eq!(found, ["widthwise", "kernel", "a.toml", "--set", "network.activation = { sin = {} }"]);
    assert_eq!(words("widthwise config init - > file"), ["widthwise", "config", "init", "-"]);
}
