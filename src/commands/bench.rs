//! `widthwise bench`: how fast this machine is, case by case, with sizes in the names.

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::tensor::Device;
use serde::Serialize;
use widthwise::bench::{self, LibraryPeak, Peak, chosen};
use widthwise::config::{DeviceKind, ProbesConfig};
use widthwise::device;
use widthwise::memory::Bytes;
use widthwise::training::schedule::ProbeSteps;

use super::Exit;
use crate::cli::{BenchCases, DeviceCases, ProbeCases};
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;

fn seconds(value: f64) -> String {
    format!("{} s", number(value, 3))
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", number(1e3 * seconds, 3))
}

fn percent(value: f64) -> String {
    format!("{:.0} %", 100.0 * value)
}

/// Times infinite-width kernels.
///
/// # Errors
/// No such case, or a kernel that cannot be computed.
pub(crate) fn kernels(arguments: &BenchCases, console: &Console) -> Result<Exit> {
    let chosen = chosen(bench::kernels::cases(), arguments.case.as_deref())?;
    let heading = ["case", "median", "fastest", "slowest", "duals/s/thread"];
    let mut rows = vec![heading.map(str::to_owned)];
    for case in &chosen {
        console.note(format_args!("timing {}", case.name));
        let timing = bench::kernels::time(case, arguments.repeats)?;
        console.json(&timing)?;
        rows.push([
            case.name.to_owned(),
            seconds(timing.median_s),
            seconds(timing.fastest_s),
            seconds(timing.slowest_s),
            number(timing.duals_per_s_per_thread, 3),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!("{} threads", rayon::current_num_threads()))?;
    Ok(Exit::Done)
}

/// Times empirical tangent kernels.
///
/// # Errors
/// No such case, or no such device.
pub(crate) fn ntk(DeviceCases { cases: arguments, device: kind }: &DeviceCases, console: &Console) -> Result<Exit> {
    let device = device::open(*kind)?;
    let chosen = chosen(bench::ntk::cases(), arguments.case.as_deref())?;
    let heading =
        ["case", "median", "fastest", "slowest", "GFLOP", "of peak", "performed", "processors", "of theirs", "memory"];
    let mut rows = vec![heading.map(str::to_owned)];
    let peak = peak(&device, console)?;
    for case in &chosen {
        let timing = bench::ntk::time(case, arguments.repeats, peak, &device)?;
        console.json(&timing)?;
        rows.push([
            timing.case.clone(),
            seconds(timing.median_s),
            seconds(timing.fastest_s),
            seconds(timing.slowest_s),
            number(timing.gflop, 3),
            percent(timing.fraction_of_peak),
            percent(timing.performed_fraction_of_peak),
            timing.processor_s.map_or_else(|| "-".to_owned(), seconds),
            timing.fraction_of_processor_peak.map_or_else(|| "-".to_owned(), percent),
            timing.peak_bytes.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string()),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, right, right, right, right], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!(
        "on {}, kernels end in host memory; peak: {} GFLOP/s in f32 with {} threads, of large matrices",
        device::label(*kind, &device),
        number(peak.wall, 3),
        rayon::current_num_threads()
    ))?;
    Ok(Exit::Done)
}

/// Times training steps.
///
/// # Errors
/// No such case, or no such device.
pub(crate) fn train(DeviceCases { cases: arguments, device: kind }: &DeviceCases, console: &Console) -> Result<Exit> {
    let device = device::open(*kind)?;
    // There is no other path on the other devices.
    let is_there = |case: &bench::train::TrainCase| *kind == DeviceKind::Flex || !case.is_generic;
    let cases = bench::train::cases().into_iter().filter(is_there).collect();
    let chosen = chosen(cases, arguments.case.as_deref())?;
    let mut rows =
        vec![["case", "step", "fastest", "slowest", "steps/s", "GFLOP/s", "of peak", "memory"].map(str::to_owned)];
    let peak = peak(&device, console)?.wall;
    for case in &chosen {
        console.note(format_args!("timing {}", case.name));
        let timing = bench::train::time(case, arguments.repeats, peak, &device)?;
        console.json(&timing)?;
        rows.push([
            timing.case.clone(),
            milliseconds(timing.median_s),
            milliseconds(timing.fastest_s),
            milliseconds(timing.slowest_s),
            number(timing.steps_per_s, 3),
            number(timing.gflop_per_s, 3),
            percent(timing.fraction_of_peak),
            timing.peak_bytes.map_or_else(|| "-".to_owned(), |bytes| Bytes(bytes).to_string()),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, right, right], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!(
        "on {}; peak: {} GFLOP/s in f32 with {} threads; momentum 0.9, 1/(2m) sum of squares, narrow networks Adam and cross-entropy; a step \
         of several members is one of each",
        device::label(*kind, &device),
        number(peak, 3),
        rayon::current_num_threads()
    ))?;
    Ok(Exit::Done)
}

/// Times snapshots, probe by probe.
///
/// # Errors
/// No such case, or a table that cannot be written.
pub(crate) fn probes(arguments: &ProbeCases, console: &Console) -> Result<Exit> {
    use bench::probes::{BATCH, STEPS, TEST, TRAIN, cases, time};
    let chosen = chosen(cases(), arguments.cases.case.as_deref())?;
    let mut table = arguments.out.as_ref().map(|path| open(path)).transpose()?;
    let config = ProbesConfig::default();
    let snapshots = ProbeSteps::new(config.schedule, STEPS).count();
    let mut rows = vec![["case", "probe", "median", "fastest", "slowest", "steps", "of a run"].map(str::to_owned)];
    for case in &chosen {
        console.note(format_args!("timing {}", case.name));
        let timings = time(case, arguments.cases.repeats)?;
        let step = timings.iter().find(|timing| timing.probe == "step").map_or(f64::NAN, |timing| timing.median_s);
        for timing in &timings {
            console.json(timing)?;
            if let Some((writer, path)) = &mut table {
                let written = writer.serialize(timing).and_then(|()| Ok(writer.flush()?));
                written.with_context(|| format!("cannot write {}", path.display()))?;
            }
            // Of the time that the steps of the default run and so many snapshots take.
            let share = snapshots as f64 * timing.median_s;
            let share = share / (STEPS as f64 * step + share);
            rows.push([
                timing.case.clone(),
                timing.probe.to_owned(),
                milliseconds(timing.median_s),
                milliseconds(timing.fastest_s),
                milliseconds(timing.slowest_s),
                number(timing.in_steps, 2),
                if timing.probe == "snapshot" { percent(share) } else { String::new() },
            ]);
        }
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, left, right, right, right, right, right], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!(
        "f32, {} threads; {} probe examples, {} of them and {} vector(s) for partial Jacobians, {} bins; {TRAIN} training (default: {BATCH}) and \
         {TEST} test examples; of a run: {snapshots} snapshots on {STEPS} steps",
        rayon::current_num_threads(),
        config.examples,
        config.jacobian_examples,
        config.jacobian_vectors,
        config.information_bins,
    ))?;
    Ok(Exit::Done)
}

fn open(path: &PathBuf) -> Result<(csv::Writer<std::fs::File>, &PathBuf)> {
    Ok((csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?, path))
}

#[derive(Debug, Serialize)]
struct PeakLine {
    event: &'static str,
    /// Name of the hardware; none for the processors of this machine.
    device: Option<String>,
    library: &'static str,
    gflop_per_s: f64,
    threads: usize,
}

/// Measures the speed of large products, and says what each library reaches.
fn peak(device: &Device, console: &Console) -> Result<Peak> {
    let (peak, reached) = bench::peak(device)?;
    for LibraryPeak { library, rows, gflop_per_s } in reached {
        let (hardware, threads) = (rows.and_then(|_| device::hardware(device)), rayon::current_num_threads());
        console.json(&PeakLine { event: "peak", device: hardware, library, gflop_per_s, threads })?;
        let lead = rows.map_or_else(|| library.to_owned(), |rows| format!("products of {rows} rows"));
        console.note(format_args!("{lead}: {} GFLOP/s", number(gflop_per_s, 3)));
    }
    Ok(peak)
}
