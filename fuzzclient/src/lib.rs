//! fuzzclient
