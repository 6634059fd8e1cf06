//! `guard judge --explain`: one page that shows what was judged. It needs nothing from elsewhere.

mod chart;

use std::fmt::Write as _;

use guard_domain::judge::{Evidence, FAIL_AT, Series, SoakOutcome};
use guard_series::{Judged, Pair, Windows};

use chart::{Chart, Line};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1d2433;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.8rem 0 .3rem}p{margin:.3rem 0;color:#4a5468}\
.v{display:inline-block;padding:.1rem .7rem;border-radius:.4rem;color:#fff}\
.pass{background:#1f7a3f}.fail{background:#b3261e}.open{background:#8a6100}svg{width:100%;height:auto;display:block}\
li{margin:.2rem 0}text{font:11px system-ui,sans-serif;fill:#4a5468}";

/// The page of one change.
pub(super) fn page(pair: &Pair, windows: &Windows, controls: &[(String, Series)], judged: &Judged) -> String {
    let class = match judged.outcome {
        SoakOutcome::Pass => "pass",
        SoakOutcome::Fail => "fail",
        SoakOutcome::Marginal | SoakOutcome::External | SoakOutcome::Insufficient => "open",
    };
    let name = escaped(&format!("{} of {}", pair.column, pair.id));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{} - {name}</title><style>{STYLE}</style></head>\n\
         <body><h1><span class=\"v {class}\">{}</span> {name}</h1>\n<ul>",
        judged.outcome.name(),
        judged.outcome.name()
    );
    // Writing into a string does not fail.
    for reason in &judged.reasons {
        let _ = writeln!(page, "<li>{}</li>", escaped(reason));
    }
    page += "</ul>\n";
    let found = judged.found.as_ref();
    let expected = found.map(|found| found.expected.as_slice()).unwrap_or_default();
    section(
        &mut page,
        "The soak and the hours before",
        "Blue is the baseline side, red the soak. The dashed line is the same time a day before, the green bars are what each \
         look expected: the level before the change with the season added.",
        &near(pair, windows, expected),
    );
    section(
        &mut page,
        "The days before",
        "Up to seven days. Pseudo-changes in them say how much the metric moves when nothing is changed.",
        &far(pair, windows),
    );
    if controls.is_empty() {
        page += "<h2>Clusters that were not upgraded</h2>\n<p>None were given: a cause from outside cannot be told apart.</p>\n";
    } else {
        section(
            &mut page,
            "Clusters that were not upgraded",
            "Each divided by its own mean before the change, beside this one (black).",
            &beside(pair, windows, controls),
        );
    }
    if let Some(evidence) = found.and_then(|found| found.evidence.as_ref()) {
        section(
            &mut page,
            "What is usual, and what was seen",
            "Shifts of the mean at pseudo-changes in the longest look, in their deviations; the red line is the soak.",
            &null(evidence),
        );
        let strength = found.map_or(0.0, |found| found.strength);
        let _ = writeln!(
            page,
            "<p>Strength {strength:.2}, a fail from {FAIL_AT} on. Placebos: {}. The threshold is multiplied by {:.2} for the \
             tail of this metric's own past.</p>",
            evidence.looks.last().map_or(0, |look| look.placebos.len()),
            evidence.tail
        );
    }
    page += "</body></html>\n";
    page
}

fn section(page: &mut String, title: &str, words: &str, svg: &str) {
    let _ = writeln!(page, "<h2>{title}</h2>\n<p>{words}</p>\n{svg}");
}

/// Points of a series in a time, relative to the change, hours.
fn points(series: &Series, from: i64, to: i64, change: i64, shift: i64) -> Vec<(f64, f64)> {
    let part = series.between(from, to);
    (0..)
        .zip(part.values())
        .map(|(n, value)| (hours(part.start() + n * part.step() + shift - change), *value))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of some days")]
fn hours(seconds: i64) -> f64 {
    seconds as f64 / HOUR as f64
}

/// How far a time line begins before the change; of a record of another time there is none.
fn near(pair: &Pair, windows: &Windows, expected: &[(f64, f64)]) -> String {
    let times = pair.times;
    let mut chart = Chart::new("hours from the change");
    if !pair.is_of_another_time() {
        let (from, change) = (times.change - 6 * HOUR, times.change);
        chart.line(Line::Dashed, points(&windows.history, from - DAY, times.until - DAY, change, DAY));
        chart.line(Line::Blue, points(&windows.history, from, change, change, 0));
    }
    let zero = if pair.is_of_another_time() { times.settled } else { times.change };
    chart.line(Line::Red, points(&windows.soak, times.settled, times.until, zero, 0));
    let begin = hours(times.settled - zero);
    for (minutes, value) in expected {
        chart.line(Line::Green, vec![(begin, *value), (begin + minutes / 60.0, *value)]);
    }
    chart.mark(0.0, "change");
    chart.svg()
}

fn far(pair: &Pair, windows: &Windows) -> String {
    let times = pair.times;
    let mut chart = Chart::new("hours from the change");
    chart.line(Line::Blue, points(&windows.history, times.change - 7 * DAY, times.change, times.change, 0));
    if !pair.is_of_another_time() {
        chart.line(Line::Red, points(&windows.soak, times.settled, times.until, times.change, 0));
        chart.mark(0.0, "change");
    }
    chart.svg()
}

fn beside(pair: &Pair, windows: &Windows, controls: &[(String, Series)]) -> String {
    let times = pair.times;
    let mut chart = Chart::new("hours from the change");
    let relative = |series: &Series| -> Vec<(f64, f64)> {
        let before = series.between(times.change - 6 * HOUR, times.change);
        let (sum, n) = before.present().fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
        let mean = if n > 0.0 && sum != 0.0 { sum / n } else { f64::NAN };
        points(series, times.change - 6 * HOUR, times.until, times.change, 0)
            .into_iter()
            .map(|(at, value)| (at, value / mean))
            .collect()
    };
    for (_, series) in controls {
        chart.line(Line::Grey, relative(series));
    }
    chart.line(Line::Black, relative(&windows.soak));
    chart.mark(0.0, "change");
    chart.svg()
}

/// The shifts of the mean at pseudo-changes as a histogram.
fn null(evidence: &Evidence) -> String {
    let Some(look) = evidence.looks.last() else { return String::new() };
    let scale = look.scale[0].max(1e-12);
    let shifts: Vec<f64> =
        look.placebos.iter().map(|all| all[0] / scale).filter(|shift| shift.is_finite()).collect();
    let seen = (look.shift[0] / scale).clamp(-20.0, 20.0);
    let mut chart = Chart::new("deviations, positive is worse");
    chart.bars(&shifts);
    chart.mark(seen, "soak");
    chart.svg()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_name_is_text() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
