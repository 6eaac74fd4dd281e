//! A kernel job from its first tile, or from where it was left, to its last.

use widthwise_theory::architecture::Architecture;

use super::files::{CSV_ENTRIES, KernelFiles, write_csv};
use super::statistics::{EntrySums, KernelStatistics};
use super::{ComputedKernel, JobOptions, KernelError, KernelsEnd};
use crate::entries::UnfitKernel;
use crate::monitor::{Monitor, Stage};
use crate::record::tiles::{Continued, Fingerprint, Grid, MatrixFile, TileBlock, TiledJob};
use crate::signals::StopFlag;

/// Where the numbers of a tile come from.
pub(super) trait TileSource {
    /// The grid of the matrices, in tiles of `options.tile`, or else as large as fit the budget.
    fn grid(&self, options: &JobOptions) -> Grid;

    /// Sees to it that tiles of `tile` rows fit the budget.
    ///
    /// # Errors
    /// One sentence with the least budget that would do.
    fn require(&mut self, tile: usize) -> Result<(), KernelError>;

    /// What a matrix is called in a sentence.
    fn name(&self, matrix: usize) -> String;

    /// Inputs that are zero if the matrix is; none where it may be zero all the same.
    fn inputs(&self, matrix: usize) -> &[f64];

    /// Computes a tile of every matrix, row by row; buffers are resized.
    ///
    /// # Errors
    /// A kernel that does not exist.
    fn compute(&mut self, block: &TileBlock, out: &mut [Vec<f64>]) -> Result<(), KernelError>;
}

/// What is computed of which network on which examples, so that nothing else is taken for it; `weights` are those of a finite one.
///
/// # Errors
/// An architecture that cannot be written down, which does not happen.
pub(super) fn fingerprint<P: AsRef<[f64]>>(
    architecture: &Architecture,
    weights: Option<impl IntoIterator<Item = P>>,
    left: &[f64],
    right: Option<&[f64]>,
) -> Result<Fingerprint, KernelError> {
    let architecture = serde_json::to_vec(architecture).map_err(KernelError::Architecture)?;
    let fingerprint = Fingerprint::default()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with_hash("architecture", [architecture.as_slice()]);
    let fingerprint = match weights {
        Some(weights) => fingerprint.with_parts("weights", weights),
        None => fingerprint,
    };
    let fingerprint = fingerprint.with_numbers("inputs", left);
    Ok(match right {
        Some(right) => fingerprint.with_numbers("right", right),
        None => fingerprint.with("right", "none"),
    })
}

/// The first of `sizes`, which descend, that is about as large as `most` or smaller and fits.
pub(super) fn largest(sizes: &[usize], most: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    sizes.iter().copied().find(|size| *size <= most.next_multiple_of(32) && fits((*size).min(most)))
}

/// Computes all tiles, then the text and the statistics of every kernel in `room()` bytes; `error` measures what storage costs.
///
/// # Errors
/// Another job in the way, a budget too small, a kernel that does not exist, a failure to read or write; tiles that are done stay.
pub(super) fn complete<S: TileSource>(
    (files, options, fingerprint): (&KernelFiles, &JobOptions, Fingerprint),
    source: S,
    room: impl Fn() -> u64,
    error: impl Fn(&str, &MatrixFile) -> Result<Option<f64>, KernelError>,
    (stop, monitor): (&StopFlag, &dyn Monitor),
) -> Result<KernelsEnd, KernelError> {
    let grid = source.grid(options);
    let mut job = KernelJob::open((files, options, fingerprint), grid, source, monitor)?;
    let found = job.run(stop, monitor);
    monitor.finished();
    let Some((matrices, sums)) = found? else {
        return Ok(KernelsEnd::Stopped { done: job.done, all: job.all });
    };
    drop(job);
    let with_csv = options.csv || grid.rows * grid.columns <= CSV_ENTRIES;
    let mut computed = Vec::new();
    for (index, (file, sums)) in matrices.into_iter().zip(sums).enumerate() {
        let (name, csv, npy) = (&files.names[index], files.csv[index].clone(), files.npy[index].clone());
        if with_csv {
            write_csv(&csv, &file)?;
        }
        let storage_error = error(name, &file)?;
        let statistics = KernelStatistics::new(name, &file, &sums, grid.is_symmetric, room())?;
        computed.push(ComputedKernel { statistics, file, npy, csv: with_csv.then_some(csv), storage_error });
    }
    Ok(KernelsEnd::Done(computed))
}

