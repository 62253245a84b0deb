// The page: what is here, what is chosen, what becomes of it. All state is the server's, so that a
// reload, or another tab, finds everything again.

import { LongPlayer, Player, TimeMap, spectrogram, waveform } from './player.js';

const FOREIGN = /\.(m4a|mp4|aac|webm|mka|wma|amr|3gp|mov|m4v)$/i; // what the server does not read
const sounds = () => import('./sound.js');

const $ = (id) => document.getElementById(id);
const state = { version: 0, recordings: [], jobs: [] };
const chosen = { voice: null, backing: null, model: null, shown: null, heard: null };
let models = [], limits = {}, about = null, player = null, drawnFor = null;
const sending = { voice: 0, target: 0, backing: 0 };

function make(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

function say(id, words, bad = false) {
  $(id).textContent = words;
  $(id).classList.toggle('bad', bad);
  if (bad) $('live').textContent = words;
}

const banner = (words) => { $('banner').textContent = words; $('banner').hidden = !words; };

async function ask(path, options = {}) {
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error('The server does not answer; was it ended in the terminal?'); }
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error || `The server answered ${answer.status}.`);
  return body;
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
const lasting = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : `${clock(seconds)} min`);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// ---- recordings -------------------------------------------------------------------------------

function send(kind, blob, name, folder) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/api/recordings?kind=${kind}`);
    request.setRequestHeader('X-Name', encodeURIComponent(name));
    request.setRequestHeader('X-Folder', encodeURIComponent(folder));
    request.upload.onprogress = (event) => {
      if (event.total > 4e6) say(`${kind}-said`, `${name}: ${Math.round(100 * event.loaded / event.total)} % sent`);
    };
    request.onload = () => {
      let body = null;
      try { body = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status === 201) done(body);
      else failed(Object.assign(new Error(body?.error || `The server answered ${request.status}.`), { status: request.status }));
    };
    request.onerror = () => failed(new Error(`${name} could not be sent; is it too large, or was the server ended?`));
    request.send(blob);
  });
}

const folderOf = (file) => (file.folder || file.webkitRelativePath || '').split('/').filter(Boolean).slice(0, -1).at(-1) || '';

async function add(kind, file) {
  if (!file.size) throw new Error(`${file.name} is empty.`);
  if (limits.bytes && file.size > limits.bytes) throw new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; ${Math.round(limits.bytes / 2 ** 20)} MB are taken at most.`);
  let sound = file;
  if (FOREIGN.test(file.name)) {
    say(`${kind}-said`, `${file.name}: decoding`);
    sound = await (await sounds()).decoded(file);
  }
  try {
    return await send(kind, sound, file.name, folderOf(file));
  } catch (error) {
    if (sound !== file || error.status !== 422 || !/not audio/.test(error.message)) throw error;
    const again = await (await sounds()).decoded(file).catch(() => null);
    if (!again) throw error;
    return send(kind, again, file.name, folderOf(file));
  }
}

