//! The command line: names are a contract (DESIGN section 8).
//!
//! Exit codes: 0 good, 1 found bad, 2 wrong usage. The help of each command defines them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Inline patch proxy: gives traffic the effect of the vendor's software patch.
#[derive(Debug, Parser)]
#[command(
    name = "wirepatch",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "PATCH is a patch file, or a folder that is searched recursively for *.yaml and *.yml.\n\
                  IN is a pcap or pcapng file of Ethernet, raw IP or Linux cooked packets.\n\n\
                  Exit codes: 0 good, 1 found bad, 2 wrong usage. The help of each command has more.\n\n\
                  Example: wirepatch check patches && wirepatch test patches"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the appliance: forwards packets between its ports and applies the patches.
    ///
    /// SIGTERM and SIGINT stop it. SIGHUP reloads the configuration and the patches; a set that
    /// does not compile, or fails its own test cases, changes nothing.
    #[command(
        after_help = "Exit codes: 0 stopped by a signal, 1 the configuration is bad or the appliance failed, 2 wrong usage.\n\n\
                            Example: wirepatch run --config /etc/wirepatch/wirepatch.yaml"
    )]
    Run(RunArgs),
    /// Compiles patches and checks a configuration: finds everything that would stop `run`.
    ///
    /// It compiles the patches and prints a diagnostic with file, line and column for each mistake.
    /// With --config it also runs the test cases of the patches that the configuration names, and
    /// compares the configuration with this machine.
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 1 a patch, the configuration or this machine is wrong, 2 wrong usage.\n\n\
                            Example: wirepatch check --config /etc/wirepatch/wirepatch.yaml"
    )]
    Check(CheckArgs),
    /// Runs the test cases of patch files through the whole pipeline.
    ///
    /// A case passes if its outcome is the same for every segmentation: whole, byte by byte, split
    /// in two, at random points, out of order and repeated; over UDP also in IP fragments.
    #[command(
        after_help = "Exit codes: 0 every case passed, 1 a case failed or a patch does not compile, 2 wrong usage.\n\n\
                            Example: wirepatch test patches/http"
    )]
    Test(TestArgs),
    /// Prints the compiled plan of patches: scope, fields, hold or streaming, cost.
    #[command(
        after_help = "Exit codes: 0 the patches compile, 1 a patch does not compile, 2 wrong usage.\n\n\
                            Example: wirepatch explain --budget 10G patches"
    )]
    Explain(ExplainArgs),
    /// Applies patches to a capture and reports every edit. It needs no DPDK.
    ///
    /// A packet that no patch changes keeps its bytes, its timestamp and its place. A packet that
    /// the proxy inserts follows the packet that caused it, with its timestamp.
    #[command(
        after_help = "Exit codes: 0 OUT is written, 1 a patch does not compile or a file cannot be read or written, 2 wrong usage.\n\n\
                            Example: wirepatch replay in.pcap -o out.pcap --patches patches --report edits.json"
    )]
    Replay(ReplayArgs),
    /// Prints the fields of a capture as JSON lines, one object a message.
    ///
    /// TCP segments are put in order first. IP fragments are not reassembled. The keys are field
    /// names; a field that may occur more than once has an array. Bytes are hexadecimal digits.
    /// Text is UTF-8, with \xNN for every other byte. A message has the number and the time of the
    /// packet that brought its first byte.
    #[command(
        after_help = "Exit codes: 0 decoded, 1 IN cannot be read or is no capture, 2 wrong usage.\n\n\
                            Example: wirepatch decode in.pcap --protocol dns --ports dns=5353"
    )]
    Decode(DecodeArgs),
    /// Lists the fields that rules can name, with their types and meanings.
    #[command(
        after_help = "Exit codes: 0 listed, 2 no protocol has this name, or other wrong usage.\n\n\
                            Example: wirepatch fields http"
    )]
    Fields(FieldsArgs),
    /// Queries and controls a running appliance through its control socket.
    #[command(after_help = CTL_HELP)]
    Ctl(CtlArgs),
    /// Measures the packet journey on in-memory ports, and testpmd on the same ports.
    ///
    /// One row is one kind of traffic. Cycles come from the CPU time of the measured thread.
    /// Without DPDK the generator and the journey share one thread, and no latency is measured.
    #[command(
        after_help = "Exit codes: 0 measured, 1 a row failed or its frames left for another reason than it is named for, 2 wrong usage.\n\n\
                            Example: wirepatch bench --hugepages --library patches --seconds 1 --json dns"
    )]
    Bench(BenchArgs),
    /// Prints the JSON Schema of patch files or of the configuration, for editors.
    #[command(after_help = "Exit codes: 0 printed, 2 wrong usage.\n\n\
                            Example: wirepatch schema patch > patch.schema.json")]
    Schema(SchemaArgs),
    /// Prints a script of shell completions.
    #[command(after_help = "Exit codes: 0 printed, 2 wrong usage.\n\n\
                            Example: wirepatch completions bash > /etc/bash_completion.d/wirepatch")]
    Completions(CompletionsArgs),
}

