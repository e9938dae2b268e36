//! Transfers files over https. Only this file names the HTTP client. Without the feature `fetch` there is none, and every
//! address is out of reach.

#![cfg_attr(not(feature = "fetch"), allow(dead_code))]

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    path::Path,
    thread,
    time::Duration,
};

use super::{ATTEMPTS, Archive, Event, FetchError, Options};

/// How long a server may take to answer.
const CONNECT: Duration = Duration::from_secs(20);
const MAX_REDIRECTS: u32 = 5;
/// The most bytes of a record's description; real ones have some 20 kB.
const MAX_TEXT_BYTES: u64 = 4 << 20;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Client {
    #[cfg(feature = "fetch")]
    agent: ureq::Agent,
}

/// The beginning of an answer.
struct Answer {
    status: u16,
    /// The first byte that follows, where the server sends a part.
    from: Option<u64>,
    /// How many bytes follow, where the server says it.
    length: Option<u64>,
    body: Box<dyn Read>,
}

impl Client {
    /// There is nothing to set up.
    #[cfg(not(feature = "fetch"))]
    pub fn new(_options: &Options) -> Client {
        Client {}
    }

    /// Refuses plain http, even as a redirection, unless the mirror's address is plain http.
    #[cfg(feature = "fetch")]
    pub fn new(options: &Options) -> Client {
        let is_plain = options
            .mirror
            .as_deref()
            .is_some_and(|mirror| mirror.starts_with("http://"));
        let config = ureq::Agent::config_builder()
            .https_only(!is_plain)
            .max_redirects(MAX_REDIRECTS)
            .http_status_as_error(false)
            .user_agent(concat!("nas/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(CONNECT.max(options.stall)))
            .timeout_per_read(Some(options.stall))
            .build();
        Client {
            agent: config.into(),
        }
    }

    /// Reads a small text.
    pub fn text(&self, address: &str) -> Result<String, String> {
        let answer = self.get(address, 0)?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        let mut text = String::new();
        let mut body = answer.body.take(MAX_TEXT_BYTES);
        body.read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[cfg(not(feature = "fetch"))]
    fn get(&self, _address: &str, _from: u64) -> Result<Answer, String> {
        Err("this program was built without its feature `fetch`".to_string())
    }

    #[cfg(feature = "fetch")]
    fn get(&self, address: &str, from: u64) -> Result<Answer, String> {
        let mut request = self.agent.get(address);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| error.to_string())?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_string)
        };
        let length = header("content-length").and_then(|length| length.parse().ok());
        let part_from = header("content-range").and_then(|range| part_start(&range));
        Ok(Answer {
            status: response.status().as_u16(),
            from: part_from,
            length,
            body: Box::new(response.into_body().into_reader()),
        })
    }
}

/// Downloads the whole file to `part`, continuing after what is already there.
pub(super) fn transfer(
    client: &Client,
    archive: &Archive,
    address: &str,
    part: &Path,
    expected: Option<u64>,
    options: &Options,
    notify: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let mut pause = options.first_pause;
    let mut failures = 0;
    loop {
        let before = part.metadata().map_or(0, |metadata| metadata.len());
        let cause = match attempt(client, archive, address, part, before, expected, notify)? {
            Outcome::Whole => return Ok(()),
            Outcome::BrokenOff(cause) => cause,
        };
        let after = part.metadata().map_or(0, |metadata| metadata.len());
        if after > before {
            (failures, pause) = (0, options.first_pause);
        }
        failures += 1;
        if failures >= ATTEMPTS {
            let is_untouched = after == 0;
            let file = archive.file.clone();
            return Err(match is_untouched {
                true => FetchError::Unreachable {
                    address: address.to_string(),
                    cause,
                    file,
                    to: part.parent().unwrap_or(part).to_path_buf(),
                },
                false => FetchError::BrokenOff { file, cause },
            });
        }
        notify(Event::Retrying(&archive.file, &cause));
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Outcome {
    Whole,
    /// The attempt failed, and another may succeed.
    BrokenOff(String),
}

fn attempt(
    client: &Client,
    archive: &Archive,
    address: &str,
    part: &Path,
    present: u64,
    expected: Option<u64>,
    notify: &mut dyn FnMut(Event),
) -> Result<Outcome, FetchError> {
    let write_error = |source| FetchError::Write {
        path: part.to_path_buf(),
        source,
    };
    if expected.is_some_and(|bytes| bytes == present) && present > 0 {
        return Ok(Outcome::Whole);
    }
    // The part is longer than the file, so it is something else or an older version.
    let present = if expected.is_some_and(|bytes| present > bytes) {
        0
    } else {
        present
    };
    let mut answer = match client.get(address, present) {
        Ok(answer) => answer,
        Err(cause) => return Ok(Outcome::BrokenOff(cause)),
    };
    let start = match answer.status {
        206 if answer.from == Some(present) => present,
        200 => 0,
        // Nothing follows what is here, so the server has another file: begin again.
        206 | 416 => {
            std::fs::remove_file(part).map_err(write_error)?;
            return Ok(Outcome::BrokenOff(
                "the server has another file".to_string(),
            ));
        }
        408 | 425 | 429 | 500..=599 => {
            return Ok(Outcome::BrokenOff(format!("status {}", answer.status)));
        }
        status => {
            return Err(FetchError::Refused {
                address: address.to_string(),
                status,
                hint: match status {
                    404 | 410 => "the file has moved; its record says where",
                    _ => "its record says who may download it",
                },
            });
        }
    };
    let total = expected.or(answer.length.map(|length| start + length));
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(part)
        .map_err(write_error)?;
    file.set_len(start).map_err(write_error)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start)).map_err(write_error)?;
    let mut buffer = vec![0; 1 << 16];
    let mut done = start;
    loop {
        match answer.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                file.write_all(&buffer[..count]).map_err(write_error)?;
                done += count as u64;
                if total.is_some_and(|total| done > total) {
                    break;
                }
                notify(Event::Downloading(&archive.file, done, total));
            }
            Err(error) => return Ok(Outcome::BrokenOff(error.to_string())),
        }
    }
    match total {
        Some(total) if done < total => Ok(Outcome::BrokenOff(format!(
            "the server closed after {done} of {total} bytes"
        ))),
        Some(total) if done > total => {
            file.set_len(0).map_err(write_error)?;
            Ok(Outcome::BrokenOff(format!(
                "the server sent more than {total} bytes"
            )))
        }
        _ => Ok(Outcome::Whole),
    }
}

/// `100` of `bytes 100-199/200`.
fn part_start(range: &str) -> Option<u64> {
    let rest = range.trim().strip_prefix("bytes")?.trim_start();
    rest.split('-').next()?.trim().parse().ok()
}
