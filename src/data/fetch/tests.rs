use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::data::DataError;

/// How the server answers one request for the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Sends all that was asked for.
    Serve,
    /// Closes after half of it.
    DieInTheMiddle,
    /// Sends half of it and then nothing.
    Stall,
    /// Claims to be shorter than it is, so a client that does not know the record's size would believe it.
    Truncate,
    /// Redirects to another place, which serves the file.
    Redirect,
    /// Sends as many bytes, but other ones.
    Corrupt,
    /// Ignores the range that was asked for.
    Whole,
    Status(u16),
}

/// A server of one archive and its record. Each request for the archive takes the next act; the last act stays.
struct Server {
    mirror: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(content: Vec<u8>, acts: &[Act], record: &str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mirror = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, acts, record) = (requests.clone(), acts.to_vec(), record.to_string());
        thread::spawn(move || {
            let mut served = 0;
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let Some((path, from)) = request(&stream) else {
                    continue;
                };
                log.lock().unwrap().push(format!("{path} {from}"));
                if path.starts_with("/api/") {
                    let _ = respond(&mut stream, "200 OK", "", record.as_bytes());
                    continue;
                }
                let act = match path.as_str() {
                    "/elsewhere" => Act::Serve,
                    _ => acts[served.min(acts.len() - 1)],
                };
                served += 1;
                let content = content.clone();
                // A stalled answer must not keep the next request waiting.
                thread::spawn(move || serve(stream, &content, act, from));
            }
        });
        Server { mirror, requests }
    }

    fn options(&self) -> Options {
        Options {
            mirror: Some(self.mirror.clone()),
            offline: false,
            keep_archives: false,
            stall: Duration::from_millis(300),
            first_pause: Duration::from_millis(1),
        }
    }

    /// The first byte that each request for the archive asked for.
    fn ranges(&self) -> Vec<u64> {
        let requests = self.requests.lock().unwrap();
        let of_archive = requests
            .iter()
            .filter(|request| !request.starts_with("/api/"));
        of_archive
            .map(|request| request.rsplit(' ').next().unwrap().parse().unwrap())
            .collect()
    }
}

/// Path and first byte of a request.
fn request(stream: &TcpStream) -> Option<(String, u64)> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_string();
    let mut from = 0;
    while let Some(Ok(line)) = lines.next() {
        let line = line.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    Some((path, from))
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    )?;
    stream.write_all(body)
}

fn serve(mut stream: TcpStream, content: &[u8], act: Act, from: u64) {
    let from = if act == Act::Whole { 0 } else { from as usize };
    if from > 0 && from >= content.len() {
        let _ = respond(&mut stream, "416 Range Not Satisfiable", "", b"");
        return;
    }
    let body = &content[from..];
    let status = if from > 0 {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    let range = format!(
        "Content-Range: bytes {from}-{}/{}\r\n",
        content.len() - 1,
        content.len()
    );
    let _ = match act {
        Act::Serve | Act::Whole => respond(&mut stream, status, &range, body),
        Act::Redirect => respond(&mut stream, "302 Found", "Location: /elsewhere\r\n", b""),
        Act::Truncate => respond(&mut stream, status, &range, &body[..body.len() / 2]),
        Act::Corrupt => {
            let other: Vec<u8> = body.iter().map(|byte| byte ^ 1).collect();
            respond(&mut stream, status, &range, &other)
        }
        Act::Status(status) => respond(&mut stream, &format!("{status} X"), "", b""),
        Act::DieInTheMiddle | Act::Stall => {
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{range}\r\n",
                body.len()
            );
            let sent = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body[..body.len() / 2]));
            if act == Act::Stall {
                thread::sleep(Duration::from_secs(3));
            }
            sent
        }
    };
}

/// A zip of these entries, deflated. Names are put in afterwards, so no writer corrects them.
fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    let placeholder =
        |idx: usize, name: &str| char::from(b'P' + idx as u8).to_string().repeat(name.len());
    for (idx, (name, content)) in entries.iter().enumerate() {
        writer.start_file(placeholder(idx, name), options).unwrap();
        writer.write_all(content).unwrap();
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    for (idx, (name, _)) in entries.iter().enumerate() {
        let placeholder = placeholder(idx, name);
        while let Some(at) = bytes
            .windows(name.len())
            .position(|w| w == placeholder.as_bytes())
        {
            bytes[at..][..name.len()].copy_from_slice(name.as_bytes());
        }
    }
    bytes
}