/// The same for every command of `ctl`.
const CTL_HELP: &str = "Exit codes: 0 the appliance answered, 1 it refused or cannot be reached, 2 wrong usage.\n\n\
                        Example: wirepatch ctl mode web observe";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration of the appliance (YAML). `wirepatch schema config` prints its schema.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check this configuration and the patches that it names.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration as YAML with every default filled in, if the file is sound.
    #[arg(long, requires = "config", conflicts_with = "json")]
    pub(crate) effective: bool,
    /// Patch files or folders, compiled together as one server group.
    #[arg(value_name = "PATCH", required_unless_present = "config", value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Print the diagnostics as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Patch files or folders. Each patch is tested alone.
    #[arg(value_name = "PATCH", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Patch files or folders, compiled together as one server group.
    #[arg(value_name = "PATCH", required_unless_present = "budget", value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Print instead the packet rate that one core sustains with these patches, and the number of
    /// cores for this rate of traffic: 10G, 25G, 2.5G, 100M.
    ///
    /// RATE is the sum of the traffic that arrives at all ports: twice the speed of a link that is
    /// full in both directions. The figures are computed from costs that `wirepatch bench` measured
    /// on the machine that the answer names. Each figure names its basis.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) budget: Option<f64>,
    /// The clock rate of a core, 0.1 to 20. Default: that of the measured machine.
    #[arg(long, value_name = "GHZ", requires = "budget", value_parser = ghz)]
    pub(crate) cpu_ghz: Option<f64>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The capture to read.
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// The capture to write. It keeps the timestamps, the link type and the order of the packets.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Patch files or folders. Without them every packet leaves unchanged.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Server ports in scope instead of those that the patches name: `http=8080,8081`.
    #[arg(long, value_name = "PROTOCOL=PORTS")]
    pub(crate) ports: Vec<String>,
    /// Count the edits and make none.
    #[arg(long)]
    pub(crate) observe: bool,
    /// Edit packets with wrong checksums too: captures of a sender whose NIC fills them in.
    #[arg(long)]
    pub(crate) trust_checksums: bool,
    /// Write every edit to this file as JSON.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// The capture to read.
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub(crate) input: PathBuf,
    /// Decode this protocol only. `wirepatch fields` lists the protocols.
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Server ports to decode besides the default ports of the protocols: `http=8080`.
    #[arg(long, value_name = "PROTOCOL=PORTS")]
    pub(crate) ports: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FieldsArgs {
    /// List this protocol only.
    #[arg(value_name = "PROTOCOL")]
    pub(crate) protocol: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the generated pages of the manual to this folder.
    #[arg(long, value_name = "FOLDER", hide = true, value_hint = ValueHint::DirPath)]
    pub(crate) markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// The control socket of the appliance.
    #[arg(
        long,
        value_name = "PATH",
        env = "WIREPATCH_SOCKET",
        hide_env_values = true,
        global = true,
        default_value = control::CONTROL_SOCKET,
        value_hint = ValueHint::FilePath
    )]
    pub(crate) socket: PathBuf,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Shows the state of the appliance: ports, workers, plan, dropped frames.
    #[command(after_help = CTL_HELP)]
    Status,
    /// Shows the counters of each patch, and since when its vendor's fix is available.
    #[command(after_help = CTL_HELP)]
    Patches,
    /// Shows the number of tracked connections of each worker.
    #[command(after_help = CTL_HELP)]
    Flows,
    /// Compiles the patches of the configuration, tests them and activates them.
    ///
    /// A set that does not compile, or fails a test case, changes nothing.
    #[command(after_help = CTL_HELP)]
    Reload,
    /// Sets the mode of a server group until the next reload.
    #[command(after_help = CTL_HELP)]
    Mode {
        /// The server group.
        group: String,
        /// Edit the traffic, or count the edits only.
        mode: ModeArg,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// Edit the traffic.
    Enforce,
    /// Count the edits and make none.
    Observe,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The rows to measure. Default: all of them.
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,
    /// Measure pairs of rows and their ratios instead: 10,000 patches and 1, a million connections
    /// and a thousand, edited and not. ROW is then the name of a pair.
    #[arg(long, conflicts_with_all = ["patches", "library"])]
    pub(crate) pairs: bool,
    /// Measure two lcores instead: each alone, both together, and a worker behind an lcore that
    /// receives and transmits for it.
    #[arg(long, conflicts_with_all = ["rows", "pairs", "patches"])]
    pub(crate) scaling: bool,
    /// Seconds for each row, 0.05 to 3600.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Patches to load. Default: those that are made for each row.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Measure the rows whose traffic no rule changes once more with these patches loaded.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) library: Vec<PathBuf>,
    /// Measure everything this many times and keep the best of each row: other programs on the
    /// machine can only make a row slower.
    #[arg(long, default_value_t = 1, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// Use hugepages.
    #[arg(long)]
    pub(crate) hugepages: bool,
    /// Leave out testpmd, which shows the limit of the machine.
    #[arg(long)]
    pub(crate) no_testpmd: bool,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The kind of file.
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Patch files.
    Patch,
    /// The configuration of the appliance.
    Config,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// Gbit/s.
fn rate(text: &str) -> Result<f64, String> {
    let (number, gbit) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "G" | "g")) => (number, 1.0),
        Some((number, "M" | "m")) => (number, 1e-3),
        _ => return Err("write a number and its unit, as in 10G or 100M".to_owned()),
    };
    number
        .parse()
        .ok()
        .map(|number: f64| number * gbit)
        .filter(|rate| (1e-3..=10_000.0).contains(rate))
        .ok_or_else(|| "write a rate from 1M to 10000G".to_owned())
}

fn ghz(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ghz| (0.1..=20.0).contains(ghz))
        .ok_or_else(|| "write a number from 0.1 to 20".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.05..=3_600.0).contains(seconds))
        .ok_or_else(|| "write a number from 0.05 to 3600".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_unit() {
        assert_eq!(rate("10G"), Ok(10.0));
        assert_eq!(rate("2.5g"), Ok(2.5));
        assert!((rate("100M").unwrap() - 0.1).abs() < 1e-9);
        for bad in ["", "G", "10", "-1G", "NaNG", "infG", "10Gé", "1e9G"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert!(ghz("0").is_err() && ghz("NaN").is_err() && ghz("3.5").is_ok());
    }
}
