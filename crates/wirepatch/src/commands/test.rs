//! `wirepatch test`: the test cases inside patch files, through the whole pipeline.

use std::process::ExitCode;

use anyhow::Result;
use offline::cases::{CaseResult, Proof, prove};
use patch::{Diagnostic, Options, Patch, render};
use serde::Serialize;

use super::{code, load};
use crate::cli::TestArgs;
use crate::output::{self, ProgressUnit, say_error};

#[derive(Debug, Serialize)]
struct TestAnswer<'a> {
    passed: bool,
    cases: &'a [CaseResult],
    /// Patches that have no test case.
    untested: Vec<&'a str>,
    diagnostics: &'a [Diagnostic],
}

/// Runs them.
pub(crate) fn test(args: &TestArgs) -> Result<ExitCode> {
    let (patches, proof) = match load(&args.patches) {
        Ok(patches) => {
            let progress = output::progress(patches.len(), ProgressUnit::Patches);
            let proof = prove(&patches, &Options::default(), |done| {
                progress.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            });
            progress.finish_and_clear();
            (patches, proof)
        }
        Err(diagnostics) => (Vec::new(), Proof { results: Vec::new(), diagnostics }),
    };
    let passed = proof.diagnostics.is_empty();
    let untested: Vec<&str> = patches
        .iter()
        .filter(|patch| patch.tests.is_empty())
        .map(|patch| patch.name.as_str())
        .collect();
    if args.json {
        let (cases, diagnostics) = (&proof.results, &proof.diagnostics);
        output::say_json(&TestAnswer { passed, cases, untested, diagnostics })?;
        return Ok(code(passed));
    }
    if !patches.is_empty() {
        output::say(&summary(&patches, &proof))?;
    }
    for name in untested {
        say_error(&format!("warning: {name} has no test cases; write some under `tests:`\n"));
    }
    say_error(&render(&proof.diagnostics));
    Ok(code(passed))
}

fn summary(patches: &[Patch], proof: &Proof) -> String {
    let mut rows = Vec::new();
    for patch in patches.iter().filter(|patch| !patch.tests.is_empty()) {
        let mine = || proof.results.iter().filter(|result| result.patch == patch.name);
        let failed = mine().filter(|result| !result.passed).count();
        let ran = mine().count();
        let number = |number: usize| output::grouped(u64::try_from(number).unwrap_or(u64::MAX));
        rows.push(vec![
            patch.name.clone(),
            number(ran),
            number(mine().map(|result| result.runs).sum()),
            match (ran, failed) {
                (0, _) => "does not compile".to_owned(),
                (_, 0) => "passed".to_owned(),
                (_, failed) => format!("{failed} FAILED"),
            },
        ]);
    }
    let mut out = output::table(&["patch", "cases", "runs", "result"], &rows);
    let spread: Vec<&CaseResult> = proof
        .results
        .iter()
        .filter(|result| result.split_points_tried < result.split_points)
        .collect();
    if !spread.is_empty() {
        let tried: usize = spread.iter().map(|result| result.split_points_tried).sum();
        let points: usize = spread.iter().map(|result| result.split_points).sum();
        out.push_str(&format!(
            "{} split at {tried} of {points} points: at a spread of them, and around what changes\n",
            output::counted(spread.len(), "long case was", "long cases were")
        ));
    }
    let failed = proof.results.iter().filter(|result| !result.passed).count();
    out.push_str(&format!(
        "{}, {} failed\n",
        output::counted(proof.results.len(), "case", "cases"),
        failed
    ));
    out
}