async function addAll(kind, files) {
  const list = [...files].filter((file) => !file.name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (!list.length) return;
  const wanted = kind === 'target' ? list : list.slice(0, 1);
  const failures = [];
  sending[kind] += 1;
  render();
  for (const [place, file] of wanted.entries()) {
    say(`${kind}-said`, wanted.length > 1 ? `${place + 1} of ${wanted.length}: ${file.name}` : `${file.name}: looking at it`);
    try {
      const one = await add(kind, file);
      if (kind !== 'target') chosen[kind] = one.id;
    } catch (error) { failures.push(error.message); }
  }
  sending[kind] -= 1;
  const skipped = kind !== 'target' && list.length > 1 ? ` Only ${list[0].name} was taken of ${list.length} files.` : '';
  say(`${kind}-said`, failures.length ? [...new Set(failures)].slice(0, 3).join(' ') + (failures.length > 3 ? ` And ${failures.length - 3} more.` : '') : skipped, failures.length > 0);
  if (!failures.length) $('live').textContent = `${wanted.length > 1 ? `${wanted.length} recordings` : wanted[0].name} added.`;
  render();
}

/** All files of a drop, of folders too. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) found.push(Object.assign(await new Promise((done, failed) => entry.file(done, failed)), { folder: entry.fullPath }));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) break;
        for (const one of some) await walk(one);
      }
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

for (const zone of document.querySelectorAll('.drop')) {
  const { kind } = zone.dataset;
  zone.addEventListener('dragover', (event) => { event.preventDefault(); zone.classList.add('over'); });
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', async (event) => {
    event.preventDefault();
    zone.classList.remove('over');
    addAll(kind, await dropped(event.dataTransfer));
  });
}
for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
for (const [id, kind] of [['voice-file', 'voice'], ['backing-file', 'backing'], ['target-file', 'target'], ['target-folder', 'target']]) {
  $(id).addEventListener('change', async (event) => { const files = [...event.target.files]; event.target.value = ''; addAll(kind, files); });
}

let recorder = null;
$('record').addEventListener('click', async () => {
  if (recorder) {
    const ending = recorder;
    recorder = null;
    $('record').textContent = 'Record'; $('record').setAttribute('aria-pressed', 'false'); $('recording').hidden = true;
    try {
      const sound = await ending.stop();
      const now = new Date(), two = (number) => String(number).padStart(2, '0');
      await addAll('voice', [new File([sound], `recording ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}.wav`)]);
    } catch (error) { say('voice-said', error.message, true); }
    return;
  }
  try {
    const { LONGEST, Recorder } = await sounds();
    const begun = new Recorder();
    await begun.start((seconds, level) => {
      $('record-level').value = Math.sqrt(level);
      $('record-time').textContent = clock(seconds);
      if (seconds > LONGEST && recorder) $('record').click();
    });
    recorder = begun;
    $('record').textContent = 'Stop'; $('record').setAttribute('aria-pressed', 'true'); $('recording').hidden = false;
    say('voice-said', 'Recording, as the microphone gives it.');
  } catch (error) { say('voice-said', error.message, true); }
});

function facts(one) {
  const parts = [lasting(one.seconds), `${(one.rate / 1000).toFixed(1).replace('.0', '')} kHz`];
  if (one.channels > 1) parts.push(`${one.channels} channels`);
  if (one.level !== null) parts.push(`${one.level.toFixed(1)} dB`);
  if (one.f0) parts.push(`F0 ${Math.round(one.f0[1])} Hz (${Math.round(one.f0[0])} to ${Math.round(one.f0[2])})`);
  return parts.join(', ');
}

async function remove(path) {
  try { await ask(path, { method: 'DELETE' }); } catch (error) { banner(error.message); }
}

function item(one, kind) {
  const name = make('span', { className: 'name', textContent: one.name, title: one.name });
  let first = name;
  if (kind !== 'target') {
    const radio = make('input', { type: 'radio', name: `use-${kind}`, value: one.id, checked: chosen[kind] === one.id });
    radio.addEventListener('change', () => { chosen[kind] = one.id; render(); });
    first = make('label', {}, radio, name);
  }
  const drop = make('button', { type: 'button', textContent: 'Remove' });
  drop.setAttribute('aria-label', `Remove ${one.name}`);
  drop.addEventListener('click', () => remove(`/api/recordings/${one.id}`));
  const warnings = one.said.map((words) => make('p', { className: 'warn', textContent: words }));
  const told = make('p', { className: 'facts', textContent: facts(one) });
  if (kind === 'target') return make('li', {}, make('div', { className: 'top' }, make('div', {}, name, told, ...warnings), drop));
  const canvas = make('canvas');
  canvas.setAttribute('aria-hidden', 'true');
  waveform(canvas, one.peaks, css('--accent'));
  return make('li', {}, make('div', { className: 'top' }, first, drop), canvas, told, ...warnings);
}

// ---- models -----------------------------------------------------------------------------------

const list = (names, most = 5) => names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '');
const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3))));

function scoreOf({ score }) {
  if (!score) return null;
  const beside = score.formula !== null ? `; the best formula has ${number(score.formula)}` : score.copy !== null ? `; the recording itself has ${number(score.copy)}` : '';
  return `${score.measure}: ${number(score.value)} (${number(score.low)} to ${number(score.high)})${beside}`;
}

function card(model) {
  const radio = make('input', { type: 'radio', name: 'model', value: model.key, checked: chosen.model === model.key, disabled: !model.loads });
  radio.addEventListener('change', () => choose(model.key));
  const open = model.from.includes('anyone'), roles = model.to.filter((one) => one !== 'recordings');
  const ready = open && !roles.length;
  const title = ready ? 'Any voice, from a few recordings of it' : `${open ? 'Anyone' : list(model.from, 3)} to ${list(roles, 3)}`;
  const lines = [
    [ready ? `${model.id}, needs no training` : `${model.id} (${model.family})`, model.rate ? `${model.rate / 1000} kHz` : null, model.step ? `step ${model.step}` : null].filter(Boolean).join(', '),
    scoreOf(model),
    model.data.length ? `Learnt from ${list(model.data, 2)}` : null,
    !model.data.length && model.licence ? `Licence: ${model.licence}` : null,
    model.non_commercial ? 'Not for commercial use.' : null,
    model.loads ? null : model.problem,
  ].filter(Boolean);
  return make('label', { className: `model${model.loads ? '' : ' broken'}` }, radio, make('span', {}, make('strong', { textContent: title }), ...lines.map((textContent) => make('small', { textContent }))));
}

async function lookAgain() {
  try {
    const found = await ask('/api/models');
    models = found.models.filter((one) => one.kind === 'conversion');
    limits = found.limits;
    for (const [id, range] of [['transpose', limits.transpose], ['stretch', limits.stretch], ['offset', limits.offset]]) [$(id).min, $(id).max] = range;
    const keep = models.find((one) => one.key === chosen.model && one.loads);
    const first = models.find((one) => one.key === found.chosen) || models.find((one) => one.loads);
    const had = document.activeElement?.name === 'model';
    $('models').replaceChildren(...models.map(card));
    await choose((keep || first)?.key ?? null);
    if (had) $('models').querySelector('input:checked')?.focus();
  } catch (error) { banner(error.message); }
}

async function choose(key) {
  chosen.model = key;
  const model = models.find((one) => one.key === key);
  for (const radio of $('models').querySelectorAll('input')) radio.checked = radio.value === key;
  if (!model) { about = null; render(); return; }
  const roles = model.to.filter((one) => one !== 'recordings'), takes = model.to.includes('recordings');
  const before = $('to').value;
  $('to').replaceChildren(...roles.map((role) => make('option', { value: role, textContent: role })), ...(takes && roles.length ? [make('option', { value: '', textContent: 'another voice, from recordings' })] : []));
  $('to').value = roles.includes(before) ? before : roles.at(-1) ?? '';
  $('to-row').hidden = !roles.length;
  render();
  try {
    const found = await ask(`/api/models/${key}`);
    if (chosen.model !== key) return;
    about = found;
    $('vocoder').replaceChildren(make('option', { value: '', textContent: `the model's own (${about.vocoder})` }), ...about.vocoders.map((one) => make('option', { value: one.key, textContent: one.name })));
    $('options').replaceChildren(...Object.entries(about.options).map(option));
  } catch (error) { about = null; say('convert-said', error.message, true); }
  render();
}

function option([name, schema]) {
  const id = `option-${name}`;
  const input = schema.type === 'boolean' ? make('input', { type: 'checkbox', checked: schema.default }) : make('input', { type: schema.type === 'string' ? 'text' : 'number', value: schema.default ?? '', step: schema.type === 'integer' ? 1 : 0.05 });
  if (schema.minimum !== undefined) input.min = schema.minimum;
  if (schema.maximum !== undefined) input.max = schema.maximum;
  input.id = id; input.dataset.option = name; input.dataset.type = schema.type;
  const range = schema.minimum !== undefined && schema.maximum !== undefined ? `${schema.minimum} to ${schema.maximum}` : '';
  return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: schema.title || name }), input, make('span', { className: 'unit', textContent: range }));
}

$('look-again').addEventListener('click', lookAgain);
document.addEventListener('visibilitychange', () => { if (!document.hidden) lookAgain(); });
$('to').addEventListener('change', render);

// ---- conversion -------------------------------------------------------------------------------

const targets = () => state.recordings.filter((one) => one.kind === 'target');
const fromRecordings = () => {
  const model = models.find((one) => one.key === chosen.model);
  return Boolean(model?.to.includes('recordings')) && !$('to').value;
};

/** What is missing for a conversion, in a sentence; nothing if it can begin. */
function missing() {
  if (Object.values(sending).some(Boolean)) return 'A recording is still being added.';
  if (!chosen.voice) return 'Add a recording first.';
  if (!chosen.model) return 'There is no model that loads; the terminal has the details.';
  if (!about) return 'The model is being looked at; this takes a few seconds at first.';
  if (fromRecordings() && !targets().length) return 'Add recordings of the voice to become.';
  const to = fromRecordings() ? '*' : $('to').value;
  if (about.backing.includes(to) && !chosen.backing) return 'This conversion needs a backing.';
  for (const input of document.querySelectorAll('.fields input')) {
    if (!input.checkValidity() && input.validity.rangeOverflow | input.validity.rangeUnderflow | input.validity.badInput) {
      const label = document.querySelector(`label[for="${input.id}"]`).textContent;
      return `${label} must lie between ${input.min} and ${input.max}.`;
    }
  }
  return '';
}

$('convert').addEventListener('click', async () => {
  const lacking = missing();
  if (lacking) { say('convert-said', lacking, true); return; }
  const options = {};
  for (const input of document.querySelectorAll('[data-option]')) {
    const { option: name, type } = input.dataset;
    if (type === 'boolean') options[name] = input.checked;
    else if (input.value !== '') options[name] = type === 'string' ? input.value : Number(input.value);
  }
  const asked = {
    voice: chosen.voice, backing: chosen.backing, model: chosen.model,
    to: fromRecordings() ? null : $('to').value, target: fromRecordings() ? targets().map((one) => one.id) : [],
    transpose: Number($('transpose').value), stretch: $('stretch').value === '' ? null : Number($('stretch').value),
    offset: Number($('offset').value), vocoder: $('vocoder').value || null, options,
  };
  say('convert-said', 'Asking for it');
  try {
    const job = await ask('/api/jobs', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(asked) });
    chosen.shown = job.id;
    say('convert-said', '');
    $('live').textContent = 'The conversion was queued.';
  } catch (error) { say('convert-said', error.message, true); }
  render();
});

