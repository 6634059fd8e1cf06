//! What the local Step Functions does, seen from outside: machines in, outcomes and histories out.

#[cfg(test)]
mod children;
#[cfg(test)]
mod data_flow;
#[cfg(test)]
mod drawing;
#[cfg(test)]
mod failures;
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod maps;
#[cfg(test)]
mod parse;
#[cfg(test)]
mod service;
#[cfg(test)]
mod states;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod types;
#[cfg(test)]
mod types_properties;
#[cfg(test)]
mod world;
