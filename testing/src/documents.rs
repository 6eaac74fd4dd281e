//! The documents of the project and the commands that they tell their readers to type.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a document tells its reader to type.
#[derive(Debug, Clone)]
pub struct TypedCommand {
    /// The document, relative to the root of the project.
    pub document: PathBuf,
    /// Document and line, for messages.
    pub place: String,
    /// Words as a shell takes them. `cargo run --release -- ...`, which is how a reader without the program begins, is `widthwise ...`.
    pub words: Vec<String>,
    /// Where it is typed, relative to the root of the project.
    pub folder: PathBuf,
    /// Whether it stands in a line of its own, in a block, and not within a sentence.
    pub is_line: bool,
}

impl TypedCommand {
    /// Whether the project's own program is what runs.
    pub fn is_own(&self) -> bool {
        self.words.first().is_some_and(|word| word == PROGRAM)
    }

    /// The words in one line.
    pub fn line(&self) -> String {
        self.words.join(" ")
    }
}

const PROGRAM: &str = "widthwise";

/// These files, and every `.md` below these folders, relative to `root` and in the order of their names.
///
/// # Errors
/// What reading a folder fails with.
pub fn documents(root: &Path, files: &[&str], folders: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    let mut open: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The commands of a document: every line of its `sh` blocks, and what is marked as code within sentences and begins with the
/// program's name.
///
/// # Errors
/// What reading the document fails with.
pub fn commands(root: &Path, document: &Path) -> io::Result<Vec<TypedCommand>> {
    let text = fs::read_to_string(root.join(document))?;
    let mut found = Vec::new();
    let (mut fence, mut folder) = (None, PathBuf::new());
    for (number, line) in text.lines().enumerate() {
        let mut push = |text: &str, folder: &Path, is_line| {
            let words = words(text.strip_prefix("cargo run --release -- ").map_or(text.into(), own).as_str());
            let place = format!("{}, line {}", document.display(), number + 1);
            found.push(TypedCommand { document: document.into(), place, words, folder: folder.into(), is_line });
        };
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
            folder = PathBuf::new();
        } else if fence == Some("sh") {
            match line.strip_prefix("cd ") {
                Some(into) => folder.push(into),
                None => push(line.trim(), &folder, true),
            }
        } else if fence.is_none() {
            let spans = line.split('`').skip(1).step_by(2);
            spans.filter(|span| span.starts_with("widthwise ")).for_each(|span| push(span, Path::new(""), false));
        }
    }
    Ok(found)
}

fn own(arguments: &str) -> String {
    format!("{PROGRAM} {arguments}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let found = words("widthwise kernel a.toml --set 'network.activation = { sin = {} }'   # a comment | and more");
        assert_eq!(found, ["widthwise", "kernel", "a.toml", "--set", "network.activation = { sin = {} }"]);
        assert_eq!(words("widthwise config init - > file"), ["widthwise", "config", "init", "-"]);
    }

    #[test]
    fn commands_stand_in_blocks_and_in_sentences() {
        let folder = std::env::temp_dir().join(format!("widthwise-documents-{}", std::process::id()));
        fs::create_dir_all(folder.join("docs/inner")).unwrap();
        let text = "`widthwise a` and `other b`\n```toml\nc = 1\n```\n```sh\ncargo run --release -- d\ncd e\nmake f # g\n```\n```sh\nh\n```\n";
        fs::write(folder.join("docs/inner/page.md"), text).unwrap();
        fs::write(folder.join("docs/inner/page.txt"), text).unwrap();
        let found = documents(&folder, &["TOP.md"], &["docs"]).unwrap();
        assert_eq!(found, ["TOP.md", "docs/inner/page.md"].map(PathBuf::from));
        let found = commands(&folder, &found[1]).unwrap();
        let seen: Vec<_> =
            found.iter().map(|typed| (typed.line(), typed.folder.to_str().unwrap(), typed.is_line)).collect();
        let expected = [("widthwise a", "", false), ("widthwise d", "", true), ("make f", "e", true), ("h", "", true)];
        assert_eq!(seen, expected.map(|(line, folder, is_line)| (line.to_owned(), folder, is_line)));
        assert_eq!(found.iter().map(TypedCommand::is_own).collect::<Vec<_>>(), [true, true, false, false]);
        assert_eq!(found[2].place, "docs/inner/page.md, line 8");
        fs::remove_dir_all(&folder).unwrap();
    }
}
