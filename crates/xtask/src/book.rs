//! Puts README.md and docs/ together as the source of one site, which mdBook builds.
//!
//! The pages stay as they are in the repository; only their links change. A link to a page of the
//! book leads to it, and a link to any other file becomes its text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{markdown, source};

/// The pages that a reader meets first, in order. The others follow by name.
const FIRST: &[&str] = &[
    "README.md",
    "docs/tutorial.md",
    "docs/operators-guide.md",
    "docs/configuration.md",
    "docs/patch-language.md",
    "docs/cli.md",
    "docs/metrics.md",
    "docs/reasons.md",
    "docs/glossary.md",
    "docs/architecture.md",
    "docs/journey.md",
];

/// Folders with pages of their own, and the title above them.
const PARTS: &[(&str, &str)] =
    &[("docs/protocols/", "Protocols"), ("docs/decisions/", "Decisions")];

/// Writes `target/book`: `book.toml`, `src/SUMMARY.md` and the pages.
pub(crate) fn write(root: &Path) -> Result<()> {
    let texts = source::texts(root, &["md"])?;
    let is_page = |path: &str| path == "README.md" || path.starts_with("docs/");
    let pages: Vec<&(String, String)> = texts.iter().filter(|(path, _)| is_page(path)).collect();
    let known: BTreeSet<&str> = pages.iter().map(|(path, _)| path.as_str()).collect();
    let book = root.join("target/book");
    if book.exists() {
        fs::remove_dir_all(&book).context("emptying target/book")?;
    }
    put(&book.join("book.toml"), &source::read(&root.join("docs/book.toml"))?)?;
    for (path, text) in &pages {
        put(&book.join("src").join(path), &with_links(path, text, &known))?;
    }
    let titles: Vec<(&str, &str)> =
        pages.iter().map(|(path, text)| (path.as_str(), title(text))).collect();
    put(&book.join("src/SUMMARY.md"), &summary(&titles)?)
}

fn put(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn title(text: &str) -> &str {
    let heading = text.lines().find_map(|line| line.strip_prefix("# "));
    heading.unwrap_or("(no title)").trim()
}

/// The table of contents.
fn summary(pages: &[(&str, &str)]) -> Result<String> {
    let mut text = "# Summary\n\n".to_owned();
    let line = |path: &str, title: &str| {
        let title = title.replace(['[', ']'], "");
        format!("- [{title}]({path})\n")
    };
    let mut left: Vec<&(&str, &str)> = pages.iter().collect();
    for first in FIRST {
        let Some(at) = left.iter().position(|(path, _)| path == first) else {
            bail!("{first}: the book begins with it, and it is missing");
        };
        let (path, title) = left.remove(at);
        let line = line(path, title);
        // The cover has no number: the tutorial is the first chapter.
        let cover = *first == "README.md";
        text.push_str(if cover { line.trim_start_matches("- ") } else { &line });
    }
    let in_part = |path: &str| PARTS.iter().any(|(folder, _)| path.starts_with(folder));
    for (path, title) in left.iter().filter(|(path, _)| !in_part(path)) {
        text.push_str(&line(path, title));
    }
    for (folder, part) in PARTS {
        text.push_str(&format!("\n# {part}\n\n"));
        for (path, title) in left.iter().filter(|(path, _)| path.starts_with(folder)) {
            text.push_str(&line(path, title));
        }
    }
    Ok(text)
}

/// The page `from` with links to pages of the book only.
fn with_links(from: &str, text: &str, known: &BTreeSet<&str>) -> String {
    let mut written = String::new();
    let mut fenced = false;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        match fenced {
            true => written.push_str(line),
            false => written.push_str(&line_with_links(from, line, known)),
        }
    }
    written
}

fn line_with_links(from: &str, line: &str, known: &BTreeSet<&str>) -> String {
    let mut written = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, behind)) = after.split_once(')') else { break };
        if leads_on(from, target, known) {
            written.push_str(&format!("{before}]({target})"));
        } else {
            let open = before.rfind('[').unwrap_or(before.len());
            let (kept, shown) = before.split_at(open);
            written.push_str(kept);
            written.push_str(shown.strip_prefix('[').unwrap_or(shown));
        }
        rest = behind;
    }
    written.push_str(rest);
    written
}

/// Whether the book has what `target`, a link on the page `from`, names.
fn leads_on(from: &str, target: &str, known: &BTreeSet<&str>) -> bool {
    if target.contains("://") || target.starts_with('#') || target.starts_with("mailto:") {
        return true;
    }
    let file = target.split('#').next().unwrap_or_default();
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    markdown::normal(&folder.join(file)).is_some_and(|path| known.contains(path.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_book_become_text() {
        let known = BTreeSet::from(["README.md", "docs/cli.md"]);
        let text = "See [the `CLI`](docs/cli.md#run), [code](crates/a.rs) and [x](https://x).\n\
                    ```\n[code](crates/a.rs)\n```\n";
        let want = "See [the `CLI`](docs/cli.md#run), code and [x](https://x).\n\
                    ```\n[code](crates/a.rs)\n```\n";
        assert_eq!(with_links("README.md", text, &known), want);
        assert_eq!(with_links("docs/cli.md", "[up](../README.md)", &known), "[up](../README.md)");
        assert_eq!(with_links("docs/cli.md", "[all](protocols/)", &known), "all");
    }

    #[test]
    fn every_page_is_in_the_contents_once() {
        let mut pages: Vec<(&str, &str)> = FIRST.iter().map(|path| (*path, "Title")).collect();
        assert!(summary(&pages[1..]).is_err(), "README is missing");
        pages.extend([("docs/decisions/1.md", "One"), ("docs/unsafe.md", "Unsafe [code]")]);
        let text = summary(&pages).unwrap();
        for (path, _) in &pages {
            assert_eq!(text.matches(&format!("({path})")).count(), 1, "{path}\n{text}");
        }
        assert!(text.contains("- [Unsafe code](docs/unsafe.md)\n"), "{text}");
        assert!(text.contains("# Decisions\n\n- [One]"), "{text}");
    }
}
