//! Names in as much room as there is.

/// A name in at most so many characters: of a longer one its beginning and its end. Paths
/// and command lines that are much alike often differ at their end.
#[must_use]
pub(crate) fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    let begin: String = name.chars().take(head).collect();
    let end: String = name.chars().skip(count - tail).collect();
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::shortened;

    #[test]
    fn both_ends_of_a_long_name_stay() {
        assert_eq!(shortened("proxy", 5), "proxy");
        assert_eq!(shortened("a long proxy", 7), "a l…oxy");
        assert_eq!(shortened("a long proxy", 6), "a l…xy");
    }

    proptest! {
        #[test]
        fn no_name_is_longer_than_its_room(name in "\\PC{0,80}", most in 1_usize..40) {
            let short = shortened(&name, most);
            prop_assert_eq!(short.chars().count(), name.chars().count().min(most));
        }
    }
}
