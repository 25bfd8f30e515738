//! What load clients had to say, each thing once.

pub(super) fn once<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(text) {
            seen.push(text.clone());
        }
    }
    seen
}

/// Notes that differ only in their numbers are one, of one block among so many.
pub(super) fn of_a_kind<'a>(notes: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut kinds: Vec<(String, &String, usize)> = Vec::new();
    for note in notes {
        let kind: String = note.chars().filter(|c| !c.is_ascii_digit()).collect();
        match kinds.iter_mut().find(|(known, ..)| *known == kind) {
            Some((.., count)) => *count += 1,
            None => kinds.push((kind, note, 1)),
        }
    }
    let told = kinds.into_iter().map(|(kind, note, count)| {
        // Without numbers they are all the same, and need no counting.
        if count == 1 || kind == *note {
            note.clone()
        } else {
            format!("{note} (one block; the like in {} more)", count - 1)
        }
    });
    told.collect()
}
