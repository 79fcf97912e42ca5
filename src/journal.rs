//! What of a session is in the store of the application, and what is due to be written there: a mark for each place of an
//! exchange. Knows neither packets nor the format of records.

/// What is to become of the record of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Due {
    /// Nothing: the store has what it should.
    No = 0,
    /// It is to be erased some time. Nothing depends on that.
    Lazily = 1,
    /// It takes the place of one that it ends, or erases it: an incoming message, PUBREL.
    Change = 2,
    /// A message of ours that is new to the store.
    New = 3,
    /// It is to be erased before a new message is written: its exchange ended such that the application may publish the message
    /// again.
    Urgently = 4,
    /// A message of ours that is new, while the store may have a record of an earlier one under its key.
    Anew = 5,
}

/// Which of the two ways a record was handed out by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a step.
    Step = 0x10,
    /// For a transaction of the application.
    Transaction = 0x20,
}

/// The mark of a place; a table of zeros says that the store is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mark(u8);

impl Mark {
    pub(crate) const NONE: Self = Self(0);

    const DUE: u8 = 0x07;
    /// The store may have a record under the key of this place.
    const PRESENT: u8 = 0x08;

    pub(crate) const fn due(self) -> Due {
        match self.0 & Self::DUE {
            1 => Due::Lazily,
            2 => Due::Change,
            3 => Due::New,
            4 => Due::Urgently,
            5 => Due::Anew,
            _ => Due::No,
        }
    }

    pub(crate) const fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Whether it was handed out, and has not changed since.
    pub(crate) const fn is_out(self, way: Way) -> bool {
        self.0 & way as u8 != 0
    }
}

/// The mark of an exchange that we began, and its place in the order: five bytes, which no session ever counts through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Numbered {
    pub(crate) mark: Mark,
    bytes: [u8; 5],
}

impl Numbered {
    pub(crate) const NONE: Self = Self { mark: Mark::NONE, bytes: [0; 5] };

    /// The place in the order. Those of PUBLISHes and of PUBRELs are counted together.
    pub(crate) const fn place(self) -> u64 {
        let [a, b, c, d, e] = self.bytes;
        u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
    }

    pub(crate) const fn set_place(&mut self, place: u64) {
        let [_, _, _, a, b, c, d, e] = place.to_be_bytes();
        self.bytes = [a, b, c, d, e];
    }
}

/// What is due is written in parts, where one must not be there without the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    #[default]
    All,
    /// Erases what ended before the session did, of which the outcomes are told.
    Before,
    /// The record of the session, alone.
    Session,
    /// All but new messages.
    Old,
}

/// What the session itself knows of what its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    pub(crate) client: u64,
    /// In seconds; at the server's end.
    pub(crate) expiry: u32,
    /// The protocol level; 0: it was never connected, and has no record.
    pub(crate) level: u8,
    /// The number of its lifetime.
    pub(crate) lifetime: u8,
}

impl Facts {
    pub(crate) const NONE: Self = Self { client: 0, expiry: 0, level: 0, lifetime: 0 };
}

/// What the record of a session says besides what the session itself knows, and how much is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    /// The last place in the order that was given.
    pub(crate) last_place: u64,
    /// PUBLISHes up to this place ended with an earlier session.
    pub(crate) floor: u64,
    /// The number of the session; records of incoming messages with another one mean nothing.
    pub(crate) number: u32,
    /// The least number of which PUBRELs still count.
    pub(crate) since: u32,
    /// The highest number that any record may have.
    pub(crate) highest: u32,
    /// How many bytes of packets the store may still have that the session no longer has.
    pub(crate) stale: u32,
    /// How many marks say more than `Lazily`, and how many of them say `Urgently`.
    due: u32,
    urgent: u32,
    /// How many marks of ours say something else than `No` and `New`.
    ending: u32,
    pub(crate) session: Mark,
    /// What the record of the session was last made of.
    pub(crate) facts: Facts,
    /// Which part of what is due was handed out last as a step.
    pub(crate) part: Part,
    /// A session ended, and the record that says so is not yet in the store.
    pub(crate) has_ended: bool,
    /// The store failed: nothing is asked of it until the next connection.
    pub(crate) has_failed: bool,
}

impl Ledger {
    pub(crate) const NEW: Self = Self {
        last_place: 0,
        floor: 0,
        number: 0,
        since: 0,
        highest: 0,
        stale: 0,
        due: 0,
        urgent: 0,
        ending: 0,
        session: Mark::NONE,
        facts: Facts::NONE,
        part: Part::All,
        has_ended: false,
        has_failed: false,
    };

    pub(crate) const fn is_due(&self) -> bool {
        self.due != 0
    }

    pub(crate) const fn is_urgent(&self) -> bool {
        self.urgent != 0
    }

    /// The next place in the order.
    pub(crate) const fn next_place(&mut self) -> u64 {
        self.last_place = self.last_place.saturating_add(1);
        self.last_place
    }

    /// What was handed out of this mark before is no longer what is due.
    pub(crate) const fn set(&mut self, mark: &mut Mark, due: Due) {
        self.count(mark.due(), due);
        *mark = Mark(mark.0 & Mark::PRESENT | due as u8);
    }

    /// Whoever writes a record may have written it.
    pub(crate) const fn hand_out(mark: &mut Mark, way: Way, is_value: bool) {
        mark.0 |= way as u8;
        if is_value {
            mark.0 |= Mark::PRESENT;
        }
    }

    /// A batch was replaced by another one that does not have this record.
    pub(crate) const fn take_back(mark: &mut Mark, way: Way) {
        mark.0 &= !(way as u8);
    }

    /// What was handed out is in the store. `is_value`: otherwise the record is erased.
    pub(crate) const fn confirm(&mut self, mark: &mut Mark, way: Way, is_value: bool) {
        if !mark.is_out(way) {
            return;
        }
        self.count(mark.due(), Due::No);
        *mark = if is_value { Mark(Mark::PRESENT) } else { Mark::NONE };
    }

    /// The record of an earlier message is erased, and the new one is still to be written.
    pub(crate) const fn confirm_erased(&mut self, mark: &mut Mark, way: Way) {
        if mark.is_out(way) {
            self.count(Due::Anew, Due::New);
            *mark = Mark(Due::New as u8);
        }
    }

    /// The record was found in the store.
    pub(crate) const fn found(mark: &mut Mark) {
        *mark = Mark(Mark::PRESENT);
    }

    const fn count(&mut self, was: Due, is: Due) {
        self.due = self.due.wrapping_sub(Self::is_more(was)).wrapping_add(Self::is_more(is));
        self.urgent = self.urgent.wrapping_sub(Self::is_urgency(was)).wrapping_add(Self::is_urgency(is));
        self.ending = self.ending.wrapping_sub(Self::is_end(was)).wrapping_add(Self::is_end(is));
        if self.ending == 0 {
            self.stale = 0;
        }
    }

    const fn is_more(due: Due) -> u32 {
        !matches!(due, Due::No | Due::Lazily) as u32
    }

    const fn is_urgency(due: Due) -> u32 {
        matches!(due, Due::Urgently) as u32
    }

    const fn is_end(due: Due) -> u32 {
        !matches!(due, Due::No | Due::New) as u32
    }
}

/// The journal of a session, borrowed for one call.
#[derive(Debug)]
pub(crate) struct Journal<'m> {
    pub(crate) ledger: &'m mut Ledger,
    pub(crate) sent: &'m mut [Numbered],
    pub(crate) held: &'m mut [Mark],
}

const _: () = assert!(size_of::<Numbered>() == 6 && size_of::<Mark>() == 1);
