//! A counterexample as a sequence chart.

use core::fmt;

use mqtt_session::sim::{Chart, Observer, Sight};
use mqtt_session::wire::Packet;
use mqtt_session::{Instant, Role};

use super::ends::other;
use super::link::{Pipe, packets};
use super::plan::Plan;

/// Draws what happens, or does not.
pub(crate) struct Recorder {
    chart: Option<Chart<String>>,
    /// The number of the action.
    pub(crate) step: u64,
}

impl Recorder {
    pub(crate) const fn off() -> Self {
        Self { chart: None, step: 0 }
    }

    pub(crate) const fn on() -> Self {
        Self { chart: Some(Chart::new(String::new())), step: 0 }
    }

    pub(crate) fn text(&mut self) -> String {
        self.chart.as_mut().map(|chart| core::mem::take(chart.out())).unwrap_or_default()
    }

    pub(crate) fn note(&mut self, text: fmt::Arguments<'_>) {
        let now = Instant::from_millis(self.step);
        if let Some(chart) = &mut self.chart {
            chart.note(now, text);
        }
    }

    pub(crate) fn connected(&mut self) {
        self.see(&Sight::Connected);
    }

    pub(crate) fn cut(&mut self) {
        self.see(&Sight::Cut);
    }

    pub(crate) fn arrived(&mut self, plan: &Plan, from: Role, packet: &[u8]) {
        self.packet(plan, from, packet, true);
    }

    /// What is left in a pipe is lost.
    pub(crate) fn lost(&mut self, plan: &Plan, from: Role, pipe: &mut Pipe) {
        while let Some(bytes) = pipe.take() {
            for packet in packets(&bytes) {
                self.packet(plan, from, packet, false);
            }
        }
    }

    fn packet(&mut self, plan: &Plan, from: Role, packet: &[u8], arrived: bool) {
        if self.chart.is_none() {
            return;
        }
        if let Ok(Some((packet, _))) = Packet::decode(plan.version, other(from), packet) {
            self.see(&Sight::Packet { from, packet, arrived });
        }
    }

    fn see(&mut self, sight: &Sight<'_>) {
        let now = Instant::from_millis(self.step);
        if let Some(chart) = &mut self.chart {
            chart.observe(now, sight);
        }
    }
}
