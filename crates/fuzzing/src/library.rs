//! The whole patch library as one plan for every address: what targets that take frames run under.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use datapath::ActivePlan;
use patch::{Group, Options, Patch, compile};
use plan::{Plan, Publisher};

/// A plan on the shelf, as cores take it up.
pub type Shelf = Arc<Publisher<ActivePlan>>;

/// `plan`, for one core.
pub fn shelf(plan: Plan) -> Shelf {
    Arc::new(Publisher::new(ActivePlan::new(plan, 1)))
}

/// The library, compiled once a process.
pub fn library() -> Shelf {
    static LIBRARY: OnceLock<Shelf> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches");
        let patches = patch::load(&[folder]);
        assert!(patches.is_ok(), "the library loads: {:?}", patches.err());
        shelf(everywhere(&patches.unwrap_or_default()))
    });
    Arc::clone(made)
}

/// One patch of the target's own, compiled.
pub(crate) fn own(text: &str) -> Shelf {
    let patch = Patch::from_yaml("own.yaml", text);
    assert!(patch.is_ok(), "a target's own patch is right: {:?}", patch.err());
    shelf(everywhere(patch.ok().as_slice()))
}

fn everywhere(patches: &[Patch]) -> Plan {
    let plan = compile(patches, &[Group::everywhere(patches.len())], &Options::default());
    assert!(plan.is_ok(), "patches compile together: {:?}", plan.err());
    plan.unwrap_or_default()
}