$('demo').addEventListener('click', async () => {
  if ($('demo').getAttribute('aria-disabled') === 'true') return;
  context ??= new AudioContext();  // here, where a user has just asked for sound
  context.resume();
  $('demo').setAttribute('aria-disabled', 'true');
  say('voice-said', 'The demo is being made ready; this takes a few seconds at first.');
  try {
    const { jobs, recordings } = await ask('/api/demo', { method: 'POST' });
    Object.assign(chosen, recordings);
    chosen.shown = chosen.heard = jobs[0].id;
    say('voice-said', 'The demo was queued, and is played once it is done.');
    $('live').textContent = $('voice-said').textContent;
  } catch (error) { say('voice-said', error.message, true); }
  $('demo').removeAttribute('aria-disabled');
  render();
});

for (const input of document.querySelectorAll('.fields input')) input.addEventListener('input', () => { if ($('convert-said').classList.contains('bad')) say('convert-said', ''); });
$('target-clear').addEventListener('click', async () => { for (const one of targets()) await remove(`/api/recordings/${one.id}`); });

function how(job) {
  const share = job.seconds ? Math.floor(100 * job.done / job.seconds) : 0;
  if (job.state === 'waiting') return job.place > 1 ? `waits, ${job.place - 1} before it` : 'waits, next';
  if (job.state === 'running') return (job.done ? `${share} %, ` : '') + (job.eta === null ? `${Math.round(job.running)} s so far` : `about ${lasting(job.eta)} to go`);
  if (job.state === 'cancelling') return 'is being cancelled';
  if (job.state === 'cancelled') return 'cancelled';
  if (job.state === 'failed') return job.why;
  return `done in ${lasting(job.took)}`;
}

