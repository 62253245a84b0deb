// Sound on its way to the server: recording without the browser's processing, and formats that the
// server does not read but the browser does.

export const LONGEST = 600; // seconds of what is decoded or recorded here

const text = (view, at, letters) => [...letters].forEach((one, k) => view.setUint8(at + k, one.charCodeAt(0)));

/** A WAV file of channels of samples in -1..1: PCM of 16 bits, or floats as they are. */
export function wav(channels, rate, float) {
  const bytes = float ? 4 : 2, length = channels[0].length, count = channels.length;
  const view = new DataView(new ArrayBuffer(44 + length * count * bytes));
  text(view, 0, 'RIFF'); view.setUint32(4, 36 + length * count * bytes, true); text(view, 8, 'WAVEfmt ');
  view.setUint32(16, 16, true); view.setUint16(20, float ? 3 : 1, true); view.setUint16(22, count, true);
  view.setUint32(24, rate, true); view.setUint32(28, rate * count * bytes, true);
  view.setUint16(32, count * bytes, true); view.setUint16(34, 8 * bytes, true);
  text(view, 36, 'data'); view.setUint32(40, length * count * bytes, true);
  let at = 44;
  for (let k = 0; k < length; k++) for (const channel of channels) {
    if (float) view.setFloat32(at, channel[k], true);
    else view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(channel[k] * 32768))), true);
    at += bytes;
  }
  return new Blob([view.buffer], { type: 'audio/wav' });
}

/** Decode a file that the server cannot read; throws a sentence. */
export async function decoded(file) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: neither the server nor this browser can read it; export it as WAV.`);
  }
  if (sound.duration > LONGEST) throw new Error(`${file.name}: lasts more than ${LONGEST / 60} minutes; export it as WAV or FLAC first.`);
  const channels = [...Array(Math.min(2, sound.numberOfChannels)).keys()].map((k) => sound.getChannelData(k));
  return wav(channels, sound.sampleRate, false);
}

/** Records the microphone as it is; `stop` gives a WAV file. */
export class Recorder {
  async start(told) {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error('This browser gives pages no microphone here; choose a file instead.');
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 },
      });
    } catch (error) {
      const why = { NotAllowedError: 'The microphone was denied; allow it for this page in the browser, or choose a file.', NotFoundError: 'There is no microphone here; connect one, or choose a file.' };
      throw new Error(why[error.name] || 'The microphone cannot be used; is another program using it?');
    }
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule('/static/recorder.js');
    this.parts = []; this.samples = 0; this.peak = 0;
    const source = this.context.createMediaStreamSource(this.stream);
    const node = new AudioWorkletNode(this.context, 'keep', { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      this.parts.push(data); this.samples += data.length;
      let loudest = 0;
      for (const one of data) loudest = Math.max(loudest, Math.abs(one));
      this.peak = Math.max(this.peak, loudest);
      told(this.samples / this.context.sampleRate, loudest);
    };
    source.connect(node);
    await this.context.resume();
  }

  async stop() {
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    await this.context.close();
    if (!this.samples) throw new Error('The microphone gave nothing; try again, or choose a file.');
    if (this.peak < 1e-4) throw new Error('The microphone gave only silence; is it muted, or is another one meant?');
    const whole = new Float32Array(this.samples);
    let at = 0;
    for (const part of this.parts) { whole.set(part, at); at += part.length; }
    return wav([whole], rate, true);
  }
}
