//! An HTTP server on a free local port that answers well or badly, as told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long a stalled answer is silent before the connection closes.
const SILENCE: Duration = Duration::from_millis(1200);

/// How a server answers the requests that reach it, one after the other; the last answer repeats.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// The file, or the range asked for.
    Good,
    /// The whole file, whatever range is asked for.
    IgnoreRange,
    /// A status without a body.
    Status(u16),
    /// The right length in the header, and the connection closed after this many bytes of the body.
    Truncated(usize),
    /// The right length in the header, and silence after this many bytes of the body.
    Stalled(usize),
    /// Other bytes of the same length.
    WrongBytes,
    /// No length in the header, and the connection closed after this many bytes.
    NoLength(usize),
    /// A longer file than the catalog says.
    TooLong,
    /// A status of redirection to this address.
    Redirect(u16, &'static str),
    /// The right length in the header, and one byte after the other with this pause in between.
    Dripping(Duration),
}

/// Serves `content` on a free port; yields the address of the folder and the range header of each request.
pub(crate) fn serve(content: &[u8], answers: &[Answer]) -> (String, Receiver<Option<u64>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (ranges, received) = channel();
    let (content, answers) = (content.to_vec(), answers.to_vec());
    thread::spawn(move || {
        for index in 0.. {
            let Ok((stream, _)) = listener.accept() else { return };
            let range = read_request(&stream);
            let answer = answers[answers.len().min(index + 1) - 1];
            // A client that gives up closes the connection, which is no fault of the server's.
            let _ = respond(stream, &content, range, answer);
            // Most tests do not ask for the ranges.
            let _ = ranges.send(range);
        }
    });
    (address, received)
}

fn read_request(stream: &TcpStream) -> Option<u64> {
    let mut range = None;
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.trim_end_matches('-').parse().ok();
        }
    }
    range
}

fn respond(mut stream: TcpStream, content: &[u8], range: Option<u64>, answer: Answer) -> std::io::Result<()> {
    let start = range.unwrap_or(0) as usize;
    let head = if range.is_some() && !matches!(answer, Answer::IgnoreRange) {
        format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}", content.len() - 1, content.len())
    } else {
        "200 OK".to_owned()
    };
    let rest = if head.starts_with("206") { &content[start.min(content.len())..] } else { content };
    let with_length = |length| format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    match answer {
        Answer::Good | Answer::IgnoreRange => {
            stream.write_all(with_length(rest.len()).as_bytes())?;
            stream.write_all(rest)
        }
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }
        Answer::Truncated(count) => {
            stream.write_all(with_length(rest.len()).as_bytes())?;
            stream.write_all(&rest[..count.min(rest.len())])
        }
        Answer::Stalled(count) => {
            stream.write_all(with_length(rest.len()).as_bytes())?;
            stream.write_all(&rest[..count.min(rest.len())])?;
            stream.flush()?;
            thread::sleep(SILENCE);
            Ok(())
        }
        Answer::WrongBytes => {
            stream.write_all(with_length(rest.len()).as_bytes())?;
            stream.write_all(&vec![b'?'; rest.len()])
        }
        Answer::NoLength(count) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            stream.write_all(&content[..count.min(content.len())])
        }
        Answer::Redirect(status, to) => {
            write!(
                stream,
                "HTTP/1.1 {status} Status\r\nLocation: {to}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
        }
        Answer::Dripping(pause) => {
            stream.write_all(with_length(rest.len()).as_bytes())?;
            for byte in rest {
                stream.write_all(&[*byte])?;
                stream.flush()?;
                thread::sleep(pause);
            }
            Ok(())
        }
        Answer::TooLong => {
            stream.write_all(with_length(content.len() + 5).as_bytes())?;
            stream.write_all(content)?;
            stream.write_all(b"extra")
        }
    }
}