function jobItem(job) {
  const buttons = make('div', { className: 'buttons' });
  const button = (textContent, call) => {
    const made = make('button', { type: 'button', textContent });
    made.setAttribute('aria-label', `${textContent} ${job.name}`);
    made.dataset.call = `${job.id} ${textContent}`;
    made.addEventListener('click', call);
    buttons.append(made);
  };
  const over = ['done', 'failed', 'cancelled'].includes(job.state);
  if (job.state === 'done') button('Show', () => { chosen.shown = job.id; render(); });
  if (!over && job.state !== 'cancelling') button('Cancel', () => ask(`/api/jobs/${job.id}/cancel`, { method: 'POST' }).catch((error) => banner(error.message)));
  if (over) button('Remove', () => remove(`/api/jobs/${job.id}`));
  const li = make('li', { className: chosen.shown === job.id ? 'shown' : '' }, make('span', { className: 'name', textContent: job.name }), make('span', { className: `how${job.state === 'failed' ? ' bad' : ''}`, textContent: how(job) }), buttons);
  li.dataset.state = job.state;
  li.dataset.job = job.id;
  if (!over) {
    const bar = make('progress', { max: job.seconds || 1 });
    if (job.done) bar.value = job.done;
    bar.setAttribute('aria-label', `Progress of ${job.name}`);
    li.append(bar);
  }
  return li;
}

