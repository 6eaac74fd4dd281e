//! Recipes through the program: what they leave, what they refuse, and what their exit codes say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use widthwise::config::load;
use widthwise::reproduce::{NumberRow, TableRow, recipes};
use widthwise::verdict::Verdict;

use crate::program::{Ended, widthwise};

fn tiny(name: &str, folder: &Path, more: &[&str]) -> Ended {
    let folder = folder.to_str().unwrap();
    widthwise([&["reproduce", name, "--size", "tiny", "--out", folder], more].concat())
}

fn read<R: serde::de::DeserializeOwned>(path: &Path) -> Vec<R> {
    csv::Reader::from_path(path).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
}

/// The exit code that the verdicts of a table ask for.
fn code_of(table: &[TableRow]) -> i32 {
    let any = |verdict| table.iter().any(|row| row.verdict == Some(verdict));
    match (any(Verdict::Disagrees), any(Verdict::Undecided)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

#[test]
fn every_recipe_leaves_its_files() {
    let dir = tempfile::tempdir().unwrap();
    for recipe in recipes() {
        let folder = dir.path().join(recipe.name);
        let ended = tiny(recipe.name, &folder, &[]);
        let table: Vec<TableRow> = read(&folder.join("table.csv"));
        assert_eq!(ended.code, Some(code_of(&table)), "{}: {ended:?}", recipe.name);
        assert!(!ended.err.contains('\r'), "a bar where there is no terminal: {ended:?}");
        assert!(table.len() > 2 && table.iter().any(|row| row.verdict.is_some()), "{}: {table:?}", recipe.name);
        // What was recalled of a paper is next to the verdict, never behind it: a judged row has a theory.
        assert!(table.iter().all(|row| row.verdict.is_none() || !row.theory.is_empty()), "{table:?}");

        let header = fs::read_to_string(folder.join("table.csv")).unwrap();
        assert_eq!(header.lines().next(), Some("quantity,paper,theory,here,std_error,verdict"));
        let page = fs::read_to_string(folder.join("table.md")).unwrap();
        assert!(page.contains("| quantity | paper | theory | here ± standard error | verdict |"), "{page}");
        for row in &table {
            assert!(
                page.contains(row.judgement()) && page.contains(&row.quantity.replace('|', "\\|")),
                "{row:?}\n{page}"
            );
        }

        let numbers: Vec<NumberRow> = read(&folder.join("numbers.csv"));
        let header = fs::read_to_string(folder.join("numbers.csv")).unwrap();
        let columns = "series,width,member,step,split,example,quantity,value,std_error,predicted";
        assert_eq!(header.lines().next(), Some(columns));
        assert!(numbers.iter().all(|row| row.value.is_some()), "{}: a number is missing", recipe.name);

        let figure = fs::read_to_string(folder.join("figure.svg")).unwrap();
        let document = roxmltree::Document::parse(&figure).unwrap();
        assert!(
            document
                .descendants()
                .any(|node| node.tag_name().name() == "polyline" || node.tag_name().name() == "title")
        );
        for text in
            document.descendants().filter(|node| node.tag_name().name() == "text").filter_map(|node| node.text())
        {
            assert!(!text.contains('_'), "{}: {text} is an identifier", recipe.name);
        }
        let configs: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        assert!(!configs.is_empty());
        for path in configs {
            load(Some(&path), &[]).unwrap();
        }
    }
}

#[test]
fn a_recipe_is_the_same_again_and_keeps_what_is_not_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| dir.path().join(name));
    let name = "jacot2018-percentiles";
    let code = tiny(name, &first, &[]).code;
    assert_eq!(tiny(name, &second, &["--threads", "1"]).code, code);
    let files = |folder: &Path| -> BTreeSet<(String, Vec<u8>)> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
    };
    assert!(files(&first) == files(&second), "two equal recipes differ");
    tiny(name, &first, &[]).refused_with(&["holds results already", "--force"]);
    tiny("lee2019-ensemble", &first, &["--force"]).refused_with(&["holds the results of jacot2018-percentiles"]);
    assert!(files(&first) == files(&second), "a refused recipe changed the folder");
    assert_eq!(tiny(name, &first, &["--force"]).code, code);
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("thesis.tex"), "text").unwrap();
    tiny(name, &own, &["--force"]).refused_with(&["files that are no recipe's", "--out"]);
    assert_eq!(files(&own).len(), 1);
}

#[test]
fn recipes_are_listed_and_unknown_ones_refused() {
    let listed = widthwise(["reproduce", "--list"]).done().out;
    for recipe in recipes() {
        assert!(listed.contains(recipe.name) && listed.contains(recipe.about), "{listed}");
    }
    widthwise(["reproduce", "lee2019"]).refused_with(&["no recipe \"lee2019\"", "lee2019-widths", "--list"]);
    assert_eq!(widthwise(["reproduce"]).code, Some(2));
}

/// What is committed is small, whole, and spoken of.
#[test]
fn every_recipe_has_committed_results() {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let page = fs::read_to_string(results.join("README.md")).unwrap();
    for recipe in recipes() {
        let folder = results.join("reproduce").join(recipe.name);
        let table: Vec<TableRow> = read(&folder.join("table.csv"));
        let line = page.lines().find(|line| line.contains(&format!("`widthwise reproduce {}", recipe.name)));
        let line = line.unwrap_or_else(|| panic!("{} is not in results/README.md", recipe.name));
        assert!(line.contains(&format!("exit {}", code_of(&table))), "{line}\n{table:?}");
        let text = fs::read_to_string(folder.join("table.md")).unwrap();
        assert!(table.iter().all(|row| text.contains(&row.finding()) && text.contains(row.judgement())), "{text}");
        assert!(!read::<NumberRow>(&folder.join("numbers.csv")).is_empty());
        roxmltree::Document::parse(&fs::read_to_string(folder.join("figure.svg")).unwrap()).unwrap();
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
            let bytes = entry.metadata().unwrap().len();
            assert!(bytes < 200_000, "{} has {bytes} bytes", entry.path().display());
        }
    }
}
