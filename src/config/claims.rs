//! Names of the comparisons that can decide the verdict of a run.

use crate::quantity::Quantity;

/// Every name that `claims.required` may hold, in the order of the quantities.
pub const KNOWN_CLAIMS: [&str; count()] = names();

const fn count() -> usize {
    let (mut found, mut index) = (0, 0);
    while index < Quantity::ALL.len() {
        if Quantity::ALL[index].claim().is_some() {
            found += 1;
        }
        index += 1;
    }
    found
}

const fn names() -> [&'static str; count()] {
    let mut names = [""; count()];
    let (mut found, mut index) = (0, 0);
    while index < Quantity::ALL.len() {
        if let Some(claim) = Quantity::ALL[index].claim() {
            names[found] = claim.name;
            found += 1;
        }
        index += 1;
    }
    names
}
