//! The checked configuration, and the one door to it.

use std::path::{Path, PathBuf};

use patch::yaml::{Node, from_node};
use patch::{Diagnostic, SourceFile};

use crate::audit::audit;
use crate::groups::{check_groups, patch_files};
use crate::keys::KeySection as _;
use crate::ports::{bridges, check_cpus, check_ports};
use crate::problems::Problems;
use crate::settings::Settings;

/// A configuration whose parts fit together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read.
    pub path: PathBuf,
    /// Every key, with its default where the file leaves it out.
    pub settings: Settings,
    /// The bridges as pairs of indices into the ports; every port is in exactly one.
    pub bridges: Vec<[usize; 2]>,
    /// The patch files of each server group, sorted.
    pub patch_files: Vec<Vec<PathBuf>>,
    /// Old keys in the file, one line each.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks a file; every problem at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![
                Diagnostic::of_file(&shown, format!("cannot read the configuration: {error}"))
                    .help("name a YAML file with `--config`; deploy/wirepatch.yaml is a sample"),
            ]
        })?;
        Self::check(&SourceFile::new(shown, text), path)
    }

    /// Checks a file's text. Relative paths in it are relative to the folder of `path`.
    pub fn check(file: &SourceFile, path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Problems::of(file);
        let settings = read(file, &mut problems)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        check_ports(&settings, &mut problems);
        let bridges = bridges(&settings, &mut problems);
        check_cpus(&settings.workers, &mut problems);
        check_groups(&settings, &mut problems);
        let groups = settings.server_groups.iter();
        let patch_files = groups.map(|group| patch_files(group, folder, &mut problems)).collect();
        if !problems.list.is_empty() {
            return Err(problems.list);
        }
        let warnings = problems.warnings;
        Ok(Self { path: path.to_owned(), settings, bridges, patch_files, warnings })
    }

    /// The control socket's path. A relative one is relative to the configuration's folder.
    pub fn control_socket(&self) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        folder.join(&self.settings.control.socket)
    }

    /// Takes from `new` the values that a reload takes up. The others stay: the running appliance
    /// was started with them.
    pub fn take_up(&mut self, new: Self) {
        self.settings.take_up(&new.settings);
        self.patch_files = new.patch_files;
        self.warnings = new.warnings;
    }
}

/// The keys of a file. Of several problems about one place only the first is kept.
pub(crate) fn read(
    file: &SourceFile,
    problems: &mut Problems<'_>,
) -> Result<Settings, Vec<Diagnostic>> {
    let mut root = Node::parse(file).map_err(|error| vec![*error])?;
    let complete = audit(&mut root, Settings::KEYS, problems);
    match from_node(file, &root) {
        Ok(settings) if complete => Ok(settings),
        Ok(_) => Err(std::mem::take(&mut problems.list)),
        Err(more) => {
            let mut all = std::mem::take(&mut problems.list);
            all.extend(more);
            all.sort_by_key(|problem| (problem.at.line, problem.at.column));
            all.dedup_by(|later, first| later.at == first.at);
            Err(all)
        }
    }
}

#[cfg(test)]
mod tests;
