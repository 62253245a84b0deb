"""Golden ladders: every judge orders a known damage, weak and strong, or is known not to hear it.

What a judge does not hear is held too, so that its description stays true.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt

from vctool import audio
from vctool.corpora.synthetic import espeak
from vctool.evaluation.voices import baselines
from vctool.features import world
from vctool.metrics import content, distillmos, f0_error, mcd, modulation, naturalness, resynthesis
from vctool.metrics.base import Group, Row
from vctool.metrics.unavailable import MetricUnavailable
from vctool.metrics.voice_analysis import VoiceAnalysis, analyse_all

RATE = 16000
TEXTS = (
    "she took the yellow boat down to the cold green water",
    "please bring seven white horses to the market",
)
BLUR, SMEAR, NOISE, BUZZ, BAND, CLIPPING, FLAT = (
    "blur", "smear", "noise", "buzz", "band limit", "clipping", "flat pitch",
)  # fmt: skip
LADDER = (BLUR, SMEAR, NOISE, BUZZ, BAND, CLIPPING, FLAT)
CLEAN, CODED = "clean", "resynthesis"
Rungs = dict[str, list[np.ndarray]]


def damaged(wave: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Make every damage, weak and strong: `blur 1`, `blur 2`, and so on, all (T,)."""
    features = baselines.take_apart(wave, RATE, 60.0, 500.0)
    f0, envelope, noise = world.split(features, baselines.FEATURES)
    mean = envelope[baselines.sounds(features)].mean(axis=0)
    level, peak = audio.level_db(wave, RATE), np.abs(wave).max()
    usual = np.median(f0[f0 > 0])
    hiss = wave.std() * rng.standard_normal(len(wave))

    def coded(f0: np.ndarray, envelope: np.ndarray, noise: np.ndarray) -> np.ndarray:
        joined = world.join(f0, envelope, noise)
        return baselines.put_together(joined, len(wave), RATE, level)

    def blurred(share: float) -> np.ndarray:
        rest = mean[1:] + share * (envelope[:, 1:] - mean[1:])
        return coded(f0, np.concatenate([envelope[:, :1], rest], axis=1), noise)

    def smeared(seconds: float) -> np.ndarray:
        frames = round(seconds * baselines.FEATURES.frame_rate)
        return coded(f0, uniform_filter1d(envelope, frames, axis=0, mode="nearest"), noise)

    def limited(hz: float) -> np.ndarray:
        return np.asarray(sosfilt(butter(6, hz, fs=RATE, output="sos"), wave))

    def flattened(share: float) -> np.ndarray:
        moved = usual * (np.where(f0 > 0, f0, usual) / usual) ** share
        return coded(np.where(f0 > 0, moved, 0.0), envelope, noise)

    rungs = {
        BLUR: (blurred(0.7), blurred(0.4)),
        SMEAR: (smeared(0.15), smeared(0.6)),
        NOISE: (wave + 0.1 * hiss, wave + 0.56 * hiss),  # 20 and 5 dB
        BUZZ: (
            coded(f0, envelope, noise - 30.0),
            coded(np.where(f0 > 0, f0, usual), envelope, np.full_like(noise, -60.0)),
        ),
        BAND: (limited(3000.0), limited(1200.0)),
        CLIPPING: (
            np.clip(wave, -0.3 * peak, 0.3 * peak),
            np.clip(wave, -0.06 * peak, 0.06 * peak),
        ),
        FLAT: (flattened(0.3), flattened(0.0)),
    }
    made = {f"{name} {k + 1}": one for name, pair in rungs.items() for k, one in enumerate(pair)}
    return {CLEAN: wave, CODED: coded(f0, envelope, noise), **made}


def climb(waves: Sequence[np.ndarray]) -> Rungs:
    rng = np.random.default_rng(0)
    all_made = [damaged(wave, rng) for wave in waves]
    return {name: [made[name].astype(np.float32) for made in all_made] for name in all_made[0]}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    """Values by column and rung, of two sentences of espeak's voice."""
    jobs = [espeak.Speech(str(k), text, "en-us", 150, 50, 50) for k, text in enumerate(TEXTS)]
    spoken = espeak.speak(jobs)
    rungs = climb([audio.resample(spoken[job.id].wave, espeak.RATE, RATE) for job in jobs])
    clean: Group[VoiceAnalysis] = Group(rungs[CLEAN], RATE, analyse_all)
    found: dict[str, dict[str, float]] = {}
    for name, waves in rungs.items():
        outputs = clean if name == CLEAN else clean.like(waves)
        row = Row(outputs, sources=clean, targets=clean, reference=clean, in_place=True)
        for metric in (content, mcd, f0_error, modulation, resynthesis):
            for column, one in metric.measure(row).items():
                found.setdefault(column, {})[name] = one.value
    for values in (found["gv_ratio"], found["f0_correlation"]):  # 1 is perfect
        values.update({name: abs(1.0 - value) for name, value in values.items()})
    return found


SPECTRAL = (BLUR, SMEAR, NOISE, BAND, CLIPPING)


