//! Binds the system's libdpdk.
//!
//! pkg-config says where it is, bindgen binds an allow-list of it, cc compiles the one shim for
//! its inline functions. Linking is dynamic: EAL then loads the drivers itself, from the folder
//! that the libdpdk package put them in.

#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// The first release with the `RTE_ETH_` names. Long-term support, as is 22.11, the tested one.
const DPDK_VERSION_MIN: &str = "21.11";

/// The libraries whose functions are in [`FUNCTIONS`] or in the shim.
const LIBRARIES: &[&str] = &["rte_eal", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring"];

/// All that capsule calls, and no more.
const FUNCTIONS: &[&str] = &[
    "dpdk_.*",
    "rte_dev_(probe|remove)",
    "rte_eal_(init|cleanup|mp_wait_lcore|remote_launch|wait_lcore)",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|get_mtu|get_name_by_port)",
    "rte_eth_dev_(get_port_by_name|info_get|is_valid_port|set_mtu|socket_id|start|stop)",
    "rte_eth_dev_rx_intr_(ctl_q_get_fd|disable|enable)",
    "rte_eth_iterator_(cleanup|init|next)",
    "rte_eth_(macaddr_get|promiscuous_enable|promiscuous_get|stats_get|stats_reset)",
    "rte_eth_(rx_queue_setup|tx_queue_setup|xstats_get|xstats_get_names)",
    "rte_get_(main_lcore|next_lcore|tsc_hz)",
    "rte_lcore_to_socket_id",
    "rte_mempool_(avail_count|in_use_count)",
    "rte_pktmbuf_(free_bulk|pool_create_by_ops)",
    "rte_ring_(create|free)",
    "rte_strerror",
    "rte_version",
];

/// Passed around by pointer only.
const OPAQUE: &[&str] = &["rte_mbuf", "rte_mempool", "rte_ring", "rte_device", "rte_bus"];

fn main() -> ExitCode {
    for file in ["build.rs", "shim.h", "shim.c"] {
        println!("cargo::rerun-if-changed={file}");
    }
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    match bind() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn bind() -> Result<(), String> {
    let version = pkg_config(&[&format!("--atleast-version={DPDK_VERSION_MIN}"), "--print-errors"])
        .and_then(|_| pkg_config(&["--modversion"]))
        .map_err(|why| {
            format!(
                "libdpdk {DPDK_VERSION_MIN} or later was not found.\n\
                 On Debian or Ubuntu: apt-get install libdpdk-dev libclang-dev pkg-config\n\
                 Without DPDK, build wirepatch with --no-default-features: it has all but the drivers.\n\
                 {why}"
            )
        })?;
    println!("cargo::metadata=version={}", version.trim());

    let cflags = words(&pkg_config(&["--cflags"])?);
    for flag in words(&pkg_config(&["--libs-only-L"])?) {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={folder}");
        }
    }

    let out = PathBuf::from(env::var("OUT_DIR").map_err(|_| "OUT_DIR is not set")?);
    bindings(&cflags, &out.join("bindings.rs"))?;

    let mut shim = cc::Build::new();
    for flag in &cflags {
        shim.flag(flag);
    }
    // A warning in DPDK's own headers is not ours to mend.
    shim.file("shim.c").opt_level(3).warnings(false);
    shim.try_compile("dpdk_shim").map_err(|why| format!("shim.c was not compiled: {why}"))?;

    // After the shim, which needs them.
    for library in LIBRARIES {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
    Ok(())
}

/// bindgen panics where it can't find libclang.
fn bindings(cflags: &[String], to: &Path) -> Result<(), String> {
    let no_libclang = "bindgen found no libclang.\n\
                       On Debian or Ubuntu: apt-get install libclang-dev";
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(cflags)
        .allowlist_var("DPDK_.*")
        .derive_default(true)
        .derive_debug(false)
        .generate_comments(false)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    for functions in FUNCTIONS {
        builder = builder.allowlist_function(functions);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    let generated = catch_unwind(AssertUnwindSafe(|| builder.generate()))
        .map_err(|_| no_libclang.to_owned())?
        .map_err(|why| format!("bindgen could not read DPDK's headers: {why}"))?;
    generated.write_to_file(to).map_err(|why| format!("{}: {why}", to.display()))
}

/// What pkg-config says of libdpdk.
fn pkg_config(arguments: &[&str]) -> Result<String, String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let answer = Command::new(&program)
        .args(arguments)
        .arg("libdpdk")
        .output()
        .map_err(|why| format!("{program}: {why}"))?;
    if answer.status.success() {
        Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&answer.stderr).trim()))
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
