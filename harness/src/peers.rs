//! Peers for lines of statsd that no distribution packages: the cluster proxy of npm's
//! `statsd`, and Sentry's `statsdproxy`.
//!
//! What is not found where a variable says, nor in PATH, is looked for in `.harness/peers`.
//! The former is small enough to be installed there when it is asked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::installed;

/// Names npm's package `statsd`: its directory, or its `proxy.js`.
pub const NPM_VARIABLE: &str = "HARNESS_STATSD_NPM";

/// Names Sentry's program.
pub const SENTRY_VARIABLE: &str = "HARNESS_STATSDPROXY";

/// Where peers are installed, below the current directory.
const PEERS: &str = ".harness/peers";

/// The release of npm's package that is installed: its last.
const NPM_PACKAGE: &str = "statsd@0.9.0";

/// What the package's proxy is called.
const PROXY: &str = "proxy.js";

/// The program of the cluster proxy that comes with npm's `statsd`, where it is there.
///
/// # Errors
/// That it is not, and how it can be had.
pub fn cluster_proxy() -> Result<PathBuf, String> {
    if let Some(named) = named(NPM_VARIABLE) {
        let file = if named.is_dir() {
            named.join(PROXY)
        } else {
            named
        };
        return file
            .is_file()
            .then(|| absolute(&file))
            .ok_or_else(|| format!("{NPM_VARIABLE}: there is no {}", file.display()));
    }
    let modules = Path::new(PEERS).join("node_modules");
    let file = modules.join("statsd").join(PROXY);
    // Without its ring, which npm may leave out, the proxy does not start.
    if file.is_file() && modules.join("hashring").is_dir() {
        return Ok(absolute(&file));
    }
    Err(format!(
        "npm's statsd is not installed: no {}, and {NPM_VARIABLE} is not set",
        file.display()
    ))
}

/// Whether the cluster proxy is there, or can be installed.
#[must_use]
pub fn can_have_cluster_proxy() -> bool {
    let has_node = installed::find("node").is_ok();
    let can_install = || named(NPM_VARIABLE).is_none() && installed::find("npm").is_ok();
    has_node && (cluster_proxy().is_ok() || can_install())
}

/// Installs the cluster proxy, unless it is there.
///
/// # Errors
/// What npm said.
pub fn install_cluster_proxy(tell: &dyn Fn(&str)) -> Result<(), String> {
    let Err(missing) = cluster_proxy() else {
        return Ok(());
    };
    let Some(npm) = installed::find("npm")
        .ok()
        .filter(|_| named(NPM_VARIABLE).is_none())
    else {
        return Err(missing);
    };
    tell(&format!("installing {NPM_PACKAGE} into {PEERS}"));
    std::fs::create_dir_all(PEERS).map_err(|error| format!("{PEERS}: {error}"))?;
    let installed = Command::new(npm)
        // Its ring is an optional dependency; one that has to be compiled is not needed.
        .args([
            "install",
            "--prefix",
            PEERS,
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ])
        .arg(NPM_PACKAGE)
        .stdin(Stdio::null())
        .output();
    let output = installed.map_err(|error| format!("npm: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .lines()
        .rfind(|line| !line.is_empty())
        .unwrap_or_default();
    cluster_proxy().map(drop).map_err(|_| {
        format!(
            "{NPM_PACKAGE} could not be installed ({}): {said}",
            output.status
        )
    })
}

/// Sentry's `statsdproxy`.
///
/// # Errors
/// That it is not there, and how it can be had.
pub fn sentry() -> Result<PathBuf, String> {
    if let Some(named) = named(SENTRY_VARIABLE) {
        return installed::executable(&named)
            .map_err(|error| format!("{SENTRY_VARIABLE}: {error}"));
    }
    let own = Path::new(PEERS).join("bin/statsdproxy");
    installed::executable(&own)
        .or_else(|_| installed::find("statsdproxy"))
        .map_err(|_| {
            format!(
                "statsdproxy is not installed: not in PATH, no {}, and {SENTRY_VARIABLE} is not \
                 set (cargo install --root {PEERS} statsdproxy)",
                own.display()
            )
        })
}

fn named(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
