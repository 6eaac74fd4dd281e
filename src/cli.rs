//! What the user may type, and the help that teaches it.

mod bench;
pub(crate) mod control;
#[cfg(test)]
mod documents;
mod explain;
mod help;
mod kernel;
mod ladder;
mod monte_carlo;
mod names;
mod ntk;
pub(crate) mod number;
mod predict;
mod reproduce;
mod weights;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use widthwise::config::DeviceKind;
use widthwise::ensemble::Shard;

use crate::terminal::Global;
pub(crate) use bench::{BenchArguments, BenchCases, BenchCommand, DeviceCases, ProbeCases, VerdictCases};
use control::Control;
pub(crate) use explain::ExplainArguments;
use help::{
    BENCH_HELP, BUNDLE_HELP, CHECK_HELP, COMPLETIONS_HELP, CONFIG_HELP, DATA_HELP, EXIT_CODES, EXPLAIN_HELP,
    KERNEL_HELP, LADDER_HELP, LONG_ABOUT, MONTE_CARLO_HELP, NTK_HELP, PLAN_HELP, PREDICT_HELP, REPORT_HELP,
    REPRODUCE_HELP, RUN_HELP, TABLE_HELP, WEIGHTS_HELP,
};
pub(crate) use kernel::{KernelArguments, KernelName, StoragePrecision, Trained};
pub(crate) use ladder::LadderArguments;
pub(crate) use monte_carlo::MonteCarloArguments;
use names::{DEVICES, one_of};
pub(crate) use ntk::NtkArguments;
pub(crate) use predict::PredictArguments;
pub(crate) use reproduce::{ReproduceArguments, SizeName};
pub(crate) use weights::{ExportArguments, ImportArguments, StateLayout, WeightsAction, WeightsArguments};

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "widthwise", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES, max_term_width = 120)]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train the networks of an experiment, measure them and compare them with theory
    #[command(after_help = RUN_HELP)]
    Run(RunArguments),
    /// Say whether a run agrees with theory, in a table and as an exit code
    #[command(after_help = CHECK_HELP)]
    Check(CheckArguments),
    /// Say how many members an experiment takes until its claims are decided, from a few of them
    #[command(after_help = PLAN_HELP)]
    Plan(PlanArguments),
    /// Say why a run differs from theory: its gap to infinite width in parts, and how far ahead its kernels forecast it
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArguments),
    /// Draw the figures and the page of a run again
    #[command(after_help = REPORT_HELP)]
    Report(ReportArguments),
    /// Pack a run into one file, from which others judge it again without its data and without training
    #[command(after_help = BUNDLE_HELP)]
    Bundle(BundleArguments),
    /// Join the ends of many runs into one CSV table
    #[command(after_help = TABLE_HELP)]
    Table(TableArguments),
    /// Find, download and import data sets
    #[command(after_help = DATA_HELP)]
    Data(DataArguments),
    /// Compute the infinite-width kernels (NNGP and NTK) of a network on your inputs
    #[command(after_help = KERNEL_HELP)]
    Kernel(KernelArguments),
    /// Compute the tangent kernel of one finite network, trained or drawn, on your inputs
    #[command(after_help = NTK_HELP)]
    Ntk(NtkArguments),
    /// Predict the outputs of infinitely wide networks on your data, after training or as a posterior
    #[command(after_help = PREDICT_HELP)]
    Predict(PredictArguments),
    /// Train an experiment at many widths, fit the power of the width that every discrepancy follows and hold it against theory
    #[command(after_help = LADDER_HELP)]
    Ladder(LadderArguments),
    /// Make a figure of a paper again, with a table of what the paper, theory and the networks trained here say
    #[command(after_help = REPRODUCE_HELP)]
    Reproduce(ReproduceArguments),
    /// Sample the kernels of a network over finite networks and hold them against the infinite-width ones
    #[command(after_help = MONTE_CARLO_HELP)]
    MonteCarlo(MonteCarloArguments),
    /// Export weights, or import those of a network trained elsewhere
    #[command(after_help = WEIGHTS_HELP)]
    Weights(WeightsArguments),
    /// Time this machine, case by case
    #[command(after_help = BENCH_HELP)]
    Bench(BenchArguments),
    /// Write or check a configuration
    #[command(after_help = CONFIG_HELP)]
    Config(ConfigArguments),
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArguments),
}

/// `widthwise run`
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Configuration; the default experiment on the bundled data if left out
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Change a value of the configuration, for instance network.width=2048; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Folder of the results, instead of run.output or runs/NAME
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Continue a run that was stopped
    #[arg(long, conflicts_with = "force")]
    pub(crate) resume: bool,
    /// Replace a run that is in the folder already
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what the run would take: steps, memory, disk
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where to compute; the same as --set run.device=...
    #[arg(long, value_parser = one_of::<DeviceKind>(&DEVICES))]
    pub(crate) device: Option<DeviceKind>,
    /// Train only the I-th of N equal parts of the members, 1/4 for instance; parts may run at the same time, on machines that share the folder
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(crate) shard: Shard,
}

