//! Patches, read and checked; and finding them on disk.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::{Decoder, Protocol, Transport, Wanted};
use stage::Direction;

use crate::condition::RuleContext;
use crate::diagnostic::{Diagnostic, Place, SourceFile};
use crate::file::{DirectionName, Equivalence, PatchFile, TransportName};
use crate::rule::{CheckedRule, MayAnswer, Mistakes, RuleReader};
use crate::spelling::nearest;
use crate::test_case::{CaseContext, TestCase};
use crate::yaml::from_source;

/// Largest patch file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Longest name, a metric's label.
const NAME_BYTES_MAX: usize = 64;

/// Rules of one patch.
const RULES_MAX: usize = 256;

/// A patch whose every rule is typed against its protocol's fields.
#[derive(Clone)]
pub struct Patch {
    /// Its unique name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// CVE numbers.
    pub cve: Vec<String>,
    /// The vendor's bulletin or version.
    pub vendor_fix: Option<String>,
    /// When that came out, Unix seconds.
    pub released: Option<i64>,
    /// Products and versions.
    pub affects: Option<String>,
    /// Until when the real patch is postponed, Unix seconds.
    pub postpone_until: Option<i64>,
    /// How it relates to the fix.
    pub equivalence: Option<Equivalence>,
    /// Where to read more.
    pub references: Vec<String>,
    /// The file it came from.
    pub file: Arc<SourceFile>,
    /// Its protocol's decoder.
    pub decoder: &'static dyn Decoder,
    /// Where it applies: transports and their server ports, sorted.
    pub scope: Vec<(Transport, Vec<u16>)>,
    /// Its test cases.
    pub tests: Vec<TestCase>,
    /// Where `patch:` and `protocol:` are, for diagnostics about the whole.
    pub(crate) name_place: Place,
    pub(crate) protocol_place: Place,
    pub(crate) rules: Vec<CheckedRule>,
    /// The numbering of the rules' slots.
    pub(crate) wanted: Wanted,
}

impl std::fmt::Debug for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patch")
            .field("name", &self.name)
            .field("protocol", &self.protocol().name)
            .field("scope", &self.scope)
            .field("rules", &self.rules)
            .field("tests", &self.tests)
            .finish_non_exhaustive()
    }
}

impl Patch {
    /// Reads and checks one file's text; diagnostics call it `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_yaml(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::from_yaml_with(name, text, proto::DECODERS)
    }

    /// The same with a choice of decoders.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn from_yaml_with(
        name: &str,
        text: &str,
        decoders: &[&'static dyn Decoder],
    ) -> Result<Self, Vec<Diagnostic>> {
        let file = Arc::new(SourceFile::new(name, text));
        let raw: PatchFile = from_source(&file)?;
        let mut found = Vec::new();
        let patch = Self::check(&file, raw, decoders, &mut found);
        found.sort_by_key(|diagnostic| (diagnostic.at.line, diagnostic.at.column));
        match patch {
            Some(patch) if found.is_empty() => Ok(patch),
            _ => Err(found),
        }
    }

    /// Its protocol.
    pub fn protocol(&self) -> &'static Protocol {
        self.decoder.protocol()
    }

    /// How many rules it has.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    fn check(
        file: &Arc<SourceFile>,
        raw: PatchFile,
        decoders: &[&'static dyn Decoder],
        found: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        check_names(file, &raw, found);
        let protocols: Vec<&'static Protocol> =
            decoders.iter().map(|decoder| decoder.protocol()).collect();
        let decoder = decoders.iter().find(|decoder| decoder.protocol().name == *raw.protocol);
        let Some(decoder) = decoder.copied() else {
            found.push(unknown_protocol(file, &raw, &protocols));
            return None;
        };
        let scope = scope(file, &raw, decoder.protocol(), found)?;
        let mut wanted = Wanted::new(decoder.protocol());
        let reader = RuleReader {
            mistakes: Mistakes { file, found },
            list: raw.rules.place,
            answers: answers(decoder, &scope),
        };
        let rules = read_rules(&raw, reader, decoder.protocol(), &protocols, &mut wanted);

        let mut tests = Vec::new();
        for test in &raw.tests.0 {
            match TestCase::read(test, &CaseContext { file, scope: &scope }) {
                Ok(test) => tests.push(test),
                Err(wrong) => found.push(*wrong),
            }
        }
        Some(Self {
            name_place: raw.patch.place,
            protocol_place: raw.protocol.place,
            name: raw.patch.value,
            title: raw.title,
            cve: raw.cve.into_iter().map(|cve| cve.value).collect(),
            released: raw
                .vendor_fix
                .as_ref()
                .and_then(|fix| fix.released.as_ref())
                .map(|date| date.unix_seconds),
            vendor_fix: raw.vendor_fix.map(|fix| fix.id),
            affects: raw.affects,
            postpone_until: raw.postpone_until.map(|date| date.unix_seconds),
            equivalence: raw.equivalence,
            references: raw.references,
            file: Arc::clone(file),
            decoder,
            scope,
            tests,
            rules,
            wanted,
        })
    }
}

