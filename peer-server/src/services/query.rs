//! Queries, pulls, indexes and the log.

use std::sync::Arc;

use annals_edn::{Code, Edn, Error, read_one};
use annals_peer::db::components::NamedIndex;
use annals_peer::db::{Db, T};
use annals_wire::v1::next_request::Request as Asked;
use annals_wire::v1::query_service_server::QueryService;
use annals_wire::{Message, to_status, v1};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::Shared;
use crate::Result;
use crate::cursor::token::{Lead, Token, hash};
use crate::cursor::{Window, datoms, index_pull, log};
use crate::request::{Options, Resolver, point_of};
use crate::stream::{Cancel, Delivery, Event, Events};

/// The service.
pub(super) struct Queries(pub(super) Arc<Shared>);

type Answers<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A request for a result that can be taken in parts.
trait InParts: Message + Clone {
    const KIND: &str;

    fn options(&self) -> Option<&v1::StreamOptions>;

    /// The same request with other options.
    fn with(&self, options: Option<v1::StreamOptions>) -> Self;

    /// What makes it the same request: everything but token, time, chunk size and the wish for statistics.
    fn identity(&self) -> u64 {
        let plain = self.options().map(|options| v1::StreamOptions {
            timeout_ms: 0,
            chunk_bytes: 0,
            want_stats: false,
            resume_token: Vec::new().into(),
            ..options.clone()
        });
        hash(&[Self::KIND.as_bytes(), &self.with(plain).encode_to_vec()])
    }
}

macro_rules! in_parts {
    ($($request:ident $kind:literal),*) => {
        $(impl InParts for v1::$request {
            const KIND: &str = $kind;

            fn options(&self) -> Option<&v1::StreamOptions> {
                self.options.as_ref()
            }

            fn with(&self, options: Option<v1::StreamOptions>) -> Self {
                Self { options, ..self.clone() }
            }
        })*
    };
}

in_parts!(QueryRequest "query", DatomsRequest "datoms", LogRequest "log", IndexPullRequest "index-pull");

/// A request on its way: its options, its token if it continues something, and its identity.
struct Course {
    options: Options,
    token: Option<Token>,
    identity: u64,
}

impl Course {
    fn new(request: &impl InParts) -> Result<Course> {
        let identity = request.identity();
        let options = Options::of(request.options())?;
        let token = match options.token.as_slice() {
            [] => None,
            bytes => Some(Token::decode(bytes)?),
        };
        if token.as_ref().is_some_and(|token| token.request != identity) {
            return Err(Error::new(Code::CursorMismatch, "the resume token belongs to another request")
                .hint("send the original request with its token, or this one without"));
        }
        Ok(Course { options, token, identity })
    }

    fn resolver<'a>(&self, shared: &'a Shared) -> Resolver<'a> {
        Resolver::new(shared, self.options.deadline, self.token.as_ref().map(|token| token.databases.clone()))
    }

    /// Rows that earlier parts have delivered.
    fn delivered(&self) -> u64 {
        self.token.as_ref().map_or(0, |token| token.rows)
    }

    fn lead(&self) -> Option<Lead> {
        self.token.as_ref().and_then(|token| token.lead.clone())
    }

    fn window(&self) -> Window {
        let delivered = self.delivered();
        Window {
            skip: self.options.offset + delivered,
            limit: self.options.limit.map(|limit| limit.saturating_sub(delivered)),
            lead: self.lead(),
        }
    }

    fn delivery(&self, read: Vec<(annals_peer::db::Incarnation, T)>) -> Delivery {
        let request = self.identity;
        Delivery {
            chunk_bytes: self.options.chunk_bytes,
            deadline: self.options.deadline,
            rows_before: self.delivered(),
            lead: self.lead(),
            token: Box::new(move |rows, lead| {
                Token { request, rows, databases: read.clone(), lead }.encode()
            }),
        }
    }
}

impl Queries {
    async fn query_events(&self, request: v1::QueryRequest) -> Result<Events, Status> {
        let prepared = async {
            let course = Course::new(&request)?;
            let mut resolver = course.resolver(&self.0);
            let ask = crate::cursor::query::ask(
                &request,
                &course.options,
                course.window(),
                &mut resolver,
                (&self.0.plans, self.0.limits),
            )
            .await?;
            let delivery = course.delivery(resolver.into_read());
            Ok((ask, delivery))
        };
        let (ask, delivery) = prepared.await.map_err(|error: Error| to_status(&error))?;
        let cancel = Cancel::default();
        let flag = cancel.clone();
        self.0.workers.run(cancel, delivery, move || ask.start(flag)).await
    }

