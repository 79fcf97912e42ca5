//! Every public type has `defmt::Format`, or this does not compile; and the list is complete.
#![cfg(all(feature = "embedded-io", feature = "embedded-io-async", feature = "defmt", feature = "server"))]
#![allow(clippy::expect_used, reason = "a fault here is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use defmt::Format;
use mqtt_session::{
    AckType, Acknowledge, Auth, Backoff, CloseReason, CommandError, Connack, Connect, Delivery, Disconnect, Event,
    Handle, Inbox, Instant, List, LostSession, MaximumPacketSize, Message, Offline, Outcome, Oversized, Property,
    Publish, QoS, ReasonCode, RetainHandling, Role, Session, SizeLimit, Step, StrayPacket, Subscribe, Subscription,
    TopicAliases, Unsubscribe, Version, Violation, Will, durable, io, server, wire,
};
use syn::{Item, Visibility};

/// The name of a type that can be logged.
fn name<T: Format + ?Sized>(name: &'static str) -> &'static str {
    _ = T::format;
    name
}

/// Every public type by its name. Namesakes stand one behind the other.
#[allow(clippy::too_many_lines, reason = "it is a list")]
fn formatted() -> BTreeSet<&'static str> {
    _ = [name::<server::Event<'_>>(""), name::<server::Session<8, 1, 1>>(""), name::<Step<'_, server::Event<'_>>>("")];
    BTreeSet::from([
        name::<server::Accept<'_>>("Accept"),
        name::<AckType>("AckType"),
        name::<io::AsyncDriver<&[u8], u8>>("AsyncDriver"),
        name::<io::Driver<&[u8], u8>>("Driver"),
        name::<io::Error<u8>>("Error"),
        name::<io::Split<u8, u8>>("Split"),
        name::<io::TimesOut<u8>>("TimesOut"),
        name::<Acknowledge>("Acknowledge"),
        name::<wire::Acknowledgement<'_>>("Acknowledgement"),
        name::<Auth<'_>>("Auth"),
        name::<Backoff>("Backoff"),
        name::<durable::Batch<'_>>("Batch"),
        name::<durable::Key>("Key"),
        name::<durable::Restore<durable::Session<8, 1, 1>>>("Restore"),
        name::<durable::RestoreError>("RestoreError"),
        name::<durable::Value<'_>>("Value"),
        name::<durable::Session<8, 1, 1>>("Session"),
        name::<durable::server::Session<8, 1, 1>>("Session"),
        name::<CloseReason>("CloseReason"),
        name::<Connack<'_>>("Connack"),
        name::<Connect<'_>>("Connect"),
        name::<Delivery>("Delivery"),
        name::<Disconnect<'_>>("Disconnect"),
        name::<Event<'_>>("Event"),
        name::<Handle>("Handle"),
        name::<wire::Header>("Header"),
        name::<Inbox>("Inbox"),
        name::<Instant>("Instant"),
        name::<wire::Iter<'_, ReasonCode>>("Iter"),
        name::<List<'_, Property<'_>>>("List"),
        name::<LostSession>("LostSession"),
        name::<Message<'_>>("Message"),
        name::<mqtt_session::MessagePart<'_>>("MessagePart"),
        name::<mqtt_session::PayloadRequest>("PayloadRequest"),
        name::<mqtt_session::Source>("Source"),
        name::<Offline>("Offline"),
        name::<Outcome>("Outcome"),
        name::<Oversized>("Oversized"),
        name::<MaximumPacketSize>("MaximumPacketSize"),
        name::<wire::ConnectPacket<'_>>("ConnectPacket"),
        name::<wire::DisconnectPacket<'_>>("DisconnectPacket"),
        name::<wire::PublishPacket<'_>>("PublishPacket"),
        name::<wire::SubscribePacket<'_>>("SubscribePacket"),
        name::<wire::UnsubscribePacket<'_>>("UnsubscribePacket"),
        name::<wire::Packet<'_>>("Packet"),
        name::<wire::PacketType>("PacketType"),
        name::<mqtt_session::DisconnectWhen>("DisconnectWhen"),
        name::<Property<'_>>("Property"),
        name::<Publish<'_>>("Publish"),
        name::<QoS>("QoS"),
        name::<ReasonCode>("ReasonCode"),
        name::<CommandError>("CommandError"),
        name::<SizeLimit>("SizeLimit"),
        name::<RetainHandling>("RetainHandling"),
        name::<Role>("Role"),
        name::<server::Liveness>("Liveness"),
        name::<Session<8, 1, 1>>("Session"),
        name::<Step<'_, Event<'_>>>("Step"),
        name::<StrayPacket>("StrayPacket"),
        name::<wire::Suback<'_>>("Suback"),
        name::<Subscribe<'_>>("Subscribe"),
        name::<Subscription<'_>>("Subscription"),
        name::<TopicAliases>("TopicAliases"),
        name::<wire::Unencodable>("Unencodable"),
        name::<wire::Unsuback<'_>>("Unsuback"),
        name::<Unsubscribe<'_>>("Unsubscribe"),
        name::<Version>("Version"),
        name::<Violation>("Violation"),
        name::<Will<'_>>("Will"),
    ])
}

/// Public as far as its file goes, but with no public path: what a field is read from and written to.
const WITHIN: [&str; 2] = ["Reader", "Writer"];

/// What macros declare, which is not seen as an item.
const DECLARED: [&str; 3] = ["Property", "ReasonCode", "Violation"];

#[test]
fn every_public_type_is_listed() {
    let mut declared: BTreeSet<_> = DECLARED.map(str::to_owned).into();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut declared);
    let listed = formatted().into_iter().chain(WITHIN).map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(declared, listed);
}

/// What never runs on a board.
const ELSEWHERE: [&str; 2] = ["sim", "strategies"];

/// The public structs and enums in the files of a folder.
fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !ELSEWHERE.iter().any(|folder| path.ends_with(folder)) {
                collect(&path, found);
            }
            continue;
        }
        let text = fs::read_to_string(&path).expect("a text");
        for item in syn::parse_file(&text).expect("a source file").items {
            match item {
                Item::Struct(item) if matches!(item.vis, Visibility::Public(_)) => found.insert(item.ident.to_string()),
                Item::Enum(item) if matches!(item.vis, Visibility::Public(_)) => found.insert(item.ident.to_string()),
                _ => false,
            };
        }
    }
}
