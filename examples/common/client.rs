//! All that a tool needs for its loop.

use mqtt_session::{Acknowledge, Connect};

use super::{Clock, Connection, Failure, Inbox, Link, Retry, Session, Stop};

/// A session, and what it is to run with.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) session: Box<Session>,
    pub(crate) inbox: Box<Inbox>,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
    pub(crate) retry: Retry,
}

impl Client {
    /// `timeout`: how many seconds the tool may run.
    pub(crate) fn new(name: &'static str, connection: Connection, timeout: Option<u64>) -> Result<Self, Failure> {
        let clock = Clock::start();
        Ok(Self {
            session: Box::new(Session::new()),
            inbox: Box::new(Inbox::new()),
            clock,
            stop: Stop::new(clock, timeout)?,
            retry: Retry::new(name, &connection),
            connection,
        })
    }

    /// A new transport, and CONNECT on its way over it.
    ///
    /// # Errors
    ///
    /// The host cannot be reached, CONNECT is refused, or there is a reason to stop.
    pub(crate) fn connect(&mut self) -> Result<Link, Failure> {
        self.connect_with(Acknowledge::AfterHandling)
    }

    /// The same, where somebody else may acknowledge.
    pub(crate) fn connect_with(&mut self, acknowledgement: Acknowledge) -> Result<Link, Failure> {
        self.connect_as(|connect| Connect { acknowledgement, ..connect })
    }

    /// The same, with changes to what is asked for.
    pub(crate) fn connect_as(&mut self, change: impl FnOnce(Connect<'_>) -> Connect<'_>) -> Result<Link, Failure> {
        let link = self.retry.open(&self.connection, &self.stop)?;
        let properties = self.connection.properties();
        let asked = self.connection.connect(&properties);
        let clean_start = asked.clean_start || self.retry.needs_clean_start(&self.connection);
        let connect = change(Connect { clean_start, ..asked });
        self.session
            .connect(&mut *self.inbox, &connect)
            .map_err(|refused| Failure::Failed(format!("CONNECT cannot be sent: {refused}")))?;
        Ok(link)
    }
}
