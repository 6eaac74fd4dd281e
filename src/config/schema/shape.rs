//! The words in which a schema is written: shapes of values, keys, variants, ranges.

use super::layers::{BRANCH, LAYERS};

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Shape {
    /// A table with these keys.
    Table(&'static [Key]),
    /// `true` or `false`.
    Switch,
    /// `true` or `false`, or one of these names.
    SwitchOr(&'static [&'static str]),
    /// `true` or `false`, or a table with these keys.
    SwitchOrTable(&'static [Key]),
    /// A whole number in this range.
    Whole(u64, u64),
    /// A number.
    Number(Range),
    /// Text that is not empty.
    Text,
    /// A formula of `x`.
    Formula,
    /// A name that is safe as the name of a folder.
    Name,
    /// Two whole numbers from 1 to 1000: vertical, horizontal.
    Pair,
    /// Whole numbers in this range, at least one of them.
    Wholes(u64, u64),
    /// Finite numbers, at least one of them.
    Numbers,
    /// Any number of these names.
    Names(&'static [&'static str]),
    /// One of these names.
    Choice(&'static [&'static str]),
    /// One of these names, or whole numbers from 0 to 1000: one, or two, vertical and horizontal.
    ChoiceOrCells(&'static [&'static str]),
    /// One variant, its name the only key of a table, or plain text where it needs no content.
    Variants(&'static [Variant]),
    /// As `Variants`, or an empty table for the value that another key has.
    VariantsOrEmpty(&'static [Variant]),
    /// A table whose `name` says which other keys it has.
    Named(&'static [Variant]),
    /// A list of at least so many layers of a network.
    Layers(usize),
    /// One layer: a variant, its name alone where nothing in it is required.
    Layer,
    /// A list of at least one branch of a network.
    Branches,
    /// A name that is known and never allowed, for this reason.
    Refused(&'static str),
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Key {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) shape: Shape,
    /// Whether there is no default.
    pub(in crate::config) required: bool,
    /// Whether the resolved text is silent about the key where it has no value, so that experiments without it keep their
    /// text and its hash.
    pub(in crate::config) silent: bool,
}

/// A variant of an enum.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct Variant {
    pub(in crate::config) name: &'static str,
    /// `None` for a variant that is only a name.
    pub(in crate::config) content: Option<Shape>,
}

/// Finite numbers with a bound.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Range {
    /// Any finite number.
    Finite,
    /// Above 0.
    Positive,
    /// 0 or above.
    NotNegative,
    /// 0 <= x < 1.
    BelowOne,
    /// 0 < x < 1.
    Inside,
    /// 0 <= x <= 1.
    Fraction,
    /// 0 < x <= 1.
    Share,
}

impl Range {
    /// Whether the number is allowed; NaN and infinities never are.
    pub(in crate::config) fn contains(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Self::Finite => true,
                Self::Positive => x > 0.0,
                Self::NotNegative => x >= 0.0,
                Self::BelowOne => (0.0..1.0).contains(&x),
                Self::Inside => x > 0.0 && x < 1.0,
                Self::Fraction => (0.0..=1.0).contains(&x),
                Self::Share => x > 0.0 && x <= 1.0,
            }
    }

    /// In words.
    pub(in crate::config) fn name(self) -> &'static str {
        match self {
            Self::Finite => "a finite number",
            Self::Positive => "a finite number above 0",
            Self::NotNegative => "a finite number of at least 0",
            Self::BelowOne => "a number of at least 0 and below 1",
            Self::Inside => "a number above 0 and below 1",
            Self::Fraction => "a number from 0 to 1",
            Self::Share => "a number above 0 and at most 1",
        }
    }
}

impl Shape {
    /// The keys of a table that is not an enum, also where a switch may stand in its place.
    pub(in crate::config) fn keys(self) -> &'static [Key] {
        match self {
            Self::Table(keys) | Self::SwitchOrTable(keys) => keys,
            _ => &[],
        }
    }

    /// The variants of an enum, those that are refused included.
    pub(in crate::config) fn variants(self) -> &'static [Variant] {
        match self {
            Self::Variants(variants) | Self::VariantsOrEmpty(variants) => variants,
            Self::Layer => LAYERS,
            _ => &[],
        }
    }

    /// What the items of a list of tables or variants are.
    pub(in crate::config) fn item(self) -> Option<Self> {
        match self {
            Self::Layers(_) => Some(Self::Layer),
            Self::Branches => Some(Self::Table(BRANCH)),
            _ => None,
        }
    }
}

impl Variant {
    /// Whether the name alone is enough.
    pub(in crate::config) fn stands_alone(&self) -> bool {
        match self.content {
            None => true,
            Some(Shape::Table(keys)) => keys.iter().all(|key| !key.required),
            Some(Shape::VariantsOrEmpty(_)) => true,
            Some(_) => false,
        }
    }

    /// Why the variant is never allowed, if it is not.
    pub(in crate::config) fn refusal(&self) -> Option<&'static str> {
        match self.content {
            Some(Shape::Refused(reason)) => Some(reason),
            _ => None,
        }
    }
}
