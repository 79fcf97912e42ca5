//! What was measured, as bars: a group per work, a bar per contestant, on a logarithmic scale, for what ranges from
//! nanoseconds to milliseconds.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use crate::table::{Table, measured};

const BAR: f64 = 9.0;
const GAP: f64 = 14.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 54.0;
/// Pixels per power of ten.
const DECADE: f64 = 110.0;

/// As far apart as eight can be, for most eyes.
const COLOURS: [&str; 8] = ["#d55e00", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#777777", "#bbbbbb"];

pub fn draw(table: &Table) -> Document {
    let group = BAR * table.names.len() as f64 + GAP;
    let slowest = nanoseconds(table).fold(10.0, f64::max).log10().ceil();
    let (width, height) = (LEFT + slowest * DECADE + RIGHT, TOP + group * table.rows.len() as f64 + GAP);
    let mut document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 11)
        .add(Rectangle::new().set("width", width).set("height", height).set("fill", "white"))
        .add(label(LEFT, 16.0, "start", "nanoseconds per message, logarithmic; shorter is better"));
    for (index, (name, colour)) in table.names.iter().zip(COLOURS).enumerate() {
        let (x, y) = (LEFT + 170.0 * (index % 4) as f64 - 240.0, 30.0 + 13.0 * (index / 4) as f64);
        document = document
            .add(
                Rectangle::new().set("x", x).set("y", y - 8.0).set("width", BAR).set("height", BAR).set("fill", colour),
            )
            .add(label(x + 14.0, y, "start", name));
    }
    for power in 0..=slowest as i32 {
        let x = LEFT + f64::from(power) * DECADE;
        let line = Line::new().set("x1", x).set("x2", x).set("y1", TOP).set("y2", height - GAP);
        document = document.add(line.set("stroke", "#dddddd"));
    }
    for (row, (work, outcomes)) in table.rows.iter().enumerate() {
        let top = TOP + group * row as f64 + GAP / 2.0;
        document = document.add(label(LEFT - 8.0, top + group / 2.0, "end", &work.to_string()));
        for (index, (outcome, colour)) in outcomes.iter().zip(COLOURS).enumerate() {
            let Some(measured) = measured(outcome) else { continue };
            let (y, length) = (top + BAR * index as f64, measured.nanoseconds.max(1.0).log10() * DECADE);
            let bar = Rectangle::new().set("x", LEFT).set("y", y).set("width", length).set("height", BAR - 1.0);
            let number = label(LEFT + length + 4.0, y + BAR - 1.5, "start", &format!("{:.0}", measured.nanoseconds));
            document = document.add(bar.set("fill", colour)).add(number.set("font-size", 8));
        }
    }
    document
}

fn nanoseconds(table: &Table) -> impl Iterator<Item = f64> {
    table.rows.iter().flat_map(|(_, outcomes)| outcomes).filter_map(measured).map(|measured| measured.nanoseconds)
}

fn label(x: f64, y: f64, anchor: &str, text: &str) -> Text {
    Text::new(text).set("x", x).set("y", y).set("text-anchor", anchor)
}
