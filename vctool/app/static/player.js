// Plays recording, result and mix on one clock, and draws them.
//
// All are started together and switched by gain, with a ramp of 5 ms. Positions are those of the
// result; a stretched recording runs at its own speed, so on a switch its place is looked up in the
// time map, and it is started there.

const RAMP = 0.005, AHEAD = 0.01;

/** A time map of pairs (recording, result) [s], both ways; without pairs times are equal. */
export class TimeMap {
  constructor(pairs) {
    this.taken = pairs.filter((_, k) => k % 2 === 0);
    this.given = pairs.filter((_, k) => k % 2 === 1);
    this.plain = !pairs.length;
  }
  toSource(time) { return this.plain ? time : interpolate(time, this.given, this.taken); }
  toResult(time) { return this.plain ? time : interpolate(time, this.taken, this.given); }
}

function interpolate(x, from, to) {
  let low = 0, high = from.length - 1;
  if (x <= from[0]) return to[0];
  if (x >= from[high]) return to[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) low = middle; else high = middle;
  }
  const span = from[high] - from[low];
  return span > 0 ? to[low] + (x - from[low]) / span * (to[high] - to[low]) : to[high];
}

const ratio = (db) => 10 ** (db / 20);

/** Sounds in memory, up to ten minutes. */
export class Player {
  constructor(context, sounds, map, mixing) {
    this.context = context; this.sounds = sounds; this.map = map; this.mixing = mixing;
    this.length = sounds.voice.duration;
    this.which = 'voice'; this.at = 0; this.playing = false; this.nodes = {}; this.gains = {};
    for (const name of Object.keys(sounds)) {
      this.gains[name] = context.createGain();
      this.gains[name].gain.value = 0;
      this.gains[name].connect(context.destination);
    }
    this.setBacking(mixing ? mixing.accomp : 0);
  }

  /** Position [s of the result]. */
  get position() {
    if (!this.playing) return this.at;
    const passed = Math.max(0, this.context.currentTime - this.since);
    const now = this.which === 'source' ? this.map.toResult(this.map.toSource(this.at) + passed) : this.at + passed;
    return Math.min(now, this.length);
  }

  /** Position [s of the recording], as it sounds. */
  get sourcePosition() { return this.map.toSource(this.position); }

  async play() {
    await this.context.resume();
    if (this.position >= this.length - 0.02) this.at = 0;
    this.playing = true;
    this.start();
  }

  pause() { this.at = this.position; this.playing = false; this.halt(); }

  seek(time) {
    this.at = Math.max(0, Math.min(time, this.length));
    if (this.playing) { this.halt(); this.start(); }
  }

  choose(which) {
    if (which === this.which) return;
    const moves = !this.map.plain && this.playing && (which === 'source') !== (this.which === 'source');
    if (moves) this.at = this.position;
    this.which = which;
    if (moves) { this.halt(); this.start(); } else this.balance();
  }

  /** Gains as the server mixes: the voice at the backing's level, and all lowered if it would clip. */
  setBacking(db) {
    this.backingDb = db;
    if (this.mixing) {
      const { voice, backing, vocal } = this.mixing;
      const silent = voice <= -100 || backing <= -100;
      this.mixGains = { voice: ratio(vocal) * (silent ? 1 : ratio(backing - voice)), backing: ratio(db) };
      const peak = this.peak();
      if (peak > 0.99) for (const name of ['voice', 'backing']) this.mixGains[name] *= 0.99 / peak;
    }
    this.balance();
  }

  peak() {
    const voice = this.sounds.voice.getChannelData(0), { backing } = this.sounds, { mixGains } = this;
    const begin = Math.round(this.mixing.offset * this.context.sampleRate);
    let peak = 0;
    for (let c = 0; c < backing.numberOfChannels; c++) {
      const side = backing.getChannelData(c), length = side.length;
      let at = begin >= 0 ? begin % length : begin;
      for (let k = 0; k < voice.length; k++) {
        const under = at >= 0 ? side[at] : 0;
        const both = Math.abs(voice[k] * mixGains.voice + under * mixGains.backing);
        if (both > peak) peak = both;
        if (++at >= length) at = 0;
      }
    }
    return peak;
  }

  wanted() {
    const mixed = this.which === 'mix' && this.mixing;
    return {
      source: this.which === 'source' ? 1 : 0,
      voice: this.which === 'voice' ? 1 : mixed ? this.mixGains.voice : 0,
      backing: mixed ? this.mixGains.backing : 0,
    };
  }

  balance() {
    const now = this.context.currentTime, wanted = this.wanted();
    for (const [name, node] of Object.entries(this.gains)) {
      const { gain } = node;
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(wanted[name], now + RAMP);
    }
  }

  start() {
    this.since = this.context.currentTime + AHEAD;
    const { at, since } = this;
    const node = (name, where, loop) => {
      const made = this.context.createBufferSource();
      made.buffer = this.sounds[name]; made.loop = loop;
      made.connect(this.gains[name]);
      made.start(since + Math.max(0, -where), Math.max(0, where) % (loop ? made.buffer.duration : Infinity));
      this.nodes[name] = made;
    };
    node('voice', at, false);
    node('source', this.map.toSource(at), false);
    if (this.sounds.backing) node('backing', at + this.mixing.offset, true);
    this.balance();
  }

