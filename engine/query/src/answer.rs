//! Rows to the shape that `:find` asks for.
