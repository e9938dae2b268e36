//! Watches one machine of many: the sound of the others is known not to be normal for it.

use super::{Clip, DataError, Dataset, Label, Split, counted};

impl Dataset {
    /// The data set of one machine, one section, or `MACHINE/SECTION`. Training clips of the others become known
    /// anomalies for training; their test clips are left out.
    pub fn watching(mut self, wanted: &str) -> Result<Dataset, DataError> {
        let is_wanted = |clip: &Clip| {
            let both = wanted.split_once('/') == Some((&clip.machine, &clip.section));
            both || clip.machine == wanted || clip.section == wanted
        };
        if !self.clips.iter().any(is_wanted) {
            let mut known: Vec<String> = self
                .clips
                .iter()
                .map(|clip| format!("{}/{}", clip.machine, clip.section))
                .collect();
            known.sort();
            known.dedup();
            return Err(DataError::NoSuchSection {
                wanted: wanted.to_string(),
                known: known.join(", "),
            });
        }
        self.clips
            .retain(|clip| is_wanted(clip) || clip.split == Split::Train);
        let mut others = 0;
        for clip in self.clips.iter_mut().filter(|clip| !is_wanted(clip)) {
            clip.label = Some(Label::Anomaly);
            others += 1;
        }
        self.name = format!("{}:{wanted}", self.name);
        self.notes.push(format!(
            "watches {wanted}: {} of other sections train as known anomalies",
            counted(others, "clip")
        ));
        Ok(self)
    }

    /// Indices of the training clips that are labelled anomalous.
    pub fn known_anomalies(&self) -> impl Iterator<Item = usize> {
        self.select(Split::Train, Some(Label::Anomaly))
    }
}
