//! The pipe between daemon and worker: a stream of frames, which may break anywhere, read by either side.

use crate::survives;
use engine::{
    frame::{self, FrameError},
    protocol::{Order, Report},
};
use serde::{Serialize, de::DeserializeOwned};

pub fn holds(bytes: &[u8]) -> bool {
    let taken = [read_all::<Order>(bytes), read_all::<Report>(bytes)];
    taken.contains(&true)
}

fn read_all<T: Serialize + DeserializeOwned>(mut pipe: &[u8]) -> bool {
    let mut taken = false;
    loop {
        let before = pipe.len();
        match frame::read::<T>(&mut pipe) {
            Ok(Some(words)) => {
                taken = true;
                survives(&words, |body| frame::decode(body).ok());
                let frame = frame::encode(&words).expect("what fitted a frame fits one again");
                assert!(matches!(frame::read::<T>(&mut &frame[..]), Ok(Some(_))));
            }
            Ok(None) => {
                assert_eq!(before, 0, "the end comes between two frames");
                return taken;
            }
            // The content was another; the border of the next frame is still known.
            Err(FrameError::Content(_)) => {}
            Err(FrameError::TooLong(_) | FrameError::Broken(_)) => return taken,
        }
        assert!(pipe.len() < before, "no progress");
    }
}