fn unknown_protocol(
    file: &SourceFile,
    raw: &PatchFile,
    protocols: &[&'static Protocol],
) -> Diagnostic {
    let names = protocols.iter().map(|protocol| protocol.name);
    let help = nearest(&raw.protocol, names.clone()).map_or_else(
        || format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("no protocol is called `{}`", *raw.protocol);
    Diagnostic::new(file, raw.protocol.place, message).help(help)
}

/// Whether the patch may answer a message everywhere it applies.
fn answers(decoder: &dyn Decoder, scope: &[(Transport, Vec<u16>)]) -> MayAnswer {
    let over_tcp = scope.iter().any(|(transport, _)| *transport == Transport::Tcp);
    let counted = decoder.outstanding_responses(&decoder.start()).is_some();
    if over_tcp && !counted { MayAnswer::NotOverTcp } else { MayAnswer::Possible }
}

fn read_rules(
    raw: &PatchFile,
    mut reader: RuleReader<'_>,
    protocol: &'static Protocol,
    protocols: &[&'static Protocol],
    wanted: &mut Wanted,
) -> Vec<CheckedRule> {
    let direction = raw.scope.as_ref().and_then(|scope| scope.direction.as_ref()).map(|name| {
        match name.value {
            DirectionName::Request => Direction::Request,
            DirectionName::Response => Direction::Response,
        }
    });
    if raw.rules.0.is_empty() || raw.rules.0.len() > RULES_MAX {
        reader.mistakes.report(raw.rules.place, format!("a patch has 1 to {RULES_MAX} rules"));
    }
    let mut rules = Vec::new();
    for rule in raw.rules.0.iter().take(RULES_MAX) {
        let mut context = RuleContext {
            protocol,
            others: protocols,
            wanted,
            direction: direction.map(|direction| (direction, "`scope.direction`".to_owned())),
        };
        rules.extend(reader.read(rule, &mut context));
    }
    rules
}

fn check_names(file: &SourceFile, raw: &PatchFile, found: &mut Vec<Diagnostic>) {
    let name = raw.patch.value.as_str();
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(good) {
        found.push(
            Diagnostic::new(file, raw.patch.place, format!("`{name}` cannot be a patch's name"))
                .note("metrics and reports carry it")
                .help(format!(
                    "lower-case letters, digits, `-`, `.` and `_`, at most {NAME_BYTES_MAX}"
                )),
        );
    }
    for cve in &raw.cve {
        let parts: Vec<&str> = cve.split('-').collect();
        let digits = |text: &str, least: usize| {
            text.len() >= least && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit())
        };
        let is_cve = matches!(parts.as_slice(), ["CVE", year, number]
            if year.len() == 4 && digits(year, 4) && digits(number, 4));
        if !is_cve {
            found.push(
                Diagnostic::new(file, cve.place, format!("`{}` is no CVE number", **cve))
                    .help("they are written CVE-2002-0649"),
            );
        }
    }
}

/// The transports and ports a patch applies to.
fn scope(
    file: &SourceFile,
    raw: &PatchFile,
    protocol: &Protocol,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<(Transport, Vec<u16>)>> {
    let given = raw.scope.clone().unwrap_or_default();
    let only = given.transport.as_ref().map(|name| match name.value {
        TransportName::Tcp => Transport::Tcp,
        TransportName::Udp => Transport::Udp,
    });
    let mut scope = Vec::new();
    for (transport, default_ports) in protocol.ports {
        if only.is_some_and(|only| only != *transport) {
            continue;
        }
        let mut ports = match &given.ports {
            None => default_ports.to_vec(),
            Some(ports) => ports.iter().map(|port| port.value).collect(),
        };
        ports.sort_unstable();
        ports.dedup();
        scope.push((*transport, ports));
    }
    let refuse = |place: Place, message: String, help: &str| {
        Diagnostic::new(file, place, message).help(help)
    };
    if let Some(ports) = &given.ports {
        for port in ports.iter().filter(|port| port.value == 0) {
            found.push(refuse(port.place, "0 is no port".to_owned(), "ports are 1 to 65535"));
        }
        if ports.is_empty() {
            let message = "no port is in scope".to_owned();
            found.push(refuse(
                ports.place,
                message,
                "leave `ports` out for the protocol's own ports",
            ));
            return None;
        }
    }
    if scope.is_empty() {
        let place = given.transport.as_ref().map_or(raw.protocol.place, |name| name.place);
        let message = format!("{} does not run over this transport", protocol.name);
        found.push(refuse(place, message, "leave `transport` out for the protocol's own"));
        return None;
    }
    if scope.iter().any(|(_, ports)| ports.is_empty()) {
        found.push(refuse(
            raw.protocol.place,
            format!("{} has no port of its own", protocol.name),
            "name the server's ports: `scope: { ports: [8080] }`",
        ));
        return None;
    }
    Some(scope)
}

/// Reads every patch in `paths`: files as they are, directories searched for `*.yaml` and `*.yml`,
/// in order of name.
///
/// # Errors
/// Everything that is wrong with any of them, and names that are there twice.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Patch>, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        if let Err((path, error)) = collect(path, &mut files) {
            found.push(Diagnostic::of_file(path.display().to_string(), error));
        }
    }
    // The same file by two paths of one command line is one file.
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    let mut patches = Vec::new();
    for path in &files {
        match read(path) {
            Ok(patch) => patches.push(patch),
            Err(wrong) => found.extend(wrong),
        }
    }
    found.extend(repeated(&patches));
    if found.is_empty() { Ok(patches) } else { Err(found) }
}