    async fn datoms_events(&self, request: v1::DatomsRequest) -> Result<Events, Status> {
        let prepared = async {
            let course = Course::new(&request)?;
            let mut resolver = course.resolver(&self.0);
            let db = resolver.database(request.database.as_ref()).await?;
            let components =
                request.components.iter().enumerate().map(component).collect::<Result<Vec<Edn>>>()?;
            let index = index_of(request.index())?;
            let ask = datoms::Ask { index, mode: request.mode(), components, window: course.window() };
            Ok((db, ask, course.delivery(resolver.into_read())))
        };
        let (db, ask, delivery) = prepared.await.map_err(|error: Error| to_status(&error))?;
        let cancel = Cancel::default();
        let flag = cancel.clone();
        let start =
            move || Ok(Box::new(datoms::Datoms::new(db, &ask, flag)?) as Box<dyn crate::cursor::Producer>);
        self.0.workers.run(cancel, delivery, start).await
    }

    async fn index_pull_events(&self, request: v1::IndexPullRequest) -> Result<Events, Status> {
        let prepared = async {
            let course = Course::new(&request)?;
            let mut resolver = course.resolver(&self.0);
            let db = resolver.database(request.database.as_ref()).await?;
            let Window { skip, limit, .. } = course.window();
            Ok((db, (skip, limit), course.delivery(resolver.into_read())))
        };
        let (db, window, delivery) = prepared.await.map_err(|error: Error| to_status(&error))?;
        let cancel = Cancel::default();
        let flag = cancel.clone();
        let start = move || {
            let walked = index_pull::Walked::new(db, &request, window, flag)?;
            Ok(Box::new(walked) as Box<dyn crate::cursor::Producer>)
        };
        self.0.workers.run(cancel, delivery, start).await
    }

    async fn log_events(&self, request: v1::LogRequest) -> Result<Events, Status> {
        let prepared = async {
            let course = Course::new(&request)?;
            let mut resolver = course.resolver(&self.0);
            let db = resolver.database(request.database.as_ref()).await?;
            let start = request.from.as_ref().map(|point| log_point(&db, point)).transpose()?;
            let end = request.to.as_ref().map(|point| log_point(&db, point)).transpose()?;
            let (start, end) = (start.unwrap_or_default(), end.unwrap_or(T(u64::MAX)));
            let log = log::Log::new(db, start, end, &course.window())?;
            Ok((log, course.delivery(resolver.into_read())))
        };
        let (log, delivery) = prepared.await.map_err(|error: Error| to_status(&error))?;
        let start = move || Ok(Box::new(log) as Box<dyn crate::cursor::Producer>);
        self.0.workers.run(Cancel::default(), delivery, start).await
    }

    /// The next chunk of a run, and the trailer if it is the last one. What is behind it is kept for the next call.
    async fn one_chunk(&self, mut events: Events) -> Result<v1::NextResponse, Status> {
        let mut answer = v1::NextResponse::default();
        while let Some(event) = events.next().await {
            match (event, &answer.chunk) {
                (Ok(Event::Header(header)), _) => answer.header = Some(header),
                (Ok(Event::Trailer(trailer)), _) => answer.trailer = Some(trailer),
                (Ok(Event::Chunk(chunk)), None) => answer.chunk = Some(chunk),
                (Ok(second), Some(first)) => {
                    let rest = tokio_stream::once(Ok(second)).chain(events);
                    self.0.parked.put(first.resume_token.to_vec(), Box::pin(rest));
                    break;
                }
                (Err(status), None) => return Err(status),
                // The next call meets it again.
                (Err(_), Some(_)) => break,
            }
        }
        Ok(answer)
    }

    async fn explanation(&self, request: v1::ExplainRequest) -> Result<v1::ExplainResponse> {
        let (query, analyze) = (request.query.unwrap_or_default(), request.analyze);
        let course = Course::new(&query)?;
        let mut resolver = course.resolver(&self.0);
        let known = (&self.0.plans, self.0.limits);
        let window = course.window();
        let ask = crate::cursor::query::ask(&query, &course.options, window, &mut resolver, known).await?;
        let (incarnation, basis_t) = ask.basis();
        let cancel = Cancel::default();
        let flag = cancel.clone();
        let explain = move || ask.explain(&flag, analyze);
        let explanation = self.0.workers.call(cancel, course.options.deadline, explain).await?;
        let (text, data) = (explanation.to_string(), explanation.to_edn().to_string());
        Ok(v1::ExplainResponse { incarnation: incarnation.into(), basis_t, text, data })
    }
}

/// The token of a request, once it is known to belong to it.
fn asked_token(asked: &Asked) -> Result<Vec<u8>> {
    let course = match asked {
        Asked::Query(request) => Course::new(request),
        Asked::Datoms(request) => Course::new(request),
        Asked::Log(request) => Course::new(request),
        Asked::IndexPull(request) => Course::new(request),
    };
    Ok(course?.options.token)
}

/// A component's form, without spans: it is a text of its own, of which the client sent several.
fn component((at, text): (usize, &String)) -> Result<Edn> {
    let form = read_one(text).map_err(|error| {
        let message = format!("component {}: {}", at + 1, error.message());
        Error::new(error.code(), message).with("component", at + 1)
    })?;
    Ok(form.without_spans())
}