/// All matrices of a job with the sums over their entries.
type FinishedTiles = (Vec<MatrixFile>, Vec<EntrySums>);

/// An open job.
struct KernelJob<S> {
    tiles: Option<TiledJob>,
    source: S,
    sums: Vec<EntrySums>,
    done: usize,
    all: usize,
}

impl<S: TileSource> KernelJob<S> {
    /// Opens the files and says so if an unfinished job goes on.
    fn open(
        (files, options, fingerprint): (&KernelFiles, &JobOptions, Fingerprint),
        grid: Grid,
        mut source: S,
        monitor: &dyn Monitor,
    ) -> Result<Self, KernelError> {
        let target = files.target(grid, options, fingerprint);
        // Before anything is written; an unfinished job may have other tiles, which are examined again below.
        source.require(grid.tile)?;
        let mut tiles = TiledJob::open(&target)?;
        source.require(tiles.grid().tile)?;
        let all = tiles.blocks().len();
        let mut sums = vec![EntrySums::new(all); target.files.len()];
        let blocks = tiles.blocks().to_vec();
        let found = tiles.verify(|tile, matrix, values| {
            sums[matrix].add(tile, &blocks[tile], &mut values.iter().copied());
            true
        })?;
        let done = found.map_or(0, |found| found.noted - found.damaged);
        match found {
            Some(found) => monitor.note(&continued(found, all)),
            None => {
                let (rows, columns) = (tiles.grid().rows, tiles.grid().columns);
                monitor.note(&format!("computing {rows} x {columns} kernels in {all} tiles"));
            }
        }
        Ok(Self { tiles: Some(tiles), source, sums, done, all })
    }

    /// Computes what is not there yet; nothing if it is stopped.
    fn run(&mut self, stop: &StopFlag, monitor: &dyn Monitor) -> Result<Option<FinishedTiles>, KernelError> {
        let Some(mut tiles) = self.tiles.take() else { return Ok(None) };
        if let Err(unfit) = self.expect_finite() {
            tiles.discard()?;
            return Err(unfit.into());
        }
        monitor.stage(&Stage { name: "tiles", what: "tiles", all: self.all, done: self.done, steps: None });
        let mut out = vec![Vec::new(); self.sums.len()];
        for tile in 0..self.all {
            if tiles.is_finished(tile) {
                continue;
            }
            if stop.is_raised() {
                return Ok(None);
            }
            let block = tiles.blocks()[tile].clone();
            self.source.compute(&block, &mut out)?;
            let values: Vec<&[f64]> = out.iter().map(Vec::as_slice).collect();
            let (sums, done, all) = (&mut self.sums, self.done, self.all);
            tiles
                .store(tile, &values, |matrix, stored| sums[matrix].add(tile, &block, stored))
                .map_err(|source| KernelError::Interrupted { done, all, source })?;
            if let Err(unfit) = self.expect_finite() {
                tiles.discard()?;
                return Err(unfit.into());
            }
            self.done += 1;
            monitor.advanced(tile);
        }
        if let Err(unfit) = self.expect_kernels() {
            tiles.discard()?;
            return Err(unfit.into());
        }
        let (done, all) = (self.done, self.all);
        let matrices = tiles.finish().map_err(|source| KernelError::Interrupted { done, all, source })?;
        Ok(Some((matrices, std::mem::take(&mut self.sums))))
    }

    /// Refuses what is stored already if there is an entry that is not finite.
    fn expect_finite(&self) -> Result<(), UnfitKernel> {
        let expect = |(index, sums): (usize, &EntrySums)| sums.entries().expect_finite(self.source.name(index));
        self.sums.iter().enumerate().try_for_each(expect)
    }

    /// Refuses matrices that are no kernels.
    fn expect_kernels(&self) -> Result<(), UnfitKernel> {
        let expect = |(index, sums): (usize, &EntrySums)| {
            sums.entries().expect_kernel(self.source.name(index), self.source.inputs(index))
        };
        self.sums.iter().enumerate().try_for_each(expect)
    }
}

/// A job that goes on, in a sentence.
fn continued(found: Continued, all: usize) -> String {
    let Continued { noted, damaged } = found;
    let again = match damaged {
        0 => String::new(),
        1 => "; 1 tile does not match its checksum and is computed again".to_owned(),
        many => format!("; {many} tiles do not match their checksums and are computed again"),
    };
    format!("continuing an unfinished job: {} of {all} tiles are there{again}", noted - damaged)
}
