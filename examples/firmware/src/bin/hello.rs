//! The least that a board does: one connection, one message of QoS 1, and the end.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::clock::Ticks;
use firmware::uart::Uart;
use firmware::{end, modem};
use mqtt_session::io::Driver;
use mqtt_session::{Backoff, CloseReason, Connect, Disconnect, Event, Inbox, Publish, QoS, Session, Version};

#[entry]
fn main() -> ! {
    // All the memory there is: 256 bytes of packets, 4 of them unacknowledged, 4 messages under way to the board.
    static mut SESSION: Session<256, 4, 4, 128> = Session::new();
    static mut INBOX: Inbox<[u8; 128]> = Inbox::new();

    let Some(mut core) = cortex_m::Peripherals::take() else { end::fail() };
    let mut clock = Ticks::start(core.SYST, 30_000);
    let mut uart = Uart::start(&mut core.NVIC);
    modem::dial(&mut uart, &mut clock, &mut Backoff::new(100, 5_000));

    let connect = Connect { keep_alive: 30, ..Connect::new(Version::V5, "hello") };
    if SESSION.connect(INBOX, &connect).is_err() {
        end::fail();
    }
    let mut driver = Driver::new(&mut uart, &mut clock);
    let closed = loop {
        // The handler is given each event together with the session, and may call any command.
        let handled = driver.next(SESSION, INBOX, |session, event| match event {
            Event::Connected(_) => {
                let message = Publish { qos: QoS::AtLeastOnce, ..Publish::new("board/hello", b"from the board") };
                session.publish(&message).map(drop)
            }
            Event::Published { outcome, .. } => {
                defmt::println!("{}", outcome);
                session.disconnect(&Disconnect::default())
            }
            _ => Ok(()),
        });
        match handled {
            Ok(Ok(())) => {}
            // Which command, and why, is logged by the crate.
            Ok(Err(_)) => end::fail(),
            Err(closed) => break closed,
        }
    };
    if closed.close_reason() == CloseReason::Disconnected { end::succeed() } else { end::fail() }
}
