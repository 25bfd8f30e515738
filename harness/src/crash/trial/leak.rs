//! Sending a session again and again, and looking whether a process keeps more each time.

use std::time::{Duration, Instant};

use bundle::{Session, What};

use super::send_until;
use crate::crash::judge::Judged;
use crate::crash::leaks::{Leaks, Look, Usage};
use crate::crash::life::Life;
use crate::supervisor::tree;

/// Loads that are looked at one after the other.
const LOADS: usize = 3;

/// How often a session is sent at least in one load: what it leaks may be little.
const TIMES: usize = 8;

/// How long it is sent again and again, if it is short.
const LOAD: Duration = Duration::from_millis(300);

/// How long it is sent again at most, if it is long.
const LONG_LOAD: Duration = Duration::from_secs(1);

/// How long a process may take to give back what it can.
const SETTLE: Duration = Duration::from_millis(500);

fn usage(life: &Life, place: usize) -> Option<Usage> {
    Some(tree::sample(&[life.parts[place].pid?])?.into())
}

fn is_too_much(life: &Life, all: &[Option<Leaks>]) -> bool {
    all.iter().enumerate().any(|(place, leaks)| {
        leaks
            .zip(usage(life, place))
            .is_some_and(|(leaks, now)| leaks.is_too_much(now))
    })
}

/// Sends it again and again, and looks whether a process keeps more each time.
pub(super) async fn see(life: &mut Life, session: &Session) -> Result<Option<Judged>, String> {
    let places = 0..life.parts.len();
    let mut all: Vec<Option<Leaks>> = places
        .map(|place| usage(life, place).map(Leaks::new))
        .collect();
    for _ in 0..LOADS {
        let began = Instant::now();
        let mut times = 0;
        while times < TIMES || began.elapsed() < LOAD {
            send_until(life, session, &|life| is_too_much(life, &all)).await?;
            times += 1;
            let elapsed = began.elapsed();
            if !life.ended.is_empty() || elapsed > LONG_LOAD || is_too_much(life, &all) {
                break;
            }
        }
        let settled = Instant::now() + SETTLE;
        let mut above = true;
        while above && Instant::now() < settled {
            life.next_within(Duration::from_millis(20)).await;
            above = all.iter().enumerate().any(|(place, leaks)| {
                leaks
                    .zip(usage(life, place))
                    .is_some_and(|(leaks, now)| leaks.is_above(now))
            });
        }
        for (place, leaks) in all.iter_mut().enumerate().rev() {
            let now = usage(life, place);
            if let Some((leaks, now)) = leaks.as_mut().zip(now)
                && let Look::Leaked(resource, detail) = leaks.look(now)
            {
                let (who, what) = (life.parts[place].who, What::Leaked(resource));
                return Ok(Some(Judged {
                    place,
                    who,
                    what,
                    detail,
                }));
            }
        }
        if !above {
            return Ok(None);
        }
    }
    Ok(None)
}
