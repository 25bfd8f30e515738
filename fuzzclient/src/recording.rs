//! Keeping every byte that was sent.
//!
//! A run of one connection is kept raw, so that `nc` can send it again. With more of
//! them each piece has a line before it that says whose it is and how long:
//! `connection 3 bytes 65536\n`, then 65,536 bytes, then the next such line. How we ended a
//! connection follows its last piece: `connection 3 ends reset\n`; where that is missing,
//! the run ended first. A piece is what one system call took: of datagrams, one of them.

mod read;
mod write;

pub use read::{Recorded, RecordingError, append, read, read_directory, split};
pub use write::{Memory, Recording};

/// The name of a connection's file in a directory of recordings, but for what says how it
/// ended.
fn file_stem(connection: u64) -> String {
    // Names in the order of the numbers, as far as anybody will look at them.
    format!("{connection:010}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate::Ending;

    type Pieces = Vec<(u64, Vec<u8>)>;

    fn pieces() -> impl Strategy<Value = Pieces> {
        let piece = (0_u64..4, proptest::collection::vec(any::<u8>(), 0..40));
        proptest::collection::vec(piece, 0..20)
    }

    fn keep(recording: &mut Recording, pieces: &Pieces) {
        for (connection, bytes) in pieces {
            recording.keep(*connection, bytes).unwrap();
        }
        for connection in pieces.iter().map(|(connection, _)| *connection) {
            if connection % 2 == 0 {
                recording
                    .end(connection, Ending::ALL[connection as usize % 3])
                    .unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_kept_is_read_again(pieces in pieces()) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut recording = Recording::create(file.path(), false, None).unwrap();
            keep(&mut recording, &pieces);
            recording.finish().unwrap();
            let written = std::fs::read(file.path()).unwrap();
            let expected = |number| -> Vec<u8> {
                let own = pieces.iter().filter(|(connection, _)| *connection == number);
                own.flat_map(|(_, bytes)| bytes.clone()).collect()
            };
            if pieces.is_empty() {
                return Ok(());
            }
            let connections = read(&written).unwrap();
            let mut again = Vec::new();
            for recorded in &connections {
                prop_assert_eq!(&recorded.bytes()[..], &expected(recorded.number)[..]);
                let ending = (recorded.number % 2 == 0)
                    .then(|| Ending::ALL[recorded.number as usize % 3]);
                prop_assert_eq!(recorded.ending, ending);
                append(&mut again, recorded);
            }
            prop_assert_eq!(read(&again).unwrap(), connections);
            prop_assert_eq!(split(&written).unwrap().len(), read(&written).unwrap().len());
        }

        #[test]
        fn a_recording_that_is_cut_is_refused(pieces in pieces(), at in any::<prop::sample::Index>()) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut recording = Recording::create(file.path(), false, None).unwrap();
            keep(&mut recording, &pieces);
            recording.finish().unwrap();
            let written = std::fs::read(file.path()).unwrap();
            prop_assume!(written.len() > 30);
            // Behind the first line, which is what tells that it is a recording.
            let cut = 20 + at.index(written.len() - 20);
            let whole = read(&written).unwrap();
            if let Ok(less) = read(&written[..cut]) {
                // Only a cut between two lines is none that could be seen.
                let total = |all: &[Recorded]| all.iter().map(|one| one.bytes().len()).sum::<usize>();
                prop_assert!(total(&less) <= total(&whole));
                prop_assert!(split(&written[..cut]).is_some());
            }
        }
    }

    #[test]
    fn only_the_last_connections_are_kept_if_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("last");
        for (path, raw) in [(&file, false), (&dir.path().join("many/"), false)] {
            let mut recording = Recording::create(path, raw, Some(2)).unwrap();
            for connection in 0..5 {
                recording.keep(connection, b"ab").unwrap();
                recording
                    .keep(connection, &[b'0' + connection as u8])
                    .unwrap();
                recording.end(connection, Ending::Reset).unwrap();
            }
            recording.finish().unwrap();
        }
        let of_file = read(&std::fs::read(&file).unwrap()).unwrap();
        let of_directory = read_directory(&dir.path().join("many")).unwrap();
        for connections in [of_file, of_directory] {
            let kept: Vec<_> = connections
                .iter()
                .map(|one| (one.number, one.bytes().to_vec(), one.ending))
                .collect();
            let expected = [(3, b"ab3".to_vec()), (4, b"ab4".to_vec())]
                .map(|(number, bytes)| (number, bytes, Some(Ending::Reset)));
            assert_eq!(kept, expected);
        }
    }

    #[test]
    fn what_is_no_recording_is_one_connection() {
        for bytes in [
            b"REQ 1 x\n" as &[u8],
            b"",
            b"connection",
            b"connection refused\n",
        ] {
            let connections = read(bytes).unwrap();
            assert_eq!(connections.len(), 1, "{bytes:?}");
            assert_eq!(&connections[0].bytes()[..], bytes);
            assert_eq!((connections[0].number, connections[0].ending), (0, None));
        }
    }
}
