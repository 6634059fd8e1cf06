//! Will the charts and images still be there, for the target and for the way back?

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Check, Source, Subject, blocks, chart_sources, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Will the hosts of Istio's charts and images be there until the way back is over?",
    because: "The Google-hosted charts and images go away in December 2026 (istio.io blog, dates as data). What runs goes on \
              running, but no chart is fetched and no pod starts on a node that does not have the image: a rollback failed \
              for an image that was gone, 22 minutes of outage. A run may need them until a person has merged the request \
              and the one that takes it back.",
    reads: &[Source::Flux, Source::ChartSources, Source::Mesh],
    codes: &[
        blocks("CHART_HOST_GONE", "charts come from a host that may be gone before the run is over"),
        warns("CHART_HOST_RETIRES", "charts come from a host that goes away later than that"),
        blocks(
            "IMAGE_HUB_GONE",
            "images that run come from a registry that may be gone before the run is over",
        ),
        warns("IMAGE_HUB_RETIRES", "images that run come from a registry that goes away later than that"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let named = chart_sources::in_use(subject)?;
    let sources = subject.facts.chart_sources.as_ref().ok()?;
    let pods = subject.facts.mesh.as_ref().ok()?;
    let dates = subject.retirement;
    let is_soon = dates.unsure_from <= subject.now + longest_run(subject);
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    let until =
        format!("not to be relied on from {}, gone by {}", day(dates.unsure_from), day(dates.gone_by));
    let tell = |[gone, retires]: [&str; 2], what: String, seen: String, remedy: &str| {
        if is_soon {
            Finding::blocking(gone, what, seen, remedy)
        } else {
            Finding::warning(retires, what, seen, remedy)
        }
    };
    let mut found = Vec::new();
    for source in sources.iter().filter(|one| named.contains(&one.source) && dates.has_charts(&one.url)) {
        found.push(tell(
            ["CHART_HOST_GONE", "CHART_HOST_RETIRES"],
            format!("{}: {}", subject.name(), source.source),
            format!("{} is {until}", source.url),
            "take charts from https://blob.istio.io/istio-release/charts or oci://ghcr.io/istio/release/charts \
             (guard diff --repositories-only)",
        ));
    }
    let mut hubs: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| dates.has_images(&pod.hub)) {
        *hubs.entry(&pod.hub).or_default() += 1;
    }
    for (hub, pods) in hubs {
        found.push(tell(
            ["IMAGE_HUB_GONE", "IMAGE_HUB_RETIRES"],
            subject.name().to_owned(),
            format!("{pods} pods run images of {hub}, which is {until}"),
            "set global.hub to docker.io/istio or a mirror of your own, and restart what runs",
        ));
    }
    Some(found)
}

/// From now to the end of the way back: two requests that wait for a person, two restarts, and the soak.
fn longest_run(subject: &Subject<'_>) -> SignedDuration {
    let policy = &subject.config.policy;
    let twice = SignedDuration::from_hours(policy.merge_timeout_hours.into())
        + SignedDuration::from_mins(policy.restart_timeout_minutes.into());
    twice + twice + SignedDuration::from_mins(subject.config.validation.soak_period_minutes.into())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::tests::{Scene, finds, passes};

    const OLD: &str = "https://istio-release.storage.googleapis.com/charts";

    fn charts(now: &'static str) -> impl FnOnce(&mut Scene) {
        move |scene| {
            scene.facts.chart_sources.as_mut().unwrap()[0].url = OLD.into();
            scene.now = now.parse().unwrap();
        }
    }

    fn images(now: &'static str) -> impl FnOnce(&mut Scene) {
        move |scene| {
            scene.facts.mesh.as_mut().unwrap()[0].hub = "registry.istio.io/release".into();
            scene.now = now.parse().unwrap();
        }
    }

    /// 149 hours are two times 74 and one of soak: until 2 December, 10:00, a run is over before the hosts go.
    #[test]
    fn the_clock_decides_how_heavy_it_is() {
        let found = finds(&CHECK, "CHART_HOST_RETIRES", charts("2026-12-02T09:59:59Z"));
        assert!(found[0].message.contains("from 2026-12-08, gone by 2026-12-31"), "{}", found[0]);
        finds(&CHECK, "CHART_HOST_GONE", charts("2026-12-02T10:00:00Z"));
        finds(&CHECK, "CHART_HOST_GONE", charts("2027-03-01T00:00:00Z"));
        let found = finds(&CHECK, "IMAGE_HUB_RETIRES", images("2026-11-01T00:00:00Z"));
        assert!(
            found[0].message.starts_with("1 pods run images of registry.istio.io/release"),
            "{}",
            found[0]
        );
        finds(&CHECK, "IMAGE_HUB_GONE", images("2026-12-08T00:00:00Z"));
    }

    #[test]
    fn what_istio_does_not_use_is_others() {
        passes(|scene| {
            let mut other = scene.facts.chart_sources.as_ref().unwrap()[0].clone();
            (other.source.name, other.url) = ("shop/old".into(), OLD.into());
            scene.facts.chart_sources.as_mut().unwrap().push(other);
        });
    }
}
