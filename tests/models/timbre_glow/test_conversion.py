"""What is drawn, and what the family asks of its coder."""

import logging
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.sounds import buzz
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.triplets import TripletBatch
from vctool.errors import ConfigError, DataError
from vctool.features import framing
from vctool.features.base import Features
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition, Context
from vctool.models.timbre_glow.settings import TimbreGlowConfig
from vctool.models.timbre_glow.system import System

RATE = 16000
FEATURES = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_timbre.yaml"), "16k")
TINY = read_yaml(PROJECT_ROOT / "conf/timbre_glow/tiny.yaml")["model"]


@cache
def made() -> System:
    """A small one, set up and not taught."""
    torch.manual_seed(0)
    system = System(
        build(TimbreGlowConfig, TINY, "tiny"), Context(features=FEATURES, vocoder="wave", roles=())
    )
    system.setup(batch())
    return system.eval()


@cache
def batch() -> TripletBatch:
    """Four notes by two instruments, the content an octave of the other's."""
    rows = []
    for hz in (220, 277, 330, 440):
        one, other = (framing.frame(riff(hz, count), FEATURES)[:32].T for count in (3, 14))
        rows.append((one, other, other) if hz % 3 else (other, one, one))
    parts = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
    return TripletBatch(*parts, torch.arange(4))


def riff(hz: float, count: int, seconds: float = 1.2) -> np.ndarray:
    return (0.1 * buzz(seconds, hz, count)).astype(np.float32)


def features(wave: np.ndarray) -> Features:
    return {"wave": framing.frame(wave, FEATURES)}


def convert(wave: np.ndarray, start: int = 0, **options: Any) -> np.ndarray:
    system = made()
    reference = system.reference([features(riff(196, 14))])
    told = Condition(None, reference, System.Options(**options), start=start)
    return system.convert(features(wave), told, None)["wave"]


def test_a_temperature_of_0_has_no_noise_and_more_has_more() -> None:
    source = riff(330, 3)
    still = convert(source, temperature=0.0)
    np.testing.assert_array_equal(still, convert(source, start=64, temperature=0.0))
    cool, warm = (np.square(convert(source, temperature=t) - still).sum() for t in (0.3, 0.9))
    assert 0 < cool < warm
    np.testing.assert_array_equal(convert(source), convert(source, temperature=0.6))
    assert np.abs(convert(source) - convert(source, start=64)).max() > 1e-4


def test_blocks_are_what_one_pass_is() -> None:
    """Noise too: with two seconds of context on either side, as `inference.blocks` gives."""
    wave = np.concatenate([riff(hz, 5, 2.0) for hz in (220, 330, 277, 247)])
    frames = features(wave)["wave"]
    whole = convert(wave)
    part = made().convert(
        {"wave": frames[64:]},
        Condition(
            None,
            made().reference([features(riff(196, 14))]),
            System.Options(),
            start=64,
        ),
        None,
    )["wave"]
    cut = 64 + round(2 * RATE / FEATURES.hop_length)
    one, other = whole[cut:], part[cut - 64 :]
    assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


def test_noise_belongs_to_the_frame() -> None:
    system = made()
    noise = system._noise(400, 0)
    assert noise.shape == (1, 32, 400)
    torch.testing.assert_close(system._noise(100, 123), noise[:, :, 123:223])
    assert float(noise.mean().abs()) < 0.05 and float(noise.std()) == pytest.approx(1, abs=0.03)


def test_it_counts_the_bits_of_cells() -> None:
    """An untaught flow says what the spread of a standard normal costs at most."""
    system = made()
    gaps = system.gaps(batch())
    assert all(values.shape == (4,) for values in gaps)
    told = system._coder.tell(batch().content, batch().style)
    base, condition = system._condition(told)
    target = system._target(batch())
    flow = system.flow.log_density(target - base, condition)
    torch.testing.assert_close(gaps.bits, -flow / np.log(2) + np.log2(10.0))
    exact = system._bands(system._coder.relative_power(batch().target))
    assert float((target - exact).abs().max()) <= 0.05 + 1e-6


def test_held_out_batches_tell_what_a_condition_is_worth(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with torch.no_grad():
        ((group, terms),) = made().objectives(batch(), 0)
    assert group == "model" and set(terms) == {"bits"}
    assert "with another's notes" in caplog.text and "with another's style" in caplog.text


@pytest.mark.parametrize(
    ("coder", "said"),
    [
        ({"levels": None}, "full rate.*give a number of levels"),
        ({"chanels": 4}, "did you mean.*channels"),
    ],
)
def test_a_condition_of_full_rate_and_no_coder_are_refused(coder: Any, said: str) -> None:
    """Proof G2: it would leave nothing for the style to tell."""
    with pytest.raises(ConfigError, match=said) as told:
        build(TimbreGlowConfig, {**TINY, "coder": coder}, "the recipe")
    assert "\n" not in str(told.value) and "coder" in str(told.value)


def test_a_book_of_vectors_is_a_condition_too() -> None:
    coder = {"content": "vector", "width": 8, "codes": 16}
    torch.manual_seed(0)
    system = System(
        build(TimbreGlowConfig, {**TINY, "coder": coder}, "tiny"),
        Context(features=FEATURES, vocoder="wave", roles=()),
    )
    system.setup(batch())
    told = system._coder.tell(batch().content, batch().style)
    assert told.codes.shape == (4, 8, 32) and not system.finds_notes
    assert all(module.training for module in system.modules())
    assert torch.isfinite(system.gaps(batch()).bits).all()


def test_targets_are_refused_as_the_coder_does() -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    with pytest.raises(DataError, match="no pitch in it"):
        made().reference([features(hiss)])
