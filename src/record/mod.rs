//! What a run leaves on disk, and how it gets there whole.

pub mod atomic;
pub mod budget;
pub mod checkpoint;
pub mod columns;
pub mod csv_file;
pub mod folder;
pub mod kill_point;
pub mod lock;
pub mod manifest;
pub mod npy;
pub mod place;
pub mod registration;
pub mod row;
pub mod tiles;
pub mod weights;
