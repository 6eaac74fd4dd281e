//! `widthwise`: read the command line, do one thing, end with an exit code that scripts can rely on.

mod cli;
mod commands;
mod terminal;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use cli::{BenchCommand, Cli, Command};
use commands::{
    Exit, bench, bundle, check, completions, config, data, explain, kernel, ladder, monte_carlo, ntk, plan, predict,
    report, reproduce, run, table, trial, weights,
};
use terminal::console::Console;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(&cli.global);
    let exit = execute(&cli, &console).unwrap_or_else(|error| {
        console.error(&error);
        Exit::Failed
    });
    exit.into()
}

fn execute(cli: &Cli, console: &Console) -> Result<Exit> {
    widthwise::signals::survive_size_limits().context("cannot listen for signals")?;
    // What runs listens by itself: it has no thread but those that compute.
    let has_own = match &cli.command {
        Command::Run(_) | Command::Plan(_) => true,
        Command::Bench(arguments) => matches!(arguments.what, BenchCommand::Verdicts(_)),
        _ => false,
    };
    if !has_own {
        widthwise::signals::listen(console.farewell()).context("cannot listen for signals")?;
    }
    // The pool is made once a process, so this comes before anything that computes.
    widthwise::threads::start(cli.global.threads)?;
    match &cli.command {
        Command::Run(arguments) => run::execute(arguments, console),
        Command::Check(arguments) => check::execute(arguments, console),
        Command::Plan(arguments) => plan::execute(arguments, console),
        Command::Explain(arguments) => explain::execute(arguments, console),
        Command::Report(arguments) => report::execute(arguments, console),
        Command::Bundle(arguments) => bundle::execute(arguments, console),
        Command::Table(arguments) => table::execute(arguments, console),
        Command::Data(arguments) => data::execute(arguments, console),
        Command::Kernel(arguments) => kernel::execute(arguments, console),
        Command::Predict(arguments) => predict::execute(arguments, console),
        Command::Ladder(arguments) => ladder::execute(arguments, console),
        Command::Ntk(arguments) => ntk::execute(arguments, console),
        Command::Reproduce(arguments) => reproduce::execute(arguments, console),
        Command::MonteCarlo(arguments) => monte_carlo::execute(arguments, console),
        Command::Weights(arguments) => weights::execute(arguments, console),
        Command::Bench(arguments) => match &arguments.what {
            BenchCommand::Kernels(arguments) => bench::kernels(arguments, console),
            BenchCommand::Ntk(arguments) => bench::ntk(arguments, console),
            BenchCommand::Train(arguments) => bench::train(arguments, console),
            BenchCommand::Probes(arguments) => bench::probes(arguments, console),
            BenchCommand::Verdicts(arguments) => trial::execute(arguments, console),
        },
        Command::Config(arguments) => config::execute(arguments, console),
        Command::Completions(arguments) => completions::execute(arguments, console),
    }
}
