//! Does a finite network do what infinite-width theory says, and if not, why?

pub mod comparison;
pub mod config;
pub mod data;
pub mod device;
pub mod ensemble;
pub mod entries;
mod error;
pub mod explain;
mod host;
pub mod ladder;
pub mod measurement;
pub mod memory;
pub mod monitor;
pub mod monte_carlo;
pub mod need;
pub mod network;
pub mod ntk;
pub mod objective;
pub mod observation;
mod plot;
pub mod prediction;
pub mod quantity;
pub mod record;
pub mod report;
pub mod reproduce;
pub mod run;
mod session;
pub mod signals;
pub mod threads;
pub mod training;

pub use error::{Error, Result};
pub use widthwise_statistics::verdict;
