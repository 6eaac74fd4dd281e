//! A small plotting kit that writes SVG text: scales, marks, panels and a sheet of panels under one legend.
//!
//! Deliberately absent: any statistics. What is drawn was computed elsewhere and stands in a CSV.

pub(crate) mod markup;
pub(crate) mod number;
pub(crate) mod palette;
pub(crate) mod panel;
pub(crate) mod scale;
pub(crate) mod sheet;
pub(crate) mod svg;

/// Asserts that no text of an image, tooltips aside, holds an underscore, which only identifiers have.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_texts_are_words(name: &str, svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap();
    let texts: Vec<&str> =
        document.descendants().filter(|n| n.tag_name().name() == "text").filter_map(|n| n.text()).collect();
    assert!(!texts.is_empty(), "{name}");
    for text in texts {
        assert!(!text.contains('_'), "{name}: {text}");
    }
}
