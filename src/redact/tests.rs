//! The redactor as a whole.
