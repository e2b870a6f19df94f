//! The reliability plot: what was said against how often it was so. On the diagonal a probability can be taken at its
//! word; below it, it promises too much.

use super::fit::Bin;
use decide::rules::recall::Share;
use maud::{Markup, PreEscaped, html};

/// Before and after, of the same cases.
pub struct Plot<'a> {
    pub raw: &'a [Bin],
    pub calibrated: &'a [Bin],
    pub cases: usize,
    pub errors: [f64; 2],
}

const SIDE: f64 = 400.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 92.0;
/// It lies in a page of either colour; orange and blue are told apart by everybody, and by their shapes.
const STYLE: &str = "text{font:14px sans-serif;fill:#222}.small{font-size:12px}.frame{fill:none;stroke:#999}.grid{stroke:#ddd}\
.ideal{stroke:#777;stroke-dasharray:5 5}.raw{stroke:#b35a00;fill:none;stroke-width:2}.cal{stroke:#0b5fa5;fill:#0b5fa5;stroke-width:2}\
.paper{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.paper{fill:#16181c}.raw{stroke:#ff9d3c}\
.cal{stroke:#6db6f2;fill:#6db6f2}}";

impl Plot<'_> {
    pub fn svg(&self) -> String {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
        let [raw, calibrated] = self.errors.map(|error| format!("{error:.3}"));
        let page = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 570" role="img"
                aria-label="Reliability plot / 可靠性图" {
                style { (PreEscaped(STYLE)) }
                rect.paper width="520" height="570" {}
                text x="20" y="28" { "“是本科室的”有多可信 · How far “my department's” can be believed" }
                text.small x="20" y="50" {
                    (self.cases) "例，每例由没见过它的校准来判 · cases, each by a calibration fitted without it"
                }
                circle.raw cx="28" cy="68" r="5" {}
                text.small x="40" y="72" { "校准前 raw, ECE " (raw) }
                rect.cal x="233" y="63" width="10" height="10" {}
                text.small x="250" y="72" { "校准后 calibrated, ECE " (calibrated) }
                @for tick in ticks {
                    line.grid x1=(n(x(tick))) x2=(n(x(tick))) y1=(n(y(0.0))) y2=(n(y(1.0))) {}
                    line.grid x1=(n(x(0.0))) x2=(n(x(1.0))) y1=(n(y(tick))) y2=(n(y(tick))) {}
                    text.small x=(n(x(tick))) y=(n(y(0.0) + 20.0)) text-anchor="middle" { (tick) }
                    text.small x=(n(x(0.0) - 8.0)) y=(n(y(tick) + 4.0)) text-anchor="end" { (tick) }
                }
                rect.frame x=(n(LEFT)) y=(n(TOP)) width=(n(SIDE)) height=(n(SIDE)) {}
                line.ideal x1=(n(x(0.0))) y1=(n(y(0.0))) x2=(n(x(1.0))) y2=(n(y(1.0))) {}
                @for bin in self.raw { (point(bin, "raw")) }
                @for bin in self.calibrated { (point(bin, "cal")) }
                text x=(n(x(0.5))) y="545" text-anchor="middle" { "模型给出的概率 · probability that the model gives" }
                text transform=(format!("translate(22 {}) rotate(-90)", n(y(0.5)))) text-anchor="middle" {
                    "实际属于本科室的比例 · share that was"
                }
            }
        };
        page.into_string()
    }
}

/// With Wilson's interval at 95 %.
fn point(bin: &Bin, class: &str) -> Markup {
    let share = Share { hits: bin.own, of: bin.cases };
    let (from, to) = share.wilson();
    let (cx, cy) = (x(bin.said), y(share.share()));
    html! {
        g {
            title { "p " (format!("{:.3}", bin.said)) ": " (bin.own) " / " (bin.cases) }
            line.(class) x1=(n(cx)) x2=(n(cx)) y1=(n(y(from))) y2=(n(y(to))) {}
            @if class == "raw" {
                circle.raw cx=(n(cx)) cy=(n(cy)) r="5" {}
            } @else {
                rect.cal x=(n(cx - 5.0)) y=(n(cy - 5.0)) width="10" height="10" {}
            }
        }
    }
}

fn x(share: f64) -> f64 {
    LEFT + SIDE * share
}

fn y(share: f64) -> f64 {
    TOP + SIDE * (1.0 - share)
}

fn n(number: f64) -> String {
    format!("{number:.1}")
}