/// Bytes that cannot be compressed.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// For archives that lie in the folder.
const OFFLINE: Options = Options {
    mirror: None,
    offline: true,
    keep_archives: false,
    stall: Options::STALL,
    first_pause: Options::FIRST_PAUSE,
};

fn archive(file: &str, md5: Option<String>) -> Archive {
    Archive {
        set: "dcase2023",
        part: "dev".to_string(),
        machine: "fan".to_string(),
        source: Source::Zenodo(1),
        file: file.to_string(),
        md5: md5.map(|sum| &*sum.leak()),
        into: "dev_data".to_string(),
    }
}

fn record(content: &[u8]) -> String {
    format!(
        "{{\"files\": [{{\"key\": \"dev_fan.zip\", \"size\": {}, \"checksum\": \"md5:{}\"}}]}}",
        content.len(),
        md5_hex(content)
    )
}

fn files(root: &TempDir) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(
                    path.strip_prefix(root.path())
                        .unwrap()
                        .display()
                        .to_string(),
                ),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn bad_servers_are_borne_with() {
    let content = zip_of(&[
        ("fan/train/a.wav", &noise(60_000)),
        ("fan/test/b.wav", b"RIFF"),
    ]);
    let half = content.len() as u64 / 2;
    let later = half + (content.len() as u64 - half) / 2;
    let check = |acts: &[Act], record: &str, expected: Result<&[u64], &str>| {
        let server = Server::new(content.clone(), acts, record);
        let root = tempfile::tempdir().unwrap();
        let file = archive("dev_fan.zip", Some(md5_hex(&content)));
        let result = fetch(&[&file], root.path(), &server.options(), &mut |_| {});
        match expected {
            Ok(ranges) => {
                result.unwrap_or_else(|error| panic!("{acts:?}: {error}"));
                let mark = format!(".fetched/{}", file.mark());
                let expected = [
                    mark.as_str(),
                    "dev_data/fan/test/b.wav",
                    "dev_data/fan/train/a.wav",
                ];
                assert_eq!(files(&root), expected, "{acts:?}");
                assert_eq!(server.ranges(), ranges, "{acts:?}");
                // Nothing is fetched twice.
                fetch(&[&file], root.path(), &server.options(), &mut |_| {}).unwrap();
                assert_eq!(server.ranges(), ranges, "{acts:?}");
            }
            Err(expected) => {
                let message = result.unwrap_err().to_string();
                assert!(message.contains(expected), "{acts:?}: {message}");
            }
        }
    };
    use Act::*;
    let known = record(&content);
    check(&[Serve], &known, Ok(&[0]));
    check(&[Serve], "not json", Ok(&[0]));
    check(&[Redirect], &known, Ok(&[0, 0]));
    check(
        &[DieInTheMiddle, DieInTheMiddle, Serve],
        &known,
        Ok(&[0, half, later]),
    );
    check(&[DieInTheMiddle, Serve], "", Ok(&[0, half]));
    check(&[Stall, Serve], &known, Ok(&[0, half]));
    check(&[Truncate, Serve], &known, Ok(&[0, half]));
    // Without a record, the sum shows it, and what arrived is thrown away.
    check(&[Truncate, Serve], "", Ok(&[0, 0]));
    check(&[DieInTheMiddle, Whole], &known, Ok(&[0, half]));
    check(&[Corrupt, Serve], &known, Ok(&[0, 0]));
    check(&[Status(503), Status(429), Serve], &known, Ok(&[0, 0, 0]));
    check(
        &[Corrupt],
        &known,
        Err("twice; the file at the source has changed"),
    );
    check(
        &[Status(404)],
        &known,
        Err("answers 404; the file has moved"),
    );
    check(&[Status(500)], &known, Err("cannot reach"));
    check(
        &[DieInTheMiddle, Status(500)],
        &known,
        Err("broke off 5 times without progress, last with: status 500"),
    );
    let other = record(b"other").replace("\"size\": 5", "\"size\": 1");
    check(&[Serve], &other, Err("the record says that"));
}

