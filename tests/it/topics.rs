//! Topic names and filters: which are valid, and which match.
#![cfg(all(feature = "v311", feature = "v5"))]

use mqtt_session::wire::{check_topic_filter, check_topic_name, shared_subscription};
use mqtt_session::{Version, Violation, matches};
use proptest::prelude::*;
use proptest::sample::select;

/// Filter, the names that it matches, and some that it does not. (4.7.1.2, 4.7.1.3, 4.7.2, 4.7.3; 5.0: 4.8.2)
const MATCHES: &[(&str, &[&str], &[&str])] = &[
    (
        "sport/tennis/player1/#",
        &["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
        &["sport/tennis", "sport/tennis/player10", "sport/tennis/player2/ranking"],
    ),
    ("sport/#", &["sport", "sport/", "sport/a", "sport//"], &["sports", "Sport", "/sport"]),
    ("#", &["a", "/", "//", "a/b/c", "/a", "é/水"], &["$SYS", "$SYS/x", "$", "$/a"]),
    ("sport/tennis/+", &["sport/tennis/player1", "sport/tennis/"], &["sport/tennis", "sport/tennis/player1/ranking"]),
    ("sport/+", &["sport/", "sport/a"], &["sport", "sport/a/b", "sport//"]),
    ("+", &["a", "finance", "é"], &["/finance", "a/", "/", "a/b", "$SYS"]),
    ("+/+", &["/finance", "/", "a/", "a/b"], &["a", "finance", "//", "$SYS/b", "a/b/c"]),
    ("/+", &["/finance", "/"], &["finance", "//", "/a/b"]),
    ("+/tennis/#", &["a/tennis", "/tennis", "a/tennis/b/c"], &["tennis", "a/b/tennis", "$a/tennis"]),
    ("sport/+/player1", &["sport/tennis/player1", "sport//player1"], &["sport/player1", "sport/a/b/player1"]),
    ("+/monitor/Clients", &["a/monitor/Clients"], &["$SYS/monitor/Clients", "a/monitor/clients"]),
    ("$SYS/#", &["$SYS", "$SYS/", "$SYS/monitor/Clients"], &["$sys/a", "a/$SYS", "SYS/a"]),
    ("$SYS/monitor/+", &["$SYS/monitor/Clients", "$SYS/monitor/"], &["$SYS/monitor", "$SYS/monitor/a/b"]),
    ("a/+/#", &["a/", "a/$b", "a/b/$c"], &["a", "$a/b"]),
    ("a/#", &["a/$SYS"], &["b"]),
    ("ACCOUNTS", &["ACCOUNTS"], &["Accounts", "ACCOUNTS/", "/ACCOUNTS", "ACCOUNT"]),
    ("/", &["/"], &["//", "a/", "/a", "a"]),
    ("//", &["//"], &["/", "///", "a//"]),
    ("a/", &["a/"], &["a", "a//"]),
    ("a//b", &["a//b"], &["a/b", "a/x/b"]),
    (" a", &[" a"], &["a", "a "]),
    ("é", &["é"], &["e\u{301}", "É", "e"]),
    ("水/+", &["水/火"], &["水", "火/水"]),
    ("\u{feff}a", &["\u{feff}a"], &["a"]),
    ("$share/g/sport/+", &["sport/a"], &["$share/g/sport/a", "sport"]),
    ("$share/g/#", &["a", "a/b"], &["$SYS/x"]),
    ("$share/g/+/x", &["a/x"], &["$SYS/x"]),
    ("$share/g/$SYS/#", &["$SYS/x"], &["a"]),
    ("$share/g//a", &["/a"], &["a"]),
    ("$SHARE/g/a", &["$SHARE/g/a"], &["a"]),
];

/// Filter, and what is wrong with it in 3.1.1 and in 5.0.
const FILTERS: &[(&str, Option<Violation>, Option<Violation>)] = {
    use Violation::*;
    const fn both(filter: &str, rule: Option<Violation>) -> (&str, Option<Violation>, Option<Violation>) {
        (filter, rule, rule)
    }
    &[
        both("a", None),
        both("#", None),
        both("+", None),
        both("/", None),
        both("//", None),
        both("+/+/#", None),
        both("/+/", None),
        both("sport/+/player1", None),
        both("sport/tennis/#", None),
        both("$SYS/#", None),
        both("$share", None),
        both("a b/ c", None),
        both("水/\u{feff}", None),
        both("", Some(TopicFilterEmpty)),
        both("sport/tennis#", Some(MultiLevelWildcardMisplaced)),
        both("sport/tennis/#/ranking", Some(MultiLevelWildcardMisplaced)),
        both("#/", Some(MultiLevelWildcardMisplaced)),
        both("##", Some(MultiLevelWildcardMisplaced)),
        both("#/#", Some(MultiLevelWildcardMisplaced)),
        both("a/#b", Some(MultiLevelWildcardMisplaced)),
        both("sport+", Some(SingleLevelWildcardMisplaced)),
        both("+sport/a", Some(SingleLevelWildcardMisplaced)),
        both("++", Some(SingleLevelWildcardMisplaced)),
        both("a/b+/c", Some(SingleLevelWildcardMisplaced)),
        ("$share/g/a", None, None),
        ("$share/g/#", None, None),
        ("$share/g//", None, None),
        ("$share/$g/$share/x", None, None),
        ("$share/", None, Some(ShareNameMisplaced)),
        ("$share/g", None, Some(ShareNameMisplaced)),
        ("$share/g/", None, Some(ShareNameMisplaced)),
        ("$share//a", None, Some(ShareNameEmpty)),
        ("$share/+/a", None, Some(ShareNameMisplaced)),
        ("$share/#", None, Some(ShareNameMisplaced)),
        ("$share/#/a", Some(MultiLevelWildcardMisplaced), Some(ShareNameMisplaced)),
        ("$share/a+/a", Some(SingleLevelWildcardMisplaced), Some(ShareNameMisplaced)),
        ("$share/g/a#", Some(MultiLevelWildcardMisplaced), Some(MultiLevelWildcardMisplaced)),
        ("$share/g/+a", Some(SingleLevelWildcardMisplaced), Some(SingleLevelWildcardMisplaced)),
    ]
};

#[test]
fn filters_match_their_names_and_no_others() {
    for (filter, reached, missed) in MATCHES {
        assert_eq!(check_topic_filter(Version::V5, filter), Ok(()));
        for name in *reached {
            assert!(matches(filter, name), "{filter} matches {name}");
        }
        for name in *missed {
            assert!(!matches(filter, name), "{filter} does not match {name}");
        }
        assert!(reached.iter().chain(*missed).all(|name| check_topic_name(name).is_ok()));
    }
}

#[test]
fn filters_are_valid_or_break_a_rule() {
    for &(filter, in_v3, in_v5) in FILTERS {
        assert_eq!(check_topic_filter(Version::V311, filter).err(), in_v3, "{filter} in 3.1.1");
        assert_eq!(check_topic_filter(Version::V5, filter).err(), in_v5, "{filter} in 5.0");
    }
}

#[test]
fn names_are_valid_or_break_a_rule() {
    for name in ["a", "/", "//", " ", "$SYS/x", "sport/tennis", "水", "\u{feff}", "$share/g/a"] {
        assert_eq!(check_topic_name(name), Ok(()), "{name}");
    }
    assert_eq!(check_topic_name(""), Err(Violation::TopicNameEmpty));
    for name in ["#", "+", "a/#", "a/+/b", "a+b", "a#", "水/+", "+/+", "##", "a/+/#"] {
        assert_eq!(check_topic_name(name), Err(Violation::TopicNameWildcard), "{name}");
    }
}

#[test]
fn shared_subscriptions_have_two_parts() {
    assert_eq!(shared_subscription("$share/g/a/b"), Some(("g", "a/b")));
    assert_eq!(shared_subscription("$share/g//"), Some(("g", "/")));
    for filter in ["a", "$share", "$share/g", "$SHARE/g/a", "a/$share/g/b", "share/g/a"] {
        assert_eq!(shared_subscription(filter), None, "{filter}");
    }
}

/// The definition of 4.7 over lists of levels.
fn reaches(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([], _) | (_, []) => false,
        ([level, filter @ ..], [same, name @ ..]) => (*level == "+" || level == same) && reaches(filter, name),
    }
}

fn levels(choices: &[&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(choices.to_vec()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(20_000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn matching_is_as_defined(
        mut filter in levels(&["", "a", "b", "aa", "$a", "é", "+", "+"]),
        all_below in any::<bool>(),
        name in levels(&["", "a", "b", "aa", "$a", "é"]),
        share in prop::option::of(select(vec!["g", "$g", "a b"])),
    ) {
        if all_below {
            filter.push("#");
        }
        let hidden = name[0].starts_with('$') && matches!(filter[0], "+" | "#");
        let expected = reaches(&filter, &name) && !hidden;
        let joined = filter.join("/");
        let joined = share.map_or(joined.clone(), |share| format!("$share/{share}/{joined}"));
        prop_assert_eq!(matches(&joined, &name.join("/")), expected, "{} {:?}", joined, name);
    }
}
