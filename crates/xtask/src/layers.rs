//! Who may import whom: the table every `Cargo.toml` is held against.

/// `(crate, the workspace crates it may name in [dependencies])`, low to high.
const LAYERS: &[(&str, &[&str])] = &[
    ("dpdk-sys", &[]),
    ("capsule", &["dpdk-sys"]),
    ("wire", &[]),
    ("proto", &[]),
    ("plan", &["proto"]),
    ("patch", &["plan", "proto"]),
    ("engine", &["plan", "proto"]),
    ("flow", &["wire"]),
    ("datapath", &["engine", "flow", "plan", "proto", "wire"]),
    ("telemetry", &["datapath"]),
    ("control", &["patch", "plan"]),
    ("offline", &["datapath", "patch", "plan", "wire"]),
    // Development only: nothing of the product may name it.
    ("sim", &["datapath", "flow", "offline", "patch", "plan", "wire"]),
    (
        "wirepatch",
        &[
            "capsule",
            "control",
            "datapath",
            "flow",
            "offline",
            "patch",
            "plan",
            "proto",
            "telemetry",
            "wire",
        ],
    ),
    ("xtask", &[]),
    (
        "fuzzing",
        &["control", "datapath", "engine", "flow", "offline", "patch", "plan", "proto", "wire"],
    ),
    ("benches", &["datapath", "engine", "flow", "offline", "patch", "plan", "proto", "wire"]),
];

/// The workspace crates `from` may depend on, or `None` for a crate the table does not know.
pub(crate) fn may_use(from: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == from).map(|(_, allowed)| *allowed)
}

/// Every crate of the table.
pub(crate) fn is_ours(name: &str) -> bool {
    LAYERS.iter().any(|(ours, _)| *ours == name)
}
