"""What a conversion does with additive instruments, by all but what is learnt."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.errors import DataError
from vctool.features import framing
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition, Context
from vctool.models.timbre_vqvae import decoder
from vctool.models.timbre_vqvae.content import Content, Finder
from vctool.models.timbre_vqvae.settings import TimbreVqvaeConfig, TimbreVqvaeOptions
from vctool.models.timbre_vqvae.spectra import PER_SEMITONE
from vctool.models.timbre_vqvae.structured import Structured
from vctool.models.timbre_vqvae.system import System
from vctool.models.timbre_vqvae.vector import tell_usage

RATE = 16000
FEATURES = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_timbre.yaml"), "16k")
PARTIALS = {
    "flute": (1.0, 0.15, 0.05),
    "reed": (1.0, 0.02, 0.7, 0.02, 0.5, 0.02, 0.3),
    "brass": tuple(0.85**n for n in range(16)),
    "organ": (1.0, 0.8, 0.0, 0.6, 0.0, 0.0, 0.0, 0.5),
}
SECONDS = 3.0
STEPS = 60


def stretch(seed: int, lowest: int = 57) -> list[tuple[float, int]]:
    """Draw notes of 0.3 s: onset [s] and pitch."""
    steps = np.random.default_rng(seed).integers(0, 17, round(SECONDS / 0.3))
    return [(0.3 * n, lowest + int(step)) for n, step in enumerate(steps)]


def played(notes: list[tuple[float, int]], instrument: str, move: int = 0) -> np.ndarray:
    wave = np.zeros(round(SECONDS * RATE))
    time = np.arange(round(0.27 * RATE)) / RATE
    shape = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    for start, pitch in notes:
        hz = 440 * 2 ** ((pitch + move - 69) / 12)
        tone = sum(
            height * np.sin(2 * np.pi * hz * (n + 1) * time)
            for n, height in enumerate(PARTIALS[instrument])
            if hz * (n + 1) < 7500
        )
        place = round(start * RATE)
        wave[place : place + len(time)] += 0.1 * shape * tone
    return (wave + 1e-5 * np.random.default_rng(0).standard_normal(len(wave))).astype(np.float32)


def features(wave: np.ndarray) -> Features:
    return {"wave": framing.frame(wave, FEATURES)}


def sound(made: Features) -> np.ndarray:
    return framing.unframe(made["wave"], round(SECONDS * RATE))


def hears(self: Finder, logs: torch.Tensor, energy: torch.Tensor) -> Content:
    """Find pitches by how far their harmonics stand out: what training makes of the network."""
    heights = self.series(logs)[:, 1:6].mean(dim=1)
    peak = heights == heights.amax(dim=1, keepdim=True)
    active = (peak & (heights > 1.0) & (energy > -1.0)).float()
    return Content(active, torch.zeros_like(active), torch.ones_like(energy))


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A system that hears pitches, and plays them with what is measured in the reference alone."""
    monkeypatch.setattr(Finder, "forward", hears)
    monkeypatch.setattr(decoder, "QUIET_BEL", 8.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    context = Context(features=FEATURES, vocoder="wave", roles=())
    system = System(TimbreVqvaeConfig(channels=4, style=16), context).eval()
    assert isinstance(system.network, Structured)
    parts = system.network.decoder
    with torch.no_grad():
        for last in (parts.shaper.end, parts.noise_end, parts.rest_end, parts.amplitudes[-1]):
            for weight in last.parameters():
                weight.zero_()
        parts.noise_end.bias.fill_(-9.0)
    yield system
    torch.set_num_threads(threads)


def convert(system: System, source: np.ndarray, style: np.ndarray, **options: Any) -> np.ndarray:
    move = options.pop("transpose", 0.0)
    reference = system.reference([features(style)])
    told = Condition(None, reference, TimbreVqvaeOptions(**options), None, move)
    return sound(system.convert(features(source), told, None))


def bands(system: System, wave: np.ndarray) -> np.ndarray:
    """Return log10 power in mel bands, floored at -40 dB: (bands, F)."""
    power = system.spectra.power(torch.from_numpy(wave)[None])[0]
    mel = system.bands(power).numpy()
    return np.log10(mel / mel.max() + 1e-4)


def distance(system: System, one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(bands(system, one) - bands(system, other)).mean())


def content(system: System, wave: np.ndarray) -> np.ndarray:
    return system._content(features(wave)).active[0].numpy()


def test_another_style_changes_the_sound_and_another_content_the_notes(playing: System) -> None:
    notes, others = stretch(100), stretch(101)
    styles = {name: played(stretch(200), name) for name in ("flute", "brass")}
    made = {name: convert(playing, played(notes, "reed"), style) for name, style in styles.items()}
    for name, other in (("flute", "brass"), ("brass", "flute")):
        wanted = played(notes, name)
        assert distance(playing, made[name], wanted) < distance(playing, made[other], wanted)
    shuffled = convert(playing, played(others, "reed"), styles["brass"])
    wanted = played(notes, "brass")
    assert distance(playing, made["brass"], wanted) < distance(playing, shuffled, wanted)


def test_what_hardly_sounds_beside_a_melody_is_not_played(
    playing: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pitch a fifth above, as faint as an echo; a louder one is played."""
    source, style = played([(0.5, 60), (1.5, 60)], "reed"), played(stretch(200), "brass")
    plain = convert(playing, source, style)
    found: dict[float, np.ndarray] = {}
    reference = playing.reference([features(style)])
    for much in (0.2, 0.8):

        def echo(
            self: Finder, logs: torch.Tensor, energy: torch.Tensor, much: float = much
        ) -> Content:
            told = hears(self, logs, energy)
            fifth = told.active.roll(7 * PER_SEMITONE, dims=1)
            return told._replace(active=torch.maximum(told.active, much * fifth))

        monkeypatch.setattr(Finder, "forward", echo)
        told = Condition(None, reference, TimbreVqvaeOptions())
        found[much] = sound(playing.convert(features(source), told, None))
    np.testing.assert_allclose(found[0.2], plain, atol=1e-6)
    assert distance(playing, found[0.8], plain) > 0.05


def test_codes_of_one_stretch_agree_more_than_of_two(playing: System) -> None:
    for seed in range(4):
        one, same = (
            content(playing, played(stretch(100 + seed), who)) for who in ("flute", "brass")
        )
        other = content(playing, played(stretch(110 + seed), "flute"))
        assert np.abs(one - same).mean() < np.abs(one - other).mean()


def test_an_instrument_is_known_at_another_pitch(playing: System) -> None:
    """Proof G6: one instrument at two transpositions is nearer than another at the same pitch."""

    def heard(seed: int, who: str, move: int = 0) -> np.ndarray:
        reference = playing.reference([features(played(stretch(seed), who, move))])
        return reference["profile"]

    won = [
        far(heard(seed, who), heard(seed, who, 5)) < far(heard(seed, who), heard(seed, other))
        for seed in (300, 301)
        for who in PARTIALS
        for other in PARTIALS
        if other != who
    ]
    assert np.mean(won) >= 0.95


def far(one: np.ndarray, other: np.ndarray) -> float:
    """Compare the first ten harmonics in the middle of the range, down to -40 dB."""
    middle = slice(100, 170), slice(0, 10)
    parts = (np.maximum(values[0][middle], -4.0) for values in (one, other))
    return float(np.abs(np.subtract(*parts)).mean())


def test_sound_begins_when_its_source_begins(playing: System) -> None:
    source = played([(1.2, 69)], "reed")
    made = convert(playing, source, played(stretch(200), "brass"))
    envelopes = [np.convolve(np.square(wave), np.ones(320), "same") for wave in (source, made)]
    begun = [int(np.argmax(one > 0.5 * one.max())) / RATE for one in envelopes]
    assert abs(begun[0] - begun[1]) < 0.03


def test_amount_goes_from_the_source_to_the_target(playing: System) -> None:
    notes = stretch(100)
    source, style = played(notes, "flute"), played(stretch(200), "brass")
    made = [convert(playing, source, style, amount=share) for share in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(made[0], source, atol=1e-6)
    whole = distance(playing, source, made[2])
    assert 0.05 * whole < distance(playing, source, made[1]) < 0.85 * whole


@pytest.mark.parametrize("semitones", [12, -12])
def test_it_transposes_by_its_notes(playing: System, semitones: int) -> None:
    source, style = played(stretch(100), "reed"), played(stretch(200), "brass")
    made = convert(playing, source, style, transpose=float(semitones))
    wanted = played(stretch(100), "brass", semitones)
    plain = convert(playing, source, style)
    assert distance(playing, made, wanted) < 0.9 * distance(playing, plain, wanted)


def test_blocks_are_what_one_pass_is(playing: System) -> None:
    """With two seconds of context on either side, as `inference.blocks` gives."""
    notes = stretch(100) + [(3.0 + start, pitch) for start, pitch in stretch(101)]
    wave = np.concatenate([played(stretch(100 + n), "reed") for n in range(3)])
    style = playing.reference([features(played(stretch(200), "brass"))])
    told = Condition(None, style, TimbreVqvaeOptions())
    hop, frames = FEATURES.hop_length, len(features(wave)["wave"])
    whole = playing.convert(features(wave), told, None)["wave"]
    part = playing.convert({"wave": features(wave)["wave"][64:]}, told, None)["wave"]
    cut = 64 + round(2 * RATE / hop)
    one, other = (values[cut - start :].ravel() for values, start in ((whole, 0), (part, 64)))
    assert notes and frames > cut
    assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


def test_silence_stays_silent_inside_a_recording(playing: System) -> None:
    source = np.concatenate([played(stretch(100), "reed"), np.zeros(RATE * 4, np.float32)])
    style = playing.reference([features(played(stretch(200), "brass"))])
    told = Condition(None, style, TimbreVqvaeOptions())
    made = playing.convert(features(source), told, None)["wave"].ravel()
    tail, loud = made[-RATE:], made[: 2 * RATE]
    assert np.square(tail).mean() < 1e-6 * np.square(loud).mean()


def test_a_target_without_pitch_and_one_too_short_are_named(playing: System) -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    with pytest.raises(DataError, match="no pitch in it; give a recording of an instrument"):
        playing.reference([features(hiss)])
    with pytest.raises(
        DataError, match=r"lasts less than 0\.219 s; a target of at least 0.3 s is needed"
    ):
        playing.reference([features(played(stretch(0), "reed")[: round(0.2 * RATE)])])
    short = played(stretch(0), "reed")[: round(0.3 * RATE)]
    assert playing.reference([features(short)])["style"].shape == (16,)


def test_only_the_most_active_of_a_long_target_is_heard(
    playing: System, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    notes = played(stretch(0), "brass")
    quiet = np.zeros(40 * RATE, np.float32)
    found = playing.reference([features(np.concatenate([quiet, *[notes] * 10])), features(quiet)])
    alone = playing.reference([features(np.concatenate([notes] * 10))])
    assert "the most active 30 are heard" in caplog.text
    np.testing.assert_allclose(found["profile"], alone["profile"], atol=0.1)


def test_a_collapsed_book_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Proof G5: the published book may hold one code, and nothing says so."""
    caplog.set_level(logging.INFO)
    tell_usage(torch.zeros(8, 33, dtype=torch.int64), 64)
    assert "codebook: 1 of 64 codes in 264 frames, perplexity 1: less than a tenth" in caplog.text
    assert caplog.records[-1].levelno == logging.WARNING
    tell_usage(torch.arange(64).repeat(4), 64)
    assert "64 of 64 codes in 256 frames, perplexity 64" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.INFO
