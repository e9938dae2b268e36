//! How much memory and disk the features of a command may take.

use std::sync::Arc;

use super::Global;
use nas::{
    features::{FeatureStore, Limits},
    units::Bytes,
};

#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[group(id = "limits")]
pub struct Args {
    /// Most memory for sound and features, for example 1G; what does not fit is read from the disk or made again
    /// [default: a sixteenth of the machine's]
    #[arg(long, value_name = "BYTES")]
    memory: Option<Bytes>,
    /// Most disk for features that are kept, for example 4G; the oldest go first [default: a quarter of what is free]
    #[arg(long, value_name = "BYTES")]
    cache: Option<Bytes>,
}

impl Args {
    /// The features of data sets, kept beside the store between commands.
    pub fn features(self, global: &Global) -> Arc<FeatureStore> {
        let folder = global.cache();
        let usual = Limits::of_machine(&folder);
        let limits = Limits {
            memory_bytes: self.memory.map_or(usual.memory_bytes, |bytes| bytes.0),
            cache_bytes: self.cache.map_or(usual.cache_bytes, |bytes| bytes.0),
        };
        global.detail(&format!(
            "sound and features take at most {} of memory and {} of disk in {}",
            Bytes(limits.memory_bytes),
            Bytes(limits.cache_bytes),
            folder.display()
        ));
        Arc::new(FeatureStore::new(Some(folder)).within(limits))
    }
}
