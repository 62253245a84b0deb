"""The page in a real browser: from a recording to a file, by mouse and by keyboard."""

import base64
import io
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.app import stand_in
from tests.app.conftest import RATE, Files, Served, save_models
from tests.browser import Browser, until
from tests.conftest import Needs
from vctool.checkpoints import find
from vctool.inference.demo import convert_demo
from vctool.inference.files import convert_files
from vctool.vocoders.stored import experiment
from vctool.vocoders.stored.packaged import content

TAB, ENTER, SPACE = "\ue004", "\ue007", " "


def add(page: Browser, kind: str, *files: Path) -> None:
    """Choose files as a user does, and wait until they are looked at."""
    have = page.js(f"return document.querySelectorAll('#{kind}-items li').length")
    page.type(f"#{kind}-file", "\n".join(map(str, files)))
    page.wait(f"document.querySelectorAll('#{kind}-items li').length >= {have + len(files)}")


def ready(page: Browser) -> None:
    page.wait("document.getElementById('convert').getAttribute('aria-disabled') === 'false'")


def pick(page: Browser, model: str) -> None:
    """Choose a model by a word of its card."""
    page.js(
        "[...document.querySelectorAll('.model')].find((one) => one.textContent.includes("
        "arguments[0])).querySelector('input').click()",
        model,
    )


def convert(page: Browser) -> None:
    """Press the button, and wait for the player."""
    ready(page)
    before = page.js("return document.querySelectorAll('.jobs li').length")
    page.click("#convert")
    page.wait(f"document.querySelectorAll('.jobs li').length > {before}")
    page.wait("document.querySelector('.jobs li:first-child').matches('.shown[data-state=done]')",
              patience=90)  # fmt: skip
    page.wait("Boolean(document.getElementById('player').player)")


def fetched(page: Browser, link: str) -> bytes:
    """Return what a link gives."""
    text = page.js(
        "const got = await fetch(document.getElementById(arguments[0]).href);"
        "const bytes = new Uint8Array(await got.arrayBuffer());"
        "let text = ''; for (const one of bytes) text += String.fromCharCode(one);"
        "return btoa(text)",
        link,
    )
    return base64.b64decode(text)


def violations(page: Browser, axe: str) -> list[str]:
    """Return what axe-core finds once all is at rest: in the middle of a fade colours are mixed."""
    page.js(f"if (!window.axe) {{ {axe} }}")
    page.js(
        "await new Promise((done) => requestAnimationFrame(done));"
        "await Promise.allSettled(document.getAnimations().map((one) => one.finished))"
    )
    found: list[dict[str, Any]] = page.js("return (await axe.run()).violations")
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found]


def test_a_recording_becomes_another_voice(
    page: Browser, place: Files, served: Served, axe: str, tmp_path: Path
) -> None:
    page.requested()
    pick(page, "Any voice")
    add(page, "voice", place.voice)
    takes = sorted(place.other.iterdir())
    add(page, "target", *takes)
    add(page, "backing", place.backing)
    convert(page)
    # To the byte what the command makes.
    convert_files([str(place.voice)], to=place.other, out=tmp_path / "out.wav")
    assert fetched(page, "voice-wav") == (tmp_path / "out.wav").read_bytes()
    assert len(fetched(page, "mix-flac")) > 1000
    colours = page.js(
        "return [...document.querySelectorAll('#pictures canvas')].map((one) => new Set("
        "new Uint32Array(one.getContext('2d').getImageData(0, 0, one.width, one.height).data.buffer"
        ")).size)"
    )
    spectrograms, waveforms = colours[::2], colours[1::2]
    assert min(spectrograms) > 100 and min(waveforms) >= 2, colours
    # F0 over both, in its own colour
    assert page.js(
        "return [...document.querySelectorAll('.spectrogram')].map((one) => { const { data } = "
        "one.getContext('2d').getImageData(0, 0, one.width, one.height); let count = 0;"
        "for (let k = 0; k < data.length; k += 4) count += data[k] === 255 && data[k + 1] === 95"
        " && data[k + 2] === 162; return count > 500 })"
    ) == [True, True]
    page.click("#play")
    page.wait("document.getElementById('clock').textContent > '0:00.3'")
    page.click("#play")
    page.wait("document.getElementById('play').getAttribute('aria-label') === 'Play'")
    assert violations(page, axe) == []
    # Nothing is asked of any other host.
    asked = [url for url in page.requested() if not url.startswith(("blob:", "data:", "chrome"))]
    assert len(asked) > 5 and all(
        url.startswith(f"http://127.0.0.1:{served.port}/") for url in asked
    )
    assert [one["message"] for one in page.log("browser") if one["level"] == "SEVERE"] == []


