//! Does a finite network do what infinite-width theory says, and if not, why?

pub mod config {
    //! Placeholder.
    mod experiment;
    pub use experiment::*;
}
pub mod network;
pub mod observation;
pub mod training;
pub mod record {
    //! Placeholder.
    pub mod row;
}
