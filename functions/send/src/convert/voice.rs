//! Turns Chatwoot's recordings (mp3) into voice notes (mono Opus in Ogg). WhatsApp shows these with their waveform
//! and plays them at once.

use nanomp3_core::{Channels, DecodeError, Decoder, MAX_SAMPLES_PER_FRAME};
use opus_pure::{Application, MAX_PACKET_BYTES, OggOpusWriter, OpusEncoder, OpusHead};

/// Opus uses this rate whatever its input; samples a second.
const RATE: u32 = 48_000;
/// Samples in 20 ms.
const BLOCK: usize = RATE as usize / 50;
/// WhatsApp's own voice notes use about this much; bits a second.
const BITRATE: i32 = 24_000;
/// Out of ten; more is hardly audible in speech and takes twice the processor time.
const COMPLEXITY: i32 = 3;

/// Five minutes as Chatwoot records them. A longer recording is sent as the file it is: coding it would take more of the
/// function's time than is left to send it.
pub(crate) const MAX_RECORDING_BYTES: u64 = 5 * 1024 * 1024;

/// Whether the dashboard recorded it, judged by the names it gives: twelve digits that its `getUuid` draws
/// (`AudioRecorder.vue`), a whole UUID, or `recording-` and a time. People name files otherwise.
pub(crate) fn is_recording(name: &str, mime_type: &str) -> bool {
    let stem = name.strip_suffix(".mp3").unwrap_or_default();
    let hexadecimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    let drawn = stem.len() == 12 && hexadecimal(stem) && stem.as_bytes().get(8) == Some(&b'4');
    let uuid = stem.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && stem.split('-').all(hexadecimal);
    let time = stem.strip_prefix("recording").and_then(|rest| rest.strip_prefix(['-', '_'])).unwrap_or_default();
    let timed = time.len() >= 10 && time.bytes().all(|b| b.is_ascii_digit());
    mime_type == "audio/mpeg" && (drawn || uuid || timed)
}

/// The voice note; nothing if the bytes are no mp3, or one that cannot be read.
pub(crate) fn note(mp3: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = OpusEncoder::new(i32::try_from(RATE).ok()?, 1, Application::Voip).ok()?;
    encoder.bitrate_bps = BITRATE;
    encoder.complexity = COMPLEXITY;
    let mut ogg = OggOpusWriter::new(Vec::new(), OpusHead::for_encoder(&encoder, RATE)).ok()?;
    let mut packet = vec![0; MAX_PACKET_BYTES];
    let mut write = |block: &[f32]| {
        let length = encoder.encode(block, BLOCK, &mut packet).ok()?;
        ogg.write_packet(packet.get(..length)?).ok()
    };
    let mut decoder = Decoder::new();
    let mut pcm = vec![0.0; MAX_SAMPLES_PER_FRAME];
    let mut mixer = Mixer::default();
    let (mut rest, mut heard) = (mp3, false);
    while !rest.is_empty() {
        let (used, frame) = decoder.decode(rest, &mut pcm);
        rest = rest.get(used..)?;
        match frame {
            Ok(frame) => {
                let channels = if frame.channels == Channels::Mono { 1 } else { 2 };
                mixer.add(pcm.get(..frame.samples_produced * channels)?, channels, frame.sample_rate);
                heard |= frame.samples_produced > 0;
            }
            // The first frames may depend on ones that were cut off; the end may be incomplete.
            Err(DecodeError::ReservoirUnavailable(_)) if used > 0 => {}
            Err(DecodeError::NoFrame) if heard => break,
            Err(_) => return None,
        }
        while let Some(block) = mixer.block() {
            write(&block)?;
        }
    }
    // The codec has a delay: silence pushes the last samples out of it.
    write(&mixer.last())?;
    write(&[0.0; BLOCK])?;
    heard.then(|| ogg.finish().ok()).flatten()
}

/// Mixes all channels into one, at [`RATE`]. It only ever has to go up from what recorders use, so linear interpolation between
/// two samples is enough.
#[derive(Default)]
struct Mixer {
    samples: Vec<f32>,
    last: f32,
    /// Where between the last two samples the next one lies.
    phase: f32,
}

