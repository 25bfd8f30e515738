//! Which shard this is, as the engine that started it says in the environment.

use std::fmt;

use crate::args::{MOST_SHARDS, ShardArg};

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A shard of so many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) index: u64,
    pub(crate) count: u64,
    /// Where both were read.
    pub(crate) told_by: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.index, self.count)
    }
}

/// An engine, by the variables in which it says which of how many a process is.
struct Engine {
    rank: &'static str,
    /// None if it does not say how many there are.
    size: Option<&'static str>,
    /// Whether its processes may be those of one task of a Slurm array.
    in_array: bool,
}

/// In the order in which they are asked: MPI under Slurm sets both, and a process of MPI is
/// more than a task of Slurm.
const ENGINES: [Engine; 5] = [
    Engine {
        rank: "OMPI_COMM_WORLD_RANK",
        size: Some("OMPI_COMM_WORLD_SIZE"),
        in_array: true,
    },
    Engine {
        rank: "PMI_RANK",
        size: Some("PMI_SIZE"),
        in_array: true,
    },
    Engine {
        rank: "SLURM_PROCID",
        size: Some("SLURM_NTASKS"),
        in_array: true,
    },
    Engine {
        rank: "JOB_COMPLETION_INDEX",
        size: None,
        in_array: false,
    },
    Engine {
        rank: "NOMAD_ALLOC_INDEX",
        size: None,
        in_array: false,
    },
];

/// Which shard is asked for.
///
/// # Errors
/// What is missing in the environment or contradicts, in one line.
pub(crate) fn place(asked: ShardArg, environment: Environment<'_>) -> Result<Place, String> {
    let wanted = match asked {
        ShardArg::Given { index, count } => {
            return Ok(Place {
                index,
                count,
                told_by: "--shard".to_owned(),
            });
        }
        ShardArg::Auto { count } => count,
    };
    let is_set = |engine: &&Engine| environment(engine.rank).is_some();
    let Some(engine) = ENGINES.iter().find(is_set) else {
        let names: Vec<_> = ENGINES.iter().map(|engine| engine.rank).collect();
        return Err(format!(
            "--shard auto: none of {} is set: say it, as in --shard 0/4",
            names.join(", ")
        ));
    };
    let array = match engine.in_array {
        true => Array::of(environment)?,
        false => None,
    };
    let place = told(engine, array, wanted, environment)?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != place.count) {
        return Err(format!(
            "--shard auto/{wanted}: {} say that there are {}",
            place.told_by, place.count
        ));
    }
    if place.index >= place.count || place.count > MOST_SHARDS {
        return Err(format!(
            "--shard auto: {} say {} of {}: shards are numbered from 0, and there are at most \
             {MOST_SHARDS}",
            place.told_by, place.index, place.count
        ));
    }
    Ok(place)
}

/// What `engine` says, within `array` if there is one.
fn told(
    engine: &Engine,
    array: Option<Array>,
    wanted: Option<u64>,
    environment: Environment<'_>,
) -> Result<Place, String> {
    let rank = number(engine.rank, environment)?.unwrap_or(0);
    let Some(size) = engine.size else {
        let count = wanted.ok_or_else(|| {
            format!(
                "--shard auto: {} says which shard this is, but not of how many: say it, as in \
                 --shard auto/8",
                engine.rank
            )
        })?;
        return Ok(Place {
            index: rank,
            count,
            told_by: engine.rank.to_owned(),
        });
    };
    let tasks = match (number(size, environment)?, &array) {
        (Some(tasks), _) => tasks,
        // A batch script is one task if it does not ask for more.
        (None, Some(_)) if rank == 0 => 1,
        (None, _) => {
            return Err(format!(
                "--shard auto: {} is set and {size} is not: say it, as in --shard 0/4",
                engine.rank
            ));
        }
    };
    let told_by = format!("{}, {size}", engine.rank);
    match array {
        None => Ok(Place {
            index: rank,
            count: tasks,
            told_by,
        }),
        Some(array) if rank < tasks => Ok(Place {
            index: array.index.saturating_mul(tasks).saturating_add(rank),
            count: array.count.saturating_mul(tasks),
            told_by: format!("{told_by}, SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT"),
        }),
        Some(_) => Err(format!(
            "--shard auto: {told_by} say {rank} of {tasks}: tasks are numbered from 0"
        )),
    }
}

/// The place in an array of jobs of Slurm.
struct Array {
    index: u64,
    count: u64,
}

impl Array {
    /// What the environment says, if this is such a job. The ids of an array begin anywhere
    /// and have a step; how far apart ids that were listed are, nobody says.
    fn of(environment: Environment<'_>) -> Result<Option<Self>, String> {
        let Some(id) = number("SLURM_ARRAY_TASK_ID", environment)? else {
            return Ok(None);
        };
        let need = |name: &'static str| {
            number(name, environment)?.ok_or_else(|| {
                format!(
                    "--shard auto: SLURM_ARRAY_TASK_ID is set and {name} is not: say it, as in \
                     --shard 0/4"
                )
            })
        };
        let (count, first) = (
            need("SLURM_ARRAY_TASK_COUNT")?,
            need("SLURM_ARRAY_TASK_MIN")?,
        );
        let last = need("SLURM_ARRAY_TASK_MAX")?;
        let step = number("SLURM_ARRAY_TASK_STEP", environment)?
            .unwrap_or(1)
            .max(1);
        let place = |id: u64| id.checked_sub(first).filter(|from| from % step == 0);
        match (place(id), place(last)) {
            (Some(own), Some(whole)) if whole / step + 1 == count => Ok(Some(Self {
                index: own / step,
                count,
            })),
            _ => Err(format!(
                "--shard auto: the ids of this array, {count} from {first} to {last}, are not a \
                 range: give it one, such as --array=0-7"
            )),
        }
    }
}

