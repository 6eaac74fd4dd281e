//! One HTTP request for one file, continued where an earlier one stopped.

use crate::catalog::Download;
use crate::fetch::{FetchOptions, Progress};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

/// Why a try did not deliver the file.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Worth another try at the same address.
    Again(String),
    /// Not worth it here; another address may do better.
    Elsewhere(String),
    /// The local file could not be read or written.
    Local(io::Error),
}

impl From<io::Error> for Attempt {
    fn from(error: io::Error) -> Self {
        Self::Local(error)
    }
}

pub(crate) struct Client {
    agent: Agent,
}

/// What the answer says about the body that follows.
struct Answer {
    /// Position in the file of the first byte of the body.
    start: u64,
    /// Size of the whole file.
    total: Option<u64>,
}

impl Client {
    pub(crate) fn new(options: &FetchOptions) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            .timeout_per_read(Some(options.stall_timeout))
            .user_agent(concat!("widthwise/", env!("CARGO_PKG_VERSION")));
        if !options.use_proxy {
            config = config.proxy(None);
        }
        Self { agent: config.build().into() }
    }

    /// Downloads what `file` lacks.
    pub(crate) fn download(
        &self,
        download: &Download,
        url: &str,
        file: &mut File,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Attempt> {
        let mut have = file.metadata()?.len();
        if download.bytes.is_some_and(|bytes| have > bytes) {
            file.set_len(0)?;
            have = 0;
        }
        if have > 0 && download.bytes == Some(have) {
            return Ok(());
        }
        let mut request = self.agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| Attempt::Again(error.to_string()))?;
        let Some(answer) = read_answer(&response, have, file)? else { return Ok(()) };
        if let (Some(expected), Some(found)) = (download.bytes, answer.total)
            && expected != found
        {
            return Err(Attempt::Elsewhere(format!("the server offers {found} bytes instead of {expected}")));
        }
        file.set_len(answer.start)?;
        file.seek(SeekFrom::Start(answer.start))?;
        let total = answer.total.or(download.bytes);
        progress(Progress::Started { file: download.name, url, resumed_from: answer.start, total });
        receive(response, answer.start, total, file, |done| {
            progress(Progress::Advanced { file: download.name, done, total });
        })
    }
}

/// Reads status and headers; `None` when the server says that there is nothing left to send.
fn read_answer(response: &Response<Body>, have: u64, file: &File) -> Result<Option<Answer>, Attempt> {
    let status = response.status();
    match status.as_u16() {
        200 => Ok(Some(Answer { start: 0, total: number(response, header::CONTENT_LENGTH) })),
        206 => match content_range(response) {
            Some((Some(start), total)) if start == have => Ok(Some(Answer { start, total })),
            _ => {
                file.set_len(0)?;
                Err(Attempt::Again("the server sent another range than asked for".to_owned()))
            }
        },
        416 if content_range(response) == Some((None, Some(have))) => Ok(None),
        416 => {
            file.set_len(0)?;
            Err(Attempt::Again("the server's file is shorter than the bytes kept; starting again".to_owned()))
        }
        408 | 429 | 500..=599 => Err(Attempt::Again(format!("the server answered {status}"))),
        _ => Err(Attempt::Elsewhere(format!("the server answered {status}"))),
    }
}

fn receive(
    response: Response<Body>,
    start: u64,
    total: Option<u64>,
    file: &mut File,
    mut advanced: impl FnMut(u64),
) -> Result<(), Attempt> {
    let mut body = response.into_body().into_reader();
    let mut chunk = vec![0_u8; 1 << 16];
    let mut done = start;
    let of_total = total.map_or_else(String::new, |total| format!(" of {total}"));
    loop {
        let count = match body.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Attempt::Again(format!("after {done}{of_total} bytes: {error}"))),
        };
        if count == 0 {
            break;
        }
        done += count as u64;
        if total.is_some_and(|total| done > total) {
            file.set_len(0)?;
            return Err(Attempt::Elsewhere(format!("the server sends more than the {}", of_total.trim_start())));
        }
        file.write_all(&chunk[..count])?;
        advanced(done);
    }
    if total.is_some_and(|total| done < total) {
        return Err(Attempt::Again(format!("the connection ended after {done}{of_total} bytes")));
    }
    Ok(())
}

fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn number(response: &Response<Body>, name: header::HeaderName) -> Option<u64> {
    text(response, name)?.trim().parse().ok()
}

/// First position and whole size of `Content-Range: bytes 5-9/10` or `bytes */10`.
fn content_range(response: &Response<Body>) -> Option<(Option<u64>, Option<u64>)> {
    let (range, size) = text(response, header::CONTENT_RANGE)?.trim().strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-').and_then(|(start, _)| start.trim().parse().ok());
    Some((start, size.trim().parse().ok()))
}
