//! Which file of a crate imports which, and that no more than three files import one another in a
//! circle. Tests are no part of it.

mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::complaint::Complaint;
use crate::source::{self, RustSource};
use modules::Modules;

/// Two halves of one thing may know one another, and the module that owns them.
const CIRCLE_FILES_MAX: usize = 3;

pub(crate) fn check(sources: &[RustSource], complaints: &mut Vec<Complaint>) {
    for (package, graph) in graphs(sources) {
        for circle in graph.circles() {
            if circle.len() <= CIRCLE_FILES_MAX {
                continue;
            }
            let mut text = format!(
                "{package}: {} files import one another in a circle: {}",
                circle.len(),
                circle.iter().copied().collect::<Vec<_>>().join(", ")
            );
            for (from, to, through) in graph.edges(&circle) {
                text.push_str(&format!("\n    {from} -> {to}: {through}"));
            }
            // One complaint a file: the ratchet counts files.
            complaints.push(Complaint::new("file-circles", &package, text));
            let more = circle.iter().skip(1).map(|file| format!("    in that circle: {file}"));
            complaints.extend(more.map(|text| Complaint::new("file-circles", &package, text)));
        }
    }
}

/// For people: the imports of one crate.
pub(crate) fn edges_of(root: &Path, package: &str) -> Result<Vec<String>> {
    let graphs = graphs(&source::rust(root)?);
    let graph = graphs.into_iter().find(|(name, _)| name == package).map(|(_, graph)| graph);
    let graph = graph.unwrap_or_default();
    let all = graph.0.keys().map(String::as_str).collect();
    let edges = graph.edges(&all).into_iter();
    Ok(edges.map(|(from, to, through)| format!("{from} -> {to}: {through}")).collect())
}

fn graphs(sources: &[RustSource]) -> Vec<(String, Graph)> {
    let mut packages: BTreeMap<&str, Vec<&RustSource>> = BTreeMap::new();
    for source in sources {
        packages.entry(source.area()).or_default().push(source);
    }
    let graph = |(name, sources): (&str, Vec<&RustSource>)| {
        (name.to_owned(), Graph::of(&sources, &name.replace('-', "_")))
    };
    packages.into_iter().map(graph).collect()
}

/// File, the files that it imports, and through which paths.
#[derive(Debug, Default)]
struct Graph(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Graph {
    fn of(sources: &[&RustSource], crate_name: &str) -> Self {
        let mut graph = Self::default();
        let inside = |source: &&&RustSource| {
            let path = source.path.as_str();
            let path = path.strip_prefix("crates/").unwrap_or(path);
            path.split('/').nth(1) == Some("src") && !source.is_test()
        };
        let product: Vec<&RustSource> = sources.iter().filter(inside).copied().collect();
        for root in product.iter().filter(|source| is_root(&source.path)) {
            Modules::of(root, &product, crate_name).imports(&mut |from, to, through| {
                let files = graph.0.entry(from.to_owned()).or_default();
                files.entry(to.to_owned()).or_default().insert(through);
            });
        }
        graph
    }

    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for to in self.0.get(file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(to.as_str()) {
                    open.push(to);
                }
            }
        }
        reached
    }

    /// Files that reach one another, two or more.
    fn circles(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|file| (file.as_str(), self.reached(file))).collect();
        let leads = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
        let mut circles = BTreeSet::new();
        for (file, all) in &reached {
            let circle: BTreeSet<&str> =
                all.iter().copied().filter(|other| leads(other, file)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The imports between `files`.
    fn edges<'a>(&'a self, files: &BTreeSet<&str>) -> Vec<(&'a str, &'a str, String)> {
        let from = self.0.iter().filter(|(from, _)| files.contains(from.as_str()));
        let edges = from.flat_map(|(from, to)| to.iter().map(move |(to, paths)| (from, to, paths)));
        let inner =
            edges.filter(|(_, to, _)| files.len() == self.0.len() || files.contains(to.as_str()));
        let show = |paths: &BTreeSet<String>| {
            paths.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        inner.map(|(from, to, paths)| (from.as_str(), to.as_str(), show(paths))).collect()
    }
}

fn is_root(path: &str) -> bool {
    path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path.contains("src/bin/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Vec<RustSource> {
        let parse = |(name, text): &(&str, &str)| {
            RustSource::parse(&format!("crates/a/src/{name}"), (*text).to_owned()).unwrap()
        };
        files.iter().map(parse).collect()
    }

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let sources = sources(files);
        let graph = Graph::of(&sources.iter().collect::<Vec<_>>(), "a");
        let all = graph.0.keys().map(String::as_str).collect();
        let short = |path: &str| path.replace("crates/a/src/", "");
        let edges = graph.edges(&all).into_iter();
        edges.map(|(from, to, _)| format!("{}>{}", short(from), short(to))).collect()
    }

    #[test]
    fn imports_lead_to_the_file_that_defines() {
        let lib = ("lib.rs", "mod b; mod c; pub use b::B; #[cfg(test)] mod tests;");
        // Through the facade of the root, by a path in code, inside a macro, by a module's name.
        for c in [
            "use crate::B;",
            "use crate::{b::B as Other};",
            "fn f() { crate::b::f(); }",
            "fn f() { assert!(super::b::B); }",
            "use crate::b; fn f() { b::f() }",
            "use super::*; fn f() { b::f() }",
        ] {
            let edges = edges(&[lib, ("b.rs", "pub struct B;"), ("c.rs", c), ("tests.rs", "")]);
            assert!(edges.contains(&"c.rs>b.rs".to_owned()), "{c}: {edges:?}");
        }
        let tested = "#[cfg(test)] mod tests { use crate::b::B; } use std::fmt;";
        assert_eq!(edges(&[lib, ("b.rs", "pub struct B;"), ("c.rs", tested)]), [] as [&str; 0]);
        let nested = ("b/d.rs", "use super::B; use super::super::c::C;");
        let found = edges(&[lib, ("b.rs", "mod d; pub struct B;"), nested, ("c.rs", "")]);
        assert_eq!(found, ["b/d.rs>b.rs", "b/d.rs>c.rs"]);
    }

    #[test]
    fn a_circle_of_four_files_is_found_and_one_of_three_is_not() {
        let told = |files: &[(&str, &str)]| {
            let mut complaints = Vec::new();
            check(&sources(files), &mut complaints);
            complaints
        };
        let lib = ("lib.rs", "mod b; mod c; mod d; mod e;");
        let (b, c, d) = ("use crate::c::C;", "use crate::d::D;", "use crate::b::B;");
        let three = [lib, ("b.rs", b), ("c.rs", c), ("d.rs", d), ("e.rs", "use crate::b::B;")];
        assert_eq!(told(&three), []);
        let d = "use crate::e::E;";
        let four = [lib, ("b.rs", b), ("c.rs", c), ("d.rs", d), ("e.rs", "use crate::b::B;")];
        let told = told(&four);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].text.contains("crates/a/src/e.rs -> crates/a/src/b.rs: crate::b::B"));
    }
}