def test_trained_vocoders_are_offered(
    page: Browser, place: Files, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of experiments and of files, as `--vocoder` takes them, as soon as they are there."""
    assert "glass" not in page.text("#vocoder")
    exp, packaged = place.folder / "exp", place.folder / "mine.safetensors"
    save_models(exp, vocoders=True)
    try:
        packaged.write_bytes(content(*experiment.parts(find(exp / "glass")), ""))
        (place.folder / "odd.safetensors").write_bytes(b"no vocoder")
        page.click("#look-again")
        page.wait("document.querySelectorAll('.model').length > 5")
        pick(page, "many (vae_gan)")
        page.wait("document.querySelector('#vocoder').textContent.includes('griffin_lim')")
        names = page.js("return [...document.querySelectorAll('#vocoder option')].map("
                        "(one) => one.textContent)")  # fmt: skip
        # and not tin, which takes other mels
        assert names == [
            "the model's own (griffin_lim)",
            "glass (istft)",
            "mine.safetensors (istft)",
        ]
        about = served.ask("GET", f"/api/models/{served.models()['many']['key']}").json
        assert str(place.folder) not in json.dumps(about) and "exp" not in json.dumps(about)
        add(page, "voice", place.voice)
        made = {}
        monkeypatch.chdir(place.folder)
        for name, path in (("glass (istft)", "exp/glass"), ("mine.safetensors", str(packaged))):
            page.js(
                "const { options } = document.getElementById('vocoder');"
                "[...options].find((one) => one.textContent.startsWith(arguments[0])).selected"
                " = true",
                name,
            )
            convert(page)
            out = tmp_path / f"{Path(path).stem}.wav"
            convert_files(
                [str(place.voice)], model=Path("exp/many"), to="ben", vocoder=path, out=out
            )
            made[name] = fetched(page, "voice-wav")
            assert made[name] == out.read_bytes()
        shutil.rmtree(exp / "glass")
        page.js("document.getElementById('vocoder').selectedIndex = 1")
        page.click("#convert")
        page.wait("document.querySelector('.jobs [data-state=failed]')")
        said = page.text(".jobs [data-state=failed] .how")
        assert "glass" in said and "/" not in said
        page.click("#look-again")
        page.wait("document.querySelectorAll('#vocoder option').length === 2")
    finally:
        for name in ("many", "glass", "tin"):
            shutil.rmtree(exp / name, ignore_errors=True)
        for one in place.folder.glob("*.safetensors*"):
            one.unlink()


def test_the_demo_is_one_click(
    start: Any, shared_browser: Browser, tmp_path: Path, axe: str
) -> None:
    """With no model, no recording and no setting: press, and hear what the command makes."""
    (tmp_path / "empty").mkdir()
    served = start(folder=tmp_path / "empty")
    page = shared_browser
    page.size(1280, 900)
    page.open(served.address)
    page.wait("document.querySelectorAll('.model input').length > 2")
    page.click("#demo")
    page.wait("document.getElementById('player').player?.playing", patience=120)
    assert page.js("return document.getElementById('player').player.which") == "mix"
    page.wait("document.getElementById('clock').textContent > '0:00.3'")
    assert page.text(".jobs .shown .name") == "sentence.flac to singing"
    page.wait("document.querySelectorAll('.jobs [data-state=done]').length === 2", patience=60)
    assert violations(page, axe) == []
    convert_demo(tmp_path / "made")
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    sung, spoken = (job["id"] for job in served.ask("GET", "/api/state").json["jobs"])
    for name, job in (("sentence.singing.wav", sung), ("sentence.TF2.wav", spoken)):
        answer = served.ask("GET", f"/api/jobs/{job}/voice.wav")
        equal = answer.body == made[name]
        assert equal and name in (answer.header("content-disposition") or "")
    # The mix is made of the voice in 16 bits, which rounds some samples the other way.
    mixes = [soundfile.read(io.BytesIO(one), dtype="int16")[0].astype(int) for one in (
        made["sentence.singing.mix.wav"], served.ask("GET", f"/api/jobs/{sung}/mix.wav").body
    )]  # fmt: skip
    assert np.abs(mixes[0] - mixes[1]).max() <= 1
    # Once more: its recordings are there already.
    again = served.ask("POST", "/api/demo").json
    assert len(served.ask("GET", "/api/state").json["recordings"]) == 2
    for job in again["jobs"]:
        served.ask("POST", f"/api/jobs/{job['id']}/cancel")
    page.open("about:blank")


def test_the_page_is_small_and_at_rest(page: Browser, served: Served, axe: str) -> None:
    page.open("about:blank")
    page.requested()
    page.open(served.address)
    page.wait("document.querySelector('#vocoder option')")
    asked = [url for url in page.requested() if url.startswith(f"http://127.0.0.1:{served.port}")]
    assert len(asked) <= 10, asked
    sizes = page.js(
        "return performance.getEntriesByType('resource').concat(performance.getEntriesByType("
        "'navigation')).map((one) => one.transferSize)"
    )
    assert 10_000 < sum(sizes) < 100_000
    moved = page.js(
        "return new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
        "for (const one of list.getEntries()) sum += one.value; done(sum); }).observe("
        "{type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 300); })"
    )
    assert moved < 0.1  # what is called good (CLS)
    assert violations(page, axe) == []
    page.size(390, 844)
    assert page.js("return document.documentElement.scrollWidth") == 390
    page.devtools("Emulation.setEmulatedMedia", features=[
        {"name": "prefers-color-scheme", "value": "dark"}])  # fmt: skip
    try:
        assert violations(page, axe) == []
    finally:
        page.devtools("Emulation.setEmulatedMedia", features=[])


def test_it_works_by_keyboard(page: Browser, place: Files) -> None:
    pick(page, "Any voice")
    add(page, "voice", place.voice)
    add(page, "target", *sorted(place.other.iterdir())[:1])
    ready(page)
    page.js("document.body.tabIndex = -1; document.body.focus()")
    seen: list[str] = []
    for _ in range(40):
        page.keys(TAB)
        name, outlined = page.js(
            "const one = document.activeElement, around = [one, one.closest('.button'),"
            "one.closest('.model')].filter(Boolean);"
            "return [one.id || one.name || one.className || one.tagName,"
            "around.some((it) => getComputedStyle(it).outlineStyle !== 'none')]"
        )
        assert outlined, f"no focus to be seen on {name}"
        seen.append(name)
        if name == "convert":
            break
    assert {"voice-file", "record", "model", "target-file", "backing-file", "transpose",
            "convert"} <= set(seen)  # fmt: skip
    page.keys(ENTER)
    page.wait("Boolean(document.getElementById('player').player)", patience=60)
    page.js("document.getElementById('play').focus()")
    page.keys(SPACE)
    page.wait("document.getElementById('player').player.playing")
    page.js("document.querySelector('[name=listen]:checked').focus()")
    page.keys("\ue012")  # to the left: the recording
    assert page.js("return document.getElementById('player').player.which") == "source"


SLOPE, LOWEST = 450.0, 200.0
"""A tone whose frequency tells the time: 200 Hz, and 450 more with every second."""

HEARD = """
const { player } = document.getElementById('player'), { context } = player;
if (!window.tap) {
  window.tap = context.createAnalyser();
  tap.fftSize = 2048;
  for (const one of Object.values(player.gains)) one.connect(tap);
}
await new Promise((done) => setTimeout(done, arguments[0]));
const wave = new Float32Array(tap.fftSize);
tap.getFloatTimeDomainData(wave);
const told = player.sourcePosition - tap.fftSize / 2 / context.sampleRate;
const crossings = [];
for (let k = 1; k < wave.length; k++) if (wave[k - 1] < 0 && wave[k] >= 0) {
  crossings.push(k - 1 + wave[k - 1] / (wave[k - 1] - wave[k]));
}
const cycles = crossings.length - 1;
const hertz = cycles * context.sampleRate / (crossings.at(-1) - crossings[0]);
const middle = (crossings[0] + crossings.at(-1)) / 2 - tap.fftSize / 2;
return [told + middle / context.sampleRate, hertz, player.position];
"""


@pytest.mark.parametrize("stretch", [1, 1.5])
def test_positions_are_those_that_are_heard(
    page: Browser, place: Files, tmp_path: Path, served: Served, stretch: float
) -> None:
    time_ = np.arange(4 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (LOWEST * time_ + SLOPE / 2 * time_**2))
    soundfile.write(tmp_path / "tone.wav", tone, RATE)
    pick(page, "Any voice")
    add(page, "voice", tmp_path / "tone.wav")
    add(page, "target", *sorted(place.other.iterdir())[:1])
    page.js("document.getElementById('stretch').value = arguments[0]", stretch)
    convert(page)
    length = page.js("return document.getElementById('player').player.length")
    assert length == pytest.approx(4 * stretch, abs=0.01)
    page.js("document.getElementById('player').player.seek(0.4)")
    page.click("#play")
    for which in ("source", "voice", "source"):
        before, since = page.js(
            "const { player } = document.getElementById('player');"
            "await new Promise((done) => setTimeout(done, 120));"
            "const now = player.position; player.choose(arguments[0]);"
            "return [now, player.position - now]",
            which,
        )
        assert abs(since) < 0.02  # a switch moves nothing
        if which == "source":
            told, hertz, position = page.js(HEARD, 120)
            heard = (hertz - LOWEST) / SLOPE
            assert heard == pytest.approx(told, abs=0.02)
            assert position > before
    page.js("document.getElementById('player').player.pause()")
    look = served.ask(
        "GET", f"/api/jobs/{served.ask('GET', '/api/state').json['jobs'][0]['id']}/look"
    )
    pairs = np.array(look.json["map"]).reshape(-1, 2)
    assert (len(pairs) > 100) == (stretch != 1)
    at, source = page.js(
        "const { player } = document.getElementById('player'); player.seek(2);"
        "return [player.position, player.sourcePosition]"
    )
    wanted = np.interp(at, pairs[:, 1], pairs[:, 0]) if len(pairs) else at
    assert source == pytest.approx(wanted, abs=0.02)


def test_a_recording_is_made_here(page: Browser, served: Served) -> None:
    page.js(
        "const { mediaDevices } = navigator, real = mediaDevices.getUserMedia.bind(mediaDevices);"
        "mediaDevices.getUserMedia = (asked) => { window.asked = asked; return real(asked); }"
    )
    page.click("#record")
    page.wait("document.getElementById('record-time').textContent >= '0:01'")
    page.click("#record")
    page.wait("document.querySelectorAll('#voice-items li').length === 1")
    (made,) = served.ask("GET", "/api/state").json["recordings"]
    # The fake microphone beeps once a second; floats, as the microphone gave them.
    assert made["format"] == "FLOAT" and made["seconds"] > 0.9 and made["level"] > -60
    # and nothing in between makes it prettier
    asked = page.js("return asked.audio")
    assert not any(asked[name] for name in (
        "echoCancellation", "noiseSuppression", "autoGainControl"
    ))  # fmt: skip


def test_a_microphone_that_is_denied_is_said(served: Served, needs: Needs, tmp_path: Path) -> None:
    with Browser(needs("chromedriver"), tmp_path, microphone="deny") as other:
        other.open(served.address)
        other.wait("document.querySelectorAll('.model input').length > 2")
        other.click("#record")
        other.wait("document.getElementById('voice-said').textContent.includes('denied')")
        assert other.js("return document.getElementById('recording').hidden")


def test_a_microphone_that_gives_silence_is_said(page: Browser, served: Served) -> None:
    page.js(
        "navigator.mediaDevices.getUserMedia = async () => {"
        "const context = new AudioContext(); await context.resume();"
        "return context.createMediaStreamDestination().stream; }"
    )
    page.click("#record")
    page.wait("document.getElementById('record-time').textContent >= '0:01'")
    page.click("#record")
    page.wait("document.getElementById('voice-said').textContent.includes('gave only silence')")
    assert served.ask("GET", "/api/state").json["recordings"] == []


def encoded(needs: Needs, source: Path | str, made: Path, *words: str) -> Path:
    """Encode a recording as its ending says."""
    program = [needs("ffmpeg"), "-loglevel", "error", *words]
    subprocess.run([*program, "-i", str(source), str(made)], check=True)
    return made


@pytest.mark.parametrize("ending", ["webm", "m4a", "mp4"])
def test_what_the_browser_decodes_is_taken(
    page: Browser, place: Files, tmp_path: Path, needs: Needs, served: Served, ending: str
) -> None:
    add(page, "voice", encoded(needs, place.voice, tmp_path / f"phone.{ending}"))
    (one,) = served.ask("GET", "/api/state").json["recordings"]
    assert one["name"] == f"phone.{ending}" and one["format"] == "PCM_16"
    assert one["seconds"] == pytest.approx(2.0, abs=0.15)  # aac begins and ends with silence


def test_the_browser_decodes_ten_minutes_at_most(
    page: Browser, tmp_path: Path, needs: Needs, served: Served
) -> None:
    silence = ("-f", "lavfi", "-t", "601")
    long = encoded(needs, "anullsrc=r=8000:cl=mono", tmp_path / "long.webm", *silence)
    page.type("#voice-file", str(long))
    page.wait("document.getElementById('voice-said').classList.contains('bad')")
    assert "long.webm: lasts more than 10 minutes" in page.text("#voice-said")
    assert served.ask("GET", "/api/state").json["recordings"] == []


DROP = """
const [zone, files] = [document.querySelector(`.drop[data-kind=${arguments[0]}]`), arguments[1]];
const transfer = new DataTransfer();
for (const [name, text] of files) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  transfer.items.add(new File([bytes], name));
}
for (const type of ['dragover', 'drop']) {
  const how = { dataTransfer: transfer, bubbles: true, cancelable: true };
  zone.dispatchEvent(new DragEvent(type, how));
}
"""


def test_recordings_are_dropped_and_folders_chosen(
    page: Browser, place: Files, served: Served
) -> None:
    sound = base64.b64encode(place.voice.read_bytes()).decode()
    page.js(DROP, "voice", [["dropped.wav", sound], ["another.wav", sound]])
    page.wait("document.querySelectorAll('#voice-items li').length === 1")
    # Of several the first by its name is taken, and that is said.
    page.wait("document.getElementById('voice-said').textContent.includes('Only another.wav')")
    facts = page.text("#voice-items .facts")
    assert "2.0 s, 16 kHz" in facts and " dB" in facts and "F0 1" in facts
    pick(page, "Any voice")
    page.type("#target-folder", str(place.other))
    page.wait("document.querySelectorAll('#target-items li').length === 3")
    page.wait("document.getElementById('target-said').textContent.includes('3 recordings')")
    ready(page)
    page.click("#convert")
    page.wait("document.querySelector('.jobs .name')")
    assert page.text(".jobs .name") == f"another.wav to {place.other.name}"


def test_a_model_s_card_says_how_good_it_is(page: Browser, place: Files, served: Served) -> None:
    row = {
        "model": {"value": 5.25, "low": 5.0, "high": 5.5, "gap": 0.5},
        "copy": {"value": 9.5}, "mean_variance": {"value": 7.125},
    }  # fmt: skip
    results = place.folder / "exp" / "pair" / "results.json"
    systems = {"mean_variance": "a formula, the formula to beat"}
    results.write_text(json.dumps({"measures": {"mcd": row}, "systems": systems}))
    try:
        page.click("#look-again")
        page.wait("document.getElementById('models').textContent.includes('5.25')")
        cards = page.js("return [...document.querySelectorAll('.model')].map((it) => it.innerText)")
        (card,) = (one for one in cards if "pair" in one)
        for told in ("ann, ben to ann, ben", "pair (cyclegan_vc), 16 kHz, step 3",
                     "mcd: 5.25 (5 to 5.5); the best formula has 7.13"):  # fmt: skip
            assert told in card, card
        (shipped,) = (one for one in cards if "mini (vocal_cyclegan)" in one)
        assert "Learnt from" in shipped and "CC0" in shipped, shipped
    finally:
        results.unlink()
    # Ranges are the server's.
    ranges = served.ask("GET", "/api/models").json["limits"]
    for name in ("transpose", "stretch", "offset"):
        found = page.js(
            "const it = document.getElementById(arguments[0]); return [+it.min, +it.max]", name
        )
        assert found == ranges[name]


def test_bad_files_are_said_and_names_are_no_markup(
    page: Browser, place: Files, tmp_path: Path
) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("these are my notes, and no recording")
    page.type("#voice-file", str(text))
    page.wait("document.getElementById('voice-said').classList.contains('bad')")
    assert "notes.wav" in page.text("#voice-said")
    large = tmp_path / "large.wav"
    large.write_bytes(b"x" * (4 * 2**20 + 1))
    page.type("#voice-file", str(large))
    page.wait("document.getElementById('voice-said').textContent.includes('at most')")
    odd = tmp_path / "<img src=x onerror='window.hacked=1'>.wav"
    odd.write_bytes(place.voice.read_bytes())
    add(page, "voice", odd)
    assert page.js("return [document.querySelectorAll('main img').length, window.hacked]") == [
        0,
        None,
    ]
    assert "<img" in page.text("#voice-items .name")
    page.js("document.getElementById('transpose').value = 99")
    pick(page, "Any voice")
    add(page, "target", *sorted(place.other.iterdir())[:1])
    page.wait("document.querySelector('#vocoder option')")
    page.click("#convert")
    assert "Transpose must lie between" in page.text("#convert-said")


def test_a_conversion_outlives_a_reload_and_ends_when_cancelled(
    page: Browser, place: Files, served: Served
) -> None:
    pick(page, "Any voice")
    add(page, "voice", place.long)
    add(page, "target", *sorted(place.other.iterdir())[:1])
    ready(page)
    page.click("#convert")
    page.wait("document.querySelector('.jobs [data-state=running]')")
    page.open(f"http://127.0.0.1:{served.port}/")
    page.wait("document.querySelector('.jobs [data-state=running]')")
    assert page.js("return window.stay === undefined")
    # How far it is: in words, and as a bar
    assert re.search(r"s so far|to go", page.text(".jobs [data-state=running] .how"))
    assert page.js("return document.querySelector('.jobs progress').max") == pytest.approx(48)
    page.click("[data-state=running] .buttons button")
    began = time.monotonic()
    page.wait("document.querySelector('.jobs [data-state=cancelled]')", patience=20)
    assert time.monotonic() - began < 20 and not list(served.own_folder.glob("outputs/*"))
    # The queue goes on.
    add(page, "voice", place.voice)
    ready(page)
    page.click("#convert")
    page.wait("document.querySelector('.jobs .shown[data-state=done]')", patience=90)


def test_two_tabs_show_the_same(page: Browser, place: Files, served: Served) -> None:
    first = page.windows()[0]
    second = page.new_tab()
    try:
        page.open(f"http://127.0.0.1:{served.port}/")
        page.wait("document.querySelectorAll('.model input').length > 2")
        page.go_to(first)
        add(page, "voice", place.voice)
        page.go_to(second)
        page.wait("document.querySelectorAll('#voice-items li').length === 1")
        pick(page, "pair (cyclegan_vc)")
        ready(page)
        page.click("#convert")
        page.go_to(first)
        page.wait("document.querySelector('.jobs [data-state=done]')", patience=90)
        assert page.text(".jobs .name") == "talk.wav to ben"
    finally:
        page.go_to(second)
        page("DELETE", "/window")
        page.go_to(first)


def test_a_name_that_was_rebound_gets_nothing(page: Browser, served: Served) -> None:
    page.open(f"http://rebound.test:{served.port}/?token={served.token}")
    assert "names of this machine alone" in page.js("return document.body.textContent")
    page.open(f"http://127.0.0.1:{served.port}/")


def test_a_server_that_ended_is_said(start: Any, shared_browser: Browser) -> None:
    other = start()
    shared_browser.open(other.address)
    shared_browser.wait("document.querySelectorAll('.model input').length > 2")
    other.stop()
    shared_browser.wait("document.getElementById('banner').textContent.includes('does not answer')")
    shared_browser.open("about:blank")
    until(lambda: other.process.poll() is not None, "it is over")


RAMPED = """
const { Player, TimeMap } = await import('/static/player.js');
const rate = 48000, context = new OfflineAudioContext(1, rate, rate);
const sound = (value) => {
  const made = context.createBuffer(1, rate, rate);
  made.getChannelData(0).fill(value);
  return made;
};
const sounds = { voice: sound(0.8), source: sound(0.2), backing: sound(0.1) };
const mixing = { voice: -20, backing: -14, vocal: 0, accomp: -6, offset: 0 };
const player = new Player(context, sounds, new TimeMap([]), mixing);
player.playing = true;
player.start();
for (const [at, which] of [[0.25, 'source'], [0.5, 'mix']]) {
  context.suspend(at).then(() => { player.choose(which); context.resume(); });
}
const wave = (await context.startRendering()).getChannelData(0);
const heard = [0.2, 0.249, 0.2526, 0.256, 0.4, 0.6].map((at) => wave[Math.round(at * rate)]);
return [player.mixGains, heard,
  Math.max(...wave.slice(0.1 * rate).map((one, k, all) => (k ? Math.abs(one - all[k - 1]) : 0)))];
