//! Pull patterns that are malformed.
