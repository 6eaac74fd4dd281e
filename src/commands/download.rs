//! What the user sees of a download.

use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use serde::Serialize;
use widthwise_datasets::fetch::Progress;

use crate::terminal::console::{Console, remark};

/// Bytes between two JSON lines about the same file.
const JSON_STRIDE: u64 = 8 << 20;

/// Shows the progress of one data set.
pub(super) struct DownloadProgress<'a> {
    console: &'a Console,
    id: &'static str,
    bar: Option<ProgressBar>,
    told: u64,
}

#[derive(Serialize)]
struct DownloadEvent<'a> {
    event: &'static str,
    dataset: &'a str,
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_verified: Option<bool>,
}

impl<'a> DownloadProgress<'a> {
    pub(super) fn new(console: &'a Console, id: &'static str) -> Self {
        Self { console, id, bar: None, told: 0 }
    }

    /// Shows one step of it.
    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        if self.console.is_json {
            self.tell(progress);
        } else if !self.console.is_quiet {
            self.draw(progress);
        }
    }

    fn draw(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Started { file, resumed_from, total, .. } if self.console.is_interactive => {
                self.bar = Some(bar(file, *resumed_from, *total));
            }
            Progress::Advanced { done, total, .. } => {
                if let Some(bar) = &self.bar {
                    if let Some(total) = total {
                        bar.set_length(*total);
                    }
                    bar.set_position(*done);
                }
            }
            _ => self.bar = None,
        }
        if let Some(text) = line(self.id, progress, self.console.is_verbose) {
            remark(text);
        }
    }

    fn tell(&mut self, progress: &Progress<'_>) {
        let blank = |event, file| DownloadEvent {
            event,
            dataset: self.id,
            file,
            url: None,
            bytes: None,
            total: None,
            reason: None,
            is_verified: None,
        };
        let event = match progress {
            Progress::Present { file } => blank("present", *file),
            Progress::Started { file, url, resumed_from, total } => {
                self.told = *resumed_from;
                DownloadEvent { url: Some(url), bytes: Some(*resumed_from), total: *total, ..blank("started", file) }
            }
            Progress::Advanced { done, .. } if *done < self.told.saturating_add(JSON_STRIDE) => return,
            Progress::Advanced { file, done, total } => {
                self.told = *done;
                DownloadEvent { bytes: Some(*done), total: *total, ..blank("advanced", file) }
            }
            Progress::Failed { file, url, reason } => {
                DownloadEvent { url: Some(url), reason: Some(reason), ..blank("failed", file) }
            }
            Progress::Finished { file, verified } => {
                DownloadEvent { is_verified: Some(*verified), ..blank("finished", file) }
            }
            Progress::Unpacked { file } => blank("unpacked", file),
            Progress::SetAside { from, to } => {
                let (from, to) = (from.display().to_string(), to.display().to_string());
                let _ = self.console.json(&DownloadEvent { reason: Some(&to), ..blank("set_aside", &from) });
                return;
            }
        };
        // The files matter more than who listens; the result line reports a standard output that fails.
        let _ = self.console.json(&event);
    }
}

fn bar(file: &str, from: u64, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{prefix}  {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
        None => "{prefix}  {spinner} {bytes}  {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_prefix(file.to_owned())
        .with_finish(ProgressFinish::AndClear)
        .with_position(from);
    bar.reset_eta();
    bar
}

/// A file that had to make room.
pub(super) fn set_aside(id: &str, from: &Path, to: &Path) -> String {
    format!("{id}: {} is not {id}'s file; it is now {}", from.display(), to.display())
}

/// The line that stays, if a step of the download is worth one.
fn line(id: &str, progress: &Progress<'_>, is_verbose: bool) -> Option<String> {
    match progress {
        Progress::Present { file } => Some(format!("{id}: {file} is there already")),
        Progress::Started { file, url, resumed_from: 0, .. } if is_verbose => {
            Some(format!("{id}: downloading {file} from {url}"))
        }
        Progress::Started { file, resumed_from, .. } if *resumed_from > 0 => {
            Some(format!("{id}: continuing {file} after {resumed_from} bytes"))
        }
        Progress::Failed { url, reason, .. } => Some(format!("{id}: {url} failed: {reason}")),
        Progress::Finished { file, verified: true } => Some(format!("{id}: {file} downloaded, checksum verified")),
        Progress::Finished { file, verified: false } => {
            Some(format!("{id}: {file} downloaded; no checksum is published"))
        }
        Progress::Unpacked { file } => Some(format!("{id}: {file} unpacked")),
        Progress::SetAside { from, to } => Some(set_aside(id, from, to)),
        Progress::Started { .. } | Progress::Advanced { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_for_what_matters_later() {
        let started =
            |resumed_from| Progress::Started { file: "a.gz", url: "http://x/a.gz", resumed_from, total: None };
        assert_eq!(line("mnist", &started(0), false), None);
        assert!(line("mnist", &started(0), true).unwrap().contains("http://x/a.gz"));
        assert!(line("mnist", &started(7), false).unwrap().contains("continuing a.gz after 7 bytes"));
        assert_eq!(line("mnist", &Progress::Advanced { file: "a.gz", done: 1, total: None }, true), None);
        let finished = Progress::Finished { file: "a.gz", verified: true };
        assert_eq!(line("mnist", &finished, false).unwrap(), "mnist: a.gz downloaded, checksum verified");
    }
}