fn index_of(index: v1::IndexKind) -> Result<NamedIndex> {
    match index {
        v1::IndexKind::Eavt => Ok(NamedIndex::Eavt),
        v1::IndexKind::Aevt => Ok(NamedIndex::Aevt),
        v1::IndexKind::Avet => Ok(NamedIndex::Avet),
        v1::IndexKind::Vaet => Ok(NamedIndex::Vaet),
        v1::IndexKind::Unspecified => Err(Error::new(Code::InvalidArgument, "the request names no index")),
    }
}

/// In the log an instant means the first transaction not before it.
fn log_point(db: &Db, point: &v1::TimePoint) -> Result<T> {
    match point.point {
        Some(v1::time_point::Point::InstantMs(ms)) => {
            let before = v1::time_point::Point::InstantMs(ms.saturating_sub(1));
            let before = point_of(db, &v1::TimePoint { point: Some(before) })?;
            Ok(T(before.0 + 1))
        }
        _ => point_of(db, point),
    }
}

/// Events as the messages of one of the streams.
macro_rules! answers {
    ($events:expr, $response:ident, $module:ident) => {
        Box::pin($events.map(|event| {
            event.map(|event| {
                let message = match event {
                    Event::Header(header) => v1::$module::Message::Header(header),
                    Event::Chunk(chunk) => v1::$module::Message::Chunk(chunk),
                    Event::Trailer(trailer) => v1::$module::Message::Trailer(trailer),
                };
                v1::$response { message: Some(message) }
            })
        }))
    };
}

#[tonic::async_trait]
impl QueryService for Queries {
    type QueryStream = Answers<v1::QueryResponse>;
    type DatomsStream = Answers<v1::DatomsResponse>;
    type LogStream = Answers<v1::LogResponse>;
    type IndexPullStream = Answers<v1::IndexPullResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let events = self.query_events(request.into_inner()).await?;
        Ok(Response::new(answers!(events, QueryResponse, query_response)))
    }

    async fn next(&self, request: Request<v1::NextRequest>) -> Result<Response<v1::NextResponse>, Status> {
        let missing = || to_status(&Error::new(Code::InvalidArgument, "the request is empty"));
        let asked = request.into_inner().request.ok_or_else(missing)?;
        let token = asked_token(&asked).map_err(|error| to_status(&error))?;
        if let Some(events) = self.0.parked.take(&token) {
            // A run that ended while it was kept says nothing about this request.
            if let Ok(answer) = self.one_chunk(events).await {
                return Ok(Response::new(answer));
            }
        }
        let events = match asked {
            Asked::Query(request) => self.query_events(request).await?,
            Asked::Datoms(request) => self.datoms_events(request).await?,
            Asked::Log(request) => self.log_events(request).await?,
            Asked::IndexPull(request) => self.index_pull_events(request).await?,
        };
        Ok(Response::new(self.one_chunk(events).await?))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let answer = self.explanation(request.into_inner()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(answer))
    }

    async fn pull(&self, request: Request<v1::PullRequest>) -> Result<Response<v1::PullResponse>, Status> {
        let answer =
            super::whole::pull(&self.0, request.into_inner()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(answer))
    }

    async fn with(&self, request: Request<v1::WithRequest>) -> Result<Response<v1::WithResponse>, Status> {
        let answer = super::whole::with_reports(&self.0, request.into_inner())
            .await
            .map_err(|error| to_status(&error))?;
        Ok(Response::new(answer))
    }

    async fn datoms(
        &self,
        request: Request<v1::DatomsRequest>,
    ) -> Result<Response<Self::DatomsStream>, Status> {
        let events = self.datoms_events(request.into_inner()).await?;
        Ok(Response::new(answers!(events, DatomsResponse, datoms_response)))
    }

    async fn log(&self, request: Request<v1::LogRequest>) -> Result<Response<Self::LogStream>, Status> {
        let events = self.log_events(request.into_inner()).await?;
        Ok(Response::new(answers!(events, LogResponse, log_response)))
    }

    async fn index_pull(
        &self,
        request: Request<v1::IndexPullRequest>,
    ) -> Result<Response<Self::IndexPullStream>, Status> {
        let events = self.index_pull_events(request.into_inner()).await?;
        Ok(Response::new(answers!(events, IndexPullResponse, index_pull_response)))
    }

    async fn entity(
        &self,
        request: Request<v1::EntityRequest>,
    ) -> Result<Response<v1::EntityResponse>, Status> {
        let answer = super::whole::entities(&self.0, request.into_inner()).await;
        Ok(Response::new(answer.map_err(|error| to_status(&error))?))
    }

    async fn db_stats(
        &self,
        request: Request<v1::DbStatsRequest>,
    ) -> Result<Response<v1::DbStatsResponse>, Status> {
        let answer = super::whole::db_stats(&self.0, request.into_inner()).await;
        Ok(Response::new(answer.map_err(|error| to_status(&error))?))
    }
}
