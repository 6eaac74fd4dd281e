//! The integration tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod arrows;
mod bad_input;
mod bounds;
mod chains;
mod cli;
mod dynamics;
mod ensembles;
mod examples;
mod explain;
mod kernel_jobs;
mod kernels;
mod ladder;
mod layers;
mod linearized;
mod networks;
mod ntk_jobs;
mod ntk_roads;
mod parameterizations;
mod predict;
mod predicted_paths;
mod program;
mod reproduce;
mod reproducibility;
mod resume;
mod taylor;
mod threads;
mod torch_files;
mod trained_ensembles;
mod training_metrics;
mod two_roads;
mod weights;
