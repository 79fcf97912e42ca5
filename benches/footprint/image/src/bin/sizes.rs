//! Sessions and inboxes for windows of 8 and 16 each way, without the bytes of packets: the sizes of these statics.
#![no_std]
#![no_main]

use image::{number, tell};
use mqtt_session::{Inbox, Session};

#[used]
static mut SESSION_8: Session<0, 8, 8, 0> = Session::new();
#[used]
static mut SESSION_16: Session<0, 16, 16, 0> = Session::new();
#[used]
static mut INBOX: Inbox<[u8; 0]> = Inbox::new();

#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop {
        tell(number() as usize);
    }
}
