//! One or more matrices of one size, computed tile by tile together, and the way back into an unfinished job.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::grid::{Grid, TileBlock};
use super::journal::{Fingerprint, Finished, Journal, checksum};
use super::matrix_file::{MatrixFile, StoredNumber};
use crate::record::kill_point::kill_point;

/// What a job is to make.
#[derive(Debug, Clone)]
pub struct MatrixTarget {
    /// Files of the matrices.
    pub files: Vec<PathBuf>,
    /// The journal, which is there while the job is not done.
    pub journal: PathBuf,
    /// Size and tiles; an unfinished job keeps its own tiles unless `keep_tile`.
    pub grid: Grid,
    /// Whether the tiles must be those of `grid`, since the user asked for them.
    pub keep_tile: bool,
    /// Numbers in the files.
    pub storage: StoredNumber,
    /// What is computed.
    pub fingerprint: Fingerprint,
    /// Whether to forget an unfinished job.
    pub restart: bool,
}

/// What an unfinished job had done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued {
    /// Tiles that the journal says are done.
    pub noted: usize,
    /// Those of them that the files do not hold, and that are computed again.
    pub damaged: usize,
}

/// A job with its files open.
#[derive(Debug)]
pub struct TiledJob {
    files: Vec<(MatrixFile, PathBuf)>,
    journal: Journal,
    blocks: Vec<TileBlock>,
    grid: Grid,
    finished: Finished,
    is_new: bool,
    bytes: Vec<u8>,
    mirror: Vec<u8>,
}

impl TiledJob {
    /// Opens the files, new ones or those of an unfinished job; [`verify`](Self::verify) comes next.
    ///
    /// # Errors
    /// Another process at work, an unfinished job of another kind, or a failure to write.
    pub fn open(target: &MatrixTarget) -> io::Result<Self> {
        let (mut journal, found) = Journal::open(&target.journal)?;
        let mut grid = target.grid;
        let mut finished = Finished::new();
        let mut is_new = true;
        if let Some(found) = found.filter(|_| !target.restart) {
            let mut differences = found.differences(&target.fingerprint);
            if target.keep_tile && found.tile != grid.tile {
                differences.push(format!("tile (there {}, here {})", found.tile, grid.tile));
            }
            if !differences.is_empty() {
                let message = format!(
                    "{} belongs to an unfinished kernel that differs in {}; repeat its command to finish it, replace it with \
                     --restart, or give another --out",
                    journal.path().display(),
                    differences.join(", ")
                );
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
            grid.tile = found.tile;
            finished = found.finished;
            is_new = false;
        }
        let blocks = grid.blocks();
        finished.retain(|tile, checksums| *tile < blocks.len() && checksums.len() == target.files.len());
        let existing = |path: &PathBuf| {
            let part = part(path);
            let file = match MatrixFile::open(&part, true) {
                Ok(file) => file,
                // A job that was killed among its last renames has this file in place already.
                Err(_) if finished.len() == blocks.len() => MatrixFile::open(path, false).ok()?,
                Err(_) => return None,
            };
            fits(&file, &grid, target.storage).then(|| (file, path.clone()))
        };
        let found = if is_new { None } else { target.files.iter().map(existing).collect() };
        let files = match found {
            Some(files) => files,
            None => {
                is_new = true;
                finished.clear();
                let make = |path: &PathBuf| {
                    let file = MatrixFile::create(&part(path), grid.rows, grid.columns, target.storage)?;
                    Ok((file, path.clone()))
                };
                let files = target.files.iter().map(make).collect::<io::Result<Vec<_>>>()?;
                journal.begin(&target.fingerprint, grid.tile)?;
                files
            }
        };
        Ok(Self { files, journal, blocks, grid, finished, is_new, bytes: Vec::new(), mirror: Vec::new() })
    }

    /// The tiles that are used, which for an unfinished job are those that it began with.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// All tiles.
    pub fn blocks(&self) -> &[TileBlock] {
        &self.blocks
    }

    /// Whether this tile is done.
    pub fn is_finished(&self, tile: usize) -> bool {
        self.finished.contains_key(&tile)
    }

    /// Reads every finished tile back and forgets those that are not as they were written. `None` for a new job.
    ///
    /// `seen(tile, matrix, values)` is told the numbers of every sound tile, row by row. It returns `false` to stop early.
    ///
    /// # Errors
    /// A failure to read.
    pub fn verify(&mut self, mut seen: impl FnMut(usize, usize, &[f64]) -> bool) -> io::Result<Option<Continued>> {
        if self.is_new {
            return Ok(None);
        }
        let noted = self.finished.len();
        let mut damaged = Vec::new();
        let mut values = Vec::new();
        'tiles: for (&tile, checksums) in &self.finished {
            let block = &self.blocks[tile];
            for (matrix, (file, _)) in self.files.iter().enumerate() {
                file.read_block(block.rows.clone(), block.columns.clone(), &mut self.bytes)?;
                self.mirror.clear();
                if block.is_mirrored {
                    let place = block.mirror();
                    file.read_block(place.rows, place.columns, &mut self.mirror)?;
                }
                if checksum([&*self.bytes, &*self.mirror]) != checksums[matrix] {
                    damaged.push(tile);
                    continue 'tiles;
                }
                values.clear();
                values.extend(file.storage().decode(&self.bytes));
                if !seen(tile, matrix, &values) {
                    break 'tiles;
                }
            }
        }
        damaged.iter().for_each(|tile| drop(self.finished.remove(tile)));
        if !damaged.is_empty() {
            self.write_into_parts()?;
        }
        Ok(Some(Continued { noted, damaged: damaged.len() }))
    }

