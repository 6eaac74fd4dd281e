//! The integration tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod bounds;
mod networks;
mod two_roads;
