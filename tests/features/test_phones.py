"""The phone posteriors against pocketsphinx itself, and against what was said."""

import math
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pocketsphinx
import pytest
import torch

from tests.sounds import make_speech
from vctool import audio
from vctool.audio.tracks import ArrayTrack
from vctool.corpora.synthetic import espeak
from vctool.errors import DataError
from vctool.features import phones, sphinx
from vctool.features.analysis import scan, voice_features, whole_features
from vctool.features.base import F0Range
from vctool.features.excerpt import Excerpt
from vctool.features.settings import FeatureConfig

TEXT = "she took the yellow boat down to the cold green water"
REAL = ("19-198-0006", "26-495-0028")
"""Sentences that pocketsphinx aligns: their words are in its dictionary."""
CONFIG = FeatureConfig(rate=16000, hop_length=80, n_fft=1024)
ANY = F0Range(70.0, 300.0)


class Said(NamedTuple):
    """A sentence as spoken, and what pocketsphinx makes of it."""

    samples: np.ndarray
    """(T,) int16 at 16 kHz, with the zeros before it that centre our frames as pocketsphinx's."""
    cepstra: np.ndarray
    """(F, 13), as its front end writes them."""
    scores: np.ndarray
    """(F, senones), its quantised scores: 0 for the best of a frame."""
    phones: list[tuple[str, int, int]]
    """Name, first frame and number of frames, as it aligns them."""

    @property
    def wave(self) -> torch.Tensor:
        """The sentence without the zeros before it: (T,)."""
        return torch.from_numpy(self.samples[phones._WINDOW // 2 :].astype(np.float32) / 32768)


def align(decoder: Any, text: str, samples: np.ndarray) -> list[tuple[str, int, int]]:
    """Align the words, then their phones: name, first frame and number of frames of each."""
    decoder.set_align_text(text)
    for phase in ("words", "phones"):
        if phase == "phones":
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
        decoder.end_utt()
    return [
        (phone.name, phone.start, phone.duration)
        for word in decoder.get_alignment()
        for phone in word
    ]


def spoken(aligned: list[tuple[str, int, int]], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames (K,) in which phones are spoken, and their columns (K,)."""
    truth = np.full(frames, -1)
    for name, start, length in aligned:
        if name in phones.PHONES[:-1]:
            truth[start : start + length] = phones.PHONES.index(name)
    return np.flatnonzero(truth >= 0), truth[truth >= 0]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """One sentence, aligned; pocketsphinx's front end and its Gaussians dump what they find."""
    logs = tmp_path_factory.mktemp("logs")
    spoken = espeak.speak([espeak.Speech("it", TEXT, "en-us", 150, 50, 50)])["it"]
    wave = audio.resample(spoken.wave, espeak.RATE, phones.RATE)
    wave = wave + 1e-3 * np.random.default_rng(0).standard_normal(len(wave))
    samples = np.concatenate([np.zeros(phones._WINDOW // 2), np.round(16000 * wave)])
    samples = samples.astype(np.int16)
    decoder: Any = pocketsphinx.Decoder(
        samprate=phones.RATE,
        lm=None,
        loglevel="FATAL",
        mfclogdir=str(logs),
        senlogdir=str(logs),
        compallsen=True,
        topn=16,
    )
    aligned = align(decoder, TEXT, samples)
    first = sorted(logs.glob("*.mfc"))[0]
    cepstra = np.frombuffer(first.read_bytes(), ">f4", offset=4).reshape(-1, phones.CEPSTRA)
    dumped = first.with_suffix(".sen").read_bytes()
    at = dumped.index(b"endhdr\n") + len(b"endhdr\n") + 4
    (senones,) = struct.unpack_from("<h", dumped, at)
    table = np.frombuffer(dumped, "<i2", offset=at).reshape(-1, 1 + senones)[:, 1:]
    return Said(samples, cepstra, table, aligned)


def test_the_front_end_is_pocketsphinx_s_own(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "DITHER", 0.0)
    ours = phones.cepstra(said.wave, phones.RATE).numpy()
    frames = (len(said.samples) - phones._WINDOW) // phones.HOP  # whole windows, no padding
    assert frames > 250
    np.testing.assert_allclose(ours[:frames], said.cepstra[:frames], atol=2e-3)
    assert said.cepstra[:frames].std(axis=0).min() > 3  # which is not close to constant


def test_the_gaussians_are_pocketsphinx_s_own(said: Said) -> None:
    """Its scores are clamped and in whole steps, so the best state is compared, and near ones."""
    model = sphinx.shipped()
    streams = phones._streams(torch.tensor(said.cepstra - said.cepstra.mean(axis=0)))[::4]
    variances = torch.from_numpy(np.maximum(model.variances, 1e-4))
    means = torch.tensor(model.means)
    ours = torch.zeros(len(streams), len(model.phones), 3)
    for stream in range(3):
        away = streams[:, None, None, stream] - means[None, :, stream]
        logs = -0.5 * (away.square() / variances[:, stream] + variances[:, stream].log())
        logs = logs.sum(-1) - 0.5 * phones.CEPSTRA * math.log(2 * math.pi)
        weights = torch.from_numpy(model.weights[:, :, stream]).log()
        ours += torch.logsumexp(logs[:, :, None] + weights, dim=-1)
    # the model's senones begin with those without context, three of each phone
    theirs = sphinx.LOG_UNIT * said.scores[: len(said.cepstra) : 4, : 3 * len(model.phones)].astype(
        float
    )
    best = ours.reshape(len(ours), -1)
    right = best.argmax(dim=1).numpy() == theirs.argmin(axis=1)
    assert right.mean() > 0.85
    # and matrix products give what the definition gives
    shared = phones._log_likelihoods(streams, phones._model(torch.device("cpu")))
    torch.testing.assert_close(shared, torch.logsumexp(ours, dim=2), atol=2e-3, rtol=1e-4)


def test_frames_are_recognised_as_what_was_said(said: Said) -> None:
    found = phones.posteriors(phones.cepstra(said.wave, phones.RATE))
    at, truth = spoken(said.phones, len(found))
    assert (found.argmax(dim=1).numpy()[at] == truth).mean() > 0.4  # 1/40 by chance
    # at these moments, not at others
    assert (found.flip(0).argmax(dim=1).numpy()[at] == truth).mean() < 0.1
    given = found[at, truth].double().log().mean()
    assert float(given) > -2.0  # calibrated: chance is -3.7, and a wrong phone is never certain


def test_frames_of_real_speech_are_recognised(shared_data: Path) -> None:
    folder = shared_data / "LibriSpeech" / "train-clean-100"
    decoder: Any = pocketsphinx.Decoder(samprate=phones.RATE, lm=None, loglevel="FATAL")
    right = []
    for name in REAL:
        speaker, chapter, _ = name.split("-")
        lines = (folder / speaker / chapter / f"{speaker}-{chapter}.trans.txt").read_text()
        texts = dict(line.lower().split(" ", 1) for line in lines.splitlines())
        wave, _ = audio.read(folder / speaker / chapter / f"{name}.flac", phones.RATE)
        wave = np.concatenate([np.zeros(phones._WINDOW // 2, np.float32), wave])
        aligned = align(decoder, texts[name], np.round(32767 * wave).astype(np.int16))
        centred = torch.from_numpy(wave[phones._WINDOW // 2 :])
        found = phones.posteriors(phones.cepstra(centred, phones.RATE))
        at, truth = spoken(aligned, len(found))
        right += list(found.argmax(dim=1).numpy()[at] == truth)
    assert len(right) > 500
    assert np.mean(right) > 0.45


def test_any_wave_gives_finite_posteriors_and_silence_is_silence() -> None:
    for samples in (1, 159, 160, 205, 4000):
        for wave in (torch.zeros(samples), torch.rand(samples), torch.ones(samples)):
            found = phones.posteriors(phones.cepstra(wave, phones.RATE))
            assert found.shape == (1 + samples // phones.HOP, len(phones.PHONES))
            torch.testing.assert_close(found.sum(dim=1), torch.ones(len(found)))
    found = phones.posteriors(phones.cepstra(torch.zeros(8000), phones.RATE))
    assert (found.argmax(dim=1) == phones.PHONES.index(phones.SILENCE)).float().mean() > 0.9


def test_digital_silence_within_speech_is_silence(said: Said) -> None:
    gap = torch.zeros(6400)
    found = phones.posteriors(phones.cepstra(torch.cat([said.wave, gap]), phones.RATE))
    assert float(found[-30:-8, phones.PHONES.index(phones.SILENCE)].mean()) > 0.5


def test_level_and_rate_do_not_matter(said: Said) -> None:
    wave = said.wave.numpy()
    reference = phones.posteriors(phones.cepstra(said.wave, phones.RATE))
    louder = phones.posteriors(phones.cepstra(3.0 * said.wave, phones.RATE))
    assert float((louder - reference).abs().mean()) < 2e-3
    for rate in (22050, 44100):
        other = torch.from_numpy(audio.resample(wave, phones.RATE, rate))
        moved = phones.posteriors(phones.cepstra(other, rate))
        same = min(len(moved), len(reference))
        agree = moved[:same].argmax(dim=1) == reference[:same].argmax(dim=1)
        assert float(agree.float().mean()) > 0.9, rate


def test_a_batch_is_its_singles(said: Said) -> None:
    waves = torch.stack([said.wave[:8000], said.wave[8000:16000]])
    together = phones.log_posteriors(phones.cepstra(waves, phones.RATE))
    for one, found in zip(waves, together, strict=True):
        alone = phones.log_posteriors(phones.cepstra(one, phones.RATE))
        torch.testing.assert_close(found, alone, atol=1e-3, rtol=1e-3)


def test_gradients_are_those_of_the_values(said: Said) -> None:
    """Through the cepstra; the gains of the noise reduction count as constant."""
    given = phones.cepstra(said.wave[8000:12000], phones.RATE)
    given.requires_grad_()
    target = torch.arange(given.shape[0]) % len(phones.PHONES)
    loss = phones.log_posteriors(given)[torch.arange(len(target)), target].sum()
    (gradient,) = torch.autograd.grad(loss, given)
    step = 1e-2 * torch.nn.functional.normalize(gradient, dim=None)

    def at(moved: torch.Tensor) -> float:
        return float(phones.log_posteriors(moved)[torch.arange(len(target)), target].sum())

    with torch.no_grad():
        measured = at(given + step) - at(given - step)
    assert measured == pytest.approx(2 * float((gradient * step).sum()), rel=0.02)

    wave = said.wave[8000:12000].clone().requires_grad_()
    phones.log_posteriors(phones.cepstra(wave, phones.RATE))[:, 0].sum().backward()
    assert wave.grad is not None and torch.isfinite(wave.grad).all()
    assert float(wave.grad.abs().max()) > 0


@pytest.mark.parametrize(("rate", "hop"), [(16000, 80), (16000, 192), (22050, 256), (44100, 512)])
def test_frames_lie_where_those_of_other_kinds_lie(said: Said, rate: int, hop: int) -> None:
    """A sound of 0.3 s in silence is heard in the frames of its moments, whatever the settings."""
    config = FeatureConfig(rate=rate, hop_length=hop, n_fft=2048)
    wave = np.zeros(2 * rate, np.float32)
    begin, end = rate, round(1.3 * rate)
    wave[begin:end] = make_speech(0.3, rate)
    made = whole_features(Excerpt(wave, config), ("phones", "mfcc", "mel"), ANY)
    sounding = made["phones"][:, phones.PHONES.index(phones.SILENCE)] < 0.5
    heard = np.flatnonzero(sounding) * hop / rate
    assert heard.min() == pytest.approx(1.0, abs=0.07)
    assert heard.max() == pytest.approx(1.3, abs=0.07)
    loud = made["mfcc"][:, 0] > made["mfcc"][:, 0].mean() + 10
    moments = np.flatnonzero(loud) * hop / rate
    assert (moments.min() + moments.max()) / 2 == pytest.approx(1.15, abs=0.02)


def test_a_block_is_like_the_whole(said: Said) -> None:
    wave = np.tile(said.wave.numpy(), 3)
    whole = whole_features(Excerpt(wave, CONFIG), ("phones",), ANY)["phones"]
    known = scan(ArrayTrack(wave), CONFIG, ("phones",), 32000)
    begin = 40000 // CONFIG.hop_length * CONFIG.hop_length
    part = voice_features(wave[begin:], ("phones",), CONFIG, known)["phones"]
    context = round(2.0 * CONFIG.frame_rate)
    expected = whole[begin // CONFIG.hop_length :][context:]
    agree = part[context:].argmax(axis=1) == expected.argmax(axis=1)
    assert agree.mean() > 0.95
    assert np.abs(part[context:] - expected).mean() < 5e-3


def test_files_that_are_not_the_model_s_are_named(tmp_path: Path) -> None:
    folder = Path(pocketsphinx.get_model_path("en-us/en-us"))
    names = ("feat.params", "means", "variances", "mdef", "sendump")
    for name in names:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert sphinx.read(tmp_path).phones == sphinx.shipped().phones
    for name in names:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2 + 1])
        with pytest.raises(DataError, match=rf"{name}: not in the format of Sphinx"):
            sphinx.read(tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(DataError, match=rf"{name}: No such file .*install pocketsphinx again"):
            sphinx.read(tmp_path)
        (tmp_path / name).write_bytes(whole)
