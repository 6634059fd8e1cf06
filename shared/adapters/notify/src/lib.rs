//! Reaching people: [`Slack`] posts to an incoming webhook as Slack and those who copied it understand it, [`PagerDuty`]
//! sends events of its API, version 2.
//!
//! Never here: what is said and who hears of it (the domain decides), a retry, or an address in an error text: the
//! webhook's URL is the secret itself. Start reading at [`Slack`].

mod pagerduty;
mod post;
mod slack;

pub use pagerduty::PagerDuty;
pub use slack::Slack;
