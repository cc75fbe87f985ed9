//! Tree to text. `Display` of [`crate::Edn`] writes the canonical one-line form.
