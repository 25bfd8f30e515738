//! Walking through TLS's presentation language (RFC 8446 section 3): numbers, and
//! vectors behind their length.

use super::HelloError;

/// What is left of a structure.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), HelloError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(HelloError::Malformed)
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, HelloError> {
        self.take(1).map(|taken| taken[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, HelloError> {
        self.take(2)
            .map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// A vector behind a length of one byte.
    pub(super) fn vector8(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// A vector behind a length of two bytes.
    pub(super) fn vector16(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.u16()?;
        self.take(len.into())
    }
}
