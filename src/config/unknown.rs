//! The known key or name most similar to one that is unknown.

use strsim::normalized_damerau_levenshtein;

use super::schema::{EXPERIMENT, Key, Shape, Variant};

/// Similarity, from 0 to 1, below which a suggestion would be a riddle.
const SIMILAR: f64 = 0.6;

/// The key of the whole configuration most similar to `key`: it is the last part that is unknown, so that part counts, also
/// in other tables, and the rest decides between equals.
pub(super) fn nearest_key(key: &str) -> Option<String> {
    let similarity = |known: &str| {
        let name = normalized_damerau_levenshtein(last(known), last(key));
        0.9 * name + 0.1 * normalized_damerau_levenshtein(known, key)
    };
    // A key that exists, but not in this variant of its table, is no suggestion.
    let others = known_keys().into_iter().filter(|known| known != key);
    best(others.map(|known| (similarity(&known), known)))
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The one of `names` most similar to `name`.
pub(super) fn nearest_name(names: &[&'static str], name: &str) -> Option<&'static str> {
    best(names.iter().map(|known| (normalized_damerau_levenshtein(known, name), *known)))
}

fn best<T>(scored: impl Iterator<Item = (f64, T)>) -> Option<T> {
    let better = |best: (f64, T), next: (f64, T)| if next.0 > best.0 { next } else { best };
    scored.filter(|(score, _)| *score >= SIMILAR).reduce(better).map(|(_, known)| known)
}

/// Every dotted key that any configuration may have, tables included, each once; lists are not entered.
pub(super) fn known_keys() -> Vec<String> {
    let mut found = Vec::new();
    collect(EXPERIMENT, "", &mut found);
    found
}

fn collect(shape: Shape, path: &str, found: &mut Vec<String>) {
    match shape {
        Shape::Table(keys) | Shape::SwitchOrTable(keys) => {
            for Key { name, shape, .. } in keys {
                add(*shape, join(path, name), found);
            }
        }
        Shape::Variants(variants) => {
            for Variant { name, content } in variants {
                if let Some(content) = content {
                    add(*content, join(path, name), found);
                }
            }
        }
        Shape::Named(variants) => {
            add(Shape::Text, join(path, "name"), found);
            for Variant { content, .. } in variants {
                if let Some(content) = content {
                    collect(*content, path, found);
                }
            }
        }
        _ => {}
    }
}

fn add(shape: Shape, path: String, found: &mut Vec<String>) {
    if !found.contains(&path) {
        found.push(path.clone());
    }
    collect(shape, &path, found);
}

/// The element `index` of the list at `path`, counted from 0.
pub(super) fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// `path.name`, or `name` at the top.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