    /// A file with its final name but damaged tiles becomes a part again.
    fn write_into_parts(&mut self) -> io::Result<()> {
        for (file, path) in &mut self.files {
            if file.path() == path.as_path() {
                let part = part(path);
                fs::rename(&*path, &part).map_err(|error| cannot_rename(path, &error))?;
                *file = MatrixFile::open(&part, true)?;
            }
        }
        Ok(())
    }

    /// Writes a tile of every matrix, row by row, at its place and below the diagonal, and notes it. Returns the numbers as they
    /// were stored to `stored(matrix, values)`.
    ///
    /// # Shapes
    /// `matrices`: for each matrix the `rows x columns` numbers of the block.
    ///
    /// # Errors
    /// A failure to write; what was noted before stays.
    pub fn store(
        &mut self,
        tile: usize,
        matrices: &[&[f64]],
        mut stored: impl FnMut(usize, &mut dyn Iterator<Item = f64>),
    ) -> io::Result<()> {
        let block = &self.blocks[tile];
        let (height, width) = (block.rows.len(), block.columns.len());
        let mut checksums = Vec::new();
        for (matrix, (values, (file, _))) in matrices.iter().zip(&self.files).enumerate() {
            file.storage().encode(values.iter().copied(), &mut self.bytes);
            file.write_block(block.rows.clone(), block.columns.clone(), &self.bytes)?;
            self.mirror.clear();
            if block.is_mirrored {
                let transposed = (0..width).flat_map(|j| (0..height).map(move |i| values[i * width + j]));
                file.storage().encode(transposed, &mut self.mirror);
                let place = block.mirror();
                file.write_block(place.rows, place.columns, &self.mirror)?;
            }
            checksums.push(checksum([&*self.bytes, &*self.mirror]));
            stored(matrix, &mut file.storage().decode(&self.bytes));
        }
        kill_point("tile.before_journal");
        self.journal.record(tile, &checksums)?;
        kill_point("tile.after_journal");
        self.finished.insert(tile, checksums);
        Ok(())
    }

    /// Removes what is there of a job that cannot be finished.
    ///
    /// # Errors
    /// A failure to remove.
    pub fn discard(self) -> io::Result<()> {
        for (file, path) in &self.files {
            if file.path() != path.as_path() {
                fs::remove_file(file.path())?;
            }
        }
        self.journal.remove()
    }

    /// Gives the files their names and removes the journal; returns the files, open for reading.
    ///
    /// # Errors
    /// A failure to write or rename. The job can be finished later by opening it again.
    pub fn finish(self) -> io::Result<Vec<MatrixFile>> {
        self.files.iter().try_for_each(|(file, _)| file.flush())?;
        let mut done = Vec::new();
        for (file, path) in self.files {
            if file.path() != path.as_path() {
                kill_point("finish.before_rename");
                fs::rename(file.path(), &path).map_err(|error| cannot_rename(&path, &error))?;
                kill_point("finish.after_rename");
            }
            done.push(MatrixFile::open(&path, false)?);
        }
        kill_point("finish.before_remove");
        self.journal.remove()?;
        Ok(done)
    }
}

/// Where a matrix is until it is whole.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn fits(file: &MatrixFile, grid: &Grid, storage: StoredNumber) -> bool {
    (file.rows(), file.columns(), file.storage()) == (grid.rows, grid.columns, storage)
}

