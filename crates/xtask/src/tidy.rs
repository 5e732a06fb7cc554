//! Every rule, and the ratchet over all of them.

use std::path::Path;

use anyhow::Result;

use crate::complaint::{Complaint, Ratchet};
use crate::{
    circles, columns, house, manifest, markdown, names, packages, retired, shared, size, source,
};

/// The breaches beyond the ratchet.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    Ok(Ratchet::read(root)?.judge(&complaints(root)?))
}

/// Every breach, those that the ratchet allows too.
pub(crate) fn everything(root: &Path) -> Result<Vec<String>> {
    let show = |complaint: Complaint| {
        format!("[{}.{}] {}", complaint.rule, complaint.area, complaint.text)
    };
    Ok(complaints(root)?.into_iter().map(show).collect())
}

/// Takes the ratchet down to what the tree still has.
pub(crate) fn lower(root: &Path) -> Result<()> {
    Ratchet::read(root)?.lower(root, &complaints(root)?)
}

fn complaints(root: &Path) -> Result<Vec<Complaint>> {
    let sources = source::rust(root)?;
    let mut complaints = Vec::new();
    for source in &sources {
        house::check(source, &mut complaints);
        size::check(source, &mut complaints);
        columns::check(source, &mut complaints);
        retired::check(source, &mut complaints);
    }
    for (path, text) in source::texts(root, &["py", "sh", "yaml", "yml", "json", "md"])? {
        retired::check_text(&path, &text, &mut complaints);
        if path.ends_with(".py") || path.ends_with(".sh") {
            columns::check_script(&path, &text, &mut complaints);
        }
    }
    names::check(&sources, &mut complaints);
    circles::check(&sources, &mut complaints);
    manifest::check(root, &sources, &mut complaints)?;
    packages::check(root, &mut complaints)?;
    markdown::check(root, &mut complaints)?;
    shared::check(&sources, &mut complaints);
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let complaints = check(root).unwrap();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