/** Jobs, the newest first; what is the same stays, so that no press of a button is lost. */
function renderJobs() {
  const have = new Map([...$('jobs').children].map((li) => [li.dataset.job, li]));
  const wanted = state.jobs.map((job) => {
    const sign = [job.state, chosen.shown === job.id, Boolean(job.done)].join(), old = have.get(job.id);
    if (old?.dataset.sign === sign) {
      old.querySelector('.how').textContent = how(job);
      const bar = old.querySelector('progress');
      if (bar && job.done) bar.value = job.done;
      return old;
    }
    const li = jobItem(job);
    li.dataset.sign = sign;
    return li;
  }).reverse();
  if (wanted.length !== $('jobs').children.length || wanted.some((li, k) => li !== $('jobs').children[k])) $('jobs').replaceChildren(...wanted);
}

// ---- the result -------------------------------------------------------------------------------

let context = null;

async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error || 'The sound cannot be fetched.');
  return context.decodeAudioData(await answer.arrayBuffer());
}

async function show(job) {
  drawnFor = job.id;
  player?.close();
  player = $('player').player = null;
  $('result').hidden = false;
  $('player').hidden = true;
  $('result-title').textContent = job.name;
  say('result-said', 'Drawing it');
  for (const name of ['wav', 'flac']) {
    $(`voice-${name}`).href = `/api/jobs/${job.id}/voice.${name}`;
    $(`mix-${name}`).hidden = !job.mix;
  }
  try {
    const look = await ask(`/api/jobs/${job.id}/look`);
    if (drawnFor !== job.id) return;
    $('verdicts').replaceChildren(...look.verdicts.map((textContent) => make('li', { textContent })));
    $('notes').replaceChildren(...look.notes.map((textContent) => make('li', { textContent })));
    for (const side of ['source', 'output']) {
      const place = document.querySelector(`[data-side=${side}]`), drawn = look[side];
      waveform(place.querySelector('.waveform'), drawn.peaks, '#8fd3cb');
      place.querySelector('.spectrogram').hidden = !drawn.image;
      if (drawn.image) spectrogram(place.querySelector('.spectrogram'), drawn, look.bands, look.range);
      place.dataset.seconds = drawn.seconds;
    }
    const map = new TimeMap(look.map), mixing = look.levels && { ...look.levels, vocal: look.gains.vocal, accomp: look.gains.accomp, offset: job.asked.offset };
    const urls = { voice: () => `/api/jobs/${job.id}/voice.wav`, source: () => `/api/recordings/${job.asked.voice}/sound`, mix: () => `/api/jobs/${job.id}/mix.wav?backing=${$('gain').value}` };
    const long = !look.output.image || !look.source.image;
    $('gain').value = look.gains.accomp;
    if (long) player = new LongPlayer(urls, map, look.output.seconds, unplayable);
    else {
      context ??= new AudioContext();
      const sounds = { voice: await fetched(urls.voice()), source: await fetched(urls.source()) };
      if (mixing) sounds.backing = await fetched(`/api/recordings/${job.asked.backing}/sound`);
      if (drawnFor !== job.id) return;
      player = new Player(context, sounds, map, mixing);
    }
    $('player').player = player;  // for who looks closer
    for (const radio of document.querySelectorAll('[name=listen]')) {
      radio.disabled = radio.value === 'mix' && !mixing;
      radio.checked = radio.value === 'voice';
    }
    $('gain-row').hidden = !mixing;
    $('seek').max = player.length;
    backing();
    say('result-said', long ? 'It is long: it is played by parts, and only its waveform is drawn.' : '');
    $('player').hidden = false;
    if (chosen.heard === job.id) {
      chosen.heard = null;
      say('voice-said', '');
      if (mixing) document.querySelector('[name=listen][value=mix]').click();
      await player.play();
    }
  } catch (error) { say('result-said', error.message, true); }
}

