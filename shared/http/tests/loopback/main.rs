//! The real transport against servers on this machine.

#[cfg(test)]
mod failures;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;
