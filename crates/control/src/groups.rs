//! Whether server groups are sound, and which files their patches are in.

use std::path::{Path, PathBuf};

use patch::{nearest, protocols};

use crate::problems::Problems;
use crate::settings::{GroupSettings, Settings};

/// Complains of groups that cannot be.
pub(crate) fn check_groups(settings: &Settings, problems: &mut Problems<'_>) {
    problems.unique("server group", settings.server_groups.iter().map(|group| &group.name));
    for (protocol, ports) in settings.server_groups.iter().flat_map(|group| &group.ports) {
        if !protocols().any(|name| name == protocol) {
            let help = nearest(protocol, protocols()).map_or_else(
                || "`wirepatch fields` lists them".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            problems.add(ports.place, format!("no protocol is called `{protocol}`"), help);
        }
        if ports.is_empty() {
            problems.add(ports.place, "no ports", "write port numbers, or leave the protocol out");
        }
    }
}

/// The files of a group's patches, sorted. Its entries are files, folders (all `.yaml` and `.yml`
/// below) and globs.
pub(crate) fn patch_files(
    group: &GroupSettings,
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for pattern in &group.patches {
        let absolute = folder.join(&pattern.value);
        let before = files.len();
        match glob::glob(&absolute.to_string_lossy()) {
            Err(error) => {
                problems.add(
                    pattern.place,
                    format!("not a glob: {error}"),
                    "write `*` for a name, `**` for folders, `[ab]` for a character",
                );
                continue;
            }
            Ok(paths) => {
                for path in paths.flatten() {
                    collect(&path, &mut files);
                }
            }
        }
        if files.len() == before {
            problems.add(
                pattern.place,
                format!("no patch file matches `{}`", pattern.value),
                format!(
                    "name a file, a folder or a glob relative to {}; patches end in .yaml or .yml",
                    folder.display()
                ),
            );
        }
    }
    files.sort();
    files.dedup();
    files
}

/// Adds `path`, or every patch file under it, in order of name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    for pattern in ["**/*.yaml", "**/*.yml"] {
        if let Ok(found) = glob::glob(&path.join(pattern).to_string_lossy()) {
            files.extend(found.flatten().filter(|file| file.is_file()));
        }
    }
}
