//! The one way out: HTTP transport with time-outs, TLS and error classification.
