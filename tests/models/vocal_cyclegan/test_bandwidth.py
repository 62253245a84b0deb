"""Bandwidth, on sound: what a lower sampling rate took away must not reach any critic."""

import numpy as np
import pytest
import soxr
import torch

from vctool.data.batches import Clips
from vctool.features import mel, world
from vctool.features.settings import FeatureConfig
from vctool.models.base import Context
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.streams import layout, to_channels
from vctool.models.vocal_cyclegan.system import System

RATE, NARROW = 44100, 16000
FEATURES = FeatureConfig(rate=RATE, n_fft=2048, hop_length=512, n_mels=128)
FRAMES = 64


def voice(seed: int) -> np.ndarray:
    """A breathy voice with sound up to the top: pulses and noise through a falling filter."""
    rng = np.random.default_rng(seed)
    samples = FRAMES * FEATURES.hop_length
    pitch = 140 * 2 ** (0.3 * np.sin(2 * np.pi * 2 * np.arange(samples) / RATE + seed))
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
    sound = pulses / pulses.std() + 0.3 * rng.standard_normal(samples)
    spectrum = np.fft.rfft(sound)
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    filtered = np.fft.irfft(spectrum / (1 + frequencies / 2000), samples)
    return 0.1 * filtered / filtered.std()


def narrowed(wave: np.ndarray) -> np.ndarray:
    """What is left of a wave that was recorded at 16 kHz."""
    there = soxr.resample(wave, RATE, NARROW)
    return np.resize(soxr.resample(there, NARROW, RATE), len(wave))


def clips(waves: list[np.ndarray], config: VocalCycleGanConfig) -> Clips:
    shape = layout(config.voice, FEATURES)
    rows = []
    for wave in waves:
        analysed = (
            world.analyse(wave, FEATURES)
            if config.voice == "world"
            else mel.log_mel(wave.astype(np.float32), FEATURES)
        )
        rows.append(to_channels(np.asarray(analysed), shape, FEATURES)[:FRAMES].T)
    count = len(waves)
    return Clips(torch.tensor(np.stack(rows)), torch.zeros(count, 0, FRAMES), torch.arange(count))


@pytest.mark.parametrize("kind", ["world", "mel"])
def test_a_critic_cannot_tell_singing_from_the_same_singing_recorded_at_16_khz(kind: str) -> None:
    config = VocalCycleGanConfig(
        voice=kind,  # type: ignore[arg-type]
        accompaniment=False,
        clip_frames=FRAMES,
        singing_channels=(8, 12),
        speech_channels=(8, 12),
        rocket_features=168,
    )
    context = Context(features=FEATURES, vocoder=kind, roles=("speech", "singing"))
    system = System(config, context)
    waves = [voice(seed) for seed in range(12)]
    full = clips(waves[:6], config)
    low = clips([narrowed(wave) for wave in waves[:6]], config)
    speech = clips([narrowed(wave) for wave in waves[6:]], config)
    system.setup({"speech": speech, "singing": full})
    shared = system.shared.bool()
    shape = system.layout
    # Something is left, up to about 8 kHz, and nothing above.
    pitched = kind == "world"
    centres = world.band_frequencies(FEATURES) if pitched else mel.mel_frequencies(FEATURES)[1:-1]
    bands = shared[: shape.bands].numpy()
    assert bands[centres < 6500].all() and not bands[centres > 9000].any()
    if pitched:
        noise = world.aperiodicity_frequencies(FEATURES)
        assert shared[shape.bands :].tolist() == (noise < NARROW / 2).tolist()
    # Channel by channel, the two recordings look alike to a critic.
    for domain in ("speech", "singing"):
        seen = [
            system._judged(domain, system._truth(one.voice), None)[:, : shape.spectrum]
            for one in (full, low)
        ]
        shift = (seen[0].mean((0, 2)) - seen[1].mean((0, 2))).abs()
        assert float(shift.max()) < 0.5, shift.argmax()


def test_missing_bands_are_as_loud_as_the_voice_below_and_quiet_in_its_pauses() -> None:
    """At their mean level, bands above 8 kHz would hiss through every pause."""
    config = VocalCycleGanConfig(
        accompaniment=False,
        clip_frames=FRAMES,
        singing_channels=(8, 12),
        speech_channels=(8, 12),
        rocket_features=168,
    )
    system = System(
        config, Context(features=FEATURES, vocoder="world", roles=("speech", "singing"))
    )
    pause = np.ones(FRAMES * FEATURES.hop_length)
    pause[len(pause) // 3 : 2 * len(pause) // 3] = 0.003
    waves = [voice(seed) * pause for seed in range(8)]
    speech = clips([narrowed(wave) for wave in waves[:4]], config)
    system.setup({"speech": speech, "singing": clips(waves[4:], config)})
    made = system._sing(speech.voice, speech.condition, speech.key).spectrum.detach()
    top = made[:, world.band_frequencies(FEATURES).searchsorted(10000) : system.layout.bands]
    level = top.mean(dim=(0, 1))
    third = FRAMES // 3
    loud = torch.cat([level[2 : third - 4], level[2 * third + 6 : -2]]).mean()
    assert loud - level[third + 4 : 2 * third - 4].mean() > 30
