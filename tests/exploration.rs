//! Exhaustive exploration.
#![cfg(all(feature = "v3", feature = "v5"))]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a fault here is a failed test")]

#[path = "exploration/defects.rs"]
mod defects;
#[path = "exploration/drawing.rs"]
mod drawing;
#[path = "exploration/ends.rs"]
mod ends;
#[path = "exploration/ledger.rs"]
mod ledger;
#[path = "exploration/link.rs"]
mod link;
#[path = "exploration/model.rs"]
mod model;
#[path = "exploration/plan.rs"]
mod plan;
#[path = "exploration/world.rs"]
mod world;

use mqtt_session::{QoS, Version};

use model::Exploration;
use plan::Plan;

const Q0: QoS = QoS::AtMostOnce;
const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;

const VERSIONS: [Version; 2] = [Version::V3, Version::V5];


#[test]
fn small() {
    for version in VERSIONS {
        Exploration::<96, 3, 3>::assert_sound("QoS 2 up, one cut", Plan::new(version, &[Q2], &[]));
        Exploration::<96, 3, 3>::assert_sound("QoS 1 up, one cut", Plan::new(version, &[Q1, Q0], &[]));
        Exploration::<96, 3, 3>::assert_sound("QoS 2 down, one cut", Plan::new(version, &[], &[Q2]));
        Exploration::<96, 3, 3>::assert_sound("QoS 2 both, one cut", Plan::new(version, &[Q2], &[Q2]));
        let plan = Plan { losses: 1, cuts: 2, oddities: 1, ..Plan::new(version, &[Q1, Q2], &[]) };
        Exploration::<96, 3, 3>::assert_sound("QoS 1, 2", plan);
        let plan = Plan { losses: 1, cuts: 2, oddities: 1, ..Plan::new(version, &[], &[Q1, Q2]) };
        Exploration::<96, 3, 3>::assert_sound("QoS 1, 2 down", plan);
        Exploration::<96, 3, 3>::assert_sound("QoS 1, 2 up manual", Plan { manual: true, cuts: 2, ..Plan::new(version, &[Q2, Q1], &[]) });
        Exploration::<96, 3, 3>::assert_sound("QoS 1, 2 down manual", Plan { manual: true, cuts: 2, losses: 1, ..Plan::new(version, &[], &[Q2, Q1]) });
        Exploration::<32, 3, 3>::assert_sound("store full", Plan { cuts: 2, losses: 1, ..Plan::new(version, &[Q2, Q1], &[Q2]) });
        Exploration::<96, 2, 2>::assert_sound("RM 2", Plan { cuts: 2, ..Plan::new(version, &[Q2, Q1, Q2], &[]) });
        Exploration::<96, 3, 1>::assert_sound("RM 1", Plan { cuts: 2, ..Plan::new(Version::V5, &[], &[Q2, Q1, Q2]) });
        Exploration::<96, 2, 3>::assert_sound("mixed up", Plan { cuts: 2, losses: 1, ..Plan::new(version, &[Q2, Q0, Q1], &[]) });
    }
}
