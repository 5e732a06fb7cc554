//! `sim`: plays seeds of the TCP simulator.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sim::tcp::{PlayOptions, SeedOutcome, protocols, run};

const USAGE: &str = "\
sim: TCP connections between two stacks with the box between them, on a virtual clock

  sim --seeds A..B     plays seeds from A to before B, on all cores
  sim --fresh N        plays N seeds that nobody has played, and says which
  sim --seed N         plays one

  --protocol P         only conversations in P
  --exact              a pattern's beginning that had to be let go is a failure
  --bare               without the box: what fails here as well is not its fault
  --minimise           leaves out of a failing run what it fails without, and prints every frame of the rest
  --trace              prints every frame
  --json               prints one object a failure, and one in the end

  sim --evasions DIR   writes the captures of published evasions, and a table of them
";

struct SimArguments {
    first: u64,
    end: u64,
    play: PlayOptions,
    json: bool,
}

fn arguments() -> Result<SimArguments, String> {
    let mut found =
        SimArguments { first: 0, end: 1_000, play: PlayOptions::default(), json: false };
    let mut rest = std::env::args().skip(1);
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: &str| {
            text.replace('_', "").parse::<u64>().map_err(|_| format!("`{text}` is not a number"))
        };
        match word.as_str() {
            "--seeds" => {
                let range = value()?;
                let (first, end) =
                    range.split_once("..").ok_or_else(|| format!("`{range}` is not A..B"))?;
                (found.first, found.end) = (number(first)?, number(end)?);
            }
            "--fresh" => {
                let count = number(&value()?)?;
                found.first = RandomState::new().hash_one(0) >> 16;
                found.end = found.first.saturating_add(count);
                let seeds = format!("fresh seeds: --seeds {}..{}\n", found.first, found.end);
                let _ = std::io::stderr().write_all(seeds.as_bytes());
            }
            "--seed" => {
                found.first = number(&value()?)?;
                found.end = found.first.saturating_add(1);
            }
            "--protocol" => {
                let name = value()?;
                if !protocols().contains(&name.as_str()) {
                    return Err(format!("there are conversations in {}", protocols().join(", ")));
                }
                found.play.protocol = Some(name);
            }
            "--exact" => found.play.exact = true,
            "--bare" => found.play.bare = true,
            "--minimise" => found.play.minimise = true,
            "--trace" => found.play.trace = true,
            "--json" => found.json = true,
            "--help" | "-h" => return Err(String::new()),
            _ => return Err(format!("`{word}` is not known")),
        }
    }
    Ok(found)
}

/// The counts over all seeds.
#[derive(Default)]
struct SeedTotals {
    played: u64,
    inexact: u64,
    given_up: u64,
    past_window: u64,
    frames: u64,
    failed: Vec<SeedOutcome>,
}

impl SeedTotals {
    fn add(&mut self, run: SeedOutcome) {
        self.played += 1;
        self.inexact += u64::from(run.inexact);
        self.given_up += u64::from(run.given_up);
        self.past_window += u64::from(run.past_window > 0);
        self.frames += run.frames;
        if run.wrong.is_some() {
            self.failed.push(run);
        }
    }
}

fn main() -> ExitCode {
    if let [first, folder] = &std::env::args().skip(1).collect::<Vec<_>>()[..]
        && first == "--evasions"
    {
        return write_evasions(Path::new(folder));
    }
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            let _unheard = writeln!(std::io::stderr(), "{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is caught and reported with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    let sum = play_all(&arguments);
    let told = tell(&arguments, &sum);
    if told.is_ok() && sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write_evasions(folder: &Path) -> ExitCode {
    let said = match sim::evasion::write(folder) {
        Ok(count) => writeln!(std::io::stdout(), "{count} cases"),
        Err(why) => {
            let _unheard = writeln!(std::io::stderr(), "{}: {why}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_all(arguments: &SimArguments) -> SeedTotals {
    let next = AtomicU64::new(arguments.first);
    let sum = Mutex::new(SeedTotals::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let terminal = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.end {
                        break;
                    }
                    let run = run(seed, &arguments.play);
                    let Ok(mut sum) = sum.lock() else { break };
                    tell_one(arguments, &run);
                    sum.add(run);
                    if terminal && sum.played.is_multiple_of(100) {
                        let (played, failed) = (sum.played, sum.failed.len());
                        let _unheard =
                            write!(std::io::stderr(), "\r{played} played, {failed} failed ");
                    }
                }
            });
        }
    });
    if terminal {
        let _unheard = write!(std::io::stderr(), "\r\x1b[K");
    }
    sum.into_inner().unwrap_or_default()
}

/// A failure as soon as it is there, and every line of a trace.
fn tell_one(arguments: &SimArguments, run: &SeedOutcome) {
    let mut out = std::io::stdout().lock();
    for line in &run.trace {
        let _unheard = writeln!(out, "{line}");
    }
    let Some(wrong) = &run.wrong else { return };
    let _unheard = if arguments.json {
        serde_json::to_string(&run).map(|line| writeln!(out, "{line}")).is_ok()
    } else {
        writeln!(out, "seed {} ({}): {:?}: {}", run.seed, run.protocol, wrong.kind, wrong.what)
            .is_ok()
    };
}

fn tell(arguments: &SimArguments, sum: &SeedTotals) -> std::io::Result<()> {
    let mut kinds = std::collections::BTreeMap::new();
    for wrong in sum.failed.iter().filter_map(|run| run.wrong.as_ref()) {
        *kinds.entry(format!("{:?}", wrong.kind)).or_insert(0_u64) += 1;
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let whole = serde_json::json!({
            "played": sum.played, "failed": sum.failed.len(), "inexact": sum.inexact, "given_up": sum.given_up, "past_window": sum.past_window,
            "frames": sum.frames, "kinds": kinds,
        });
        return writeln!(out, "{whole}");
    }
    writeln!(
        out,
        "{} seeds played, {} failed {kinds:?}, {} inexact, {} past a window, {} given up, {} frames",
        sum.played,
        sum.failed.len(),
        sum.inexact,
        sum.past_window,
        sum.given_up,
        sum.frames
    )
}
