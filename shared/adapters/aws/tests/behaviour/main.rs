//! Access to clusters, against STS and EKS as a table of answers.

#[cfg(test)]
mod access;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod verifier;
#[cfg(test)]
mod world;
