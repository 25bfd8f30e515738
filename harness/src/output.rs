//! The files that a run leaves behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use report::run::RunFile;
use report::{html, junit, markdown, text};

use crate::host;

/// Where runs go unless `--out` says otherwise.
const RUNS: &str = ".harness/runs";

/// What is written at the end of a run. What an earlier run left of it must not look
/// like the outcome of one that came to no end.
const RENDERED: [&str; 5] = [
    "run.json",
    "report.txt",
    "report.md",
    "junit.xml",
    "report.html",
];

/// Runs that may begin within the same second.
const MAX_SAME_NAME: u32 = 1_000;

/// Makes the directory of a run that starts now, and says what the run is called.
///
/// # Errors
/// Names the directory and what the system said.
pub fn directory(out: Option<&Path>, label: &str, unix_ms: u64) -> io::Result<(String, PathBuf)> {
    let id = format!("{}-{label}", host::stamp(unix_ms));
    if let Some(out) = out {
        fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
        for name in RENDERED {
            remove(&out.join(name))?;
            remove(&partial(&out.join(name)))?;
        }
        return Ok((id, out.to_owned()));
    }
    let runs = Path::new(RUNS);
    fs::create_dir_all(runs).map_err(|error| cannot_write(runs, &error))?;
    for number in 1..MAX_SAME_NAME {
        let id = if number == 1 {
            id.clone()
        } else {
            format!("{id}-{number}")
        };
        let directory = runs.join(&id);
        match fs::create_dir(&directory) {
            Ok(()) => return Ok((id, directory)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_write(&directory, &error)),
        }
    }
    Err(io::Error::other(format!(
        "{RUNS} is full of runs called {id}"
    )))
}

/// Writes the run file and everything that is rendered from it.
///
/// # Errors
/// Names the file and what the system said.
pub fn write(run: &RunFile, directory: &Path) -> io::Result<()> {
    let mut json = serde_json::to_vec_pretty(run)?;
    json.push(b'\n');
    let shown = directory.display().to_string();
    let contents = [
        json,
        text::render(run, Some(&shown)).into_bytes(),
        markdown::render(run).into_bytes(),
        junit::render(run).into_bytes(),
        html::render(run, Some(&shown)).into_bytes(),
    ];
    for (name, content) in RENDERED.into_iter().zip(contents) {
        whole(&directory.join(name), &content)?;
    }
    Ok(())
}

/// Writes a file under another name and gives it its own when it is complete: nobody is
/// to read half of one. Makes its directory if there is none.
///
/// # Errors
/// Names the file and what the system said.
pub fn whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = partial(path);
    let write = || {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&partial, content)?;
        fs::rename(&partial, path)
    };
    write().map_err(|error| {
        // What is left of it helps nobody; that it cannot be removed either says no more.
        let _ = fs::remove_file(&partial);
        cannot_write(path, &error)
    })
}

/// Copies a file, whole or not at all.
///
/// # Errors
/// Names the file and what the system said.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let content = fs::read(from).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot read {}: {error}", from.display()),
        )
    })?;
    whole(to, &content)
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_write(path, &error)),
        _ => Ok(()),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot write {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("a/b");
        let (id, made) = super::directory(Some(&out), "quick", 0).unwrap();
        assert_eq!((id.as_str(), &made), ("19700101-000000-quick", &out));
        let mut run = RunFile::default();
        run.conclude();
        write(&run, &made).unwrap();
        let back: RunFile =
            serde_json::from_slice(&fs::read(made.join("run.json")).unwrap()).unwrap();
        assert_eq!(back, run);
        let names: Vec<_> = fs::read_dir(&made)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), RENDERED.len(), "{names:?}");
        fs::write(out.join("notes.txt"), "mine").unwrap();
        super::directory(Some(&out), "quick", 0).unwrap();
        let left: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(
            left,
            ["notes.txt"],
            "only what an earlier run left is removed"
        );
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/report.html");
        whole(&path, b"one").unwrap();
        whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // A directory in the way cannot be replaced.
        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("full")).unwrap();
        let error = whole(&taken, b"three").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write ") && error.contains("taken"),
            "{error}"
        );
        let left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
