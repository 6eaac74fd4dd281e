//! One HTTP request for one file, continued where an earlier one stopped.
//!
//! A server is left when it is silent, when it sends too slowly, and when it sends the client elsewhere: redirections are
//! followed on the same host only, and never from https to http.

use crate::catalog::DownloadFile;
use crate::fetch::{FetchOptions, Progress};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};
use ureq::http::uri::{Authority, Scheme, Uri};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

/// Why a try did not deliver the file.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// Worth another try at the same address.
    Again(String),
    /// The bytes are good, and another address may bring them faster.
    TooSlow(String),
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
    stall_timeout: Duration,
    least_bytes: u64,
}

/// Redirections followed for one file.
const REDIRECTIONS: usize = 5;

/// What the answer says about the body that follows.
struct BodyInfo {
    /// Position in the file of the first byte of the body.
    start: u64,
    /// Size of the whole file.
    total: Option<u64>,
}

impl Client {
    pub(crate) fn new(options: &FetchOptions) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.stall_timeout))
            .timeout_per_read(Some(options.stall_timeout))
            .user_agent(concat!("widthwise/", env!("CARGO_PKG_VERSION")));
        if !options.use_proxy {
            config = config.proxy(None);
        }
        let (stall_timeout, least_bytes) = (options.stall_timeout, options.least_bytes());
        Self { agent: config.build().into(), stall_timeout, least_bytes }
    }

    /// Downloads what `file` lacks.
    pub(crate) fn download(
        &self,
        download: &DownloadFile,
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
        let response = self.ask(url, have)?;
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
        let mut pace = Pace::new(self.stall_timeout, self.least_bytes);
        receive(response, answer.start, total, file, |done| {
            progress(Progress::Advanced { file: download.name, done, total });
            pace.check(done - answer.start)
        })
    }

    /// The answer to the request for a file from its byte `have` on, after redirections on the same host.
    fn ask(&self, url: &str, have: u64) -> Result<Response<Body>, Attempt> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTIONS {
            let mut request = self.agent.get(&url).header(header::ACCEPT_ENCODING, "identity");
            if have > 0 {
                request = request.header(header::RANGE, format!("bytes={have}-"));
            }
            let response = request.call().map_err(|error| Attempt::Again(error.to_string()))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let to = text(&response, header::LOCATION).unwrap_or_default();
            url = redirected(&url, to).map_err(|why| {
                Attempt::Elsewhere(format!("the server redirects to {to:?}, which is not followed: {why}"))
            })?;
        }
        Err(Attempt::Elsewhere(format!("the server redirects more than {REDIRECTIONS} times")))
    }
}

/// The address that a redirection leads to, or why it is not followed.
fn redirected(from: &str, to: &str) -> Result<String, &'static str> {
    let from: Uri = from.parse().map_err(|_| "the address redirected from is none")?;
    let to: Uri = to.parse().map_err(|_| "it is no address")?;
    let (scheme, authority) = match (to.scheme(), to.authority()) {
        (Some(scheme), Some(authority)) => (scheme.clone(), authority.clone()),
        (None, None) if to.path().starts_with('/') && !to.path().starts_with("//") => {
            let here = from.scheme().zip(from.authority()).ok_or("the address redirected from has no host")?;
            (here.0.clone(), here.1.clone())
        }
        _ => return Err("it is no whole address"),
    };
    let is_elsewhere = |to: &Authority| Some(to.host()) != from.host() || to.port_u16() != from.port_u16();
    if to.authority().is_some_and(is_elsewhere) {
        return Err("it is another host");
    }
    if scheme != Scheme::HTTPS && from.scheme() == Some(&Scheme::HTTPS) {
        return Err("it is not encrypted");
    }
    if scheme != Scheme::HTTPS && scheme != Scheme::HTTP {
        return Err("it is not an address of the web");
    }
    let path = to.path_and_query().map_or("/", |path| path.as_str());
    Ok(format!("{scheme}://{authority}{path}"))
}

/// How fast bytes arrive, measured over stretches of time.
struct Pace {
    stretch: Duration,
    least_bytes: u64,
    start: Instant,
    before: u64,
}

impl Pace {
    fn new(stretch: Duration, least_bytes: u64) -> Self {
        Self { stretch, least_bytes, start: Instant::now(), before: 0 }
    }

    /// Refuses a stretch in which fewer bytes arrived than must; `done` counts all.
    fn check(&mut self, done: u64) -> Result<(), Attempt> {
        let seconds = self.start.elapsed();
        if seconds < self.stretch {
            return Ok(());
        }
        let arrived = done - self.before;
        if (arrived as f64) * self.stretch.as_secs_f64() < self.least_bytes as f64 * seconds.as_secs_f64() {
            let seconds = seconds.as_secs_f64();
            return Err(Attempt::TooSlow(format!(
                "the server sent {arrived} bytes in {seconds:.1} s, which is too slow"
            )));
        }
        (self.start, self.before) = (Instant::now(), done);
        Ok(())
    }
}

/// Reads status and headers; `None` when the server says that there is nothing left to send.
fn read_answer(response: &Response<Body>, have: u64, file: &File) -> Result<Option<BodyInfo>, Attempt> {
    let status = response.status();
    match status.as_u16() {
        200 => Ok(Some(BodyInfo { start: 0, total: number(response, header::CONTENT_LENGTH) })),
        206 => match content_range(response) {
            Some((Some(start), total)) if start == have => Ok(Some(BodyInfo { start, total })),
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
    mut advanced: impl FnMut(u64) -> Result<(), Attempt>,
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
        advanced(done)?;
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

#[cfg(test)]
mod tests {
    use super::redirected;

    #[test]
    fn redirections_stay_on_their_host_and_encrypted() {
        let from = "https://data.example/mnist/a.gz";
        for (to, expected) in [
            ("/other/a.gz?x=1", "https://data.example/other/a.gz?x=1"),
            ("https://data.example/b.gz", "https://data.example/b.gz"),
        ] {
            assert_eq!(redirected(from, to).as_deref(), Ok(expected));
        }
        assert_eq!(
            redirected("http://data.example/a", "https://data.example/b").as_deref(),
            Ok("https://data.example/b")
        );
        for (to, why) in [
            ("https://elsewhere.example/a.gz", "another host"),
            ("https://data.example.elsewhere.example/a.gz", "another host"),
            ("https://data.example@elsewhere.example/a.gz", "another host"),
            ("//elsewhere.example/a.gz", ""),
            ("https://data.example:444/a.gz", "another host"),
            ("http://data.example/mnist/a.gz", "not encrypted"),
            ("ftp://data.example/a.gz", "not encrypted"),
            ("file:///etc/passwd", ""),
            ("a.gz", ""),
            ("", ""),
        ] {
            let refused = redirected(from, to).expect_err(to);
            assert!(refused.contains(why), "{to}: {refused}");
        }
    }
}
