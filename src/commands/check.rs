//! `widthwise check`: the verdict of a run, if asked with theory changed on purpose.

use anyhow::Result;
use widthwise::config::ControlConfig;
use widthwise::run::{self, check, mutations, recheck};

use super::{Exit, claims, power};
use crate::cli::CheckArguments;
use crate::terminal::console::Console;

/// Prints the claims and ends with the verdict.
///
/// # Errors
/// No run in the folder, damaged files, or data that a control needs and that are not found.
pub(crate) fn execute(arguments: &CheckArguments, console: &Console) -> Result<Exit> {
    if arguments.power {
        power::print_power(&run::power(&arguments.folder, arguments.data_dir.as_deref())?, console)?;
        return Ok(Exit::Done);
    }
    if arguments.mutate.is_some() {
        power::print_mutations(&mutations(&arguments.folder, arguments.data_dir.as_deref())?, console)?;
        return Ok(Exit::Done);
    }
    let report = if arguments.controls.is_empty() {
        check(&arguments.folder)?
    } else {
        let mut config = ControlConfig::default();
        for control in &arguments.controls {
            control.apply(&mut config);
            console.note(format_args!("control: theory is given {}", control.description()));
        }
        recheck(&arguments.folder, &config, arguments.data_dir.as_deref())?
    };
    claims::print(&report, console)?;
    Ok(Exit::of_verdict(report.verdict))
}
