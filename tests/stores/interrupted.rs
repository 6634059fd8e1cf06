//! What happens on the way to the tables.
