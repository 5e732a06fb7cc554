//! testpmd on the ports of the `net_pcap` rows: the best that the machine and the driver give.

use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use offline::load::TrafficKind;

use super::clock::{Task, now};
use super::lcore::{Bench, sleep};
use super::ports;
use super::report::{Testpmd, TestpmdMode};
use super::row::real;

const PROGRAM: &str = "dpdk-testpmd";

/// `io` touches nothing of a frame, `macswap` its Ethernet header, `5tswap` addresses and ports as
/// well.
const MODES: [&str; 3] = ["io", "macswap", "5tswap"];

/// The prompt of testpmd.
const PROMPT: &str = "testpmd> ";

pub(super) fn measure(bench: &Bench) -> Testpmd {
    let mut modes = Vec::new();
    for mode in MODES {
        match one(bench, mode) {
            Ok(found) => modes.push(found),
            Err(why) => return Testpmd { modes, absent: Some(format!("{why:#}")) },
        }
    }
    Testpmd { modes, absent: None }
}

fn one(bench: &Bench, mode: &'static str) -> Result<TestpmdMode> {
    let capture = ports::capture(bench, TrafficKind::UdpOutOfScope)?;
    let (main, worker) = bench.cpus;
    let mut command = Command::new(PROGRAM);
    if bench.hugepages {
        command.arg("--in-memory");
    } else {
        let prefix = format!("--file-prefix=wirepatch-testpmd-{}", std::process::id());
        command.args(["--no-huge", "-m", "512", &prefix]);
    }
    command.args(["--no-pci", "--no-telemetry", &format!("--lcores=0@{main},1@{worker}")]);
    for port in 0..2 {
        command.arg(format!("--vdev=net_pcap{port},rx_pcap={},infinite_rx=1", capture.display()));
    }
    command.args([
        "--",
        "-i",
        "--total-num-mbufs=32768",
        "--no-flush-rx",
        &format!("--forward-mode={mode}"),
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("running {PROGRAM}"))?;
    let mut said = String::new();
    let measured = forwarded(bench, &mut child, &mut said);
    // It quits on `quit`; whatever went wrong before, it must not stay.
    if measured.is_err() {
        let _ = child.kill();
    }
    child.wait().with_context(|| format!("waiting for {PROGRAM}"))?;
    let (cpu_ns, wall) = measured.with_context(|| {
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        format!("{PROGRAM} said last: {}", last.unwrap_or("nothing"))
    })?;
    let packets = said.lines().filter_map(received).next_back();
    let Some(packets) = packets.filter(|&packets| packets > 0) else {
        bail!("{PROGRAM} forwarded nothing");
    };
    // It forwards from `start` to `stop`, a little longer than it was watched.
    let (watched, forwarding) = wall;
    let ns = cpu_ns * (forwarding / watched) / real(packets);
    Ok(TestpmdMode { mode, mpps: 1e3 / ns, cycles_per_packet: ns * bench.hz() / 1e9, packets })
}

/// CPU nanoseconds of its forwarding lcore, and the seconds it was watched and it forwarded.
fn forwarded(bench: &Bench, child: &mut Child, said: &mut String) -> Result<(f64, (f64, f64))> {
    let mut stdin = child.stdin.take().context("no way to talk to testpmd")?;
    let mut stdout = child.stdout.take().context("no way to hear testpmd")?;
    let mut say = |line: &str| {
        writeln!(stdin, "{line}").with_context(|| format!("telling testpmd to {line}"))
    };
    until_prompt(&mut stdout, said)?;
    say("start")?;
    until_prompt(&mut stdout, said)?;
    let started = now();
    sleep(0.1);
    let tasks = Task::all_of(child.id());
    let before: Vec<u64> = tasks.iter().map(Task::cpu_ns).collect();
    let from = now();
    sleep(bench.seconds);
    // The busiest thread is the one that forwards.
    let spent = tasks.iter().zip(before).map(|(task, before)| task.cpu_ns().saturating_sub(before));
    let busiest = spent.max().unwrap_or(0);
    let watched = from.elapsed().as_secs_f64();
    say("stop")?;
    let forwarding = started.elapsed().as_secs_f64();
    until_prompt(&mut stdout, said)?;
    say("quit")?;
    // It ends when it has said all; a full pipe would keep it.
    stdout.read_to_string(said).context("hearing testpmd")?;
    Ok((real(busiest), (watched, forwarding)))
}

/// Waits for the prompt.
fn until_prompt(stdout: &mut impl Read, said: &mut String) -> Result<()> {
    let from = said.len();
    let mut piece = [0; 4_096];
    loop {
        let count = stdout.read(&mut piece).context("hearing testpmd")?;
        if count == 0 {
            bail!("it ended by itself");
        }
        said.push_str(&String::from_utf8_lossy(piece.get(..count).unwrap_or_default()));
        if said.get(from..).is_some_and(|new| new.contains(PROMPT)) {
            return Ok(());
        }
    }
}

/// `RX-packets: 12  RX-dropped: 0  RX-total: 12` of the sums at the end (the last such line).
fn received(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("RX-packets:")?;
    rest.split_whitespace().next()?.parse().ok()
}