@pytest.mark.parametrize(
    ("column", "heard", "unheard"),
    [
        ("phone_distance", SPECTRAL, (BUZZ, FLAT)),
        ("mcd", SPECTRAL, (BUZZ, FLAT)),
        ("lsd", SPECTRAL, (BUZZ,)),
        ("mr_stft", (*SPECTRAL, FLAT), (BUZZ,)),
        ("gv_ratio", (BLUR, SMEAR, NOISE, CLIPPING), (BUZZ, FLAT)),
        ("modulation", (BLUR, SMEAR, NOISE, CLIPPING), (FLAT,)),
        ("f0_rmse", (FLAT, NOISE, CLIPPING), (BLUR, SMEAR, BAND)),
        ("f0_correlation", (FLAT,), (BLUR, SMEAR, BAND)),
    ],
)
def test_a_column_orders_what_it_hears(
    measured: dict[str, dict[str, float]],
    column: str,
    heard: tuple[str, ...],
    unheard: tuple[str, ...],
) -> None:
    """Distances all: 0 is perfect. What a vocoder costs is no more than the weak damage."""
    values = measured[column]
    assert values[CLEAN] == pytest.approx(0.0, abs=1e-6)
    worst = max(values.values())
    for damage in heard:
        base = values[CODED] if damage in (BLUR, SMEAR, FLAT) else values[CLEAN]
        weak, strong = values[f"{damage} 1"], values[f"{damage} 2"]
        assert base < weak < strong, (damage, base, weak, strong)
        assert strong - base > 0.1 * worst, (damage, base, strong)
    for damage in unheard:
        base = values[CLEAN] if damage == BAND else values[CODED]
        assert abs(values[f"{damage} 2"] - base) < 0.1 * worst, (damage, base)


def test_content_is_lost_where_words_are(measured: dict[str, dict[str, float]]) -> None:
    for damage in LADDER:
        assert measured["content"][f"{damage} 1"] == 1.0, damage
    assert measured["phone_distance"]["smear 2"] == max(measured["phone_distance"].values())


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Rungs:
    """Three seconds of a man who reads."""
    file = shared_data / "LibriSpeech" / "train-clean-100" / "26" / "495" / "26-495-0028.flac"
    if not file.is_file():
        pytest.skip(f"{file}: not there")
    return climb([audio.read(file, RATE)[0][8000:56000].astype(np.float64)])


UNEVEN = (BAND, BUZZ, FLAT)
"""What DistillMOS does not order."""


def opinions(needs: Any, make: Callable[[], Any], rungs: Rungs, *damages: str) -> dict[str, float]:
    """Ask a network about clean speech, its resynthesis, and some damages."""
    try:
        judge = make()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))
    asked = (CLEAN, CODED, *(f"{damage} {k}" for damage in damages for k in (1, 2)))
    return {name: float(judge.predict_all(rungs[name], RATE)[:, 0].mean()) for name in asked}


def test_distillmos_orders_damage_but_hardly_hears_pitch(real: Rungs, needs: Any) -> None:
    found = opinions(
        needs, distillmos.NaturalnessPredictor, real, BLUR, SMEAR, NOISE, CLIPPING, *UNEVEN
    )
    assert found[CLEAN] > found[CODED] + 0.2
    for damage, least in ((BLUR, 1.0), (SMEAR, 1.0), (NOISE, 1.0), (CLIPPING, 0.7)):
        weak, strong = found[f"{damage} 1"], found[f"{damage} 2"]
        assert found[CLEAN] > weak > strong, (damage, found)
        assert found[CLEAN] - strong > least, (damage, found)
    # a narrow band costs, though not the more the narrower it is
    assert found[CLEAN] - max(found["band limit 1"], found["band limit 2"]) > 0.5, found
    assert found["buzz 2"] < found[CODED] + 0.1, found
    assert abs(found[CODED] - found["flat pitch 2"]) < 0.4, found


def test_dnsmos_hears_noise_and_clipping_and_hardly_a_band_limit(real: Rungs, needs: Any) -> None:
    found = opinions(needs, naturalness.OpinionPredictor, real, NOISE, CLIPPING, BAND)
    for damage in (NOISE, CLIPPING):
        weak, strong = found[f"{damage} 1"], found[f"{damage} 2"]
        assert found[CLEAN] > weak > strong, (damage, found)
        assert found[CLEAN] - strong > 0.7, (damage, found)
    # 1.2 kHz of bandwidth cost less than half of what noise at 5 dB does
    lost = {name: found[CLEAN] - value for name, value in found.items()}
    assert lost["band limit 2"] < 0.5 * lost["noise 2"], found


def test_distillmos_orders_singing_in_the_mean(shared_data: Path, needs: Any) -> None:
    files = [
        sorted((shared_data / "MIR-1K" / "Wavfile").glob(f"{who}_*.wav"))[0]
        for who in ("leon", "jmzen")
    ]
    waves = [audio.read(file, RATE, channel=1)[0][16000:72000].astype(np.float64) for file in files]
    rungs = climb(waves)
    rng = np.random.default_rng(0)
    at = np.arange(56000) / RATE
    rungs["hiss"] = [np.asarray(rng.standard_normal(56000), np.float32)]
    rungs["hum"] = [
        sum(np.sin(2 * np.pi * 150 * k * at) / k for k in range(1, 40)).astype(np.float32)
    ]
    try:
        judge = distillmos.NaturalnessPredictor()
    except MetricUnavailable as missing:
        needs.lacks(str(missing))
    found = {
        name: float(judge.predict_all(rungs[name], RATE).mean())
        for name in (CLEAN, CODED, "blur 2", "hiss", "hum")
    }
    assert found[CLEAN] > found[CODED] > max(found[one] for one in ("blur 2", "hiss", "hum")), found
    assert found[CLEAN] - found["blur 2"] > 0.7, found
