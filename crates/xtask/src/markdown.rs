//! Documents: links that lead somewhere, anchors that are there, 100 columns, a short glossary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::complaint::Complaint;
use crate::{columns, source};

const GLOSSARY: &str = "docs/glossary.md";
const GLOSSARY_LINES_MAX: usize = 40;

pub(crate) fn check(root: &Path, complaints: &mut Vec<Complaint>) -> Result<()> {
    let texts = source::texts(root, &["md"])?;
    let pages: BTreeMap<String, Page> =
        texts.iter().map(|(path, text)| (path.clone(), Page::read(text))).collect();
    for (path, page) in &pages {
        for link in &page.links {
            if let Some(what) = fault(root, &pages, path, &link.target) {
                let text = format!("{path}:{}: {}: {what}", link.line, link.target);
                complaints.push(Complaint::new("links", source::area(path), text));
            }
        }
        for (at, line) in &page.prose {
            columns::measure(path, *at, line, complaints);
        }
    }
    let glossary = texts.iter().find(|(path, _)| path == GLOSSARY);
    complaints.extend(check_glossary(glossary.map(|(_, text)| text.as_str())));
    Ok(())
}

fn check_glossary(text: Option<&str>) -> Option<Complaint> {
    let told = match text.map(|text| text.lines().count()) {
        None => format!("{GLOSSARY}: is missing: one line for each word that is ours"),
        Some(lines) if lines > GLOSSARY_LINES_MAX => {
            format!("{GLOSSARY}: {lines} lines; it has {GLOSSARY_LINES_MAX} at most")
        }
        Some(_) => return None,
    };
    Some(Complaint::new("glossary", "docs", told))
}

#[derive(Debug, Default)]
struct Page {
    links: Vec<PageLink>,
    /// As GitHub and mdBook name headings.
    anchors: BTreeSet<String>,
    /// Lines that can be broken: no code, no tables. They count from zero.
    prose: Vec<(usize, String)>,
}

#[derive(Debug)]
struct PageLink {
    line: usize,
    target: String,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut fence: Option<&str> = None;
        for (at, line) in text.lines().enumerate() {
            let bare = line.trim_start().trim_start_matches("> ");
            let marks = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
            if let Some(mark) = marks {
                match fence {
                    None => fence = Some(mark),
                    Some(open) if open == mark => fence = None,
                    Some(_) => {}
                }
                continue;
            }
            if fence.is_none() {
                page.line(at, line);
            }
        }
        page
    }

    fn line(&mut self, at: usize, line: &str) {
        if line.starts_with('#') {
            let title = line.trim_start_matches('#');
            if title.starts_with(' ') {
                self.heading(title);
            }
        }
        for id in quoted_after(line, "id=\"").chain(quoted_after(line, "name=\"")) {
            self.anchors.insert(id.to_owned());
        }
        if !line.starts_with('|') {
            self.prose.push((at, line.to_owned()));
        }
        let bare = without_code(line);
        let inline = bare.match_indices("](").filter_map(|(start, _)| bare.get(start + 2..));
        let inline = inline.filter_map(|rest| rest.split([')', ' ']).next());
        let defined = line.strip_prefix('[').and_then(|line| line.split_once("]: "));
        let defined = defined.and_then(|(_, rest)| rest.split_whitespace().next());
        for target in inline.chain(defined) {
            let target = target.trim_matches(['<', '>']).to_owned();
            self.links.push(PageLink { line: at.saturating_add(1), target });
        }
    }

    fn heading(&mut self, title: &str) {
        let slug = slug(title);
        let mut anchor = slug.clone();
        let mut number = 0_usize;
        while self.anchors.contains(&anchor) {
            number = number.saturating_add(1);
            anchor = format!("{slug}-{number}");
        }
        self.anchors.insert(anchor);
    }
}

/// The anchor of a heading: lower case, spaces to hyphens, other marks left out.
fn slug(title: &str) -> String {
    let title = title.trim().to_lowercase();
    // `[text](target)` is shown as its text.
    let mut shown = String::new();
    let mut rest = title.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        shown.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    let kept = shown.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Inline code blanked out: what looks like a link there is none.
fn without_code(line: &str) -> String {
    let mut inside = false;
    let blank = |c: char| {
        if c == '`' {
            inside = !inside;
        }
        if inside { ' ' } else { c }
    };
    line.chars().map(blank).collect()
}

fn quoted_after<'a>(line: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    line.split(mark).skip(1).filter_map(|rest| rest.split('"').next())
}

/// Why `target`, a link on the page `from`, leads nowhere.
fn fault(
    root: &Path,
    pages: &BTreeMap<String, Page>,
    from: &str,
    target: &str,
) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(f, a)| (f, Some(a)));
    let path = match file {
        "" => from.to_owned(),
        file => match normal(&Path::new(from).parent()?.join(file)) {
            Some(path) => path,
            None => return Some("leads out of the repository"),
        },
    };
    if !root.join(&path).exists() && !pages.contains_key(&path) {
        return Some("there is no such file");
    }
    let page = pages.get(&path)?;
    let anchor = anchor?;
    (!page.anchors.contains(anchor)).then_some("that page has no such heading")
}

/// Without `.` and `..`; `None` where it leaves the root.
pub(crate) fn normal(path: &Path) -> Option<String> {
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => kept.push(name),
            Component::ParentDir if kept.pop() => {}
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    kept.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<&'static str> {
        let other = "# Of `code`, and [a link](b.md)\n\n## Twice\n\n## Twice\n";
        let pages = BTreeMap::from([
            ("docs/a.md".to_owned(), Page::read(text)),
            ("docs/sub/b.md".to_owned(), Page::read(other)),
        ]);
        let links = pages["docs/a.md"].links.iter();
        links
            .filter_map(|link| fault(Path::new("/nowhere"), &pages, "docs/a.md", &link.target))
            .collect()
    }

    #[test]
    fn dead_links_and_anchors_are_found() {
        for good in [
            "[b](sub/b.md) and [c](./sub/../sub/b.md#of-code-and-a-link)",
            "[b](sub/b.md#twice-1)",
            "[away](https://example.org/x.md)",
            "`[code](x.md)`",
            "```\n[code](x.md)\n```",
            "# Here\n[here](#here)",
        ] {
            assert_eq!(faults(good), [] as [&str; 0], "{good}");
        }
        assert_eq!(faults("[b](b.md)"), ["there is no such file"]);
        assert_eq!(faults("[b]: b.md"), ["there is no such file"]);
        assert_eq!(faults("[b](sub/b.md#thrice)"), ["that page has no such heading"]);
        assert_eq!(faults("[b](#gone)"), ["that page has no such heading"]);
        assert_eq!(faults("[b](../../shared/b.md)"), ["leads out of the repository"]);
    }

    #[test]
    fn prose_is_measured_and_tables_are_not() {
        let page = Page::read("| a table |\n```\ncode\n```\nprose\n");
        assert_eq!(page.prose, [(4, "prose".to_owned())]);
    }

    #[test]
    fn the_glossary_is_short() {
        assert!(check_glossary(None).is_some());
        assert!(check_glossary(Some(&"word: meaning\n".repeat(41))).is_some());
        assert_eq!(check_glossary(Some(&"word: meaning\n".repeat(40))), None);
    }
}
