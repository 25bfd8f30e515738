//! What files for other tools call each load against each subject in each scenario: made of
//! letters, digits and a few signs, the same in all files, and no two alike.

use std::collections::HashSet;

use crate::run::RunFile;
use crate::text::shortened;

/// Characters of each part of a tag: three of them are well below the 255 bytes that file
/// systems allow for a name.
const PART_CHARS: usize = 60;

/// The tags of a run.
#[derive(Debug)]
pub(crate) struct Tags<'a>(Vec<(Key<'a>, String)>);

/// The number of the scenario, the subject, the load.
type Key<'a> = (usize, &'a str, &'a str);

impl<'a> Tags<'a> {
    /// Those of everything that was measured in a run.
    pub(crate) fn of(run: &'a RunFile) -> Self {
        let mut tags: Vec<(Key<'_>, String)> = Vec::new();
        let mut taken = HashSet::new();
        for (number, scenario) in run.scenarios.iter().enumerate() {
            for block in &scenario.blocks {
                for load in &block.loads {
                    let key = (number, block.subject.as_str(), load.name.as_str());
                    if tags.iter().any(|(known, _)| *known == key) {
                        continue;
                    }
                    let tag = unlike(&taken, &tag([&scenario.header.name, key.1, key.2]));
                    taken.insert(tag.clone());
                    tags.push((key, tag));
                }
            }
        }
        Self(tags)
    }

    /// That of one load against one subject in the scenario of that number; none if no
    /// block has it.
    pub(crate) fn get(&self, scenario: usize, subject: &str, load: &str) -> Option<&str> {
        let mut tags = self.0.iter();
        let (_, tag) = tags.find(|(key, _)| *key == (scenario, subject, load))?;
        Some(tag)
    }
}

/// `scenario.subject.load`.
fn tag(parts: [&str; 3]) -> String {
    parts.map(part).join(".")
}

/// A text as a part of the name of a file: short, and without signs that mean something
/// there.
#[must_use]
pub fn part(text: &str) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let kept: String = shortened(text, PART_CHARS)
        .chars()
        .map(|c| if is_kept(c) { c } else { '-' })
        .collect();
    kept.trim_matches('-').to_owned()
}

/// The tag, with a number if it is taken: subjects may differ only in what a tag cannot show.
fn unlike(taken: &HashSet<String>, tag: &str) -> String {
    let numbered = (2_usize..).map(|number| format!("{tag}-{number}"));
    std::iter::once(tag.to_owned())
        .chain(numbered)
        .find(|tag| !taken.contains(tag))
        .expect("there are more numbers than tags")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Story, load_record};
    use crate::{hgrm, hlog};

    /// The names of the distributions, and the tags of the log, each once and in order.
    fn names(subjects: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut story = Story::new(Vec::new());
        for subject in subjects.iter().chain(subjects) {
            story = story.block(subject).load(load_record(100, 90));
        }
        let run = RunFile::from_events(&story.end().0);
        let files = hgrm::render(&run).into_iter().map(|file| file.name);
        let mut files: Vec<String> = files
            .map(|name| name.trim_end_matches(".hgrm").to_owned())
            .collect();
        let log = hlog::render(&run);
        let lines = log.lines().filter_map(|line| line.strip_prefix("Tag="));
        let mut tags: Vec<String> = lines
            .filter_map(|line| Some(line.split_once(',')?.0.to_owned()))
            .collect();
        files.sort();
        tags.sort();
        tags.dedup();
        (files, tags)
    }

    #[test]
    fn subjects_that_read_alike_have_tags_of_their_own_in_every_file() {
        let (files, tags) = names(&["cmd:x {listen}", "cmd:x [listen]", "cmd:x (listen)"]);
        assert_eq!(files, tags);
        assert_eq!(
            tags,
            [
                "made-up.cmd-x--listen.load",
                "made-up.cmd-x--listen.load-2",
                "made-up.cmd-x--listen.load-3"
            ]
        );
    }

    #[test]
    fn long_names_are_told_apart_by_their_ends() {
        let long = |end: &str| format!("cmd:{} --burn {end}", "x".repeat(100));
        let (files, tags) = names(&[&long("15"), &long("16")]);
        assert_eq!(files, tags);
        let [one, other] = &tags[..] else {
            panic!("{tags:?}");
        };
        assert!(one.ends_with("--burn-15.load"), "{one}");
        assert!(other.ends_with("--burn-16.load"), "{other}");
    }

    #[test]
    fn scenarios_of_one_name_have_tags_of_their_own() {
        let story = Story::new(Vec::new())
            .block("builtin")
            .load(load_record(100, 90))
            .scenario(Vec::new())
            .block("builtin")
            .load(load_record(100, 90));
        let run = RunFile::from_events(&story.end().0);
        let tags = Tags::of(&run);
        let of = |scenario| tags.get(scenario, "builtin", "load");
        assert_eq!(of(0), Some("made-up.builtin.load"));
        assert_eq!(of(1), Some("made-up.builtin.load-2"));
        assert_eq!(of(2), None);
    }
}
