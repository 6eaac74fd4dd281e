//! A kernel job from its first tile, or from where it was left, to its last.

use anyhow::{Context, Result};
use widthwise::entries::UnfitKernel;
use widthwise::record::tiles::{Fingerprint, MatrixFile, MatrixTarget, StoredNumber, TileBlock, TiledJob};
use widthwise::signals::StopFlag;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, TrainedLayers};

use super::continued;
use super::summary::EntrySums;
use crate::commands::blocks::WantedKernels;
use crate::terminal::console::Console;
use crate::terminal::progress::JobMonitor;
use widthwise::monitor::{Monitor, Stage};

/// How a job ends.
pub(crate) enum JobEnd {
    /// All tiles are there.
    Done { matrices: Vec<MatrixFile>, sums: Vec<EntrySums> },
    /// A signal came.
    Stopped,
}

/// Where the numbers of a tile come from.
pub(crate) trait TileSource {
    /// Sees to it that tiles of `tile` rows fit the budget.
    ///
    /// # Errors
    /// One sentence with the least budget that would do.
    fn expect(&mut self, tile: usize) -> Result<()>;

    /// What a matrix is called.
    fn name(&self, matrix: usize) -> String;

    /// Inputs that are zero if the matrix is; none where it may be zero all the same.
    fn inputs(&self, matrix: usize) -> &[f64];

    /// Computes a tile of every matrix, row by row; buffers are resized.
    ///
    /// # Errors
    /// A kernel that does not exist.
    fn compute(&mut self, block: &TileBlock, out: &mut [Vec<f64>]) -> Result<()>;
}

/// An open job.
pub(crate) struct Job<'a, S> {
    tiles: Option<TiledJob>,
    source: S,
    sums: Vec<EntrySums>,
    console: &'a Console,
    done: usize,
    all: usize,
}

/// What is computed, so that nothing else is taken for it.
///
/// # Errors
/// An architecture that cannot be written down, which does not happen.
pub(crate) fn fingerprint(
    architecture: &Architecture,
    left: &Inputs,
    right: Option<&Inputs>,
    wanted: WantedKernels,
    storage: StoredNumber,
    trained: TrainedLayers,
) -> Result<Fingerprint> {
    let architecture = serde_json::to_vec(architecture).context("cannot write the architecture down")?;
    let kernels: Vec<&str> = wanted.names().collect();
    let fingerprint = Fingerprint::default()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with_hash("architecture", [architecture.as_slice()])
        .with_numbers("inputs", &left.values);
    let fingerprint = match right {
        Some(right) => fingerprint.with_numbers("right", &right.values),
        None => fingerprint.with("right", "none"),
    };
    Ok(fingerprint
        .with("kernels", &kernels.join(","))
        .with("storage", storage.name())
        .with("trained", &format!("{trained:?}")))
}

impl<'a, S: TileSource> Job<'a, S> {
    /// Opens the files and says so if an unfinished job goes on.
    ///
    /// # Errors
    /// Another job in the way, a budget too small for the tiles, a failure to read or write.
    pub(crate) fn open(target: &MatrixTarget, mut source: S, console: &'a Console) -> Result<Self> {
        // Before anything is written; an unfinished job may have other tiles, which are examined again below.
        source.expect(target.grid.tile)?;
        let mut tiles = TiledJob::open(target)?;
        source.expect(tiles.grid().tile)?;
        let all = tiles.blocks().len();
        let mut sums = vec![EntrySums::new(all); target.files.len()];
        let blocks = tiles.blocks().to_vec();
        let found = tiles.verify(|tile, matrix, values| {
            sums[matrix].add(tile, &blocks[tile], &mut values.iter().copied());
            true
        })?;
        let done = found.map_or(0, |found| found.noted - found.damaged);
        match found {
            Some(found) => console.note(continued(found, all)),
            None => {
                let (rows, columns) = (tiles.grid().rows, tiles.grid().columns);
                console.note(format_args!("computing {rows} x {columns} kernels in {all} tiles"));
            }
        }
        Ok(Self { tiles: Some(tiles), source, sums, console, done, all })
    }

    /// Tiles done, and all.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.done, self.all)
    }

    /// Computes what is not there yet.
    ///
    /// # Errors
    /// A failure to compute or to write; what was done before stays.
    pub(crate) fn run(&mut self, stop: &StopFlag) -> Result<JobEnd> {
        let Some(mut tiles) = self.tiles.take() else { return Ok(JobEnd::Stopped) };
        if let Err(unfit) = self.expect_finite() {
            tiles.discard()?;
            return Err(unfit.into());
        }
        let progress = JobMonitor::new(self.console);
        progress.stage(&Stage { name: "tiles", what: "tiles", all: self.all, done: self.done, steps: None });
        let mut out = vec![Vec::new(); self.sums.len()];
        for tile in 0..self.all {
            if tiles.is_finished(tile) {
                continue;
            }
            if stop.is_raised() {
                return Ok(JobEnd::Stopped);
            }
            let block = tiles.blocks()[tile].clone();
            self.source.compute(&block, &mut out)?;
            let values: Vec<&[f64]> = out.iter().map(Vec::as_slice).collect();
            let sums = &mut self.sums;
            tiles
                .store(tile, &values, |matrix, stored| sums[matrix].add(tile, &block, stored))
                .with_context(|| self.kept())?;
            if let Err(unfit) = self.expect_finite() {
                tiles.discard()?;
                return Err(unfit.into());
            }
            self.done += 1;
            progress.advanced(0);
        }
        drop(progress);
        if let Err(unfit) = self.expect_kernels() {
            tiles.discard()?;
            return Err(unfit.into());
        }
        let matrices = tiles.finish().with_context(|| self.kept())?;
        Ok(JobEnd::Done { matrices, sums: std::mem::take(&mut self.sums) })
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

    fn kept(&self) -> String {
        let (done, all) = self.progress();
        format!("{done} of {all} tiles are kept; make room and repeat the command to go on")
    }
}
