use super::*;

/// Says what it was told to say.
struct Fake(String);

impl Board for Fake {
    fn load(&mut self, _: &Image, _: &[Region<'_>]) -> Result<(), MeasureError> {
        Ok(())
    }

    fn run(&mut self, _: Duration) -> Result<String, MeasureError> {
        Ok(self.0.clone())
    }
}
