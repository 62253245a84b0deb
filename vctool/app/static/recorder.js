// Hands on what the microphone gives, about ten times a second.
class Keep extends AudioWorkletProcessor {
  constructor() { super(); this.held = new Float32Array(4096); this.count = 0; }
  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    if (this.count + samples.length > this.held.length) {
      this.port.postMessage(this.held.slice(0, this.count));
      this.count = 0;
    }
    this.held.set(samples, this.count);
    this.count += samples.length;
    return true;
  }
}
registerProcessor('keep', Keep);
