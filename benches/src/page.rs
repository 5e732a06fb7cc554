//! `docs/performance.md`, made of the record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::measured::{MeasuredMachine, Throughput, verdict};
use crate::record::{self, Instructions};
use crate::{comparisons, costs, scaling};

/// 64-byte UDP out of scope, as a share of testpmd's macswap on the same ports.
const MACSWAP_SHARE_AIM: f64 = 0.6;

/// Of the first release: row, ports, Mpps.
const FIRST_AIMS: [(&str, &str, f64); 2] =
    [("dns-library", "net_pcap", 10.0), ("dns-library", "rings", 10.0)];

/// Of line rate: row, ports, Mpps. (40 Gbit/s of responses, at the mean length of that row's
/// frames.)
const LINE_RATE_AIMS: [(&str, &str, f64); 7] = [
    ("udp-out-of-scope-library", "net_pcap", 25.0),
    ("udp-half-library", "net_pcap", 14.88),
    ("dns-library", "net_pcap", 14.88),
    ("dns-edited", "net_pcap", 8.0),
    ("tcp-acks-many-library", "rings", 14.88),
    ("http-requests-library", "rings", 5.0),
    ("http-responses-library", "rings", 5.04),
];

/// Writes the page, and the costs that the program takes along.
pub(crate) fn write() -> Result<()> {
    let path = path();
    std::fs::write(&path, page()?).with_context(|| format!("writing {}", path.display()))?;
    costs::write(&Throughput::read()?, &record::read_instructions()?)
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md")
}

fn page() -> Result<String> {
    let throughput = Throughput::read()?;
    let instructions = record::read_instructions()?;
    let mut page = INTRODUCTION.to_owned();
    machine(&mut page, &throughput.machine, &instructions);
    rates(&mut page, &throughput);
    aims(&mut page, &throughput);
    comparisons::write(&mut page, &throughput)?;
    scaling::write(&mut page)?;
    steps(&mut page, &instructions);
    decoders(&mut page, &instructions);
    page.push_str(HOW);
    Ok(page)
}

const INTRODUCTION: &str = "\
# Performance

<!-- Made by `make bench-page` from benches/record/; do not edit. -->

How fast the journey is on one core, and where its instructions go. Cycles are those of the time-stamp counter, from the CPU
time of the thread that ran the journey; the floor is the same loop without the journey; Mpps and Gbit/s are what one core
does with all its time, floor included.
";

fn machine(page: &mut String, machine: &MeasuredMachine, instructions: &Instructions) {
    let memory = match machine.hugepages {
        Some(true) => "hugepages of 2 MiB",
        Some(false) => "no hugepages",
        None => "no DPDK",
    };
    page.push_str(&format!(
        "\n## The machine\n\n{}, {} CPUs, time-stamp counter {:.2} GHz, Linux {}, {}, {memory}; load average when the run began: {}.\n\
         Instructions were counted by {}.\n",
        machine.cpu,
        machine.cpus,
        machine.tsc_hz / 1e9,
        machine.kernel,
        machine.dpdk.as_deref().unwrap_or("built without DPDK"),
        machine.load_average,
        instructions.valgrind,
    ));
}

fn rates(page: &mut String, throughput: &Throughput) {
    page.push_str(
        "\n## Rates\n\n\
         `rings`: templates on one lcore, re-addressed so that no client comes twice, the journey on another. `net_pcap`: two ports\n\
         that play a capture of 4,096 clients from memory and drop what is sent, the ports testpmd forwards on. Rows that name a\n\
         number of patches have the whole library; other rows have the few that the bench brings along. Each row is the best of\n\
         several rounds: what else runs on the machine only ever adds.\n\n\
         | traffic | ports | frame bytes | Mpps | Gbit/s | cycles a packet | floor | journey |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in &throughput.rows {
        page.push_str(&format!(
            "| {} | {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |\n",
            row.title,
            row.ports,
            row.frame_bytes,
            row.mpps,
            row.gbit_per_s,
            row.cycles_per_packet,
            row.floor_cycles_per_packet,
            row.journey_cycles_per_packet,
        ));
    }
    let Some(testpmd) = &throughput.testpmd else { return };
    for mode in &testpmd.modes {
        page.push_str(&format!(
            "| testpmd `{}` | net_pcap | 64 | {:.2} | {:.2} | {:.0} | - | - |\n",
            mode.mode,
            mode.mpps,
            mode.mpps * 64.0 * 8.0 / 1e3,
            mode.cycles_per_packet
        ));
    }
    if let Some(why) = &testpmd.absent {
        page.push_str(&format!("\nNothing of testpmd: {why}.\n"));
    }
}