fn cannot_rename(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::npy;

    const GRID: Grid = Grid { rows: 5, columns: 5, tile: 2, is_symmetric: true };

    fn target(folder: &Path) -> MatrixTarget {
        MatrixTarget {
            files: ["a.npy", "b.npy"].map(|name| folder.join(name)).to_vec(),
            journal: folder.join("journal"),
            grid: GRID,
            keep_tile: false,
            storage: StoredNumber::F64,
            fingerprint: Fingerprint::default().with("inputs", "x"),
            restart: false,
        }
    }

    /// `(i + 1)(j + 1) factor`.
    fn values(block: &TileBlock, factor: f64) -> Vec<f64> {
        let entry = |i: usize, j: usize| ((i + 1) * (j + 1)) as f64 * factor;
        block.rows.clone().flat_map(|i| block.columns.clone().map(move |j| entry(i, j))).collect()
    }

    /// Computes up to `most` tiles that are not done.
    fn go_on(job: &mut TiledJob, most: usize) -> usize {
        let open: Vec<usize> = (0..job.blocks().len()).filter(|tile| !job.is_finished(*tile)).take(most).collect();
        for &tile in &open {
            let (a, b) = (values(&job.blocks()[tile], 1.0), values(&job.blocks()[tile], 0.1));
            job.store(tile, &[&a, &b], |_, _| {}).unwrap();
        }
        open.len()
    }

    #[test]
    fn an_unfinished_job_goes_on_and_ends_in_whole_files() {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path());
        let mut job = TiledJob::open(&target).unwrap();
        assert_eq!(job.verify(|_, _, _| true).unwrap(), None);
        assert_eq!(go_on(&mut job, 4), 4);
        drop(job);
        assert!(!target.files[0].exists());
        // Another tile would do as well, but the job keeps the one that it has.
        let other = MatrixTarget { grid: Grid { tile: 3, ..GRID }, ..target.clone() };
        let mut job = TiledJob::open(&other).unwrap();
        assert_eq!(job.grid().tile, 2);
        let mut sum = 0.0;
        let continued = job.verify(|_, matrix, values| {
            sum += if matrix == 0 { values.iter().sum::<f64>() } else { 0.0 };
            true
        });
        assert_eq!(continued.unwrap(), Some(Continued { noted: 4, damaged: 0 }));
        let done: f64 = GRID.blocks()[..4].iter().flat_map(|block| values(block, 1.0)).sum();
        assert_eq!(sum, done);
        assert_eq!(go_on(&mut job, 9), 2);
        job.finish().unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        let whole = npy::read(&target.files[1]).unwrap();
        assert!((0..5).all(|i| (0..5).all(|j| whole[(i, j)] == ((i + 1) * (j + 1)) as f64 * 0.1)));
    }

    #[test]
    fn damaged_tiles_are_done_again_also_below_the_diagonal_and_after_a_rename() {
        for (damaged_entry, is_renamed) in [((0, 3), false), ((3, 0), false), ((3, 0), true)] {
            let folder = tempfile::tempdir().unwrap();
            let target = target(folder.path());
            let mut job = TiledJob::open(&target).unwrap();
            go_on(&mut job, 9);
            drop(job);
            let file = MatrixFile::open(&part(&target.files[0]), true).unwrap();
            let (i, j) = damaged_entry;
            file.write_block(i..i + 1, j..j + 1, &7.0_f64.to_le_bytes()).unwrap();
            if is_renamed {
                fs::rename(part(&target.files[0]), &target.files[0]).unwrap();
            }
            let mut job = TiledJob::open(&target).unwrap();
            let continued = job.verify(|_, _, _| true).unwrap();
            assert_eq!(continued, Some(Continued { noted: 6, damaged: 1 }));
            assert_eq!(go_on(&mut job, 9), 1);
            job.finish().unwrap();
            assert_eq!(npy::read(&target.files[0]).unwrap()[damaged_entry], 4.0);
        }
    }

    #[test]
    fn another_job_is_refused_until_it_is_told_to_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = target(folder.path());
        go_on(&mut TiledJob::open(&first).unwrap(), 2);
        let other = MatrixTarget { fingerprint: Fingerprint::default().with("inputs", "y"), ..first.clone() };
        let message = TiledJob::open(&other).unwrap_err().to_string();
        assert!(message.contains("differs in inputs") && message.contains("--restart"), "{message}");
        let cut = MatrixTarget { grid: Grid { tile: 3, ..GRID }, keep_tile: true, ..first.clone() };
        let message = TiledJob::open(&cut).unwrap_err().to_string();
        assert!(message.contains("tile (there 2, here 3)"), "{message}");
        let mut job = TiledJob::open(&MatrixTarget { restart: true, ..other }).unwrap();
        assert_eq!(job.verify(|_, _, _| true).unwrap(), None);
        assert_eq!(go_on(&mut job, 9), 6);
    }

    #[test]
    fn a_job_that_is_discarded_leaves_nothing_but_older_results() {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path());
        fs::write(&target.files[0], "older").unwrap();
        let mut job = TiledJob::open(&target).unwrap();
        go_on(&mut job, 3);
        job.discard().unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.npy"]);
        assert_eq!(fs::read(&target.files[0]).unwrap(), b"older");
    }

    #[test]
    fn an_older_result_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let target = target(folder.path());
        let mut job = TiledJob::open(&target).unwrap();
        go_on(&mut job, 9);
        job.finish().unwrap();
        let before = fs::read(&target.files[0]).unwrap();
        let mut job = TiledJob::open(&target).unwrap();
        assert_eq!(job.verify(|_, _, _| true).unwrap(), None);
        go_on(&mut job, 1);
        assert_eq!(fs::read(&target.files[0]).unwrap(), before);
    }
}
