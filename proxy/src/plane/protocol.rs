//! What a mode of the proxy does with the bytes that pass.

/// What became of bytes from the client. They were worked on in place: the first
/// `forward` bytes go to the upstream, the following ones up to `end` are held until
/// more arrives, what is behind them is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filtered {
    pub(crate) forward: usize,
    pub(crate) end: usize,
    /// Reset the connection, once the bytes to forward have left.
    pub(crate) reset: bool,
}

/// What became of bytes from the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// They go to the client as they are.
    Unchanged,
    /// What goes to the client was written to the output instead.
    Rewritten,
}

/// What a mode of the proxy does with the bytes that pass. Sans-IO: it sees slices and
/// changes its own state. One value of it belongs to each worker, one `Conn` to each
/// connection.
pub(crate) trait Protocol {
    /// What is remembered of a connection.
    type Conn;

    /// A client has connected.
    fn connection(&mut self) -> Self::Conn;

    /// Judges bytes from the client. `data[..fresh]` is what was held at the last call;
    /// the rest is new. Answers of the proxy's own that are due now are appended to
    /// `answers`.
    fn client_data(
        &mut self,
        conn: &mut Self::Conn,
        data: &mut [u8],
        fresh: usize,
        answers: &mut Vec<u8>,
    ) -> Filtered;

    /// The client has ended its side. What is held is dropped. Says whether the
    /// connection is to be reset.
    fn client_end(&mut self, conn: &mut Self::Conn, answers: &mut Vec<u8>) -> bool;

    /// Looks at bytes from the upstream; if something of the proxy's own goes between
    /// them, everything is written to `output`.
    fn upstream_data(&mut self, conn: &mut Self::Conn, data: &[u8], output: &mut Vec<u8>)
    -> Passed;

    /// The upstream has ended its side.
    fn upstream_end(&mut self, conn: &mut Self::Conn);

    /// Whether so much is pending that nothing more may be read from the client.
    fn is_full(&self, conn: &Self::Conn) -> bool;
}
