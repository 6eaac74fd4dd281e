//! Matrices larger than memory: `.npy` files that are written tile by tile, and a journal from which a killed job goes on.
//!
//! While the job runs the matrices are in `NAME.npy.part`, of full size from the start; they get their names by a rename at the
//! end, and then the journal goes. The journal is one line a finished tile, with a checksum of the bytes as they should be on
//! the disk. Nothing is flushed tile by tile: a tile that a power cut took does not match its checksum, and is computed again.

mod grid;
mod job;
mod journal;
mod matrix_file;

pub use grid::{Grid, TileBlock};
pub use job::{Continued, MatrixTarget, TiledJob};
pub use journal::Fingerprint;
pub use matrix_file::{MatrixFile, StoredNumber};
