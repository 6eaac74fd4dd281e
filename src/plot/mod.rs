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