fn aims(page: &mut String, throughput: &Throughput) {
    let row = |name: &str, ports: &str| {
        throughput.rows.iter().find(|row| row.row == name && row.ports == ports)
    };
    let modes = throughput.testpmd.iter().flat_map(|testpmd| &testpmd.modes);
    let macswap = modes.into_iter().find(|mode| mode.mode == "macswap");
    page.push_str("\n## Aims\n\n");
    if let (Some(ours), Some(macswap)) = (row("udp-out-of-scope", "net_pcap"), macswap) {
        let share = ours.mpps / macswap.mpps;
        page.push_str(&format!(
            "- 64-byte UDP out of scope at 60 % of testpmd's macswap on the same ports: {:.0} %, {}.\n",
            share * 100.0,
            verdict(share, MACSWAP_SHARE_AIM)
        ));
    }
    let mut list = |aims: &[(&str, &str, f64)]| {
        for &(name, ports, aim) in aims {
            if let Some(found) = row(name, ports) {
                page.push_str(&format!(
                    "- {} at {aim} Mpps ({ports}): {:.2} Mpps, {}.\n",
                    found.title,
                    found.mpps,
                    verdict(found.mpps, aim)
                ));
            }
        }
    };
    list(&FIRST_AIMS);
    list(&LINE_RATE_AIMS);
    page.push_str(AIMS_REST);
}

const AIMS_REST: &str = "
Over rings every packet was written by the other lcore: header and data of each have to come out of that core's cache, which
the frames of net_pcap, copied by the lcore that reads them, do not. A NIC is between the two: it leaves packets in the
last-level cache. Where an aim is missed, the table of instructions below shows where they go. In short:

- An HTTP request's go to the segment that carries it (step 5: two half-streams, a copy until it is acknowledged) and to one pass
  over its head that knows its framing and catches what some rule waits for (step 6, some 90 a line); with the whole library loaded
  that pass asks of nine of a request's values for the pairs of bytes, beginnings and ends that its rules wait for (some 2,500
  more, 970 of them for the pairs, sixteen bytes at a time). Of the bench's request nothing is caught, so step 7 does next to nothing.
  What is left to try: 32 bytes at a time where the processor can, and one decision for a whole segment instead of step after step in
  assemble.
- An acknowledgement's go to parsing and finding out what it belongs to (steps 2 and 3, a third of them), its checksums, the
  look-up of its connection and the checks of assemble (step 5); of its connection it reads one bucket and one entry of 168 bytes.
- An edited DNS query's go to its frame, made shorter where it stands with checksums over what changed (8, 9: some 600), to telling the length of
  its name as text (6, some 200) and to what every datagram costs. Other edits than one unconditional truncation (conditions,
  replacements, names with escapes) still go by the text of the name and back. What is left to try: one sum instead of two, and one walk
  over the labels instead of three.

Tried, and what came of it (instructions a packet of the HTTP requests under the whole library, responses counted as packets):

| what | before | after |
|---|--:|--:|
| guards by literals of decoded values and of expressions, by first and last bytes; a pass for rare bytes over the unit | 54,456 | 21,467 |
| one table an automaton instead of the library's, kinds of guards that few fields have set apart, header names compared by words, ranges in vector code without copies (other changes came in between) | 23,218 | 20,240 |
| searching a line's end with code of our own instead of memchr's | 666 of these | 807: taken back |
| blocks of 64 bytes instead of 32 for the pass for rare bytes | 1,296 of these | 10,446: no longer in registers, taken back |
| a decoder that sees for itself what of a plain head somebody has to look at, and makes fields of that only (`Decoder::sift`, `proto::Sieve`), sixteen bytes at a time; header names by length and last byte | 19,500 | 10,400 |
| header names' keys by length and first letter in one table | 3,778 of these (1,944 with few patches) | 3,741 (2,067): taken back |
| taking and giving back what a half-stream in flight needs without writing what it does not hold | 15,902 (few patches) | 14,963 |
| a sieve that knows pairs of bytes, beginnings and ends, so that nothing of an ordinary request is caught | 10,526 | 8,611 |
| connections between two messages share what is remembered of them, a stream nobody edited is followed without its pieces, checksums eight bytes at a time | 6,224 (few patches) | 6,029 |
| the whole program built for x86-64-v3 (AVX2, BMI) | 8,623 | 8,323: not worth the processors it would leave out, taken back |
| a core remembers header lines that changed nothing, and which of them came behind which; no look at one that comes again (requests whose pages and cookies differ) | 8,622 (6,128 few patches) | 7,698 (6,190): not worth 96 KiB a core and one more thing to trust, taken back |

Of DNS queries (instructions a packet):