/// The number in a variable, if that is set.
fn number(name: &str, environment: Environment<'_>) -> Result<Option<u64>, String> {
    let Some(text) = environment(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!(
            "--shard auto: {name} should be a number from 0 on, got {text:?}: say it, as in \
             --shard 0/4"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an environment such as `A=1 B=2` says.
    fn auto(count: Option<u64>, variables: &str) -> Result<(u64, u64, String), String> {
        let lookup = |name: &str| {
            let mut all = variables.split(' ').filter_map(|one| one.split_once('='));
            all.find(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
        };
        let place = place(ShardArg::Auto { count }, &lookup)?;
        Ok((place.index, place.count, place.told_by))
    }

    const ARRAY: &str = "SLURM_PROCID=1 SLURM_NTASKS=4 SLURM_ARRAY_TASK_ID=14 \
                         SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_MAX=18 \
                         SLURM_ARRAY_TASK_COUNT=5 SLURM_ARRAY_TASK_STEP=2";

    #[test]
    fn each_engine_is_understood() {
        let cases = [
            (
                None,
                "OMPI_COMM_WORLD_RANK=2 OMPI_COMM_WORLD_SIZE=3 SLURM_PROCID=0 SLURM_NTASKS=9",
                (2, 3, "OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE"),
            ),
            (
                None,
                "PMI_RANK=1 PMI_SIZE=2 SLURM_PROCID=0 SLURM_NTASKS=9",
                (1, 2, "PMI_RANK, PMI_SIZE"),
            ),
            (
                None,
                "SLURM_PROCID=3 SLURM_NTASKS=4",
                (3, 4, "SLURM_PROCID, SLURM_NTASKS"),
            ),
            (
                Some(4),
                "SLURM_PROCID=3 SLURM_NTASKS=4",
                (3, 4, "SLURM_PROCID, SLURM_NTASKS"),
            ),
            (
                Some(20),
                ARRAY,
                (
                    9,
                    20,
                    "SLURM_PROCID, SLURM_NTASKS, SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT",
                ),
            ),
            (
                Some(8),
                "JOB_COMPLETION_INDEX=7",
                (7, 8, "JOB_COMPLETION_INDEX"),
            ),
            (Some(2), "NOMAD_ALLOC_INDEX=1", (1, 2, "NOMAD_ALLOC_INDEX")),
        ];
        for (count, variables, (index, of, told_by)) in cases {
            let expected = Ok((index, of, told_by.to_owned()));
            assert_eq!(auto(count, variables), expected, "{variables}");
        }
    }

    #[test]
    fn tasks_of_an_array_are_all_different_and_all_there() {
        let mut places = vec![];
        for id in [3, 6, 9] {
            for rank in 0..2 {
                let variables = format!(
                    "SLURM_PROCID={rank} SLURM_NTASKS=2 SLURM_ARRAY_TASK_ID={id} \
                     SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=9 SLURM_ARRAY_TASK_COUNT=3 \
                     SLURM_ARRAY_TASK_STEP=3"
                );
                let (index, count, _) = auto(None, &variables).expect(&variables);
                assert_eq!(count, 6);
                places.push(index);
            }
        }
        assert_eq!(places, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_batch_script_of_an_array_is_one_task() {
        let variables = "SLURM_PROCID=0 SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_MIN=0 \
                         SLURM_ARRAY_TASK_MAX=3 SLURM_ARRAY_TASK_COUNT=4";
        let (index, count, _) = auto(None, variables).expect(variables);
        assert_eq!((index, count), (2, 4));
    }

    #[test]
    fn what_does_not_say_enough_is_refused_by_name() {
        let irregular = ARRAY.replace("COUNT=5", "COUNT=3");
        let outside = ARRAY.replace("TASK_ID=14", "TASK_ID=13");
        let cases = [
            (
                None,
                "",
                "none of OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_PROCID",
            ),
            (Some(4), "HOME=/", "say it, as in --shard 0/4"),
            (
                None,
                "OMPI_COMM_WORLD_RANK=1",
                "OMPI_COMM_WORLD_SIZE is not",
            ),
            (None, "PMI_RANK=x PMI_SIZE=2", "PMI_RANK should be a number"),
            (
                None,
                "PMI_RANK=-1 PMI_SIZE=2",
                "PMI_RANK should be a number",
            ),
            (
                None,
                "SLURM_PROCID=1 SLURM_NTASKS=",
                "SLURM_NTASKS should be",
            ),
            (None, "SLURM_PROCID=4 SLURM_NTASKS=4", "say 4 of 4"),
            (None, "SLURM_PROCID=0 SLURM_NTASKS=0", "say 0 of 0"),
            (None, "SLURM_PROCID=0 SLURM_NTASKS=100001", "at most 100000"),
            (
                Some(5),
                "SLURM_PROCID=1 SLURM_NTASKS=4",
                "say that there are 4",
            ),
            (None, "JOB_COMPLETION_INDEX=3", "as in --shard auto/8"),
            (None, "NOMAD_ALLOC_INDEX=0", "as in --shard auto/8"),
            (Some(3), "JOB_COMPLETION_INDEX=3", "say 3 of 3"),
            (None, irregular.as_str(), "are not a range"),
            (None, outside.as_str(), "are not a range"),
            (
                None,
                "SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_ARRAY_TASK_ID=1",
                "SLURM_ARRAY_TASK_COUNT is not",
            ),
        ];
        for (count, variables, expected) in cases {
            let error = auto(count, variables).expect_err(variables);
            assert!(error.contains(expected), "{variables}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