  halt() {
    const now = this.context.currentTime;
    for (const [name, node] of Object.entries(this.nodes)) {
      const { gain } = this.gains[name];
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(0, now + RAMP);
      node.stop(now + RAMP);
    }
    this.nodes = {};
  }

  close() { this.halt(); this.playing = false; for (const one of Object.values(this.gains)) one.disconnect(); }
}

/** The same for long recordings: the browser asks the server for the parts that it plays.
 *
 * Each sound has an element of its own, so that one that was heard before is there at once; `failed`
 * is called with the address of one that cannot be played.
 */
export class LongPlayer {
  constructor(urls, map, length, failed) {
    this.map = map; this.length = length; this.urls = urls; this.failed = failed;
    this.which = 'voice'; this.playing = false; this.sounds = {};
    for (const name of ['voice', 'source']) this.load(name);
  }
  load(name) {
    const sound = new Audio();
    sound.preload = 'auto';
    sound.src = this.urls[name]();
    sound.onended = () => { if (sound === this.audio) this.playing = false; };
    sound.onerror = () => { if (this.sounds[name] === sound) { this.playing = false; this.failed(sound.src); } };
    this.sounds[name] = sound;
  }
  get audio() { return this.sounds[this.which]; }
  get position() { const now = this.audio.currentTime; return this.which === 'source' ? this.map.toResult(now) : now; }
  get sourcePosition() { return this.map.toSource(this.position); }
  async play() {
    if (this.position >= this.length - 0.02) this.seek(0);
    this.playing = true;
    await this.begin();
  }
  async begin() {
    // To be interrupted by a pause or another sound is no failure; those that are, are told of above.
    try { await this.audio.play(); } catch (error) { if (!['AbortError', 'NotSupportedError'].includes(error.name)) throw error; }
  }
  pause() { this.playing = false; this.audio.pause(); }
  seek(time) { this.audio.currentTime = this.which === 'source' ? this.map.toSource(time) : time; }
  async choose(which) {
    const at = this.position;
    this.audio.pause();
    this.which = which;
    if (!this.sounds[which]) this.load(which);
    this.seek(at);
    if (this.playing) await this.begin();
  }
  setBacking(db) {
    const at = this.position, { mix } = this.sounds;
    this.backingDb = db;
    if (!mix) return;
    this.drop('mix');
    if (this.which !== 'mix') return;
    this.load('mix');
    this.seek(at);
    if (this.playing) this.begin();
  }
  drop(name) {
    const sound = this.sounds[name];
    delete this.sounds[name];
    sound.pause();
    sound.removeAttribute('src');
    sound.load();
  }
  close() { this.playing = false; for (const name of Object.keys(this.sounds)) this.drop(name); }
}

const STOPS = [[16, 22, 26], [16, 60, 74], [20, 128, 120], [150, 200, 120], [255, 245, 200]];

function colour(value) {
  const place = value / 255 * (STOPS.length - 1), k = Math.min(STOPS.length - 2, Math.floor(place));
  return STOPS[k].map((one, c) => one + (place - k) * (STOPS[k + 1][c] - one));
}

/** Draw a waveform of lowest and highest samples, by turns, in 1/127 of full scale. */
export function waveform(canvas, peaks, style) {
  const count = peaks.length / 2, height = 96;
  canvas.width = Math.max(1, count); canvas.height = height;
  const pen = canvas.getContext('2d');
  pen.fillStyle = style;
  for (let k = 0; k < count; k++) {
    const top = height / 2 * (1 - peaks[2 * k + 1] / 127), bottom = height / 2 * (1 - peaks[2 * k] / 127);
    pen.fillRect(k, top, 1, Math.max(1, bottom - top));
  }
}

/** Draw levels of bands, and F0 over them. */
export function spectrogram(canvas, drawn, bands, [low, high]) {
  const { columns } = drawn, levels = Uint8Array.from(atob(drawn.image), (one) => one.charCodeAt(0));
  canvas.width = columns; canvas.height = bands;
  const small = new ImageData(columns, bands), table = [...Array(256).keys()].map(colour);
  for (let band = 0; band < bands; band++) for (let k = 0; k < columns; k++) {
    small.data.set([...table[levels[band * columns + k]], 255], 4 * ((bands - 1 - band) * columns + k));
  }
  const sheet = document.createElement('canvas');
  sheet.width = columns; sheet.height = bands;
  sheet.getContext('2d').putImageData(small, 0, 0);
  canvas.width = 1200; canvas.height = 264;
  const pen = canvas.getContext('2d');
  pen.imageSmoothingEnabled = true;
  pen.drawImage(sheet, 0, 0, canvas.width, canvas.height);
  pen.strokeStyle = '#ff5fa2'; pen.lineWidth = 5; pen.lineJoin = 'round';
  pen.beginPath();
  let before = 0;
  drawn.f0.forEach((hertz, k) => {
    const x = k / Math.max(1, drawn.f0.length - 1) * canvas.width;
    const y = canvas.height * (1 - Math.log(hertz / low) / Math.log(high / low));
    if (hertz) { if (before) pen.lineTo(x, y); else pen.moveTo(x, y); }
    before = hertz;
  });
  pen.stroke();
}
