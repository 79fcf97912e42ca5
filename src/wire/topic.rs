//! Topic names, topic filters, and how they match. (4.7, 4.8.2)

use crate::bytes;

use super::reader::text_is_clean;
use super::version::Version;
use super::violation::Violation;

/// What the topic filter of a shared subscription starts with.
const SHARE: &str = "$share/";

/// Checks that `name` can be published to: not empty, without wildcards. [MQTT-4.7.3-1]; [MQTT-3.3.2-2]
///
/// U+0000 and lengths above 65,535 bytes are refused when the packet is encoded.
///
/// # Errors
///
/// The rule that it breaks.
///
/// ```
/// use mqtt_session::{Violation, wire::check_topic_name};
/// assert_eq!(check_topic_name("sport/tennis"), Ok(()));
/// assert_eq!(check_topic_name("sport/#"), Err(Violation::TopicNameWildcard));
/// ```
pub fn check_topic_name(name: &str) -> Result<(), Violation> {
    if name.is_empty() {
        return Err(Violation::TopicNameEmpty);
    }
    if has_wildcard(name) {
        return Err(Violation::TopicNameWildcard);
    }
    Ok(())
}

/// Whether there is a wildcard in a topic name or filter.
pub(crate) fn has_wildcard(topic: &str) -> bool {
    topic.bytes().any(is_wildcard)
}

const fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'+' | b'#')
}

/// Refuses what no topic name contains: U+0000 and wildcards.
pub(crate) fn topic_is_clean(name: &str) -> Result<(), Violation> {
    if bytes::are_plain(name.as_bytes()) {
        return Ok(());
    }
    text_is_clean(name)?;
    Err(Violation::TopicNameWildcard)
}

/// Checks that `filter` can be subscribed to; U+0000 and length are checked when the packet is encoded. [MQTT-4.7.1-2] and [MQTT-4.7.1-3] in 3.1.1; [MQTT-4.7.1-1],
/// [MQTT-4.7.1-2], [MQTT-4.8.2-1], [MQTT-4.8.2-2] in 5.0, which knows shared subscriptions
///
/// # Errors
///
/// The rule that it breaks.
///
/// ```
/// use mqtt_session::{Version, Violation, wire::check_topic_filter};
/// # #[cfg(feature = "v5")] {
/// assert_eq!(check_topic_filter(Version::V5, "$share/group/sport/+/score"), Ok(()));
/// assert_eq!(check_topic_filter(Version::V5, "$share//sport"), Err(Violation::ShareNameEmpty));
/// assert_eq!(check_topic_filter(Version::V5, "sport#"), Err(Violation::MultiLevelWildcardMisplaced));
/// # }
/// ```
pub fn check_topic_filter(version: Version, filter: &str) -> Result<(), Violation> {
    let filter = match filter.strip_prefix(SHARE) {
        Some(shared) if version.is_v5() => check_share(shared.as_bytes())?,
        _ => filter.as_bytes(),
    };
    if filter.is_empty() {
        return Err(Violation::TopicFilterEmpty);
    }
    let mut levels = Levels::of(filter);
    while let Some(level) = levels.next() {
        match level {
            b"+" => {}
            b"#" if levels.next().is_none() => {}
            _ if bytes::contain(level, b'#') => return Err(Violation::MultiLevelWildcardMisplaced),
            _ if bytes::contain(level, b'+') => return Err(Violation::SingleLevelWildcardMisplaced),
            _ => {}
        }
    }
    Ok(())
}

/// The share name and the topic filter of a shared subscription; `None` for any other filter. (5.0: 4.8.2)
///
/// ```
/// use mqtt_session::wire::shared_subscription;
/// assert_eq!(shared_subscription("$share/group/sport/#"), Some(("group", "sport/#")));
/// assert_eq!(shared_subscription("$shared/group/sport"), None);
/// ```
#[must_use]
pub fn shared_subscription(filter: &str) -> Option<(&str, &str)> {
    let shared = filter.strip_prefix(SHARE)?;
    let end = shared.bytes().position(|byte| byte == b'/')?;
    let (share_name, behind) = shared.split_at_checked(end)?;
    Some((share_name, behind.get(1..)?))
}

/// Whether messages of topic `name` reach a subscription to `filter`. (4.7)
///
/// Characters are compared as they are ([MQTT-4.7.3-4]), and a wildcard at the start does not match a name that starts
/// with `$` ([MQTT-4.7.2-1]). Of a [shared subscription](shared_subscription) the filter behind the share name counts.
/// 3.1.1 has no shared subscriptions; a filter of its clients that starts with `$share/` is one by agreement, and counts
/// as such here. Both are taken to be valid; a misplaced wildcard matches no valid name.
///
/// ```
/// use mqtt_session::matches;
/// assert!(matches("sport/+/player1/#", "sport/tennis/player1"));
/// assert!(!matches("#", "$SYS/broker/uptime"));
/// assert!(matches("$share/group/sport/+", "sport/tennis"));
/// ```
#[must_use]
pub fn matches(filter: &str, name: &str) -> bool {
    let filter = shared_subscription(filter).map_or(filter, |(_, filter)| filter);
    let mut names = Levels::of(name.as_bytes());
    let mut filters = Levels::of(filter.as_bytes());
    if matches!((filter.as_bytes(), name.as_bytes()), ([b'+' | b'#', ..], [b'$', ..])) {
        return false;
    }
    loop {
        match (filters.next(), names.next()) {
            // `#` stands for the level above it, too: `sport/#` matches `sport`.
            (Some(b"#"), _) => return filters.next().is_none(),
            (Some(b"+"), Some(_)) => {}
            (Some(filter), Some(name)) if filter == name => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// The levels of a topic name or filter; empty ones count.
struct Levels<'a> {
    /// What is behind the last one that was taken, unless that was the last of all.
    left: Option<&'a [u8]>,
}

impl<'a> Levels<'a> {
    const fn of(topic: &'a [u8]) -> Self {
        Self { left: Some(topic) }
    }
}

impl<'a> Iterator for Levels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let left = self.left?;
        let end = left.iter().position(|&byte| byte == b'/').unwrap_or(left.len());
        let (level, behind) = left.split_at_checked(end)?;
        self.left = behind.get(1..);
        Some(level)
    }
}

/// Checks the share name and gives the topic filter behind it.
fn check_share(shared: &[u8]) -> Result<&[u8], Violation> {
    let mut levels = Levels::of(shared);
    match (levels.next(), levels.left) {
        (Some([]), Some(_)) => Err(Violation::ShareNameEmpty),
        (Some(name), Some(filter @ [_, ..])) if !name.iter().copied().any(is_wildcard) => Ok(filter),
        _ => Err(Violation::ShareNameMisplaced),
    }
}
