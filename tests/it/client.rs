//! A client of the socket's protocol that knows what it was told.

use crate::daemon::{PATIENCE, until};
use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
};

/// A connection that asked for acknowledgements.
pub(crate) struct Client {
    /// The writing half.
    pub(crate) stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Client {
    /// Connects and says hello; keeps trying while nobody listens.
    pub(crate) fn connect(socket: &Path) -> Client {
        until("the socket listens", || Client::try_connect(socket).ok())
    }

    /// Connects and says hello.
    pub(crate) fn try_connect(socket: &Path) -> io::Result<Client> {
        let mut client = Client::silent(socket)?;
        client.stream.write_all(b"{\"type\":\"hello\",\"ack\":true}\n")?;
        Ok(client)
    }

    /// Connects without a word.
    pub(crate) fn silent(socket: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Client { stream, reader })
    }

    /// Sends one line.
    pub(crate) fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())
    }

    /// The next answer; an error at the end of the stream.
    pub(crate) fn answer(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    /// Sends one line and waits for its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.send(line).unwrap();
        self.answer().unwrap()
    }

    /// Whether the other side has closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.answer() {
            Err(e) => e.kind() != io::ErrorKind::WouldBlock && e.kind() != io::ErrorKind::TimedOut,
            Ok(_) => false,
        }
    }
}
