//! The files that a run leaves behind.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use report::run::RunFile;
use report::{html, junit, markdown, text};

use crate::host;

/// Where runs go unless `--out` says otherwise.
const RUNS: &str = ".harness/runs";

/// What everything else is rendered from.
const RUN_FILE: &str = "run.json";

/// What is written at the end of a run. What an earlier run left of it must not look
/// like the outcome of one that came to no end.
const RENDERED: [&str; 5] = [
    RUN_FILE,
    "report.txt",
    "report.md",
    "junit.xml",
    "report.html",
];

/// What `harness report` writes beside them when it is asked to, and as it is called;
/// those whose names depend on the run end in [`DISTRIBUTION`].
const ON_REQUEST: [&str; 2] = ["report.csv", "report.hlog"];

/// How the names of percentile distributions end.
const DISTRIBUTION: &str = ".hgrm";

/// How the name of a file begins that is not complete. The rest of it is random: two who
/// write the same file at once must not write into one.
const PARTIAL: &str = ".partial-";

/// Who may do what with a file that is made, before the umask takes its part away.
const NEW_FILE_MODE: u32 = 0o666;

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
        clear(out).map_err(|error| cannot_write(out, &error))?;
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
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
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
/// to read half of one. Makes its directory if there is none. A link stays what it is, and
/// so does what is no file, such as a pipe or `/dev/null`: it is written to.
///
/// # Errors
/// Names the file and what the system said.
pub fn whole(path: &Path, content: &[u8]) -> io::Result<()> {
    put(path, content).map_err(|error| cannot_write(path, &error))
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => replace(&fs::canonicalize(path)?, content),
        Ok(_) => OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(content),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(path) {
            // A link to what is not there yet.
            Ok(target) => put(&directory_of(path).join(target), content),
            Err(_) => replace(path, content),
        },
        Err(error) => Err(error),
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = directory_of(path);
    fs::create_dir_all(directory)?;
    // What does not become the file is removed when it goes out of scope.
    let mut partial = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(Permissions::from_mode(NEW_FILE_MODE))
        .tempfile_in(directory)?;
    partial.write_all(content)?;
    partial.persist(path)?;
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
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

/// Removes what an earlier run left in a directory of the user's, and nothing else.
fn clear(out: &Path) -> io::Result<()> {
    // Without a run they are somebody else's.
    let has_run = out.join(RUN_FILE).exists();
    for entry in fs::read_dir(out)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        let is_ours = RENDERED.contains(&text.as_ref())
            || ON_REQUEST.contains(&text.as_ref())
            || (has_run && text.ends_with(DISTRIBUTION))
            || text.starts_with(PARTIAL);
        if !is_ours {
            continue;
        }
        let path = out.join(&name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("{}: {error}", path.display()),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot write {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

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
        assert_eq!(names(&made).len(), RENDERED.len(), "{:?}", names(&made));
    }

    #[test]
    fn only_what_an_earlier_run_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let touch = |name: &str| fs::write(out.join(name), "").unwrap();
        touch("notes.txt");
        touch("other.hgrm");
        super::directory(Some(out), "quick", 0).unwrap();
        assert_eq!(names(out), ["notes.txt", "other.hgrm"], "there was no run");
        let more = ["latency.direct.load.hgrm", ".partial-Ab3dEf"];
        for name in RENDERED.iter().chain(&ON_REQUEST).chain(&more) {
            touch(name);
        }
        super::directory(Some(out), "quick", 0).unwrap();
        assert_eq!(names(out), ["notes.txt"]);
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/report.html");
        whole(&path, b"one").unwrap();
        whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // As any other program would make it.
        let plain = directory.path().join("new/plain");
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
        // A directory in the way cannot be replaced.
        let taken = directory.path().join("taken");
        fs::create_dir_all(taken.join("full")).unwrap();
        let error = whole(&taken, b"three").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write ") && error.contains("taken"),
            "{error}"
        );
        assert_eq!(names(directory.path()), ["new", "taken"]);
    }

    #[test]
    fn many_at_once_do_not_meet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        let contents: Vec<Vec<u8>> = (0..4_u8).map(|number| vec![number; 100_000]).collect();
        let write = |content: &[u8]| {
            for _ in 0..50 {
                whole(&path, content).unwrap();
                let read = fs::read(&path).unwrap();
                assert!(contents.contains(&read), "it is one of them, and all of it");
            }
        };
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(move || write(content));
            }
        });
        assert_eq!(names(directory.path()), ["report.html"]);
    }

    #[test]
    fn links_and_what_is_no_file_stay_what_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (link, target) in [("a", "b"), ("b", "new/file")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        for content in ["one", "two"] {
            whole(&at("a"), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(at("new/file")).unwrap(), content);
            assert!(at("a").is_symlink() && at("b").is_symlink());
        }
        // What a shell makes of >(command).
        let (mut reader, writer) = io::pipe().unwrap();
        let pipe = format!("/proc/self/fd/{}", writer.as_raw_fd());
        whole(Path::new(&pipe), b"three").unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "three");
    }
}
