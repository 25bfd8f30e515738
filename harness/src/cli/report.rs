//! `harness report`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use report::run::RunFile;
use report::{csv, hgrm, hlog, html, junit, markdown, text};

use super::{failed, print, say, usage};
use crate::output;

/// Show the report of a run file again, or write it in other forms; the exit code is the run's
///
/// Reads run files of this and every earlier version. Each form is written beside the run
/// file unless it is told where, whole or not at all; "-" is stdout, and what is no file,
/// such as a pipe, is written to as it is. Without any form the terminal report is shown.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Report {
    /// The run file, or the directory that holds it
    #[arg(value_name = "RUN.json")]
    run: PathBuf,

    /// Write one page of HTML that needs nothing else [default file: report.html]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    html: Option<Option<PathBuf>>,

    /// Write a summary for a CI job [default file: report.md]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    markdown: Option<Option<PathBuf>>,

    /// Write JUnit XML, one case for each expectation [default file: junit.xml]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    junit: Option<Option<PathBuf>>,

    /// Write a picture of the response times as the run went on, with its faults [default
    /// file: report.svg]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    svg: Option<Option<PathBuf>>,

    /// Write a table of every slice of time [default file: report.csv]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    csv: Option<Option<PathBuf>>,

    /// Write HdrHistogram percentiles, a file for each scenario, subject and load, to this
    /// directory [default: beside the run file]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    hgrm: Option<Option<PathBuf>>,

    /// Write a HdrHistogram log of every slice of time [default file: report.hlog]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    hlog: Option<Option<PathBuf>>,
}

const EXAMPLES: &str = "\
Examples:
  harness report .harness/runs/20261121-064512-quick
  harness report run.json --html --csv
  harness report run.json --html=/tmp/page.html --junit=results/harness.xml
  harness report run.json --markdown=- >> \"$GITHUB_STEP_SUMMARY\"";

/// Stdout, where a file is named. By its second name it could be opened as a file, and if
/// it is one, what others have written to it would be lost.
const STDOUT: [&str; 2] = ["-", "/dev/stdout"];

fn is_stdout(place: &Path) -> bool {
    STDOUT.iter().any(|name| place == Path::new(name))
}

/// A form that was asked for, rendered.
struct Wanted {
    to: PathBuf,
    content: String,
}

pub(super) fn execute(report: &Report) -> ExitCode {
    let path = if report.run.is_dir() {
        report.run.join("run.json")
    } else {
        report.run.clone()
    };
    let run = match read(&path) {
        Ok(run) => run,
        Err(message) => return usage(&message),
    };
    let wanted = match report.wanted(&run, &path) {
        Ok(wanted) => wanted,
        Err(message) => return usage(&message),
    };
    let written = if wanted.is_empty() {
        print(&text::render(&run, directory(&path).as_deref()))
    } else {
        write(&wanted)
    };
    match written {
        Ok(()) => ExitCode::from(run.exit_code),
        Err(error) => failed(&error.to_string()),
    }
}

/// Reads a run file; says in one line why it cannot.
fn read(path: &Path) -> Result<RunFile, String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // It ends within a character: so does what it says, if that is a run.
        Err(error) if error.utf8_error().error_len().is_none() => {
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
        Err(_) => return Err(format!("{shown} is not a run file: it is not UTF-8 text")),
    };
    RunFile::read(&text).map_err(|error| format!("{shown} {error}"))
}

fn directory(run: &Path) -> Option<String> {
    let parent = run.parent().filter(|parent| *parent != Path::new(""));
    Some(parent.unwrap_or(Path::new(".")).display().to_string())
}