"""


def test_sounds_are_switched_by_gain_within_5_ms(page: Browser) -> None:
    gains, (voice, still, between, source, later, mix), step = page.js(RAMPED)
    # As the server mixes: the voice 6 dB up to the backing's level, the backing 6 dB down; and the
    # whole lowered to 0.99, where it would reach 1.65.
    ratio = 10 ** (6 / 20)
    whole = 0.8 * ratio + 0.1 / ratio
    assert gains["voice"] == pytest.approx(ratio * 0.99 / whole, rel=1e-3)
    assert gains["backing"] == pytest.approx(0.99 / whole / ratio, rel=1e-3)
    assert (voice, still, source, later) == pytest.approx((0.8, 0.8, 0.2, 0.2), abs=1e-3)
    assert 0.2 < between < 0.8 and mix == pytest.approx(0.99, abs=2e-3)
    assert step < 0.99 / (0.004 * 48000)  # no click


LONG_SECONDS = 660.0
SWEEP = 4.0
"""A tone that begins at LOWEST again after so long [s]."""

PLAYED = """
const { player } = document.getElementById('player');
const context = window.ears ??= new AudioContext();
await context.resume();
const tap = context.createAnalyser();
tap.fftSize = 2048;
player.audio.ears ??= context.createMediaElementSource(player.audio);
player.audio.ears.connect(tap);
await new Promise((done) => setTimeout(done, arguments[0]));
const wave = new Float32Array(tap.fftSize);
tap.getFloatTimeDomainData(wave);
const told = player.audio.currentTime - tap.fftSize / 2 / context.sampleRate;
const crossings = [];
for (let k = 1; k < wave.length; k++) if (wave[k - 1] < 0 && wave[k] >= 0) {
  crossings.push(k - 1 + wave[k - 1] / (wave[k - 1] - wave[k]));
}
const cycles = crossings.length - 1;
const hertz = cycles * context.sampleRate / (crossings.at(-1) - crossings[0]);
const middle = (crossings[0] + crossings.at(-1)) / 2 - tap.fftSize / 2;
return [told + middle / context.sampleRate, hertz, player.position, player.sourcePosition];
"""


def test_eleven_minutes_are_played_by_parts(
    start: Any, shared_browser: Browser, tmp_path: Path, place: Files
) -> None:
    """From choosing the file to switching between recording, result and mix in its middle."""
    served = start("--max-mb", "64", prelude=stand_in.PRELUDE)
    times = np.arange(round(LONG_SECONDS * 8000)) / 8000 % SWEEP
    tone = 0.3 * np.sin(2 * np.pi * (LOWEST * times + SLOPE / 2 * times**2))
    soundfile.write(tmp_path / "long.wav", tone, 8000)
    page = shared_browser
    page.size(1280, 900)
    page.open(served.address)
    page.wait("document.querySelectorAll('.model input').length > 2")
    pick(page, "pair (cyclegan_vc)")
    add(page, "backing", place.backing)
    add(page, "voice", tmp_path / "long.wav")
    page.js("document.getElementById('stretch').value = 1.5")
    page.log("performance")
    convert(page)
    assert "played by parts" in page.text("#result-said")
    hidden, drawn = page.js(
        "return [[...document.querySelectorAll('.spectrogram')].map((one) => one.hidden),"
        "[...document.querySelectorAll('.waveform')].map((one) => one.width)]"
    )
    assert hidden == [True, True] and min(drawn) > 1000
    page.js("document.getElementById('player').player.seek(500)")
    page.click("#play")
    lags = []
    for which in ("voice", "source", "mix", "source", "voice"):
        before, after = page.js(
            "const { player } = document.getElementById('player'), before = player.position;"
            "document.querySelector(`[name=listen][value=${arguments[0]}]`).click();"
            "return [before, player.position]",
            which,
        )
        assert after == pytest.approx(before, abs=0.02)  # a switch moves nothing
        page.wait("document.getElementById('player').player.position > arguments[0] + 0.1", after)
        told, hertz, position, source = page.js(PLAYED, 200)
        assert source == pytest.approx(position / 1.5, abs=0.02)
        stretch = 1 if which == "source" else 1.5
        heard = (hertz * stretch - LOWEST) / SLOPE  # seconds of the recording, from a sweep's begin
        lags.append((told / stretch - heard + SWEEP / 2) % SWEEP - SWEEP / 2)
    assert np.abs(lags).max() < 0.02, lags
    page.click("#play")
    assert page.js("return document.getElementById('player').player.audio.paused")
    page.js("document.getElementById('player').player.seek(989.5)")
    page.click("#play")
    page.wait("!document.getElementById('player').player.playing")  # at its end
    events = [json.loads(one["message"])["message"] for one in page.log("performance")]
    parts = [
        one["params"]["response"]
        for one in events
        if one["method"] == "Network.responseReceived"
        and one["params"]["response"]["url"].split("?")[0].endswith((".wav", "/sound"))
    ]
    assert len(parts) >= 3 and {one["status"] for one in parts} == {206}
    # A sound that is there no more is said in the server's words.
    state = served.ask("GET", "/api/state").json
    (backing,) = (one["id"] for one in state["recordings"] if one["kind"] == "backing")
    assert served.ask("DELETE", f"/api/recordings/{backing}").status == 204
    page.js("document.querySelector('[name=listen][value=mix]').click();"
            "const gain = document.getElementById('gain'); gain.value = -9;"
            "gain.dispatchEvent(new Event('change'))")  # fmt: skip
    page.wait("document.getElementById('result-said').textContent.includes('backing was removed')")
    # What is wrong with a result stands beside its player: this worker only copies.
    add(page, "voice", place.voice)
    page.js("document.getElementById('stretch').value = ''")
    convert(page)
    page.wait("document.querySelector('#verdicts li')")
    assert "The result is a copy of the recording" in page.text("#verdicts")
    # Any part of a result is given alone.
    address = f"/api/jobs/{state['jobs'][0]['id']}/voice.wav"
    whole = served.ask("GET", address)
    for asked, part in (("1000-1999", slice(1000, 2000)), ("-500", slice(-500, None))):
        answer = served.ask("GET", address, headers={"Range": f"bytes={asked}"})
        equal = answer.body == whole.body[part]
        assert answer.status == 206 and equal
    page.open("about:blank")


def test_experiments_are_shown_with_their_reports(
    page: Browser, place: Files, served: Served, axe: str
) -> None:
    folder = place.folder / "exp" / "pair"
    row = {"model": {"value": 5.25, "low": 5.0, "high": 5.5}, "copy": {"value": 9.5}}
    (folder / "wav").mkdir()
    (folder / "wav" / "hello.wav").write_bytes(place.voice.read_bytes())
    (folder / "log").mkdir()
    journal = '{"step": 7, "split": "train", "total/generator": 1.5}\n'
    (folder / "log" / "metrics.jsonl").write_text(journal)
    (folder / "results.json").write_text(json.dumps({"measures": {"mcd": row}, "systems": {}}))
    (folder / "report.html").write_text(
        "<!doctype html><html lang='en'><title>Report</title><h1>Scores</h1><p id='told'>-</p>"
        "<script>const say = (it) => parent.postMessage(it, '*');"
        "fetch('/api/state').then(() => say('read'), () => say('refused'));"
        "try { document.cookie } catch { say('no cookies') }</script>"
    )
    try:
        page.js("window.heard = []; onmessage = (it) => heard.push([it.data, it.origin])")
        page.click("#experiments summary")
        page.wait("document.querySelectorAll('.experiment').length === 1")
        shown = page.text("#experiment-list")
        assert "pair" in shown and "5.25 (5 to 5.5)" in shown and "9.5" in shown
        assert "In training: step 7" in shown
        assert page.js(
            "const audio = document.querySelector('.experiment audio'); await new Promise((done) =>"
            "{ audio.onloadedmetadata = done; audio.preload = 'metadata'; audio.load(); });"
            "return audio.duration"
        ) == pytest.approx(2.0, abs=0.01)
        assert violations(page, axe) == []
        page.click(".experiment button")
        page.wait("heard.length >= 2")
        heard = page.js("return heard")
        # It runs without an origin: it reads neither the server nor cookies.
        assert sorted(heard) == [["no cookies", "null"], ["refused", "null"]]
    finally:
        (folder / "results.json").unlink()
        (folder / "log" / "metrics.jsonl").unlink()
