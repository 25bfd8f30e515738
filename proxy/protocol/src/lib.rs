//! Sans-IO codecs of the protocols that the proxy understands.
//!
//! [`foo`] is the line protocol of requests and acknowledgements.
//!
//! Nothing here does I/O, keeps a buffer, knows about time, or knows who calls it:
//! bytes come in as slices, verdicts go out.

pub mod foo;
