//! Checks on queries written out.
