//! What a layer is packed with is told by its first bytes: media types lie, and old archives have
//! none.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// Bytes that are looked at: a tar header.
const HEAD: usize = 512;
/// Buffer behind a decoder.
const BUFFER: usize = 256 * 1024;

/// What the data of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A tar archive.
    Tar,
    /// A tar archive in gzip.
    Gzip,
    /// A tar archive in zstd.
    Zstd,
    /// JSON.
    Json,
    /// Something else.
    Other,
}

/// Looks at the first bytes; gives them back in front of the rest.
///
/// # Errors
/// When the stream fails.
pub fn sniff<R: BufRead>(mut stream: R) -> io::Result<(Content, impl BufRead)> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut stream).take(HEAD as u64).read_to_end(&mut head)?;
    let content = match head.as_slice() {
        [0x1f, 0x8b, ..] => Content::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Content::Zstd,
        head if head.get(257..262) == Some(b"ustar") => Content::Tar,
        // An empty layer is two blocks of zeros.
        head if head.len() == HEAD && head.iter().all(|byte| *byte == 0) => Content::Tar,
        head => match head.trim_ascii_start() {
            [b'{' | b'[', ..] => Content::Json,
            _ => Content::Other,
        },
    };
    Ok((content, Cursor::new(head).chain(stream)))
}

/// The archive in a gzip stream of any number of members.
pub fn gunzip(stream: impl BufRead) -> impl BufRead {
    BufReader::with_capacity(BUFFER, MultiGzDecoder::new(stream))
}

/// The archive in a zstd stream of any number of frames.
pub fn unzstd<R: BufRead>(stream: R) -> impl BufRead {
    BufReader::with_capacity(
        BUFFER,
        Frames {
            state: State::Between(stream),
        },
    )
}

struct Frames<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    Between(R),
    Inside(Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut stream) => {
                    if !skip_skippable(&mut stream)? {
                        return Ok(0);
                    }
                    let frame = StreamingDecoder::new(stream).map_err(io::Error::other)?;
                    self.state = State::Inside(Box::new(frame));
                }
                State::Inside(mut frame) => {
                    let read = frame.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = State::Inside(frame);
                        return Ok(read);
                    }
                    self.state = State::Between(frame.into_inner());
                }
            }
        }
    }
}

/// Skips frames that hold no data (RFC 8878, 3.1.2); tells whether another one follows.
fn skip_skippable(stream: &mut impl BufRead) -> io::Result<bool> {
    while !stream.fill_buf()?.is_empty() {
        let is_skippable = matches!(stream.fill_buf()?.first(), Some(0x50..=0x5f));
        if !is_skippable {
            return Ok(true);
        }
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        io::copy(&mut stream.take(u64::from(length)), &mut io::sink())?;
    }
    Ok(false)
}
