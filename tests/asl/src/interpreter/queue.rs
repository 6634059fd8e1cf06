//! What is due, and when.

use super::core::Visit;
use super::runner::Reply;
use jiff::Timestamp;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeMap;

/// How events of the same virtual time are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By the seed: each seed is another interleaving of what runs at the same time.
    #[default]
    Seeded,
    /// As they were planned.
    Fifo,
}

#[derive(Debug, Clone)]
pub(super) enum Event {
    Enter(Visit),
    Attempt(Visit),
    Reply(Visit, Box<Reply>),
    WaitOver(Visit),
    TimedOut(Visit),
    /// The number of heartbeats seen when it was planned: a later one makes it void.
    HeartbeatMissed(Visit, u64),
    ChildEnded(Visit, String),
    ExecutionTimedOut(String),
    Plain {
        function: String,
        payload: Value,
    },
}

/// Time, then timers before anything else (a reply at the very time-out is too late), then the tie.
type Key = (Timestamp, u8, u32, u64);

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    events: BTreeMap<Key, Event>,
    planned: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at: Timestamp, event: Event, order: Order, random: &mut ChaCha8Rng) {
        let class = match event {
            Event::TimedOut(_) | Event::HeartbeatMissed(..) | Event::ExecutionTimedOut(_) => 0,
            _ => 1,
        };
        let tie = match order {
            Order::Seeded => random.next_u32(),
            Order::Fifo => 0,
        };
        self.planned += 1;
        self.events.insert((at, class, tie, self.planned), event);
    }

    pub(super) fn first(&self) -> Option<(Timestamp, &Event)> {
        self.events.first_key_value().map(|((at, ..), event)| (*at, event))
    }

    pub(super) fn pop(&mut self) -> Option<(Timestamp, Event)> {
        self.events.pop_first().map(|((at, ..), event)| (at, event))
    }
}
