//! How long a function and a file may be, and that parameters have names: no tuples.

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use crate::complaint::Complaint;
use crate::source::RustSource;

/// From the line of `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;

const FILE_LINES_MAX: usize = 500;

pub(crate) fn check(source: &RustSource, complaints: &mut Vec<Complaint>) {
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let text = format!("{}: {lines} lines; a file has {FILE_LINES_MAX} at most", source.path);
        complaints.push(Complaint::new("file-lines", source.area(), text));
    }
    Functions { source, complaints }.visit_file(&source.syntax);
}

struct Functions<'a> {
    source: &'a RustSource,
    complaints: &'a mut Vec<Complaint>,
}

impl Functions<'_> {
    fn complain(&mut self, rule: &'static str, line: usize, what: &str) {
        let text = format!("{}:{line}: {what}", self.source.path);
        self.complaints.push(Complaint::new(rule, self.source.area(), text));
    }

    fn function(&mut self, signature: &syn::Signature, body: Option<&syn::Block>) {
        let name = &signature.ident;
        let first = signature.fn_token.span.start().line;
        let last = body.map_or(first, |body| body.brace_token.span.close().end().line);
        let lines = last.saturating_sub(first).saturating_add(1);
        if lines > FUNCTION_LINES_MAX {
            let what = format!("{name} has {lines} lines; a function has {FUNCTION_LINES_MAX}");
            self.complain("function-lines", first, &what);
        }
        for input in &signature.inputs {
            if let syn::FnArg::Typed(typed) = input
                && is_tuple(&typed.ty)
            {
                let what = format!("{name} takes a tuple: a struct names its parts");
                self.complain("tuple-parameters", typed.span().start().line, &what);
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other kind of type is a tuple")]
fn is_tuple(of: &syn::Type) -> bool {
    match of {
        syn::Type::Tuple(tuple) => tuple.elems.len() > 1,
        syn::Type::Reference(reference) => is_tuple(&reference.elem),
        syn::Type::Paren(inner) => is_tuple(&inner.elem),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(text: &str) -> Vec<&'static str> {
        let mut complaints = Vec::new();
        check(
            &RustSource::parse("crates/flow/src/a.rs", text.to_owned()).unwrap(),
            &mut complaints,
        );
        complaints.into_iter().map(|complaint| complaint.rule).collect()
    }

    #[test]
    fn long_functions_and_files() {
        let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        assert_eq!(rules_of(&body(68)), [] as [&str; 0]);
        assert_eq!(rules_of(&body(69)), ["function-lines"]);
        let method = format!("impl A {{ {} }}", body(69));
        assert_eq!(rules_of(&method), ["function-lines"]);
        assert_eq!(rules_of(&"// line\n".repeat(501)), ["file-lines"]);
    }

    #[test]
    fn tuples_as_parameters() {
        for text in [
            "fn f((a, b): (u8, u8)) {}",
            "trait A { fn f(&self, a: &mut (u8, u8)); }",
            "impl A { fn f(self, (a, b): (u8, u8)) {} }",
        ] {
            assert_eq!(rules_of(text), ["tuple-parameters"], "{text}");
        }
        assert_eq!(rules_of("fn f(a: &[(u8, u8)], b: ()) -> (u8, u8) {}"), [] as [&str; 0]);
    }
}