| what | row | before | after |
|---|---|--:|--:|
| the bytes of a name that need an escape counted in the message, instead of writing the name as text to learn how long that is; a truncation done in the message, and its frame shortened in place with checksums by RFC 1624 | dns-edited | 5,486 | 2,251 |
| the first of these, and the checksums below | dns | 1,478 | 1,221 |
| a table of four bytes in a row, and of whole values' lengths and ends, asked before thousands of literals and values are (cycles) | 10,000 patches | 1,035 | 452 |
| counting those bytes by a loop left to the compiler to vectorise | of a name's 93 to 112 | 93 | 230: taken back |
| edit code inlined into the step of every datagram | dns-library | 1,083 | 1,197: taken back |
| both checksums of a plain packet verified in one look | tcp-acks | 1,405 | 1,320 |

And of acknowledgements (cycles a packet, the best of runs in turns with the program before, on a busy machine):

| what | connections | before | after |
|---|--:|--:|--:|
| loading the buckets and entries of a burst before its first look-up, without a prefetch instruction (which safe code has not): a load that misses holds up all that follow it once the processor's window is full | 65,536 | 996 | 1,163: taken back |
| prefetching them (`Nic::prefetch`); connections of 128 bytes; what stands beside a connection is not looked at | 65,536 | 657 | 371 |
| large tables on pages of 2 MiB (`capsule::LargePages`) | 1,048,576 | 875 | 742 |
| prefetching an entry wherever in its line of eight the bucket is, not only where it is the first | 1,048,576 | 774 | 660 |
| asking for a packet's buckets as soon as it is classified, and for its entry eight packets later, instead of for a burst's when all of it is classified | 1,048,576 | 530 | 384 |
| entries at a multiple of a cache line, 192 bytes instead of 168 | 1,048,576 | 384 | 375: not worth 24 bytes a connection, taken back |
";

fn steps(page: &mut String, instructions: &Instructions) {
    let rows: Vec<_> = instructions.rows.iter().filter(|row| !row.steps.is_empty()).collect();
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.steps.keys())
        .map(String::as_str)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    // Steps by their number, then what has none.
    names.sort_by_key(|name| {
        let number = name.split(' ').next().and_then(|number| number.parse::<u32>().ok());
        (number.unwrap_or(u32::MAX), *name)
    });
    page.push_str(
        "\n## Where the instructions go\n\nInstructions a packet, by the step whose file they were written in. They repeat exactly on a fixed \
         program, and\n`make bench-check` fails when a row grows by more than 3 %.\n\n| step |",
    );
    for row in &rows {
        page.push_str(&format!(" {} |", row.name.trim_start_matches("journey/")));
    }
    page.push_str("\n|---|");
    page.push_str(&"--:|".repeat(rows.len()));
    page.push('\n');
    for name in names {
        page.push_str(&format!("| {name} |"));
        for row in &rows {
            page.push_str(
                &row.steps
                    .get(name)
                    .map_or_else(|| " |".to_owned(), |count| format!(" {count:.1} |")),
            );
        }
        page.push('\n');
    }
    page.push_str("| **all** |");
    for row in &rows {
        page.push_str(&format!(" **{:.1}** |", row.instructions));
    }
    page.push('\n');
}

fn decoders(page: &mut String, instructions: &Instructions) {
    page.push_str("\n## Decoders\n\nInstructions a message, every field of the protocol wanted, from the first byte to the last.\n\n| message | instructions |\n|---|--:|\n");
    for row in instructions.rows.iter().filter(|row| row.steps.is_empty()) {
        page.push_str(&format!("| {} | {:.0} |\n", row.title, row.instructions));
    }
}

const HOW: &str = "
## To measure again

```
# Rates; needs about 512 hugepages of 2 MiB.
wirepatch bench --hugepages --library patches --repeat 5 --seconds 1 --json > benches/record/throughput.json
wirepatch bench --hugepages --pairs --repeat 5 --seconds 1 --json > benches/record/pairs.json
# Two lcores at a time.
wirepatch bench --hugepages --scaling --library patches --repeat 5 --seconds 1 --json > benches/record/scaling.json
# Reverse proxies; needs nginx, haproxy, wrk and libnginx-mod-http-modsecurity.
python3 benches/proxies.py > benches/record/proxies.json
# Instructions, under callgrind, and this page.
make bench-record bench-page
# All of it:
make bench-rates
```

Latencies and wall-clock rates need a machine with nothing else to do and a CPU for each busy lcore; instructions do not, and
cycles from CPU time hardly.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_record_says() {
        let written = std::fs::read_to_string(path()).unwrap();
        assert!(
            written == page().unwrap(),
            "docs/performance.md is out of date: run `make bench-page`"
        );
    }
}
