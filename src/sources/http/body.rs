//! A request's body: read whole, unpacked on the way, and never larger than allowed.

use super::{answer::Refused, hand::Desk};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use flate2::write::MultiGzDecoder;
use std::{
    future::poll_fn,
    io::{self, Write},
    pin::Pin,
    time::Duration,
};
use tokio::sync::OwnedSemaphorePermit;

/// Longest time for a body to come in.
const COMING_IN: Duration = Duration::from_secs(60);
/// Bytes of a body that is too large which are still read, so that a client which sends before it
/// listens gets its answer.
const COURTESY: usize = 64 << 20;

/// A body in memory, and the room that it takes.
pub(super) struct Read {
    pub(super) bytes: Vec<u8>,
    // Held as long as the bytes are.
    _room: Vec<OwnedSemaphorePermit>,
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.most.saturating_sub(self.bytes.len()) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the body as it is, or unpacks it.
enum Sink {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Gzip(out) => out.write_all(bytes),
        }
    }

    fn len(&self) -> usize {
        match self {
            Sink::Plain(out) => out.bytes.capacity(),
            Sink::Gzip(out) => out.get_ref().bytes.capacity(),
        }
    }

    fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Sink::Plain(out) => Ok(out.bytes),
            Sink::Gzip(out) => out.finish().map(|out| out.bytes),
        }
    }
}

/// Reads the body of a request with these headers. A stop ends it.
pub(super) async fn read(headers: &HeaderMap, body: Body, desk: &Desk) -> Result<Read, Refused> {
    let out = Bounded { bytes: Vec::new(), most: desk.max_body };
    let sink = match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity") => Sink::Plain(out),
        Some(b"gzip" | b"x-gzip") => Sink::Gzip(MultiGzDecoder::new(out).into()),
        Some(_) => return Err(Refused::Unsupported("Content-Encoding must be gzip or none")),
    };
    let announced = body.size_hint().lower();
    if announced > desk.max_body as u64 {
        return Err(too_large(desk));
    }
    let mut stop = desk.stop.clone();
    tokio::select! {
        read = tokio::time::timeout(COMING_IN, pour(body, sink, desk)) => {
            read.unwrap_or_else(|_| Err(Refused::Broken("the body did not come in time".into())))
        }
        // An error means that nobody can ask for the stop any more: stop.
        _ = stop.wait_for(|stop| *stop) => Err(Refused::Draining),
    }
}

async fn pour(mut body: Body, mut sink: Sink, desk: &Desk) -> Result<Read, Refused> {
    let mut room = Vec::new();
    let mut held = 0;
    while let Some(bytes) = next(&mut body).await? {
        match sink.write(&bytes) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => {
                drain(&mut body).await;
                return Err(too_large(desk));
            }
            Err(_) => {
                return Err(Refused::Broken("the body is not gzip as its header says".into()));
            }
        }
        if sink.len() > held {
            room.push(desk.room(sink.len() - held).await?);
            held = sink.len();
        }
    }
    match sink.end() {
        Ok(bytes) => Ok(Read { bytes, _room: room }),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Err(too_large(desk)),
        Err(_) => Err(Refused::Broken("the body is not gzip as its header says".into())),
    }
}

/// The next piece of the body.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Refused> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers say nothing to us.
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(_)) => return Err(Refused::Broken("the body ended before its end".into())),
        }
    }
}

async fn drain(body: &mut Body) {
    let mut left = COURTESY;
    while let Ok(Some(bytes)) = next(body).await {
        left = left.saturating_sub(bytes.len());
        if left == 0 {
            return;
        }
    }
}

fn too_large(desk: &Desk) -> Refused {
    Refused::TooLarge(format!(
        "the body is longer than max_body ({} bytes, unpacked); send fewer records at a time",
        desk.max_body
    ))
}
