//! Does a finite network do what infinite-width theory says, and if not, why?
//!
//! The program `widthwise` is one way to ask; this library, which it is made of, is another. It prints nothing, reads no command line
//! and needs neither with `default-features = false`.
//!
//! ```
//! use widthwise::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Two examples of three features, and a network of infinite width on them.
//! let inputs = Inputs::new(vec![1.0, 0.0, 0.5, 0.0, 1.0, 0.5], InputShape::flat(3))?;
//! let network = NetworkConfig { depth: 2, ..NetworkConfig::default() };
//! let architecture = build_architecture(&network, inputs.shape, 1, None)?;
//! let theory = kernels(&architecture, &inputs, None)?;
//! assert!(theory.ntk[(0, 0)] > theory.ntk[(0, 1)]);
//!
//! // The tangent kernel of one network of finite width, which comes near it as the width grows.
//! let network = Network::new(&architecture, UpdateRule::Linear, 1, 0, &Device::flex(), DType::F32)?;
//! let batch = network.batch(&inputs.values);
//! let ntk = empirical_ntk(&Observation::new(&network, &batch));
//! assert!(relative_distance(&ntk, &theory.ntk) < 0.5);
//! # Ok(())
//! # }
//! ```
//!
//! Longer ones are in `examples/`: `train_and_check.rs`, `kernels_of_a_network.rs` and `own_probe.rs`.
//!
//! | to | go to |
//! |---|---|
//! | name the usual things at once | [`prelude`] |
//! | read a configuration | [`config`] |
//! | read examples, or take those in memory | [`examples`], [`data`] |
//! | build a network and draw its parameters | [`network`] |
//! | train it | [`training`], [`objective`] |
//! | train many, and divide them among machines | [`ensemble`] |
//! | see a network as probes do | [`observation`], [`probes`] |
//! | measure it at a step | [`measurement`], [`quantity`] |
//! | ask theory | [`theory`], [`prediction`] |
//! | compute kernels within a memory budget | [`kernels`]; [`ntk`] for the parts of an empirical one |
//! | sample kernels over finite networks | [`monte_carlo`] |
//! | predict outputs of infinitely wide networks | [`predict`] |
//! | run an experiment and check it | [`run`], [`comparison`], [`verdict`] |
//! | know why a run differs | [`explain`] |
//! | fit powers of the width | [`ladder`] |
//! | make figures of papers again | [`reproduce`] |
//! | read and write what runs leave behind | [`record`], [`report`] |
//! | hear of progress, and stop | [`monitor`], [`signals`] |
//! | choose where to compute, and with how much | [`device`], [`threads`], [`memory`], [`need`], [`bench`](mod@bench) |

pub mod bench;
pub mod comparison;
pub mod config;
pub mod data;
pub mod device;
pub mod ensemble;
pub mod entries;
mod error;
pub mod examples;
pub mod explain;
mod host;
pub mod kernels;
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
pub mod predict;
pub mod prediction;
pub mod prelude;
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
pub use widthwise_datasets as datasets;
pub use widthwise_probes as probes;
pub use widthwise_statistics as statistics;
pub use widthwise_statistics::verdict;
pub use widthwise_tensors as tensors;
pub use widthwise_theory as theory;