fn read(path: &Path) -> Result<Patch, Vec<Diagnostic>> {
    let name = path.display().to_string();
    let refuse = |error: String| vec![Diagnostic::of_file(name.clone(), error)];
    let bytes = fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(refuse(format!("a patch file has at most {FILE_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    Patch::from_yaml(&name, &text)
}

/// Adds `path`, or the patch files under it.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), (PathBuf, String)> {
    let fail = |error: std::io::Error| (path.to_owned(), error.to_string());
    if !fs::metadata(path).map_err(fail)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside: Vec<PathBuf> = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(fail)?;
    inside.sort();
    for entry in inside {
        let is_patch = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        // A link to a directory could lead back up; patches are files.
        if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, files)?;
        } else if is_patch {
            files.push(entry);
        }
    }
    Ok(())
}

/// Names that more than one patch has.
pub(crate) fn repeated(patches: &[Patch]) -> Vec<Diagnostic> {
    let mut first: HashMap<&str, &Patch> = HashMap::new();
    let mut found = Vec::new();
    for patch in patches {
        if let Some(other) = first.insert(&patch.name, patch) {
            found.push(
                Diagnostic::new(
                    &patch.file,
                    patch.name_place,
                    format!("two patches are called `{}`", patch.name),
                )
                .other(&other.file, other.name_place, "the other one")
                .help("metrics tell patches apart by their names: rename one"),
            );
        }
    }
    found
}
