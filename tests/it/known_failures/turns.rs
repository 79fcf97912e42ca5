//! Whose turn it is to be written: a caller that reads while it writes always has another acknowledgement to send, and what is
//! stored leaves all the same.

use mqtt_session::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use mqtt_session::{QoS, TopicAliases, Version};

use super::trace::{Ack, Bytes, TOPIC, Trace, aliased, both, pubcomp, pubrec, pubrel, qos0, qos1, qos2, with_header};

/// The acknowledgement is shown, the next message comes while it is being written, and then all of it is written.
fn acknowledges_while_it_reads<const INBOUND: usize>(t: &mut Trace<1024, 8, INBOUND>, answer: Ack, next: u16) {
    t.shows(answer, 0);
    let next = if answer.bytes(t.version).first() == Some(&0x40) { qos1(next, "in") } else { qos2(next, "in") };
    t.receives(next);
    t.session.transmitted(answer.bytes(t.version).len());
    t.message(next);
}

/// T10
#[test]
fn t10_a_publish_leaves_in_the_course_of_an_endless_stream() {
    for (theirs, ours) in [(1, AtMostOnce), (1, AtLeastOnce), (1, ExactlyOnce), (2, AtLeastOnce), (2, ExactlyOnce)] {
        for mut t in both() {
            t.connects();
            let incoming = |id| if theirs == 1 { qos1(id, "in") } else { qos2(id, "in") };
            t.receives(incoming(1));
            t.message(incoming(1));
            for number in 1..=4 {
                let id = t.publish(ours, "out");
                acknowledges_while_it_reads(&mut t, incoming(number).answer(), number + 1);
                // Now it is the turn of what is stored, although the next acknowledgement is due already.
                t.sends(match ours {
                    AtMostOnce => qos0("out"),
                    AtLeastOnce => qos1(id, "out"),
                    ExactlyOnce => qos2(id, "out"),
                });
            }
        }
    }
}

/// T10, with what is no message.
#[test]
fn t10_a_subscribe_leaves_in_the_course_of_an_endless_stream() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        let id = t.subscribe("f");
        acknowledges_while_it_reads(&mut t, qos1(1, "in").answer(), 2);
        let body = [&id.to_be_bytes()[..], if t.is_v5() { &[0, 0, 1] } else { &[0, 1] }, b"f\0"].concat();
        t.sends(with_header(0x82, &body));
        t.sends(qos1(2, "in").answer());
        t.quiet();
    }
}

/// T10: the stored packets take turns with the queue one by one, in their order.
#[test]
fn t10_neither_keeps_the_other_waiting() {
    for mut t in both() {
        t.connects();
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        let ids = ["a", "b"].map(|payload| t.publish(AtLeastOnce, payload));
        acknowledges_while_it_reads(&mut t, qos1(1, "in").answer(), 2);
        t.sends(qos1(ids[0], "a"));
        t.sends(qos1(2, "in").answer());
        t.sends(qos1(ids[1], "b"));
        t.quiet();
    }
}

/// T10: a PUBREL that is due leaves before any PUBLISH, whoever's turn it is.
#[test]
fn t10_a_pubrel_is_before_a_publish() {
    for mut t in both() {
        t.connects();
        let released = t.publish(ExactlyOnce, "out");
        t.sends(qos2(released, "out"));
        t.receives(qos1(1, "in"));
        t.message(qos1(1, "in"));
        let id = t.publish(AtLeastOnce, "next");
        t.shows(qos1(1, "in").answer(), 0);
        t.receives(pubrec(released));
        t.session.transmitted(4);
        t.sends(pubrel(released));
        t.sends(qos1(id, "next"));
        t.receives(pubcomp(released));
        t.acknowledged(released);
        t.quiet();
    }
}

/// T10: after a reconnect all PUBRELs leave before the first PUBLISH, also where they take several writes.
#[test]
fn t10_pubrels_of_an_earlier_connection_are_before_a_publish() {
    for version in [Version::V311, Version::V5] {
        // Room for few answers at a time.
        let mut t = Trace::<1024, 8, 8, 64>::new(version);
        t.connects();
        let ids: Vec<u16> = (0..6).map(|_| t.publish(ExactlyOnce, "out")).collect();
        for &id in &ids {
            t.sends(qos2(id, "out"));
        }
        for &id in &ids {
            t.receives(pubrec(id));
            t.sends(pubrel(id));
        }
        t.cut();
        let id = t.publish(AtLeastOnce, "next");
        t.connect();
        t.receives(super::trace::connack(true, ""));
        t.connected(true);
        for &id in &ids {
            t.sends(pubrel(id));
        }
        t.sends(qos1(id, "next"));
        t.quiet();
    }
}

/// T10: acknowledgements that leave with the front of a PUBLISH with a topic alias end their messages, too: the server may use
/// the whole Receive Maximum again.
#[test]
fn t10_the_front_of_a_publish_takes_acknowledgements_with_it() {
    let mut t = Trace::<1024, 8, 2>::new(Version::V5);
    t.options.topic_aliases = TopicAliases { maximum: 1, topic: 8 };
    t.connects_with(false, "22 0001");
    t.receives(qos1(1, "in"));
    t.message(qos1(1, "in"));
    let id = t.publish_as(1, AtLeastOnce, TOPIC, "out");
    acknowledges_while_it_reads(&mut t, qos1(1, "in").answer(), 2);
    t.sends((qos1(2, "in").answer(), aliased(QoS::AtLeastOnce, id, TOPIC, 1, "out")));
    for id in [3, 4] {
        t.receives(qos1(id, "in"));
        t.message(qos1(id, "in"));
        t.sends(qos1(id, "in").answer());
    }
    // Three at once are one too many, as before.
    t.receives((qos1(5, "in"), qos1(6, "in")));
    t.message(qos1(5, "in"));
    t.message(qos1(6, "in"));
    t.sends((qos1(5, "in").answer(), qos1(6, "in").answer()));
    t.quiet();
}
