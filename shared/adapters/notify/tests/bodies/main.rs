//! What is sent, as kept in `tests/snapshots`, and what comes of answers that refuse.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod told;