#[test]
fn a_download_goes_on_where_an_earlier_call_ended() {
    let content = zip_of(&[("fan/a.wav", &noise(50_000))]);
    let server = Server::new(content.clone(), &[Act::Serve], &record(&content));
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("dev_fan.zip.part"), &content[..1000]).unwrap();
    let file = archive("dev_fan.zip", None);
    let options = Options {
        keep_archives: true,
        ..server.options()
    };
    fetch(&[&file], root.path(), &options, &mut |_| {}).unwrap();
    assert_eq!(server.ranges(), [1000]);
    assert_eq!(fs::read(root.path().join("dev_fan.zip")).unwrap(), content);
}

#[test]
fn without_a_network_archives_at_hand_are_used() {
    let content = zip_of(&[("fan/a.wav", b"RIFF")]);
    let root = tempfile::tempdir().unwrap();
    let file = archive("dev_fan.zip", Some(md5_hex(&content)));
    let fetch_offline = |offline: bool| {
        let options = Options {
            // Nothing listens at this address.
            mirror: Some("http://127.0.0.1:9".to_string()),
            offline,
            keep_archives: false,
            stall: Duration::from_millis(300),
            first_pause: Duration::from_millis(1),
        };
        fetch(&[&file], root.path(), &options, &mut |_| {}).map_err(|error| error.to_string())
    };
    let message = fetch_offline(true).unwrap_err();
    assert!(
        message.contains(
            "lacks dev_fan.zip; get them from http://127.0.0.1:9/records/1/files/dev_fan.zip"
        ),
        "{message}"
    );
    let message = fetch_offline(false).unwrap_err();
    assert!(
        message.contains("without a network, put dev_fan.zip"),
        "{message}"
    );
    fs::write(root.path().join("dev_fan.zip"), b"something else").unwrap();
    let message = fetch_offline(true).unwrap_err();
    assert!(
        message.contains("remove the file to download it again"),
        "{message}"
    );
    fs::write(root.path().join("dev_fan.zip"), &content).unwrap();
    fetch_offline(true).unwrap();
    let mark = format!(".fetched/{}", file.mark());
    assert_eq!(files(&root), [mark.as_str(), "dev_data/fan/a.wav"]);
    // Another year's file of this name is another file.
    let other = Archive {
        set: "dcase2024",
        ..file
    };
    let missing = fetch(&[&other], root.path(), &OFFLINE, &mut |_| {}).unwrap_err();
    assert!(
        missing.to_string().contains("lacks dev_fan.zip"),
        "{missing}"
    );
}

#[test]
fn what_was_not_unpacked_to_its_end_is_no_data_set() {
    let root = tempfile::tempdir().unwrap();
    let whole = zip_of(&[
        ("fan/train/normal_id_00_00.wav", &noise(600)),
        ("fan/x.wav", b"RIFF"),
    ]);
    let file = archive("dev_fan.zip", None);
    let refusal = || match crate::data::open(&root.path().join("dev_data/fan")) {
        Err(DataError::Unfinished { archive, .. }) => Some(archive),
        _ => None,
    };
    // The last entry is refused: nothing of the archive shows.
    let refused = zip_of(&[
        ("fan/train/normal_id_00_00.wav", &noise(600)),
        ("../x.wav", b"RIFF"),
    ]);
    fs::write(root.path().join("dev_fan.zip"), &refused).unwrap();
    assert!(fetch(&[&file], root.path(), &OFFLINE, &mut |_| {}).is_err());
    assert!(!root.path().join("dev_data").exists());
    assert_eq!(refusal(), Some(file.mark()));
    fs::write(root.path().join("dev_fan.zip"), &whole).unwrap();
    fetch(&[&file], root.path(), &OFFLINE, &mut |_| {}).unwrap();
    assert_eq!(refusal(), None);
    let mark = format!(".fetched/{}", file.mark());
    let expected = [
        mark.as_str(),
        "dev_data/fan/train/normal_id_00_00.wav",
        "dev_data/fan/x.wav",
    ];
    assert_eq!(files(&root), expected);
}

