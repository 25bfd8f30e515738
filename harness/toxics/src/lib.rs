//! Links with faults.
