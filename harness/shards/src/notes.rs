//! What shards say beside their figures, each thing once.

use crate::part::Part;

/// Notes of the whole at most; the others are in the shards' files.
const MOST: usize = 20;

/// Shards that are named with a note at most.
const MOST_NAMED: usize = 5;

/// The notes of all, in the order in which they first come; those of only some shards name
/// them.
pub(crate) fn of(parts: &[Part]) -> Vec<String> {
    let all = parts.iter().flat_map(|part| {
        let notes = part.record.notes.iter();
        notes.map(|note| (note.as_str(), part.shard.index))
    });
    grouped(all, parts.len())
}

fn grouped<'a>(notes: impl Iterator<Item = (&'a str, u64)>, shards: usize) -> Vec<String> {
    let mut found: Vec<(&str, Vec<u64>)> = Vec::new();
    let mut left_out = 0;
    for (note, shard) in notes {
        let known = found.iter().position(|(known, _)| *known == note);
        match known {
            Some(at) => found[at].1.push(shard),
            None if found.len() < MOST => found.push((note, vec![shard])),
            None => left_out += 1,
        }
    }
    let told = found.into_iter().map(|(note, who)| {
        if who.len() == shards {
            note.to_owned()
        } else {
            format!("{}: {note}", named(&who))
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
        let texts: Vec<String> = (0..30).map(|shard| format!("{shard} waited")).collect();
        let each = texts
            .iter()
            .zip(0..)
            .map(|(text, shard)| (text.as_str(), shard));
        let notes = grouped(each, 30);
        assert_eq!(notes.len(), MOST + 1);
        assert_eq!(notes[MOST], "10 more notes are in the shards' files");
    }
}