impl Report {
    /// Everything that was asked for. All of it is rendered before anything is written.
    fn wanted(&self, run: &RunFile, path: &Path) -> Result<Vec<Wanted>, String> {
        let page = |run: &RunFile| html::render(run, directory(path).as_deref());
        type Form<'a> = (
            &'a Option<Option<PathBuf>>,
            &'a str,
            &'a dyn Fn(&RunFile) -> String,
        );
        let forms: [Form<'_>; 6] = [
            (&self.html, "report.html", &page),
            (&self.markdown, "report.md", &markdown::render),
            (&self.junit, "junit.xml", &junit::render),
            (&self.svg, "report.svg", &html::picture),
            (&self.csv, "report.csv", &csv::render),
            (&self.hlog, "report.hlog", &hlog::render),
        ];
        let mut wanted = Vec::new();
        for (place, name, render) in forms {
            let Some(place) = place else { continue };
            let to = place.clone().unwrap_or_else(|| beside(path, name));
            wanted.push(Wanted {
                to,
                content: render(run),
            });
        }
        if let Some(place) = &self.hgrm {
            wanted.extend(distributions(run, path, place.as_deref())?);
        }
        let on_stdout = wanted.iter().filter(|one| is_stdout(&one.to)).count();
        if on_stdout > 1 {
            return Err(format!("only one form can go to stdout, got {on_stdout}"));
        }
        Ok(wanted)
    }
}

/// The default name of a form: that of the run file tells its reports from those of
/// another one beside it.
fn beside(run: &Path, name: &str) -> PathBuf {
    let stem = run.file_stem().unwrap_or_default().to_string_lossy();
    if stem == "run" {
        run.with_file_name(name)
    } else {
        run.with_file_name(format!("{stem}.{name}"))
    }
}

fn distributions(run: &RunFile, path: &Path, place: Option<&Path>) -> Result<Vec<Wanted>, String> {
    let files = hgrm::render(run);
    if files.is_empty() {
        return Err("--hgrm: the run has no response times".to_owned());
    }
    if let Some(place) = place.filter(|place| is_stdout(place) && files.len() > 1) {
        let count = files.len();
        return Err(format!(
            "--hgrm: expected a directory for {count} files, got {place:?}"
        ));
    }
    let to = |name: &str| match place {
        None => beside(path, name),
        Some(place) if is_stdout(place) => place.to_owned(),
        Some(place) => place.join(name),
    };
    let wanted = files.into_iter().map(|file| Wanted {
        to: to(&file.name),
        content: file.text,
    });
    Ok(wanted.collect())
}

/// Writes all of it and names the files: on stdout, unless that is one of them.
fn write(wanted: &[Wanted]) -> std::io::Result<()> {
    let takes_stdout = wanted.iter().any(|one| is_stdout(&one.to));
    for Wanted { to, content } in wanted {
        if is_stdout(to) {
            print(content)?;
            continue;
        }
        output::whole(to, content.as_bytes())?;
        let line = format!("wrote {}", to.display());
        if takes_stdout {
            say(&line);
        } else {
            print(&format!("{line}\n"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_two_run_files_do_not_meet() {
        assert_eq!(
            beside(Path::new("a/run.json"), "report.md"),
            Path::new("a/report.md")
        );
        assert_eq!(
            beside(Path::new("a/b.json"), "report.md"),
            Path::new("a/b.report.md")
        );
        assert_eq!(directory(Path::new("run.json")).as_deref(), Some("."));
        assert_eq!(directory(Path::new("a/run.json")).as_deref(), Some("a"));
    }

    #[test]
    fn a_file_is_cut_short_wherever_it_was_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.json");
        let said = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err()
        };
        let text = "{\"schema_version\": 1,\n\"why\": \"2 µ".as_bytes();
        for cut in [text, &text[..text.len() - 1]] {
            let error = said(cut);
            assert!(error.contains("is cut short: it ends in line 2"), "{error}");
        }
        let latin = said(b"caf\xe9");
        assert!(latin.contains("is not a run file: "), "{latin}");
        let latin = said(b"\"caf\xe9\"");
        assert!(latin.contains("not UTF-8"), "{latin}");
    }
}
