//! Traffic and monitors, against Datadog as a table of answers.

#[cfg(test)]
mod failures;
#[cfg(test)]
mod history;
#[cfg(test)]
mod measured;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod traffic;
#[cfg(test)]
mod world;
