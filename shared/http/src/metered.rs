//! A budget of requests that all functions share, kept before anything goes out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use guard_domain::Budget;
use guard_tasks::{Clock, RequestBudget};
use http::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::{Call, FailureKind, Transport, TransportError};

/// How long nobody asks after a 429 that does not say when to come back. GitLab's own limits are by the minute, and some
/// of its 429s carry no header (gitlab-org/gitlab#365728).
const PAUSE: i64 = 30;

/// Another transport that sends no more than the budget allows. Where none is left, and while the system wants a pause,
/// the call is answered here as the system would: 429 with the seconds to wait, which becomes `Throttled`, which the state
/// machines try again with growing, random waits.
pub struct Metered {
    inner: Arc<dyn Transport>,
    counters: Arc<dyn RequestBudget>,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

impl Metered {
    /// `counters` are those of the one system that is behind `inner`.
    pub fn new(
        inner: Arc<dyn Transport>,
        counters: Arc<dyn RequestBudget>,
        budget: Budget,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { inner, counters, budget, clock }
    }
}

#[async_trait]
impl Transport for Metered {
    async fn send(&self, call: Call) -> Result<Response<Bytes>, TransportError> {
        let now = self.clock.now();
        let most = self.budget.per_window();
        let is_allowed = self.counters.take(Budget::window(now), most).await.map_err(|error| {
            // Nobody can say how much was sent: nothing is.
            TransportError::new(FailureKind::Connect, format!("no budget of requests to be had: {error}"))
        })?;
        if !is_allowed {
            return Ok(full(self.budget, now));
        }
        let answer = self.inner.send(call).await?;
        if let Some(until) = pause(answer.status(), answer.headers(), now)
            && let Err(error) = self.counters.close(Budget::pause(now, until), most).await
        {
            tracing::warn!("could not tell the other functions to pause: {error}");
        }
        Ok(answer)
    }
}

fn full(budget: Budget, now: Timestamp) -> Response<Bytes> {
    let text = format!(
        r#"{{"message": "GUARD's own budget of {} requests a minute (gitlab.requests_per_minute) is used up, or a pause was asked for"}}"#,
        budget.per_minute
    );
    let mut answer = Response::new(Bytes::from(text));
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer.headers_mut().insert("retry-after", Budget::seconds_to_next(now).into());
    answer
}

/// Until when nobody should ask, as the answer says: `Retry-After` (seconds or a date), or `RateLimit-Reset` (seconds since
/// 1970) where the limit is reached.
fn pause(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<i64>().ok();
    let after = |seconds: i64| Timestamp::from_second(now.as_second().saturating_add(seconds)).ok();
    let reset = || Timestamp::from_second(number("ratelimit-reset")?).ok();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = number("retry-after").and_then(after);
        let date = || Some(rfc2822::parse(text("retry-after")?).ok()?.timestamp());
        return seconds.or_else(date).or_else(reset).or_else(|| after(PAUSE));
    }
    // The last one that was allowed.
    (number("ratelimit-remaining") == Some(0)).then(reset).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::System;
    use guard_tasks::{ErrorName, TaskError};
    use std::collections::BTreeMap;
    use std::ops::RangeInclusive;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
    use std::time::Duration;

    const START: i64 = 1_790_000_000;

    #[derive(Default)]
    struct Counters {
        spent: Mutex<BTreeMap<i64, u64>>,
        is_gone: bool,
    }

    #[async_trait]
    impl RequestBudget for Counters {
        async fn take(&self, window: i64, most: u64) -> Result<bool, TaskError> {
            if self.is_gone {
                return Err(TaskError::new(ErrorName::Transient, "DynamoDB"));
            }
            let mut spent = self.spent.lock().unwrap();
            let spent = spent.entry(window).or_default();
            *spent += 1;
            Ok(*spent <= most)
        }