/** Say why a sound cannot be played, in the server's words. */
async function unplayable(url) {
  try {
    await ask(url, { headers: { Range: 'bytes=0-0' } });
    say('result-said', 'This browser cannot play it; download it.', true);
  } catch (error) { say('result-said', error.message, true); }
}

function backing() {
  const db = Number($('gain').value);
  $('gain-said').textContent = `${db.toFixed(1)} dB`;
  player?.setBacking(db);
  for (const name of ['wav', 'flac']) $(`mix-${name}`).href = `/api/jobs/${drawnFor}/mix.${name}?backing=${db}`;
}

$('gain').addEventListener('input', () => { $('gain-said').textContent = `${Number($('gain').value).toFixed(1)} dB`; });
$('gain').addEventListener('change', backing);
$('play').addEventListener('click', async () => {
  if (!player) return;
  if (player.playing) player.pause(); else await player.play();
});
$('seek').addEventListener('input', () => player?.seek(Number($('seek').value)));
for (const radio of document.querySelectorAll('[name=listen]')) radio.addEventListener('change', () => player?.choose(radio.value));
for (const place of document.querySelectorAll('.picture')) {
  place.addEventListener('click', (event) => {
    if (!player) return;
    const box = place.getBoundingClientRect(), time = (event.clientX - box.left) / box.width * Number(place.dataset.seconds);
    player.seek(place.dataset.side === 'source' ? player.map.toResult(time) : time);
  });
}

function tick() {
  if (player) {
    const now = player.position;
    if (player.playing && now >= player.length) { player.pause(); player.seek(0); }
    if (document.activeElement !== $('seek') || player.playing) $('seek').value = now;
    const told = `${clock(now)}.${Math.floor(now * 10) % 10}`;
    if ($('clock').textContent !== told) $('clock').textContent = told;
    const label = player.playing ? 'Pause' : 'Play';
    if ($('play').getAttribute('aria-label') !== label) {
      $('play').setAttribute('aria-label', label);
      $('play').textContent = player.playing ? '\u275A\u275A' : '\u25B6';
    }
    for (const place of document.querySelectorAll('.picture')) {
      const time = place.dataset.side === 'source' ? player.sourcePosition : now;
      place.querySelector('.head').style.transform = `translateX(${time / Number(place.dataset.seconds) * place.clientWidth}px)`;
    }
  }
  requestAnimationFrame(tick);
}

// ---- experiments ------------------------------------------------------------------------------

async function experiments() {
  if (!$('experiments').open) return;
  say('experiments-said', 'Looking for them');
  try {
    const found = (await ask('/api/experiments')).experiments;
    say('experiments-said', found.length ? '' : 'Nothing in ./exp or $VCTOOL_MODELS has been scored yet; ./run.sh trains and scores a small model.');
    const sentences = [...new Set(found.flatMap((one) => one.sounds))];
    $('sentence-row').hidden = !sentences.length;
    $('sentence').replaceChildren(...sentences.map((value) => make('option', { value, textContent: value })));
    $('experiment-list').replaceChildren(...found.map(experiment));
    hear();
  } catch (error) { say('experiments-said', error.message, true); }
}

function experiment(one) {
  const parts = [make('h3', { textContent: one.name })];
  if (one.training) parts.push(make('p', { className: 'facts', textContent: `In training: step ${one.training.step}${one.training.best === null ? '' : `, best score ${number(one.training.best)}`}` }));
  parts.push(...one.cautions.map((textContent) => make('p', { className: 'facts', textContent })));
  if (one.scores.length) {
    const names = [...new Set(one.scores.flatMap((row) => Object.keys(row.others)))].slice(0, 4);
    const row = (tag, cells) => make('tr', {}, ...cells.map((textContent) => make(tag, { textContent })));
    const table = make('table', {}, make('thead', {}, row('th', ['measure', 'model', ...names])), make('tbody', {}, ...one.scores.map((score) => row('td', [score.measure, `${number(score.value)}${score.low === null || score.low === undefined ? '' : ` (${number(score.low)} to ${number(score.high)})`}`, ...names.map((name) => (name in score.others ? number(score.others[name]) : ''))]))));
    const scroll = make('div', { className: 'scroll', tabIndex: 0 }, table);
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-label', `Scores of ${one.name}`);
    parts.push(scroll);
  }
  const audio = make('audio', { controls: true, preload: 'none', hidden: true });
  audio.setAttribute('aria-label', `The sentence by ${one.name}`);
  audio.dataset.key = one.key;
  audio.sounds = one.sounds;
  parts.push(audio);
  if (one.report) {
    const button = make('button', { type: 'button', textContent: 'Report' });
    button.setAttribute('aria-label', `Report of ${one.name}`);
    button.addEventListener('click', () => {
      const frame = make('iframe', { src: `/api/experiments/${one.key}/report`, title: `Report of ${one.name}` });
      frame.setAttribute('sandbox', 'allow-scripts');
      $('report').replaceChildren(frame);
      $('report').hidden = false;
      frame.focus();
    });
    parts.push(button);
  }
  return make('div', { className: 'experiment' }, ...parts);
}

