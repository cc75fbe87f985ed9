//! Result streams that outlive the peer server that began them.
//!
//! A [`Results`] holds the request and the token behind the last chunk it took. When the stream breaks before the
//! trailer, the request goes to the next peer server with that token, and the rows continue as if nothing had been.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Instant;

use annals_edn::{Code, Edn, Error};
use annals_wire::{Rows, v1};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::Result;
use crate::client::{Client, GRACE, queries, timeout_of};

/// One row, a value a column.
pub type Row = Vec<Edn>;

/// What a result is of.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Query(v1::QueryRequest),
    Datoms(v1::DatomsRequest),
    Log(v1::LogRequest),
    IndexPull(v1::IndexPullRequest),
}

impl Source {
    /// Whether its basis is one that nobody committed.
    fn speculates(&self) -> bool {
        let database = match self {
            Source::Query(request) => &request.database,
            Source::Datoms(request) => &request.database,
            Source::Log(request) => &request.database,
            Source::IndexPull(request) => &request.database,
        };
        database.as_ref().is_some_and(|value| !value.with.is_empty())
    }
}

enum Event {
    Header(v1::ResultHeader),
    Chunk(v1::Chunk),
    Trailer(v1::ResultTrailer),
    Nothing,
}

type Events = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

/// The rows of a query, of an index, of the log or of a walk, in order. Dropping it cancels the work on the server.
pub struct Results {
    client: Client,
    database: String,
    source: Source,
    deadline: Instant,
    events: Events,
    header: v1::ResultHeader,
    rows: VecDeque<Row>,
    trailer: Option<v1::ResultTrailer>,
    resumed: usize,
}

impl Results {
    pub(crate) async fn open(client: Client, database: &str, source: Source) -> Result<Results> {
        let deadline = Instant::now() + timeout_of(source.options());
        let mut results = Results {
            client,
            database: database.to_string(),
            source,
            deadline,
            events: Box::pin(tokio_stream::empty()),
            header: v1::ResultHeader::default(),
            rows: VecDeque::new(),
            trailer: None,
            resumed: 0,
        };
        results.reopen(None).await?;
        Ok(results)
    }

    /// What the columns are and at which basis they were read.
    #[must_use]
    pub fn header(&self) -> &v1::ResultHeader {
        &self.header
    }

    /// Rows, time and statistics; there once [`Results::next`] has answered `None`.
    #[must_use]
    pub fn trailer(&self) -> Option<&v1::ResultTrailer> {
        self.trailer.as_ref()
    }

    /// How often the result was taken up on another connection.
    #[must_use]
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// The next row, `None` behind the last.
    ///
    /// # Errors
    /// The query's own; `UNREACHABLE` when no peer server could carry on before the deadline.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            if self.trailer.is_some() {
                return Ok(None);
            }
            if let Some(chunk) = self.next_chunk().await? {
                self.rows = rows_of(&chunk)?.into();
            }
        }
    }

    /// The next chunk as it travels, `None` behind the last. Not to be mixed with [`Results::next`] inside a chunk.
    ///
    /// # Errors
    /// As [`Results::next`].
    pub async fn next_chunk(&mut self) -> Result<Option<v1::Chunk>> {
        while self.trailer.is_none() {
            match self.events.next().await {
                Some(Ok(Event::Chunk(chunk))) => {
                    self.source.options_mut().resume_token = chunk.resume_token.clone();
                    return Ok(Some(chunk));
                }
                Some(Ok(event)) => self.note(event),
                Some(Err(status)) => self.reopen(Some(status)).await?,
                None => self.reopen(Some(Status::unavailable("the stream ended early"))).await?,
            }
        }
        Ok(None)
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Header(header) => self.header = header,
            Event::Trailer(trailer) => self.trailer = Some(trailer),
            Event::Chunk(_) | Event::Nothing => {}
        }
    }

    /// Sends the request, with the token of the last chunk, to the next peer server that answers with a header.
    async fn reopen(&mut self, broken: Option<Status>) -> Result<()> {
        let client = self.client.clone();
        let mut attempts = client.shared.peers.attempts(self.deadline);
        if let Some(status) = broken {
            attempts.failed(status).await?;
            self.resumed += 1;
        }
        loop {
            if attempts.left().is_zero() {
                return Err(Error::new(Code::DeadlineExceeded, "the time for this result has passed"));
            }
            let opened = match self.source.send(attempts.channel()?, attempts.left()).await {
                Ok(mut events) => match events.next().await {
                    Some(Ok(event)) => Ok((events, event)),
                    Some(Err(status)) => Err(status),
                    None => Err(Status::unavailable("the stream ended before its header")),
                },
                Err(status) => Err(status),
            };
            match opened {
                Ok((events, first)) => {
                    attempts.succeeded();
                    self.events = events;
                    self.note(first);
                    if !self.source.speculates() {
                        self.client.saw(&self.database, self.header.basis_t);
                    }
                    return Ok(());
                }
                Err(status) => attempts.failed(status).await?,
            }
        }
    }
}

macro_rules! events_of {
    ($stream:expr, $module:ident) => {
        Box::pin($stream.map(|item| {
            item.map(|response| match response.message {
                Some(v1::$module::Message::Header(header)) => Event::Header(header),
                Some(v1::$module::Message::Chunk(chunk)) => Event::Chunk(chunk),
                Some(v1::$module::Message::Trailer(trailer)) => Event::Trailer(trailer),
                None => Event::Nothing,
            })
        }))
    };
}

impl Source {
    fn options(&self) -> &v1::StreamOptions {
        let options = match self {
            Source::Query(request) => &request.options,
            Source::Datoms(request) => &request.options,
            Source::Log(request) => &request.options,
            Source::IndexPull(request) => &request.options,
        };
        options.as_ref().expect("requests are made with options")
    }

    fn options_mut(&mut self) -> &mut v1::StreamOptions {
        let options = match self {
            Source::Query(request) => &mut request.options,
            Source::Datoms(request) => &mut request.options,
            Source::Log(request) => &mut request.options,
            Source::IndexPull(request) => &mut request.options,
        };
        options.get_or_insert_default()
    }

    async fn send(&self, channel: Channel, left: std::time::Duration) -> Result<Events, Status> {
        fn timed<T>(message: T, left: std::time::Duration) -> Request<T> {
            let mut request = Request::new(message);
            request.set_timeout(left + GRACE);
            request
        }
        let mut client = queries(channel);
        Ok(match self {
            Source::Query(request) => {
                events_of!(client.query(timed(request.clone(), left)).await?.into_inner(), query_response)
            }
            Source::Datoms(request) => {
                events_of!(client.datoms(timed(request.clone(), left)).await?.into_inner(), datoms_response)
            }
            Source::Log(request) => {
                events_of!(client.log(timed(request.clone(), left)).await?.into_inner(), log_response)
            }
            Source::IndexPull(request) => {
                let answer = client.index_pull(timed(request.clone(), left)).await?;
                events_of!(answer.into_inner(), index_pull_response)
            }
        })
    }
}

/// The rows of a chunk.
pub(crate) fn rows_of(chunk: &v1::Chunk) -> Result<Vec<Row>> {
    let rows = Rows::new(chunk)?;
    (0..rows.len()).map(|at| rows.row(at)).collect()
}
