//! A patch's own test cases through the whole pipeline: `wirepatch test`, and the proof in front of
//! every reload.
//!
//! Holds:     [`prove`], and its results ([`CaseResult`]).
//! Promises:  a case passes only if its outcome is the same however its bytes are cut: whole, byte
//!            by byte, split at every point (long ones at a spread of points, and the result says
//!            at how many of how many), at random points, out of order, and repeated; over UDP
//!            whole and in fragments. Every frame that leaves has right checksums.
//! Never:     reads a clock or a file, or depends on other patches: each patch is proved alone.

mod datagrams;
mod ideal_host;
mod mismatch;
mod segmentation;
mod stream;
mod test_box;

use patch::{Diagnostic, Group, Options, Patch, TestCase, Transport, compile};
use serde::Serialize;

use segmentation::Segmentations;
use test_box::TestBox;

#[cfg(test)]
mod tests;

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The patch's name.
    pub patch: String,
    /// The patch's file.
    pub file: String,
    /// The case's name.
    pub case: String,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// Every run gave the expected outcome.
    pub passed: bool,
    /// How often it was run.
    pub runs: usize,
    /// Points at which its bytes could be split in two.
    pub split_points: usize,
    /// Points at which they were.
    pub split_points_tried: usize,
    /// The first run that went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The first difference between a run and its expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// How the bytes were cut in this run.
    pub cut: String,
    /// The difference in words.
    pub what: String,
    /// The expected bytes around the first difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The bytes that arrived instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
}

impl CaseResult {
    /// The failure, at the case's place in its file.
    fn diagnostic(&self, patch: &Patch, case: &TestCase) -> Option<Diagnostic> {
        let failure = self.failure.as_ref()?;
        let message = format!("`{}` fails: {}", self.case, failure.what);
        let mut note = format!("sent {}", failure.cut);
        if let (Some(expected), Some(got)) = (&failure.expected, &failure.got) {
            note.push_str(&format!("\n     expected \"{expected}\"\n     got      \"{got}\""));
        }
        Some(
            Diagnostic::new(&patch.file, case.place, message).label("this case").note(note).help(
                format!("`wirepatch explain {}` prints the compiled plan", patch.file.name()),
            ),
        )
    }
}

/// Results of all cases, and a diagnostic for each that failed.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// In the order of the patches.
    pub results: Vec<CaseResult>,
    /// Failed cases, and patches that do not compile.
    pub diagnostics: Vec<Diagnostic>,
}

/// Runs the cases of each of `patches`. It calls `progress` with the number of patches done.
pub fn prove(patches: &[Patch], options: &Options, mut progress: impl FnMut(usize)) -> Proof {
    let mut proof = Proof::default();
    for (done, patch) in patches.iter().enumerate() {
        if !patch.tests.is_empty() {
            prove_one(patch, options, &mut proof);
        }
        progress(done.saturating_add(1));
    }
    proof
}

fn prove_one(patch: &Patch, options: &Options, proof: &mut Proof) {
    let plan = match compile(std::slice::from_ref(patch), &[Group::everywhere(1)], options) {
        Ok(plan) => plan,
        Err(found) => {
            proof.diagnostics.extend(found);
            return;
        }
    };
    let mut test_box = TestBox::new(plan);
    for case in &patch.tests {
        let result = run(&mut test_box, patch, case);
        proof.diagnostics.extend(result.diagnostic(patch, case));
        proof.results.push(result);
    }
}

/// One case, cut in every way until one goes wrong.
fn run(test_box: &mut TestBox, patch: &Patch, case: &TestCase) -> CaseResult {
    let mut result = CaseResult {
        patch: patch.name.clone(),
        file: patch.file.name().to_owned(),
        case: case.name.clone(),
        transport: match case.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        },
        passed: true,
        runs: 0,
        split_points: 0,
        split_points_tried: 0,
        failure: None,
    };
    let segmentations = Segmentations::of(case);
    result.split_points = segmentations.points;
    result.split_points_tried = segmentations.points_tried;
    for cut in &segmentations.list {
        result.runs = result.runs.saturating_add(1);
        test_box.next_run(case);
        let done = match case.transport {
            Transport::Tcp => stream::run(test_box, case, cut),
            Transport::Udp => datagrams::run(test_box, case, cut),
        };
        if let Err(wrong) = done {
            result.passed = false;
            result.failure = Some(Failure {
                cut: cut.to_string(),
                what: wrong.what,
                expected: wrong.expected,
                got: wrong.got,
            });
            break;
        }
    }
    result
}