function hear() {
  for (const audio of document.querySelectorAll('.experiment audio')) {
    const place = audio.sounds.indexOf($('sentence').value);
    audio.hidden = place < 0;
    if (place >= 0) audio.src = `/api/experiments/${audio.dataset.key}/sound/${place}`;
  }
}

$('experiments').addEventListener('toggle', experiments);
$('sentence').addEventListener('change', hear);

// ---- all of it --------------------------------------------------------------------------------

const shownItems = {};

function items(id, kind) {
  const wanted = state.recordings.filter((one) => one.kind === kind);
  const key = JSON.stringify([wanted.map((one) => one.id), chosen[kind]]);
  if (shownItems[id] === key) return wanted;
  shownItems[id] = key;
  $(id).replaceChildren(...wanted.map((one) => item(one, kind)).reverse());
  return wanted;
}

function render() {
  for (const kind of ['voice', 'backing']) {
    const there = state.recordings.filter((one) => one.kind === kind);
    if (!there.some((one) => one.id === chosen[kind])) chosen[kind] = there.at(-1)?.id ?? null;
    items(`${kind}-items`, kind);
  }
  const goal = items('target-items', 'target');
  $('target').hidden = !fromRecordings();
  $('target-clear').hidden = goal.length < 2;
  if (goal.length && !sending.target && !$('target-said').classList.contains('bad')) {
    const seconds = goal.reduce((sum, one) => sum + one.seconds, 0);
    say('target-said', `${goal.length} recording${goal.length > 1 ? 's' : ''}, ${lasting(seconds)}${seconds < 30 ? ': more would sound more alike' : ''}`);
  }
  $('backing-hint').textContent = about?.backing.includes(fromRecordings() ? '*' : $('to').value) ? 'is needed for this' : 'if there is one';
  $('stretch').placeholder = about && $('to').value && $('to').value === $('to').options[$('to').options.length - 1]?.value ? about.stretch : 1;
  $('convert').setAttribute('aria-disabled', missing() ? 'true' : 'false');
  $('no-jobs').hidden = state.jobs.length > 0;
  const focused = document.activeElement?.dataset?.call;
  renderJobs();
  if (focused) document.querySelector(`[data-call="${focused}"]`)?.focus();
  const job = state.jobs.find((one) => one.id === chosen.shown) || state.jobs.findLast((one) => one.state === 'done' && !chosen.shown);
  if (job?.state === 'done' && drawnFor !== job.id) { chosen.shown = job.id; $('live').textContent = `${job.name} is done.`; show(job); }
  if (state.jobs.some((one) => one.id === chosen.heard && ['failed', 'cancelled'].includes(one.state))) { chosen.heard = null; say('voice-said', ''); }
  if (drawnFor && !state.jobs.some((one) => one.id === drawnFor)) { player?.close(); player = null; drawnFor = null; chosen.shown = null; $('result').hidden = true; }
}

async function follow() {
  for (;;) {
    try {
      Object.assign(state, await ask(state.version ? `/api/state?since=${state.version}` : '/api/state'));
      banner('');
      render();
    } catch (error) {
      banner(error.message);
      await new Promise((done) => { setTimeout(done, 2000); });
    }
  }
}

setInterval(() => { // seconds pass between what the server tells
  for (const job of state.jobs) if (job.state === 'running') {
    job.running += 1;
    if (job.eta !== null) job.eta = Math.max(0.5, job.eta - 1);
    const line = document.querySelector(`[data-job="${job.id}"] .how`);
    if (line) line.textContent = how(job);
  }
}, 1000);

lookAgain();
follow();
requestAnimationFrame(tick);
