//! The ports against an API server that is a table of paths.

#[cfg(test)]
mod failures;
#[cfg(test)]
mod flux;
#[cfg(test)]
mod injector;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod restarting;
mod surroundings;
#[cfg(test)]
mod workloads;
#[cfg(test)]
mod world;