impl Mixer {
    fn add(&mut self, pcm: &[f32], channels: usize, rate: u32) {
        #[expect(clippy::cast_precision_loss, reason = "rates are small numbers")]
        let step = rate as f32 / RATE as f32;
        for sample in pcm.chunks_exact(channels) {
            let mixed = sample.iter().sum::<f32>() / if channels == 1 { 1.0 } else { 2.0 };
            while self.phase < 1.0 {
                self.samples.push(self.last + (mixed - self.last) * self.phase);
                self.phase += step;
            }
            self.phase -= 1.0;
            self.last = mixed;
        }
    }

    fn block(&mut self) -> Option<Vec<f32>> {
        (self.samples.len() >= BLOCK).then(|| self.samples.drain(..BLOCK).collect())
    }

    /// The remaining samples, followed by silence.
    fn last(&mut self) -> Vec<f32> {
        let mut block = std::mem::take(&mut self.samples);
        block.resize(BLOCK, 0.0);
        block
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use opus_pure::{MAX_PACKET_SAMPLES, OggOpusReader};

    use super::*;

    /// A second of speech, 44.1 kHz mono, as `lame` wrote it.
    const SPEECH: &[u8] = include_bytes!("../../../../infra/stories/media/speech.mp3");

    #[test]
    fn a_recording_is_a_voice_note_that_lasts_as_long() {
        let note = note(SPEECH).unwrap();
        let voice =
            whatsapp::media::Way::Upload { mime_type: "audio/ogg".to_owned(), kind: domain::message::MediaKind::Voice };
        assert_eq!(whatsapp::media::ways("audio/ogg", note.len() as u64, &note).first(), Some(&voice));
        assert!(note.len() < SPEECH.len(), "{} bytes", note.len());
        let mut reader = OggOpusReader::new(Cursor::new(note)).unwrap();
        let mut decoder = reader.head().decoder(48_000).unwrap();
        let (mut samples, mut loudest, mut pcm) = (0, 0.0_f32, vec![0.0; MAX_PACKET_SAMPLES]);
        while let Some(packet) = reader.read_packet().unwrap() {
            let count = decoder.decode(&packet.data, MAX_PACKET_SAMPLES, &mut pcm).unwrap();
            samples += count;
            loudest = pcm[..count].iter().fold(loudest, |most, sample| most.max(sample.abs()));
        }
        assert!((48_000..58_000).contains(&samples), "{samples} samples");
        assert!(loudest > 0.1, "silence: {loudest}");
    }

    #[test]
    fn a_torn_end_costs_only_the_end_and_what_is_no_mp3_is_left_alone() {
        assert!(note(&SPEECH[..SPEECH.len() - 100]).is_some());
        for other in [&b""[..], b"ID3", b"audio", &[0xff; 4000], b"OggS\0\x02", &SPEECH[..60]] {
            assert_eq!(note(other), None);
        }
    }

    #[test]
    fn only_what_the_dashboard_recorded_is_one() {
        for name in
            ["3fa91c0e4b7d", "0b9d8a4e-3c51-4f0e-9a5b-2f1f0c6f7a11", "recording-1795183500", "recording_1795183500000"]
        {
            assert!(is_recording(&format!("{name}.mp3"), "audio/mpeg"), "{name}");
        }
        for (name, mime) in [
            ("nota.mp3", "audio/mpeg"),
            ("recording.mp3", "audio/mpeg"),
            ("recording-1.mp3", "audio/mpeg"),
            ("recording-junta.mp3", "audio/mpeg"),
            ("5215555550123.mp3", "audio/mpeg"),
            ("521555555012.mp3", "audio/mpeg"),
            ("3fa91c0e4b7d.ogg", "audio/ogg"),
            ("0b9d8a4e-3c51-4f0e-9a5b-2f1f0c6f7a11.mp3", "audio/ogg"),
            ("0b9d8a4e-3c51-4f0e-9a5b.mp3", "audio/mpeg"),
            ("0b9d8a4e-3c51-4f0e-9a5b-2f1f0c6f7a1x.mp3", "audio/mpeg"),
            ("", "audio/mpeg"),
        ] {
            assert!(!is_recording(name, mime), "{name}");
        }
    }

    #[test]
    fn the_recorded_callback_brings_a_recording() {
        let callback = include_str!("../../../../events/chatwoot/07_audio_attachment.json");
        let callback: serde_json::Value = serde_json::from_str(callback).unwrap();
        let file = &callback["attachments"][0];
        let name = chatwoot::files::name(file["data_url"].as_str().unwrap()).unwrap();
        assert!(is_recording(&name, file["content_type"].as_str().unwrap()), "{name}");
    }
}
