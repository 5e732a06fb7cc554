//! Who may import whom: the table every `Cargo.toml` is held against.

/// `(crate, the workspace crates it may name in [dependencies])`, low to high.
const LAYERS: &[(&str, &[&str])] = &[
    ("dpdk-sys", &[]),
    ("capsule", &["dpdk-sys"]),
    ("stage", &[]),
    ("wire", &["stage"]),
    ("proto", &["stage"]),
    ("plan", &["proto", "stage"]),
    ("patch", &["plan", "proto", "stage"]),
    ("engine", &["plan", "proto", "stage"]),
    ("flow", &["stage", "wire"]),
    ("datapath", &["engine", "flow", "plan", "proto", "stage", "wire"]),
    ("telemetry", &["datapath", "stage"]),
    ("control", &["datapath", "flow", "patch", "plan"]),
    ("offline", &["datapath", "patch", "plan", "stage", "wire"]),
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
            "stage",
            "telemetry",
            "wire",
        ],
    ),
    ("xtask", &[]),
    (
        "fuzzing",
        &[
            "control", "datapath", "engine", "flow", "offline", "patch", "plan", "proto", "stage",
            "wire",
        ],
    ),
    (
        "benches",
        &["datapath", "engine", "flow", "offline", "patch", "plan", "proto", "stage", "wire"],
    ),
];

/// The workspace crates `from` may depend on, or `None` for a crate the table does not know.
pub(crate) fn may_use(from: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == from).map(|(_, allowed)| *allowed)
}

/// Every crate of the table.
pub(crate) fn is_ours(name: &str) -> bool {
    LAYERS.iter().any(|(ours, _)| *ours == name)
}
