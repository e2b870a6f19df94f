//! What is read beside requests: the box's own messages (by tablets and `consultd ask`), manifests, training samples.

use crate::survives;
use contract::{
    info::BoxInfo, load::BoxLoad, manifest::AdapterManifest, reply::Reply, sample::Sample, status::BoxStatus,
};
use serde::{Serialize, de::DeserializeOwned};

pub fn holds(bytes: &[u8]) -> bool {
    let reply = Reply::parse(bytes);
    let taken = reply.is_ok();
    match reply {
        Ok(Reply::Accepted(it)) => json(&it),
        Ok(Reply::Alert(it)) => json(&it),
        Ok(Reply::Progress(it)) => json(&it),
        Ok(Reply::Answer(it)) => json(&it),
        Ok(Reply::Error(it)) => json(&it),
        Ok(Reply::Reviewed(it)) => json(&it),
        Ok(Reply::Report(it)) => json(&it),
        Err(_) => {}
    }
    let others = [
        document::<BoxStatus>(bytes),
        document::<BoxInfo>(bytes),
        document::<BoxLoad>(bytes),
        document::<AdapterManifest>(bytes),
        document::<Sample>(bytes),
    ];
    taken || others.contains(&true)
}

fn document<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let read = serde_json::from_slice::<T>(bytes);
    read.inspect(json).is_ok()
}

fn json<T: Serialize + DeserializeOwned>(it: &T) {
    survives(it, |bytes| serde_json::from_slice(bytes).ok());
}
