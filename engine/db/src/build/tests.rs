//! What an index job keeps and what it writes.