/// `widthwise check`
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Folder of a run, or a bundle of one
    #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) folder: PathBuf,
    /// An error to put into theory: sigma-w2-factor=1.1, time-factor=2, drop-bias or nngp-for-ntk; may be repeated
    #[arg(long = "control", value_name = "ERROR", group = "errors")]
    pub(crate) controls: Vec<Control>,
    /// Print the smallest errors in theory that this run would have noticed, and the chance to notice certain ones
    #[arg(long, group = "errors")]
    pub(crate) power: bool,
    /// Put every error into theory in turn, at several sizes, and print the verdict of every claim under each
    #[arg(long, value_name = "all", group = "errors", value_parser = ["all"])]
    pub(crate) mutate: Option<String>,
    /// The only folder in which the data of the run are searched for; only what puts errors into theory reads them
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "errors")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `widthwise plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Configuration; the default experiment on the bundled data if left out
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Change a value of the configuration, for instance network.width=2048; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Members of the pilot that is trained
    #[arg(long, value_name = "N", default_value = "12", value_parser = RangedU64ValueParser::<usize>::new().range(3..=1024))]
    pub(crate) members: usize,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `widthwise report`
#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Folder of a run
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
}

/// `widthwise bundle`
#[derive(Debug, Args)]
pub(crate) struct BundleArguments {
    /// Folder of a finished run
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// File to write, replaced if it exists; DIR.tar.gz if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
    /// The only folder in which the data of the run are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "without_data")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Leave the data out: whoever judges the run again needs them then
    #[arg(long)]
    pub(crate) without_data: bool,
}

/// `widthwise table`
#[derive(Debug, Args)]
pub(crate) struct TableArguments {
    /// Folders of runs, or bundles
    #[arg(value_name = "DIR", required = true, value_hint = ValueHint::DirPath)]
    pub(crate) folders: Vec<PathBuf>,
    /// File to write, replaced if it exists; standard output if left out
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
}

/// `widthwise data`
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: DataAction,
    /// Folder of the data sets
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// The actions of `widthwise data`.
#[derive(Debug, Subcommand)]
pub(crate) enum DataAction {
    /// All data sets, and where they are
    List,
    /// One data set: shape, licence, files, checksums, addresses
    Info {
        /// Data set, as in `widthwise data list`
        name: String,
    },
    /// Download data sets; what is there already is kept, what is partly there is continued
    Fetch {
        /// Data sets, as in `widthwise data list`
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Copy the files of known data sets from a folder, after checking their checksums
    Import {
        /// Folder that holds the files, at most three levels down
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

/// `widthwise config`
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

/// The actions of `widthwise config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Write a configuration with every key, its default and an explanation
    Init {
        /// File to write; - for standard output
        #[arg(default_value = "experiment.toml", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Replace the file if it exists
        #[arg(long)]
        force: bool,
    },
    /// Say whether a configuration is valid; with -v, every value that a run would use
    Check {
        /// Configuration
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Change a value of the configuration; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
}

/// `widthwise completions`
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        let command = Cli::command();
        let long_about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        for command in command.get_subcommands() {
            let example = format!("widthwise {}", command.get_name());
            assert!(long_about.contains(&example), "{example} is not in the help");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&example), "{example} is not in its own help");
        }
    }

    #[test]
    fn every_example_of_the_help_is_a_command_line() {
        let command = Cli::command();
        let helps = command.get_subcommands().filter_map(|command| command.get_after_help());
        let texts = helps.chain(command.get_long_about()).map(ToString::to_string).collect::<Vec<_>>();
        let mut examples = 0;
        for line in texts.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("  widthwise ")) {
            // Up to a pipe, a redirection or the explanation next to it.
            let typed = line.trim_start().split("   ").next().unwrap_or_default();
            let typed = typed.split(['|', '>']).next().unwrap_or_default();
            if let Err(error) = parse(typed) {
                panic!("{typed}: {error}");
            }
            examples += 1;
        }
        assert!(examples > 20, "only {examples} examples were found");
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["widthwise --json -v --threads 2 run", "widthwise run --json -v --threads 2"] {
            let global = parse(line).unwrap().global;
            assert!(global.json && global.verbose && !global.quiet && global.threads == Some(2));
        }
        let Command::Data(data) = parse("widthwise data fetch mnist --data-dir d").unwrap().command else {
            panic!("data");
        };
        assert_eq!(data.data_dir, Some(PathBuf::from("d")));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in ["widthwise run --resume --force", "widthwise run -q -v"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
        }
        for line in ["widthwise table", "widthwise data fetch", "widthwise check r --data-dir d"] {
            assert_eq!(parse(line).unwrap_err().kind(), ErrorKind::MissingRequiredArgument, "{line}");
        }
        assert_eq!(parse("widthwise run --threads 0").unwrap_err().kind(), ErrorKind::ValueValidation);
    }
}
