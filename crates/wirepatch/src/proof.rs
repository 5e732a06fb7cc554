//! The proof in front of every plan that the appliance puts in force.

/// Runs the patches' own test cases; a diagnostic for each that fails.
pub(crate) fn prove(patches: &[patch::Patch]) -> Vec<patch::Diagnostic> {
    offline::cases::prove(patches, &patch::Options::default(), |_| ()).diagnostics
}
