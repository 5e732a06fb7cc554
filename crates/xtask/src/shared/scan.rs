//! Reads the syntax tree of one file: the values that threads can share, and the calls that lock a
//! cache line.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};

/// A field, static or variant that several threads can write, or count references of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Declared {
    /// `Type.field`, `Type.0`, `Enum.Variant`, `STATIC`.
    pub(super) name: String,
    /// `AtomicU64`, `Mutex`, `Arc`, `Cell`.
    pub(super) kind: String,
    /// The type it is declared in stands on cache lines of its own.
    pub(super) own_lines: bool,
}

/// A call that locks a cache line, takes a lock or counts references.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Called {
    /// `Type::function`, or `function`.
    pub(super) within: String,
    /// `fetch_add`, `lock`, `Arc::clone`.
    pub(super) what: String,
}

/// Of one file, without its tests.
#[derive(Debug, Default)]
pub(super) struct FileScan {
    pub(super) declared: BTreeSet<Declared>,
    pub(super) called: BTreeSet<Called>,
    /// Types on cache lines of their own.
    pub(super) aligned: BTreeSet<String>,
    /// The type whose fields or functions are being read.
    owner: String,
    own_lines: bool,
    function: String,
}

impl FileScan {
    pub(super) fn of(syntax: &syn::File) -> Self {
        let mut found = Self::default();
        found.visit_file(syntax);
        found
    }

    fn declare(&mut self, name: &str, of: &syn::Type) {
        let mut kinds = Kinds::default();
        kinds.visit_type(of);
        for kind in kinds.0 {
            let name = match self.owner.as_str() {
                "" => name.to_owned(),
                owner => format!("{owner}.{name}"),
            };
            self.declared.insert(Declared { name, kind, own_lines: self.own_lines });
        }
    }

    fn declare_fields(&mut self, fields: &syn::Fields, variant: Option<&syn::Ident>) {
        for (at, field) in fields.iter().enumerate() {
            let name = match (variant, &field.ident) {
                (Some(variant), _) => variant.to_string(),
                (None, Some(name)) => name.to_string(),
                (None, None) => at.to_string(),
            };
            self.declare(&name, &field.ty);
        }
    }

    fn within<T>(&mut self, owner: &syn::Ident, attributes: &[syn::Attribute], item: &T)
    where
        T: Declares,
    {
        self.owner = owner.to_string();
        self.own_lines = attributes.iter().any(has_own_lines);
        if self.own_lines {
            self.aligned.insert(owner.to_string());
        }
        item.declare_in(self);
        self.owner.clear();
        self.own_lines = false;
    }

    fn call(&mut self, what: String) {
        let within = match self.owner.as_str() {
            "" => self.function.clone(),
            owner => format!("{owner}::{}", self.function),
        };
        self.called.insert(Called { within, what });
    }
}

/// Items with fields.
trait Declares {
    fn declare_in(&self, found: &mut FileScan);
}

impl Declares for syn::ItemStruct {
    fn declare_in(&self, found: &mut FileScan) {
        found.declare_fields(&self.fields, None);
    }
}

impl Declares for syn::ItemEnum {
    fn declare_in(&self, found: &mut FileScan) {
        for variant in &self.variants {
            found.declare_fields(&variant.fields, Some(&variant.ident));
        }
    }
}

impl<'ast> Visit<'ast> for FileScan {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.within(&item.ident, &item.attrs, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.within(&item.ident, &item.attrs, item);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.declare(&item.ident.to_string(), &item.ty);
        if matches!(item.mutability, syn::StaticMutability::Mut(_)) {
            let kind = "static mut".to_owned();
            self.declared.insert(Declared { name: item.ident.to_string(), kind, own_lines: false });
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.declare(&item.ident.to_string(), &item.ty);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let syn::Type::Path(of) = item.self_ty.as_ref()
            && let Some(last) = of.path.segments.last()
        {
            self.owner = last.ident.to_string();
        }
        visit::visit_item_impl(self, item);
        self.owner.clear();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function = item.sig.ident.to_string();
        visit::visit_item_fn(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let name = call.method.to_string();
        let ordered = call.args.iter().any(names_an_ordering);
        let locked = ["lock", "try_lock", "force_mut", "get_or_init"].contains(&name.as_str());
        let counted = name.starts_with("fetch_") || name.starts_with("compare_exchange");
        if locked || counted || (name == "swap" && ordered) {
            self.call(name);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let mut last = path.path.segments.iter().rev();
        if let (Some(function), Some(owner)) = (last.next(), last.next())
            && owner.ident == "Arc"
            && function.ident != "new"
        {
            self.call(format!("Arc::{}", function.ident));
        }
        visit::visit_expr_path(self, path);
    }

    /// What a macro makes cannot be read; that it mentions an atomic can.
    fn visit_macro(&mut self, makes: &'ast syn::Macro) {
        let tokens = makes.tokens.to_string();
        let words = tokens.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|word| is_shared(word)) {
            let name = makes.path.segments.last().map(|last| format!("{}!", last.ident));
            let (name, kind) = (name.unwrap_or_default(), word.to_owned());
            self.declared.insert(Declared { name, kind, own_lines: false });
        }
    }
}

/// The shared kinds that a type is made of.
#[derive(Default)]
struct Kinds(BTreeSet<String>);

impl<'ast> Visit<'ast> for Kinds {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        let name = segment.ident.to_string();
        // A core's counter; std's has an argument, and no two threads can share it.
        let counter = name == "Cell" && segment.arguments.is_none();
        if counter || is_shared(&name) {
            self.0.insert(name);
        }
        visit::visit_path_segment(self, segment);
    }
}

fn is_shared(name: &str) -> bool {
    const KINDS: &[&str] = &[
        "Arc",
        "Barrier",
        "Condvar",
        "LazyLock",
        "Mutex",
        "Once",
        "OnceLock",
        "RwLock",
        "SyncSender",
        "SyncUnsafeCell",
        "UnsafeCell",
        "mpsc",
    ];
    name.starts_with("Atomic") || KINDS.contains(&name)
}

fn names_an_ordering(argument: &syn::Expr) -> bool {
    const ORDERINGS: &[&str] = &["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let syn::Expr::Path(path) = argument else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| ORDERINGS.iter().any(|ordering| last.ident == ordering))
}

fn has_own_lines(attribute: &syn::Attribute) -> bool {
    let mut own = false;
    if attribute.path().is_ident("repr") {
        // An attribute that rustc takes and this does not understand is one without own lines.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("align") {
                let content;
                syn::parenthesized!(content in meta.input);
                own |= content.parse::<syn::LitInt>()?.base10_parse::<usize>()? >= 128;
            }
            Ok(())
        });
    }
    own
}

fn is_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("test")
        || (attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|what| what == "test"))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn may add kinds of items: none of them are tests"
)]
fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}
