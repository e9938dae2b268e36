//! Turns a data set into a task: labels to learn, or classes to tell apart.

use super::{
    Clip, DataError, Dataset, Label, LeftOut, Split, counted, divide, folds, left_out, notes,
};

/// What the classifiers of a data set learn to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learns {
    /// Sections of normal sound: a clip is anomalous where it does not sound like the section it claims.
    Sections,
    /// Normal and anomalous clips, both of which train.
    Labels,
    /// Classes of sound; every clip is of one, and none is anomalous.
    Classes,
}

impl Dataset {
    /// The same clips with labels that are learnt. Where no labelled anomaly trains, half of them do from now on, and the
    /// others test.
    pub fn learning_labels(self) -> Result<Dataset, DataError> {
        let anomalies: Vec<usize> = self.select(Split::Test, Some(Label::Anomaly)).collect();
        let has_normals = self
            .clips
            .iter()
            .any(|clip| clip.label == Some(Label::Normal));
        let trains = self.known_anomalies().next().is_some();
        if !has_normals || !(trains || anomalies.len() > 1) {
            return Err(DataError::NoLabels { name: self.name });
        }
        let (first, _) = match trains {
            true => (Vec::new(), Vec::new()),
            false => divide::divided(&self, anomalies.clone(), anomalies.len() / 2),
        };
        let mut dataset = self.learning(Learns::Labels, |clips| {
            for idx in &first {
                clips[*idx].split = Split::Train;
            }
        });
        if !first.is_empty() {
            let (count, rest) = (
                counted(first.len(), "labelled anomaly").replace("anomalys", "anomalies"),
                anomalies.len() - first.len(),
            );
            dataset
                .notes
                .push(format!("{count} train, and {rest} test: labels are learnt"));
        }
        Ok(dataset)
    }

    /// The same clips as classes to tell apart: by their attribute `class`, else by section, else by machine. Whether a clip
    /// is labelled anomalous no longer matters.
    pub fn learning_classes(mut self) -> Result<Dataset, DataError> {
        let are_many = |of: &dyn Fn(&Clip) -> &str| {
            let mut values: Vec<&str> = self.clips.iter().map(of).collect();
            values.sort_unstable();
            values.dedup();
            values.len() > 1
        };
        let by_attribute = self
            .clips
            .iter()
            .any(|clip| clip.attribute(folds::CLASS).is_some());
        let by_section = are_many(&|clip| &clip.section);
        if !by_attribute && !by_section && !are_many(&|clip| &clip.machine) {
            return Err(DataError::NoClasses { name: self.name });
        }
        let class = |clip: &Clip| -> Option<String> {
            match (by_attribute, by_section) {
                (true, _) => clip.attribute(folds::CLASS).map(str::to_string),
                (false, true) => Some(clip.section.clone()),
                (false, false) => Some(clip.machine.clone()),
            }
        };
        let without = self.clips.iter().filter(|clip| class(clip).is_none());
        let without: Vec<LeftOut> = without
            .map(|clip| LeftOut::clip(&clip.name, "it has no class"))
            .collect();
        self.notes.extend(left_out::notes(&without));
        self.left_out.extend(without);
        let machine = self.name.clone();
        Ok(self.learning(Learns::Classes, |clips| {
            clips.retain_mut(|clip| match class(clip) {
                Some(class) => {
                    clip.section = class;
                    clip.machine.clone_from(&machine);
                    clip.label = Some(Label::Normal);
                    true
                }
                None => false,
            });
        }))
    }

    /// Changes the clips, and the notes that follow from them.
    fn learning(mut self, learns: Learns, change: impl FnOnce(&mut Vec<Clip>)) -> Dataset {
        let before = notes::notes(&self.clips, self.learns);
        self.notes.retain(|note| !before.contains(note));
        change(&mut self.clips);
        self.clips
            .sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
        self.learns = learns;
        self.notes.extend(notes::notes(&self.clips, learns));
        self
    }
}
