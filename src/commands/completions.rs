//! `widthwise completions`: what a shell needs to complete command lines.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::generate;

use super::Exit;
use crate::cli::{Cli, CompletionsArguments};
use crate::terminal::console::Console;

/// Prints the script of a shell.
///
/// # Errors
/// Standard output refuses.
pub(crate) fn execute(arguments: &CompletionsArguments, console: &Console) -> Result<Exit> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), "widthwise", &mut script);
    console.write(&String::from_utf8(script).context("the completions are not UTF-8")?)?;
    Ok(Exit::Done)
}
