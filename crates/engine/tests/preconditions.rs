//! What the index leaves out could not have fired: the whole library gives the same over every
//! message, filtered and not.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;

use std::path::PathBuf;

use drive::{CaseRandom, DriverOutput, run};
use engine::{DatagramVerdict, Peer, Scratch};
use patch::{Group, Options, Patch};
use plan::{Index, Module, Plan};
use proto::{Transport, WatchedRanges};
use stage::Direction;

/// Messages made of every test case's.
const VARIANTS: usize = 16;

fn library() -> Vec<Patch> {
    let patches = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../patches");
    patch::load(&[patches]).unwrap_or_else(|found| panic!("{}", patch::render(&found)))
}

fn compiled(patches: &[Patch]) -> Plan {
    patch::compile(patches, &[Group::everywhere(patches.len())], &Options::default()).unwrap()
}

/// The same plan, every rule of which is evaluated for every unit.
fn unfiltered(patches: &[Patch]) -> Plan {
    let mut plan = compiled(patches);
    for side in plan.modules.iter_mut().flat_map(|module| &mut module.directions) {
        side.index = Index::without_preconditions(&side.wanted, &side.rules);
        let all = WatchedRanges::new(&[(0, usize::MAX)], &[(0, u64::MAX)]);
        side.wanted.set_field_prefilter(vec![all; side.wanted.slot_count()]);
        side.wanted.set_header_prefilter(None);
    }
    plan
}

/// The input with bytes that patches look for put in, doubled, encoded or taken away.
fn varied(input: &[u8], others: &[Vec<u8>], random: &mut CaseRandom) -> Vec<u8> {
    const PIECES: &[&[u8]] = &[
        b"%2e", b"..", b"/../", b"%", b"${jndi:", b"%24{", b"() {", b"\0", b",", b" ", b"[", b"#",
        b"=", b"-", b"\r\n", b"/", b"\xff", b"%252e", b"@", b":", b";", b"LD_", b"class.", b"\x01",
    ];
    let mut text = input.to_vec();
    for _ in 0..random.below(5) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(6)).min(text.len());
        match random.below(6) {
            0 => drop(text.splice(at..at, PIECES[random.below(PIECES.len())].to_vec())),
            1 => drop(text.splice(at..end, [])),
            2 => {
                let encoded: String =
                    text[at..end].iter().map(|byte| format!("%{byte:02x}")).collect();
                drop(text.splice(at..end, encoded.into_bytes()));
            }
            3 => {
                let twice = text[at..end].repeat(2 + random.below(40));
                drop(text.splice(at..end, twice));
            }
            4 => text[at..end].iter_mut().for_each(|byte| *byte ^= 0x20),
            _ => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                let to = (from + random.below(60)).min(other.len());
                drop(text.splice(at..at, other[from..to].to_vec()));
            }
        }
    }
    text
}

/// What came of a message; `None` where a rule could not be decided.
fn outcome(
    module: &Module,
    from: Direction,
    input: &[u8],
    scratch: &mut Scratch,
) -> Option<(DriverOutput, Vec<u8>)> {
    if module.transport == Transport::Tcp {
        let output = run(module, from, &[input], scratch);
        return output.undecided.is_empty().then_some((output, Vec::new()));
    }
    let result = engine::datagram(module, from, input, &Peer::default(), scratch);
    let mut output = DriverOutput { messages: result.messages, ..DriverOutput::default() };
    for hit in scratch.hits() {
        output.edits += hit.edits;
        output.verdicts += hit.verdicts;
    }
    output.closed = result.verdict == DatagramVerdict::Drop;
    let span = proto::Span::new(0, input.len());
    assert!(scratch.edits().current(input, span, &mut output.bytes));
    let reply = match result.verdict {
        DatagramVerdict::Reply => scratch.reply().to_vec(),
        DatagramVerdict::Pass | DatagramVerdict::Edited | DatagramVerdict::Drop => Vec::new(),
    };
    result.undecided.is_none().then_some((output, reply))
}

#[test]
fn a_rule_that_is_not_looked_at_would_not_have_fired() {
    let patches = library();
    let (filtered, unfiltered) = (compiled(&patches), unfiltered(&patches));
    let mut scratch = Scratch::new();
    let mut random = CaseRandom(1);
    let (mut told, mut fired) = (0_u32, 0_u32);
    for (module, unfiltered) in filtered.modules.iter().zip(&unfiltered.modules) {
        let protocol = module.decoder.protocol().name;
        let cases = patches.iter().filter(|patch| patch.protocol().name == protocol);
        let steps = cases.flat_map(|patch| &patch.tests).flat_map(|test| &test.steps);
        let steps = steps.filter(|step| step.input.len() < 4_000);
        let inputs: Vec<(Direction, Vec<u8>)> =
            steps.map(|step| (step.direction, step.input.clone())).collect();
        let texts: Vec<Vec<u8>> = inputs.iter().map(|(_, input)| input.clone()).collect();
        for (from, input) in &inputs {
            for variant in 0..VARIANTS {
                let input =
                    if variant == 0 { input.clone() } else { varied(input, &texts, &mut random) };
                let want = outcome(unfiltered, *from, &input, &mut scratch);
                let Some(want) = want else { continue };
                let got = outcome(module, *from, &input, &mut scratch);
                assert_eq!(got, Some(want.clone()), "{protocol} {from:?} {}", input.escape_ascii());
                told += 1;
                fired += u32::from(want.0.edits + want.0.verdicts > 0);
            }
        }
    }
    assert!(told > 1_000 && fired > 300, "{told} messages, {fired} of them changed");
}

/// Whole heads passed over or line by line, in one piece or in many, with one message on a
/// connection or several.
#[test]
fn what_the_header_prefilter_skips_would_have_gone_on_as_it_came() {
    let patches = library();
    let (prefiltered, mut unfiltered) = (compiled(&patches), compiled(&patches));
    for side in unfiltered.modules.iter_mut().flat_map(|module| &mut module.directions) {
        side.wanted.set_header_prefilter(None);
    }
    let mut scratch = Scratch::new();
    let mut random = CaseRandom(2);
    let mut told = 0_u32;
    let streams = prefiltered.modules.iter().zip(&unfiltered.modules);
    for (module, unfiltered) in streams.filter(|(module, _)| module.transport == Transport::Tcp) {
        let protocol = module.decoder.protocol().name;
        let cases = patches.iter().filter(|patch| patch.protocol().name == protocol);
        let steps = cases.flat_map(|patch| &patch.tests).flat_map(|test| &test.steps);
        let inputs: Vec<_> = steps.filter(|step| step.input.len() < 4_000).collect();
        let texts: Vec<Vec<u8>> = inputs.iter().map(|step| step.input.clone()).collect();
        for step in &inputs {
            for _ in 0..VARIANTS {
                let mut input = step.input.clone();
                for _ in 0..random.below(3) {
                    input.extend(&texts[random.below(texts.len())]);
                }
                if random.below(2) == 0 {
                    input = varied(&input, &texts, &mut random);
                }
                let longest = [input.len(), 700, 40][random.below(3)];
                let pieces = random.cut(&input, longest);
                let want = run(unfiltered, step.direction, &pieces, &mut scratch);
                let got = run(module, step.direction, &pieces, &mut scratch);
                assert_eq!(got, want, "{protocol} {}", input.escape_ascii());
                told += 1;
            }
        }
    }
    assert!(told > 1_000, "{told} connections");
}
