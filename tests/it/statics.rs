//! A session and an inbox in a static cost no flash: they are all zero bits, so they need no initial values.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

use core::hint::black_box;
use std::sync::Mutex;

use mqtt_session::{Inbox, Session, server};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

static ZERO_SESSION: Mutex<Session<2048, 16, 16>> = Mutex::new(Session::new());
static ZERO_SERVER: Mutex<server::Session<2048, 16, 16>> = Mutex::new(server::Session::new());
static ZERO_INBOX: Mutex<Inbox<[u8; 1024]>> = Mutex::new(Inbox::new());
static OTHER_BITS: Mutex<[u8; 100]> = Mutex::new([1; 100]);

#[test]
fn statics_need_no_initial_values() {
    black_box((&ZERO_SESSION, &ZERO_SERVER, &ZERO_INBOX, &OTHER_BITS));
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = object::File::parse(&*program).unwrap();
    let kind = |name: &str| {
        let symbol = program.symbols().find(|symbol| symbol.name().is_ok_and(|it| it.contains(name))).unwrap();
        program.section_by_index(symbol.section_index().unwrap()).unwrap().kind()
    };
    assert_eq!(kind("ZERO_SESSION"), SectionKind::UninitializedData);
    assert_eq!(kind("ZERO_SERVER"), SectionKind::UninitializedData);
    assert_eq!(kind("ZERO_INBOX"), SectionKind::UninitializedData);
    assert_eq!(kind("OTHER_BITS"), SectionKind::Data);
}
