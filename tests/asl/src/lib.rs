//! Amazon States Language: parse, lint, interpret in virtual time.
