//! The files that the rules read: Rust sources with their syntax trees, and every other text.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};

/// A Rust source file.
pub(crate) struct RustSource {
    /// From the workspace root.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: TokenStream,
    pub(crate) syntax: syn::File,
}

impl RustSource {
    pub(crate) fn parse(path: &str, text: String) -> Result<Self> {
        let parse = || -> syn::Result<(TokenStream, syn::File)> {
            let tokens: TokenStream = text.parse()?;
            Ok((tokens.clone(), syn::parse2(tokens)?))
        };
        let (tokens, syntax) = parse().with_context(|| format!("parsing {path}"))?;
        Ok(Self { path: path.to_owned(), text, tokens, syntax })
    }

    /// The folder of the crate it belongs to, without `crates/`.
    pub(crate) fn area(&self) -> &str {
        area(&self.path)
    }

    pub(crate) fn is_test(&self) -> bool {
        is_test(&self.path)
    }
}

/// `crates/flow/src/lib.rs` belongs to `flow`, `docs/cli.md` to `docs`, `README.md` to `.`.
pub(crate) fn area(path: &str) -> &str {
    let path = path.strip_prefix("crates/").unwrap_or(path);
    path.split_once('/').map_or(".", |(first, _)| first)
}

pub(crate) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Every Rust source of the workspace and of `fuzz/`, in the order of their paths.
pub(crate) fn rust(root: &Path) -> Result<Vec<RustSource>> {
    let mut sources = Vec::new();
    for folder in ["benches", "crates", "fuzz"] {
        for path in files(&root.join(folder), &["rs"])? {
            let text = read(&path)?;
            sources.push(RustSource::parse(&shown(root, &path), text)?);
        }
    }
    Ok(sources)
}

/// Path and text of every file with one of these extensions.
pub(crate) fn texts(root: &Path, extensions: &[&str]) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in files(root, extensions)? {
        texts.push((shown(root, &path), read(&path)?));
    }
    Ok(texts)
}

pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = || format!("listing {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(listing)? {
            let path = entry.with_context(listing)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                if !name.starts_with('.') && !LEFT_OUT.contains(&name) {
                    folders.push(path);
                }
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Built things, and the data of tests.
const LEFT_OUT: &[&str] = &["__pycache__", "artifacts", "corpus", "coverage", "data", "target"];

/// The tokens that are compiled into a product: without items under `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut skips = false;
    while let Some(token) = tokens.next() {
        let attribute = is_punct(&token, '#')
            && matches!(tokens.peek(), Some(TokenTree::Group(group)) if is_cfg_test(group));
        skips |= attribute;
        let ends = match &token {
            TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        };
        if !skips {
            kept.push(within(token));
        } else if ends {
            skips = false;
        }
    }
    kept.into_iter().collect()
}

fn within(token: TokenTree) -> TokenTree {
    let TokenTree::Group(group) = token else { return token };
    let mut kept = proc_macro2::Group::new(group.delimiter(), without_tests(group.stream()));
    kept.set_span(group.span());
    TokenTree::Group(kept)
}

fn is_cfg_test(attribute: &proc_macro2::Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

pub(crate) fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_left_out_of_the_product() {
        let text = "fn a() {} #[cfg(test)] mod tests { fn b() {} } #[cfg(test)] use c; fn d() {}";
        let kept = without_tests(text.parse().unwrap()).to_string();
        assert!(kept.contains("fn a") && kept.contains("fn d"), "{kept}");
        assert!(!kept.contains("fn b") && !kept.contains("use c"), "{kept}");
    }

    #[test]
    fn areas_are_crates_and_folders() {
        assert_eq!(area("crates/flow/src/lib.rs"), "flow");
        assert_eq!(area("docs/cli.md"), "docs");
        assert_eq!(area("README.md"), ".");
    }
}
