//! What shards say beside their figures, each thing once.

use crate::part::Part;

/// Notes of the whole at most; the others are in the shards' files.
const MOST: usize = 20;

/// Shards that are named with a note at most.
const MOST_NAMED: usize = 5;

/// The notes of all, in the order in which they first come: those that differ only in numbers
/// once, and those of only some shards with their names.
pub(crate) fn of(parts: &[Part]) -> Vec<String> {
    let all = parts.iter().flat_map(|part| {
        let notes = part.record.notes.iter();
        notes.map(|note| (note.as_str(), part.shard.index))
    });
    grouped(all, parts.len())
}

/// Notes of a kind.
struct Group<'a> {
    kind: String,
    first: &'a str,
    /// Whether all say the very same.
    is_same: bool,
    shards: Vec<u64>,
}

fn grouped<'a>(notes: impl Iterator<Item = (&'a str, u64)>, shards: usize) -> Vec<String> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut left_out = 0;
    for (note, shard) in notes {
        let kind: String = note.split(|c: char| c.is_ascii_digit()).collect();
        let known = groups.iter().position(|group| group.kind == kind);
        match known {
            Some(at) => {
                groups[at].is_same &= groups[at].first == note;
                groups[at].shards.push(shard);
            }
            None if groups.len() < MOST => groups.push(Group {
                kind,
                first: note,
                is_same: true,
                shards: vec![shard],
            }),
            None => left_out += 1,
        }
    }
    let told = groups.into_iter().map(|group| {
        let Group { first, .. } = group;
        let others = group.shards.len() - 1;
        match (group.is_same, group.shards.len() == shards) {
            (true, true) => first.to_owned(),
            (true, false) => format!("{}: {first}", named(&group.shards)),
            (false, _) => {
                let first_of_all = named(&group.shards[..1]);
                format!("{first_of_all}: {first} (and the like of {others} more)")
            }
        }
    });
    let more = (left_out > 0).then(|| format!("{left_out} more notes are in the shards' files"));
    told.chain(more).collect()
}

fn named(shards: &[u64]) -> String {
    let shown = shards.iter().take(MOST_NAMED).map(u64::to_string);
    let shown: Vec<String> = shown.collect();
    let plural = if shards.len() == 1 { "" } else { "s" };
    let more = match shards.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("shard{plural} {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_told_once() {
        let notes = [("closed loop", 0), ("3 waited", 1), ("closed loop", 1)];
        assert_eq!(
            grouped(notes.into_iter(), 2),
            ["closed loop", "shard 1: 3 waited"]
        );
        let many = (0..7).map(|shard| ("slow", shard));
        assert_eq!(grouped(many, 8), ["shards 0, 1, 2, 3, 4 and 2 more: slow"]);
        let waited = [("3 waited", 1), ("17 waited", 4), ("5 waited", 6)];
        assert_eq!(
            grouped(waited.into_iter(), 8),
            ["shard 1: 3 waited (and the like of 2 more)"]
        );
        let texts: Vec<String> = (1..=30).map(|length| "x".repeat(length)).collect();
        let each = texts
            .iter()
            .zip(0..)
            .map(|(text, shard)| (text.as_str(), shard));
        let notes = grouped(each, 30);
        assert_eq!(notes.len(), MOST + 1);
        assert_eq!(notes[MOST], "10 more notes are in the shards' files");
    }
}
