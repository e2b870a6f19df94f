//! Frames on the pipes between daemon and worker: four bytes of length (little endian), then that much JSON.
//! A pipe has no borders of its own, and one side may die in the middle of a word.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// A filled form is a few KiB, an order a request and some; what is larger is not ours.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
    #[error("the pipe broke inside a frame")]
    Broken(#[source] io::Error),
    #[error("the frame does not hold the expected words")]
    Content(#[source] serde_json::Error),
}

/// The bytes of one frame, length included.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let body = serde_json::to_vec(message).map_err(FrameError::Content)?;
    let length = length(body.len())?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length);
    frame.extend_from_slice(&body);
    Ok(frame)
}

fn length(bytes: usize) -> Result<[u8; 4], FrameError> {
    match u32::try_from(bytes) {
        Ok(n) if bytes <= FRAME_BYTES_MAX => Ok(n.to_le_bytes()),
        _ => Err(FrameError::TooLong(bytes)),
    }
}

/// The length that a frame's first four bytes announce.
pub fn announced(head: [u8; 4]) -> Result<usize, FrameError> {
    let bytes = u32::from_le_bytes(head) as usize;
    if bytes > FRAME_BYTES_MAX { Err(FrameError::TooLong(bytes)) } else { Ok(bytes) }
}

pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(FrameError::Content)
}

/// Reads the next message; `None` when the other side has closed the pipe between two frames.
pub fn read<T: DeserializeOwned>(pipe: &mut impl Read) -> Result<Option<T>, FrameError> {
    let mut head = [0; 4];
    match pipe.read(&mut head).map_err(FrameError::Broken)? {
        0 => return Ok(None),
        n => pipe.read_exact(&mut head[n..]).map_err(FrameError::Broken)?,
    }
    let mut body = vec![0; announced(head)?];
    pipe.read_exact(&mut body).map_err(FrameError::Broken)?;
    decode(&body).map(Some)
}

pub fn write(pipe: &mut (impl Write + ?Sized), message: &impl Serialize) -> Result<(), FrameError> {
    let frame = encode(message)?;
    pipe.write_all(&frame).and_then(|()| pipe.flush()).map_err(FrameError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut pipe = Vec::new();
        write(&mut pipe, &"胸闷").expect("writes");
        write(&mut pipe, &"头痛").expect("writes");
        let mut pipe = &pipe[..];
        assert_eq!(read::<String>(&mut pipe).expect("reads").as_deref(), Some("胸闷"));
        assert_eq!(read::<String>(&mut pipe).expect("reads").as_deref(), Some("头痛"));
        assert_eq!(read::<String>(&mut pipe).expect("reads"), None);
    }

    #[test]
    fn every_cut_inside_a_frame_is_an_error() {
        let whole = encode(&"胸闷").expect("encodes");
        for cut in 1..whole.len() {
            assert!(read::<String>(&mut &whole[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_gigantic_length_takes_no_memory() {
        assert!(matches!(read::<String>(&mut &b"\xff\xff\xff\xffxx"[..]), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(matches!(read::<String>(&mut &b"\x02\0\0\0{]"[..]), Err(FrameError::Content(_))));
    }
}