#[test]
fn no_archive_is_trusted() {
    fn check(file: &str, content: &[u8], expected: &str) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(file);
        fs::write(&path, content).unwrap();
        let inner = root.path().join("inner");
        let result = unpack::unpack(&path, file, &root.path().join("beside"), &inner);
        let message = result.map_or_else(|error| error.to_string(), |()| "fine".to_string());
        assert!(message.contains(expected), "{message}, expected {expected}");
        let outside: Vec<String> = files(&root)
            .into_iter()
            .filter(|f| !f.starts_with("inner/"))
            .collect();
        assert_eq!(outside, [file]);
    }
    fn tar_of(kind: tar::EntryType, name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        // `set_path` would refuse the path that is tested.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gz);
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    }
    check("a.zip", &zip_of(&[("x/./a.wav", b"RIFF")]), "fine");
    check(
        "a.zip",
        &zip_of(&[("../evil.wav", b"x")]),
        "leads out of the folder",
    );
    check(
        "a.zip",
        &zip_of(&[("/evil.wav", b"x")]),
        "leads out of the folder",
    );
    check(
        "a.zip",
        &zip_of(&[("x\\..\\..\\evil.wav", b"x")]),
        "leads out of the folder",
    );
    check("a.zip", b"not a zip", "cannot be unpacked");
    // Zeros pack to a thousandth of their size.
    let bomb = vec![0; (EXPANSION_ALLOWANCE + (16 << 20)) as usize];
    check("a.zip", &zip_of(&[("bomb.wav", &bomb)]), "enough for sound");
    check(
        "a.tar.gz",
        &tar_of(tar::EntryType::Regular, "bomb.wav", &bomb),
        "enough for sound",
    );
    check(
        "a.tar.gz",
        &tar_of(tar::EntryType::Regular, "x/a.wav", b"RIFF"),
        "fine",
    );
    check(
        "a.tar.gz",
        &tar_of(tar::EntryType::Regular, "../evil.wav", b"x"),
        "leads out of the folder",
    );
    check(
        "a.tar.gz",
        &tar_of(tar::EntryType::Symlink, "x", b""),
        "neither a file nor a folder",
    );
    check("a.tar.gz", b"not a tar", "cannot be unpacked");
    check("list.csv", b"fan\n", "fine");
}

#[test]
fn the_catalogue_names_what_can_be_fetched() {
    fn check(set: &str, machines: &[&str], parts: &[&str], expected: &str) {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect::<Vec<_>>();
        let shown = match select(set, &owned(machines), &owned(parts)) {
            Ok((.., archives)) => {
                let names: Vec<&str> = archives
                    .iter()
                    .map(|archive| archive.file.as_str())
                    .collect();
                names.join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }
    check("dcase2023", &["fan"], &[], "dev_fan.zip");
    check(
        "DCASE2024",
        &["3DPrinter"],
        &["train"],
        "eval_data_3DPrinter_train_r2.zip",
    );
    check(
        "dcase2020",
        &["fan"],
        &["all"],
        "dev_data_fan.zip eval_data_train_fan.zip eval_data_test_fan.zip eval_data_list.csv",
    );
    check("mimii", &["pump"], &[], "0_dB_pump.zip");
    check("urbansound8k", &[], &[], "UrbanSound8K.tar.gz");
    check(
        "mimii",
        &["bearing"],
        &[],
        "mimii has no machine `bearing` in 0_dB; there are fan, pump, slider, valve",
    );
    check(
        "mimii",
        &[],
        &["3_dB"],
        "mimii has no part `3_dB`; there are -6_dB, 0_dB, 6_dB",
    );
    check(
        "audioset",
        &[],
        &[],
        "there is no data set `audioset` to fetch; there are dcase2020, dcase2021, dcase2022, dcase2023, dcase2024, dcase2025, dcase2026, esc50, mimii, urbansound8k",
    );
    for (_, known) in KnownDataset::fetchable() {
        let (.., archives) = select(known.name, &[], &[]).unwrap();
        assert!(!archives.is_empty(), "{}", known.name);
    }
    assert_eq!(
        catalogue::parse("head\na,b").unwrap_err(),
        "line 2: needs seven columns"
    );
}
