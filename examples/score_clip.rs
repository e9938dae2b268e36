//! Scores a sound clip with an exported model, hop by hop, by the code that the device runs.
//!
//! ```sh
//! nas export latest/17 --to fan
//! cargo run --release --example score_clip -- fan clip.wav
//! ```

use std::{error::Error, fs, path::Path};

use nas::audio::{self, Channel};
use nas_kernels::{Model, Stream};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, clip] = &args[..] else {
        return Err("name the folder that `nas export` wrote, and a sound clip".into());
    };
    let blob = fs::read(Path::new(folder).join("firmware/model/model.nas"))?;
    let model = Model::parse(&blob).map_err(|error| format!("model.nas: {error}"))?;
    let front_end = model.front_end().ok_or("the model has no front end")?;

    // A device gets 16-bit samples at the model's rate; a file may have any rate.
    let sound = audio::read(Path::new(clip), Channel::default())?;
    let sound = sound.resampled(front_end.sample_rate_hz)?;
    let samples: Vec<i16> = sound.to_i16();

    let mut arena = vec![0; model.arena_bytes()];
    let mut memory = vec![0; model.stream_bytes() / 4];
    let mut stream = Stream::new(&model, 0, &mut arena, &mut memory)
        .map_err(|error| format!("model.nas: {error}"))?;
    let hop_s = f64::from(front_end.hop_length) / f64::from(front_end.sample_rate_hz);
    let mut heard = &samples[..];
    let mut hops = 0;
    while let Some(hop) = stream.next(&mut heard) {
        hops += 1;
        let Some(score) = hop.score else {
            continue;
        };
        let verdict = match hop.anomaly {
            Some(true) => "anomaly",
            Some(false) => "normal",
            None => "no threshold",
        };
        println!("{:8.3} s  {score:.4}  {verdict}", f64::from(hops) * hop_s);
    }
    Ok(())
}
