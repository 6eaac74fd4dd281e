//! The figures of a report: one file each; a figure whose quantities are missing is left out.

mod agreement;
mod error_budget;
mod gaussianity;
mod infinite_ntk;
mod information;
mod kernels;
mod layer_motion;
mod loss;
mod ntk;
mod ntk_motion;
mod others;
mod over_layers;
mod over_steps;
mod partial_jacobian;

use super::read::Records;
use crate::record::row::Row;

/// A drawn figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Figure {
    /// Stem of its file name.
    pub(crate) name: &'static str,
    /// Heading.
    pub(crate) title: &'static str,
    /// What is drawn and how its errors were obtained.
    pub(crate) caption: String,
    /// The image.
    pub(crate) svg: String,
    /// Quantities shown in it.
    pub(crate) quantities: Vec<&'static str>,
    /// Whether it shows those of layers, or those of the whole network.
    pub(crate) layered: bool,
}

impl Figure {
    /// Whether the number of `row` belongs to what is drawn.
    pub(crate) fn shows(&self, row: &Row) -> bool {
        self.quantities.contains(&row.quantity.as_str()) && row.layer.is_some() == self.layered
    }
}

/// Stems of all figures that a report may have, in their order.
pub(crate) const NAMES: [&str; 13] = [
    "agreement",
    "error_budget",
    "loss",
    "ntk",
    "ntk_motion",
    "kernels",
    "infinite_ntk",
    "layer_motion",
    "partial_jacobian",
    "information_plane",
    "gaussianity",
    "other_quantities",
    "other_layers",
];

/// How many of them show what no other does, which is nothing so far.
#[cfg(test)]
pub(crate) const OTHERS: usize = 2;

/// Draws every figure for which `records` has numbers.
pub(crate) fn draw_all(records: &Records) -> Vec<Figure> {
    let figures = [
        agreement::draw(records),
        error_budget::draw(records),
        loss::draw(records),
        ntk::draw(records),
        ntk_motion::draw(records),
        kernels::draw(records),
        infinite_ntk::draw(records),
        layer_motion::draw(records),
        partial_jacobian::draw(records),
        information::draw(records),
        gaussianity::draw(records),
    ];
    let mut drawn: Vec<Figure> = figures.into_iter().flatten().collect();
    drawn.extend(others::draw(records, &drawn).into_iter().flatten());
    drawn
}

/// Sentences joined by blanks, empty ones left out.
fn sentences(parts: &[&str]) -> String {
    parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::number::exact;
    use crate::report::fixture::FixtureRun;
    use crate::report::select::is_ensemble;

    #[test]
    fn a_full_run_has_every_figure_and_all_are_well_formed() {
        let figures = draw_all(&FixtureRun::small().records());
        assert_eq!(figures.iter().map(|f| f.name).collect::<Vec<_>>(), NAMES[..NAMES.len() - OTHERS]);
        for figure in figures {
            let document = roxmltree::Document::parse(&figure.svg).unwrap();
            assert_eq!(document.root_element().tag_name().name(), "svg");
            assert!(!figure.svg.contains("NaN") && !figure.svg.contains("inf\""), "{}", figure.name);
        }
    }

    #[test]
    fn no_title_of_an_axis_and_no_legend_is_an_identifier_and_every_axis_has_one() {
        for figure in draw_all(&FixtureRun::small().records()) {
            crate::plot::assert_texts_are_words(figure.name, &figure.svg);
            let untitled = figure.name == "agreement";
            assert!(untitled || figure.svg.contains("rotate(-90"), "{}: no title at the vertical axes", figure.name);
            assert!(!figure.caption.contains('_'), "{}: {}", figure.name, figure.caption);
        }
    }

    #[test]
    fn the_picture_of_the_readme_is_that_of_the_committed_run() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let records = Records::read(&root.join("results/mnist_mlp")).unwrap();
        let drawn = ntk::draw(&records).unwrap().svg;
        let path = root.join("docs/default-run.svg");
        if std::env::var_os("WIDTHWISE_WRITE_DOCS").is_some() {
            std::fs::write(&path, &drawn).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == drawn, "run this test with WIDTHWISE_WRITE_DOCS=1");
    }

    #[test]
    fn figures_without_data_are_left_out() {
        let records = FixtureRun::small().records();
        for dropped in draw_all(&records) {
            let mut rest = records.clone();
            rest.rows.retain(|r| !dropped.quantities.contains(&r.quantity.as_str()));
            if dropped.name == "agreement" {
                rest.rows.iter_mut().for_each(|r| r.verdict = None);
            }
            rest.training.clear();
            if dropped.name == "error_budget" {
                rest.budget.clear();
            }
            let names: Vec<_> = draw_all(&rest).iter().map(|f| f.name).collect();
            assert!(!names.contains(&dropped.name), "{}", dropped.name);
            assert!(!names.is_empty());
        }
        let mut empty = records;
        empty.rows.clear();
        empty.training.clear();
        empty.budget.clear();
        assert_eq!(draw_all(&empty), []);
    }

    #[test]
    fn numbers_in_figures_are_those_of_the_csv() {
        let records = FixtureRun::small().records();
        let in_csv: Vec<String> = records
            .rows
            .iter()
            .flat_map(|r| [r.measured, r.std_error, r.predicted, r.z])
            .chain(records.budget.iter().flat_map(|r| [Some(r.root_mean_square), r.std_error, r.absolute_share, None]))
            .flatten()
            .map(exact)
            .collect();
        for figure in draw_all(&records) {
            let document = roxmltree::Document::parse(&figure.svg).unwrap();
            let tooltips: Vec<_> = document.descendants().filter(|n| n.tag_name().name() == "title").collect();
            assert!(!tooltips.is_empty(), "{}", figure.name);
            for line in tooltips.iter().filter_map(|t| t.text()).flat_map(|t| t.lines().skip(1)) {
                let number = line.rsplit(' ').next().unwrap().to_owned();
                assert!(in_csv.contains(&number), "{}: {line}", figure.name);
            }
        }
    }

    #[test]
    fn another_number_in_the_csv_makes_another_figure() {
        let records = FixtureRun::small().records();
        for figure in draw_all(&records) {
            let mut changed = records.clone();
            for row in changed.rows.iter_mut().filter(|r| is_ensemble(r)) {
                if figure.name == "agreement" || figure.quantities.contains(&row.quantity.as_str()) {
                    row.z = row.z.map(|z| z + 1.0);
                    row.measured = row.measured.map(|m| m * 1.5 + row.step as f64);
                }
            }
            changed.budget.iter_mut().for_each(|row| row.root_mean_square *= 1.0 + row.step as f64);
            let again = draw_all(&changed);
            let same = again.iter().find(|f| f.name == figure.name).unwrap();
            assert_ne!(same.svg, figure.svg, "{}", figure.name);
        }
    }

    #[test]
    fn empty_cells_single_steps_and_single_members_do_not_matter() {
        let mut records = FixtureRun::small().records();
        for (index, row) in records.rows.iter_mut().enumerate() {
            match index % 5 {
                0 => row.measured = None,
                1 => row.std_error = None,
                2 => row.predicted = None,
                3 => row.z = Some(f64::INFINITY),
                _ => row.layer = None,
            }
        }
        for step in [None, Some(0), Some(100)] {
            let mut rest = records.clone();
            rest.budget.retain(|r| step.is_none_or(|s| r.step == s));
            rest.rows.retain(|r| step.is_none_or(|s| r.step == s));
            for figure in draw_all(&rest) {
                assert!(!figure.svg.contains("NaN"), "{}", figure.name);
            }
        }
    }
}
