//! The ports against a GitLab that holds state: tests look at what is there afterwards.

#[cfg(test)]
mod access;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod talking;
#[cfg(test)]
mod webhook;
#[cfg(test)]
mod withdrawing;
#[cfg(test)]
mod world;
