//! The command line: names are a contract (DESIGN section 8). Exit codes: 0 good, 1 found bad, 2 wrong usage.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Inline patch proxy: applies to all traffic what the vendor's software patch would do.
#[derive(Debug, Parser)]
#[command(
    name = "wirepatch",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "PATCH is a patch file, or a folder that is searched recursively.\n\
                  Captures are pcap or pcapng: Ethernet, raw IP or Linux cooked.\n\
                  Exit codes: 0 good, 1 found bad, 2 wrong usage."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the appliance: joins ports and patches what passes between them.
    Run(RunArgs),
    /// Types and compiles patches, and checks a configuration: everything `run` would stumble over.
    Check(CheckArgs),
    /// Runs the test cases inside patch files through the whole pipeline, over several segmentations.
    Test(TestArgs),
    /// Says what was compiled: scope, fields, streaming or a hold of N bytes, cost.
    Explain(ExplainArgs),
    /// Takes a capture through the engine, no DPDK needed; reports every edit.
    Replay(ReplayArgs),
    /// Prints the fields of a capture as JSON lines, one object a message.
    ///
    /// TCP is put in order first; IP fragments are not put together. Keys are field names; a field that may occur more than once
    /// is an array. Bytes are in hexadecimal; text is text, with \xNN for what is not UTF-8. A message's number and time are
    /// those of the packet that brought its first byte.
    Decode(DecodeArgs),
    /// Lists the fields there are, with type and meaning.
    Fields(FieldsArgs),
    /// Talks to a running appliance.
    Ctl(CtlArgs),
    /// Measures the whole journey on in-memory ports.
    Bench(BenchArgs),
    /// Prints the JSON Schema of patch files or of the configuration, for editors.
    Schema(SchemaArgs),
    /// Prints shell completions.
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The appliance's configuration (YAML).
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check this configuration, and the patches it names.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration as YAML with every default filled in, where its file is sound.
    #[arg(long, requires = "config", conflicts_with = "json")]
    pub(crate) effective: bool,
    /// Patch files or folders.
    #[arg(value_name = "PATCH", required_unless_present = "config", value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Print diagnostics as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Patch files or folders.
    #[arg(value_name = "PATCH", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Print results as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Patch files or folders, compiled together as one server group.
    #[arg(value_name = "PATCH", required_unless_present = "budget", value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Say instead what packet rate these patches sustain on one core, and how many cores this rate needs: 10G, 25G, 2.5G, 100M.
    ///
    /// It is what comes in at all ports together: twice the speed of a link that is full both ways. Reckoned from costs that
    /// `wirepatch bench` measured on another machine, which the answer names; it says of every figure what it rests on.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) budget: Option<f64>,
    /// How fast a core is; otherwise the one that was measured.
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
    /// The capture to write; it keeps timestamps, link type and the order of packets.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Patch files or folders; none: everything comes out as it went in.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Server ports in scope instead of those the patches name: `http=8080,8081`.
    #[arg(long, value_name = "PROTOCOL=PORTS")]
    pub(crate) ports: Vec<String>,
    /// Only count what would be edited.
    #[arg(long)]
    pub(crate) observe: bool,
    /// Edit packets with wrong checksums too: captured where the NIC was to fill them in.
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
    /// Only this protocol.
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// Server ports to decode beside the protocols' own: `http=8080`.
    #[arg(long, value_name = "PROTOCOL=PORTS")]
    pub(crate) ports: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct FieldsArgs {
    /// Only this protocol.
    #[arg(value_name = "PROTOCOL")]
    pub(crate) protocol: Option<String>,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the manual's generated pages to this folder.
    #[arg(long, value_name = "FOLDER", hide = true, value_hint = ValueHint::DirPath)]
    pub(crate) markdown: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    /// The appliance's control socket.
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
    /// How the appliance is: ports, workers, plan, what was dropped.
    Status,
    /// What each patch has seen and done, since when its fix is out.
    Patches,
    /// How many connections are tracked, by worker.
    Flows,
    /// Compiles the configuration's patches anew, tests them and puts them in force; a bad set changes nothing.
    Reload,
    /// Sets a server group's mode until the next reload.
    Mode {
        /// The server group.
        group: String,
        /// Edit, or only count.
        mode: ModeArg,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// Edit.
    Enforce,
    /// Only count what would be edited.
    Observe,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Which rows; none: all of them.
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,
    /// Measure pairs instead, whose ratio is what counts: 10,000 patches and 1, a million connections and a thousand, edited and not.
    #[arg(long, conflicts_with_all = ["patches", "library"])]
    pub(crate) pairs: bool,
    /// Measure two lcores at a time instead: each alone and both together, and a worker behind one that receives and sends.
    #[arg(long, conflicts_with_all = ["rows", "pairs", "patches"])]
    pub(crate) scaling: bool,
    /// Seconds each row is measured.
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// Patches to load; none: the ones built for each row.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) patches: Vec<PathBuf>,
    /// Measure the rows whose traffic no rule changes once more with these patches loaded.
    #[arg(long, value_name = "PATCH", num_args = 0.., value_hint = ValueHint::AnyPath)]
    pub(crate) library: Vec<PathBuf>,
    /// Measure everything so often and keep each row's best: what else runs on the machine only ever adds.
    #[arg(long, default_value_t = 1, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// Use hugepages.
    #[arg(long)]
    pub(crate) hugepages: bool,
    /// Leave out testpmd's forwarding, the machine's own limit.
    #[arg(long)]
    pub(crate) no_testpmd: bool,
    /// Print as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what.
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Patch files.
    Patch,
    /// The appliance's configuration.
    Config,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
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
        .ok_or_else(|| "from 1M to 10000G".to_owned())
}

fn ghz(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ghz| (0.1..=20.0).contains(ghz))
        .ok_or_else(|| "from 0.1 to 20".to_owned())
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
