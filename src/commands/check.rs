//! `widthwise check`: the verdict of a run, if asked with theory changed on purpose.

use anyhow::Result;
use widthwise::config::ControlConfig;
use widthwise::run::{self, OpenedRun, check, judge_again, mutations, recheck};

use super::{Exit, bundle, claims, power};
use crate::cli::CheckArguments;
use crate::terminal::console::Console;

/// Prints the claims and ends with the verdict.
///
/// # Errors
/// No run in the folder, damaged files, something else to be judged than was registered, or data that a control needs and that are not found.
pub(crate) fn execute(arguments: &CheckArguments, console: &Console) -> Result<Exit> {
    let run = OpenedRun::open(&arguments.folder)?;
    let data_dir = arguments.data_dir.as_deref();
    if arguments.power {
        power::print_power(&run::power(run.folder(), data_dir)?, console)?;
        return Ok(Exit::Done);
    }
    if arguments.mutate.is_some() {
        power::print_mutations(&mutations(run.folder(), data_dir)?, console)?;
        return Ok(Exit::Done);
    }
    let is_judged_again = !arguments.controls.is_empty() || run.has_data()?;
    let report = if arguments.controls.is_empty() {
        if is_judged_again { judge_again(run.folder(), None)? } else { check(run.folder())? }
    } else {
        let mut config = ControlConfig::default();
        for control in &arguments.controls {
            control.apply(&mut config);
            console.note(format_args!("control: theory is given {}", control.description()));
        }
        recheck(run.folder(), &config, arguments.data_dir.as_deref())?
    };
    bundle::tell_registration(run.folder(), console)?;
    bundle::tell_bundle(&run, is_judged_again, console)?;
    claims::print(&report, console)?;
    Ok(Exit::of_verdict(report.verdict))
}