        async fn close(&self, windows: RangeInclusive<i64>, most: u64) -> Result<(), TaskError> {
            self.spent.lock().unwrap().extend(windows.map(|window| (window, most)));
            Ok(())
        }
    }

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(START + self.0.load(Ordering::Relaxed)).unwrap()
        }
    }

    struct Case {
        metered: Metered,
        sent: Arc<AtomicUsize>,
        clock: Arc<Hand>,
    }

    impl Case {
        fn new(status: u16, headers: &[(&'static str, String)], is_gone: bool) -> Self {
            let sent = Arc::new(AtomicUsize::new(0));
            let (count, headers) = (Arc::clone(&sent), headers.to_vec());
            let inner = move |_: Call| {
                count.fetch_add(1, Ordering::Relaxed);
                let mut answer = Response::new(Bytes::new());
                *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                for (name, value) in &headers {
                    answer.headers_mut().insert(*name, value.parse().unwrap());
                }
                Ok(answer)
            };
            let clock = Arc::new(Hand(AtomicI64::new(0)));
            let counters = Arc::new(Counters { is_gone, ..Counters::default() });
            let budget = Budget { per_minute: 12 };
            Self { metered: Metered::new(Arc::new(inner), counters, budget, clock.clone()), sent, clock }
        }

        async fn status(&self) -> u16 {
            let request = http::Request::get("https://gitlab.example/x").body(Bytes::new()).unwrap();
            let call = Call::new(System::Gitlab, request, Duration::from_secs(1));
            self.metered.send(call).await.unwrap().status().as_u16()
        }

        fn at(&self, seconds: i64) {
            self.clock.0.store(seconds, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn no_more_goes_out_than_the_budget_of_each_window() {
        let case = Case::new(200, &[], false);
        for minute in 0..2 {
            let mut sent = 0;
            for second in 0..60 {
                case.at(minute * 60 + second);
                sent += usize::from(case.status().await == 200);
            }
            assert_eq!(sent, 12, "two a window of ten seconds");
        }
        assert_eq!(case.sent.load(Ordering::Relaxed), 24);
    }

    #[tokio::test]
    async fn what_is_held_back_says_why_and_for_how_long() {
        let case = Case::new(200, &[], false);
        for _ in 0..2 {
            assert_eq!(case.status().await, 200);
        }
        let request = http::Request::get("https://gitlab.example/x").body(Bytes::new()).unwrap();
        let answer =
            case.metered.send(Call::new(System::Gitlab, request, Duration::from_secs(1))).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (429, &"10".parse().unwrap())
        );
        assert!(String::from_utf8_lossy(answer.body()).contains("gitlab.requests_per_minute"));
    }

    #[tokio::test]
    async fn a_pause_that_was_asked_for_is_kept_by_all() {
        let date = "Mon, 21 Sep 2026 14:14:20 +0000";
        let until = rfc2822::parse(date).unwrap().timestamp().as_second() - START;
        for (status, headers, pause) in [
            (429, vec![("retry-after", "25".to_owned())], 25),
            (429, vec![("retry-after", date.to_owned())], until),
            (429, vec![("ratelimit-reset", (START + 45).to_string())], 45),
            (429, vec![], PAUSE),
            (
                200,
                vec![("ratelimit-remaining", "0".to_owned()), ("ratelimit-reset", (START + 33).to_string())],
                33,
            ),
        ] {
            let case = Case::new(status, &headers, false);
            assert_eq!(case.status().await, status);
            assert!((5..600).contains(&pause), "{pause}");
            for second in [1, pause / 2, pause - 1] {
                case.at(second);
                assert_eq!(case.status().await, 429, "{headers:?} {second}");
            }
            assert_eq!(case.sent.load(Ordering::Relaxed), 1, "{headers:?}");
            case.at(pause + 10);
            case.status().await;
            assert_eq!(case.sent.load(Ordering::Relaxed), 2, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn an_ordinary_answer_asks_for_no_pause() {
        for (status, headers) in [
            (
                200,
                vec![("ratelimit-remaining", "1".to_owned()), ("ratelimit-reset", (START + 45).to_string())],
            ),
            (503, vec![("retry-after", "25".to_owned())]),
            (404, vec![]),
        ] {
            let case = Case::new(status, &headers, false);
            for _ in 0..2 {
                assert_eq!(case.status().await, status);
            }
        }
    }

    #[tokio::test]
    async fn without_counters_nothing_goes_out() {
        let case = Case::new(200, &[], true);
        let request = http::Request::get("https://gitlab.example/x").body(Bytes::new()).unwrap();
        let error =
            case.metered.send(Call::new(System::Gitlab, request, Duration::from_secs(1))).await.unwrap_err();
        assert_eq!(TaskError::from(error).name, ErrorName::Transient);
        assert_eq!(case.sent.load(Ordering::Relaxed), 0);
    }
}
