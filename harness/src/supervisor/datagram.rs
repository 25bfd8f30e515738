//! Asking with a datagram whether somebody answers: the same has to come back.
//!
//! What is sent is numbered as the load client's are, so that a server that counts those
//! counts ours apart from them, by their run.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use protocol::probe::Probe;
use report::event::ProbeOutcome;
use service::clock::mono_ns;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The run of all that is sent here, `prob`: that of a load client is drawn at random.
pub const RUN: u32 = u32::from_be_bytes(*b"prob");

/// Bytes of each: as many as the load client's have if nothing else is said.
const BYTES: usize = 64;

/// After this time the same is sent again: one that was lost says nothing of who should
/// answer. Short enough that one loss is not taken for a process that stood still.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Sends a datagram, again and again if nothing comes back, and says what came of it, and
/// whether any was sent.
pub async fn ask(at: SocketAddr, seq: i64, patience: Duration) -> (ProbeOutcome, bool) {
    let mut sent = false;
    let asking = async {
        let outcome = exchange(at, seq, &mut sent).await;
        outcome.unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => ProbeOutcome::Refused,
            _ => ProbeOutcome::Closed,
        })
    };
    let outcome = timeout(patience, asking)
        .await
        .unwrap_or(ProbeOutcome::Silent);
    (outcome, sent)
}

/// Fails with what the system says, such as that nobody listens there.
async fn exchange(at: SocketAddr, seq: i64, sent: &mut bool) -> io::Result<ProbeOutcome> {
    let any: SocketAddr = match at {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // From then on it hears of datagrams that were refused, and takes none of others.
    socket.connect(at).await?;
    let probe = Probe {
        run: RUN,
        // Who is asked, so that a server that is asked through a proxy as well tells the
        // two apart.
        client: u32::from(at.port()),
        sequence: seq.unsigned_abs(),
        sent_ns: mono_ns(),
    };
    let mut asked = Vec::new();
    probe.write(BYTES, &mut asked);
    // One byte more, so that a datagram that has grown is not taken for its own start.
    let mut answer = [0; BYTES + 1];
    loop {
        socket.send(&asked).await?;
        *sent = true;
        if let Ok(received) = timeout(AGAIN_AFTER, socket.recv(&mut answer)).await {
            let is_right = answer[..received?] == asked;
            return Ok(if is_right {
                ProbeOutcome::Answered
            } else {
                ProbeOutcome::Wrong
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What a server makes of a datagram.
    type Answer = fn(&[u8]) -> Option<Vec<u8>>;

    /// A server that answers the first datagrams with what is made of them, or not at all.
    async fn outcome(answers: Vec<Answer>) -> (ProbeOutcome, bool) {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 1_000];
            for make in answers {
                let (len, from) = server.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = make(&buffer[..len]) {
                    server.send_to(&answer, from).await.unwrap();
                }
            }
            server
        });
        let outcome = ask(at, 1, PATIENCE).await;
        serving.await.unwrap();
        outcome
    }

    #[tokio::test]
    async fn the_same_has_to_come_back() {
        let same = |bytes: &[u8]| Some(bytes.to_vec());
        assert_eq!(outcome(vec![same]).await, (ProbeOutcome::Answered, true));
        let longer = |bytes: &[u8]| Some([bytes, b"x"].concat());
        assert_eq!(outcome(vec![longer]).await, (ProbeOutcome::Wrong, true));
        let shorter = |bytes: &[u8]| Some(bytes[1..].to_vec());
        assert_eq!(outcome(vec![shorter]).await, (ProbeOutcome::Wrong, true));
    }

    #[tokio::test]
    async fn one_that_is_lost_is_sent_again() {
        let lost = |_: &[u8]| None;
        let same = |bytes: &[u8]| Some(bytes.to_vec());
        let outcome = outcome(vec![lost, lost, same]).await;
        assert_eq!(outcome, (ProbeOutcome::Answered, true));
    }

    #[tokio::test]
    async fn nobody_there_and_nobody_who_answers() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let short = Duration::from_millis(10);
        assert_eq!(ask(at, 1, short).await, (ProbeOutcome::Silent, true));
        drop(server);
        assert_eq!(ask(at, 1, PATIENCE).await, (ProbeOutcome::Refused, true));
    }
}
