//! A chart as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
/// Room for numbers: left and below; above and right there is little.
const LEFT: f64 = 64.0;
const BELOW: f64 = 34.0;
const ABOVE: f64 = 16.0;
const RIGHT: f64 = 12.0;
/// Columns of a histogram.
const COLUMNS: usize = 40;

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Blue,
    Red,
    Green,
    Grey,
    Black,
    Dashed,
}

impl Line {
    fn style(self) -> &'static str {
        match self {
            Self::Blue => "stroke=\"#2b5fc2\" stroke-width=\"1.2\"",
            Self::Red => "stroke=\"#b3261e\" stroke-width=\"1.4\"",
            Self::Green => "stroke=\"#1f7a3f\" stroke-width=\"3\"",
            Self::Grey => "stroke=\"#9aa3b5\" stroke-width=\"1\"",
            Self::Black => "stroke=\"#1d2433\" stroke-width=\"1.4\"",
            Self::Dashed => "stroke=\"#8fb0e8\" stroke-width=\"1\" stroke-dasharray=\"4 3\"",
        }
    }
}

/// Lines, columns and marks on common axes.
#[derive(Debug)]
pub(super) struct Chart {
    x_title: &'static str,
    lines: Vec<(Line, Vec<(f64, f64)>)>,
    bars: Vec<(f64, f64, f64)>,
    marks: Vec<(f64, &'static str)>,
}

impl Chart {
    pub(super) fn new(x_title: &'static str) -> Self {
        Self { x_title, lines: Vec::new(), bars: Vec::new(), marks: Vec::new() }
    }

    /// NaN breaks a line.
    pub(super) fn line(&mut self, line: Line, points: Vec<(f64, f64)>) {
        self.lines.push((line, points));
    }

    /// An upright line.
    pub(super) fn mark(&mut self, x: f64, name: &'static str) {
        self.marks.push((x, name));
    }

    /// How often values occur.
    #[expect(clippy::cast_precision_loss, reason = "counts of columns and values")]
    pub(super) fn bars(&mut self, values: &[f64]) {
        let (low, high) = range(values.iter().copied());
        let width = (high - low) / COLUMNS as f64;
        for n in 0..COLUMNS {
            let from = low + width * n as f64;
            let last = n + 1 == COLUMNS;
            let inside = |v: f64| v >= from && (v < from + width || last);
            let count = values.iter().filter(|value| inside(**value)).count();
            self.bars.push((from, from + width, count as f64));
        }
    }

    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|(_, points)| points).filter(|(_, y)| y.is_finite());
        let bars = || self.bars.iter();
        let xs = points().map(|(x, _)| *x);
        let xs = xs.chain(bars().flat_map(|bar| [bar.0, bar.1])).chain(self.marks.iter().map(|mark| mark.0));
        let (left, right) = range(xs);
        let ys = points().map(|(_, y)| *y).chain(bars().flat_map(|bar| [0.0, bar.2]));
        let (low, high) = range(ys);
        let x = |value: f64| LEFT + (value - left) / (right - left) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BELOW - (value - low) / (high - low) * (HEIGHT - BELOW - ABOVE);
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
        // Writing into a string does not fail.
        for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let value = low + (high - low) * part;
            let at = y(value);
            let _ = write!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e6e9f0\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                number(value)
            );
            let value = left + (right - left) * part;
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x(value).min(WIDTH - RIGHT - 14.0),
                HEIGHT - BELOW + 16.0,
                number(value)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            WIDTH / 2.0,
            HEIGHT - 4.0,
            self.x_title
        );
        for (from, to, count) in bars() {
            let _ = write!(
                svg,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#8fb0e8\"/>",
                x(*from) + 0.5,
                y(*count),
                (x(*to) - x(*from) - 1.0).max(0.5),
                (y(0.0) - y(*count)).max(0.0)
            );
        }
        for (line, points) in &self.lines {
            let mut path = String::new();
            let mut pen = 'M';
            for (at, value) in points {
                if value.is_finite() {
                    let _ = write!(path, "{pen}{:.1} {:.1}", x(*at), y(*value));
                    pen = 'L';
                } else {
                    pen = 'M';
                }
            }
            let _ = write!(svg, "<path d=\"{path}\" fill=\"none\" {}/>", line.style());
        }
        for (at, name) in &self.marks {
            let at = x(*at);
            let _ = write!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{ABOVE}\" y2=\"{:.1}\" stroke=\"#b3261e\" stroke-width=\"1.5\"/>\
                 <text x=\"{:.1}\" y=\"12\" text-anchor=\"middle\">{name}</text>",
                HEIGHT - BELOW,
                at.clamp(LEFT + 20.0, WIDTH - 24.0)
            );
        }
        svg + "</svg>"
    }
}

/// Least and largest, never the same.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        (0.0, 1.0)
    } else if high - low < 1e-12 * low.abs().max(1e-12) {
        (low - 0.5, high + 0.5)
    } else {
        (low, high)
    }
}

/// Three figures.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        1e-12..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
