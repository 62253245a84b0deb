"""Effects: what each does to a sound, and how often they are drawn."""

import numpy as np
import pytest

from vctool.corpora.midi import effects
from vctool.corpora.midi.effects import Effect

RATE = 16000


def tone(hertz: float = 440.0, seconds: float = 2.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def partial(wave: np.ndarray, hertz: float) -> float:
    """The amplitude of one frequency."""
    time = np.arange(len(wave)) / RATE
    window = np.hanning(len(wave))
    turned = window * wave * np.exp(-2j * np.pi * hertz * time)
    return float(2 * np.abs(turned.sum()) / window.sum())


def test_overdrive_adds_odd_harmonics_that_grow_with_the_gain() -> None:
    third = []
    for gain in (10.0, 25.0, 40.0):
        wave = effects.apply(tone(), RATE, (Effect("overdrive", gain, 0.8),))
        third.append(partial(wave, 1320) / partial(wave, 440))
        assert partial(wave, 880) < 0.02 * partial(wave, 440)
        assert np.abs(wave).max() < 1.5
    assert 0.01 < third[0] < third[1] < third[2]


def test_tremolo_swings_the_level_at_its_rate() -> None:
    wave = effects.apply(tone(), RATE, (Effect("tremolo", 5.0, 0.6),))
    level = np.sqrt(np.convolve(wave**2, np.ones(160) / 160, "same"))[800:-800]
    spectrum = np.abs(np.fft.rfft(level - level.mean()))
    assert np.argmax(spectrum) * RATE / len(level) == pytest.approx(5.0, abs=0.6)
    assert level.min() / level.max() == pytest.approx(0.4, abs=0.05)


def test_a_room_rings_after_a_click_for_its_time() -> None:
    click = np.zeros(3 * RATE, np.float32)
    click[100] = 1.0
    wave = effects.apply(click, RATE, (Effect("reverb", 1.0, 0.6),))
    assert wave[100] == pytest.approx(10 ** (-3 / 20), rel=0.2)

    def level(start: float) -> float:
        part = wave[100 + round(start * RATE) :][: RATE // 10]
        return float(10 * np.log10(np.mean(part**2)))

    assert level(0.1) - level(0.6) == pytest.approx(30.0, abs=3.0)  # 60 dB a second
    assert np.abs(wave[100 + round(1.1 * RATE) :]).max() < 1e-9


def test_a_phaser_cuts_notches_that_move_and_keeps_the_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    wave = effects.apply(noise, RATE, (Effect("phaser", 0.5, 0.8),))
    gains = []
    for start in (0.0, 1.0):  # the least and the greatest corner
        part = slice(round(start * RATE), round((start + 0.1) * RATE))
        power = [np.abs(np.fft.rfft(one[part], 1 << 14)) ** 2 for one in (wave, noise)]
        smooth = [np.convolve(one, np.ones(101) / 101, "same")[200:6000] for one in power]
        gains.append(10 * np.log10(smooth[0] / smooth[1]))
    assert gains[0].min() < -6 and gains[1].min() < -6
    # four all-passes turn by half a period where each turns by an eighth, or by three
    notches = [(np.argmin(one[:900]) + 200) * RATE / (1 << 14) for one in gains]
    assert notches[0] == pytest.approx(200 * np.tan(3 * np.pi / 8), abs=40)
    assert notches[1] == pytest.approx(2000 * np.tan(np.pi / 8), abs=60)
    whole = effects.apply(tone(), RATE, (Effect("phaser", 0.5, 0.8),))
    spectrum = np.abs(np.fft.rfft(whole))
    assert np.argmax(spectrum) * RATE / len(whole) == pytest.approx(440.0, abs=2)


def test_chains_are_drawn_as_published_and_do_the_same_to_every_wave() -> None:
    random = np.random.default_rng(0)
    chains = [effects.draw(random) for _ in range(4000)]
    shares = np.bincount([len(chain) for chain in chains], minlength=4) / len(chains)
    np.testing.assert_allclose(shares, effects.COUNTS, atol=0.025)
    kinds = [one.kind for chain in chains for one in chain]
    assert min(kinds.count(kind) for kind in set(kinds)) > 0.2 * len(kinds)
    assert all(len({one.kind for one in chain}) == len(chain) for chain in chains)
    assert all(effects.draw(random, least=1) for _ in range(100))
    chain = max(chains, key=len)
    one, other = tone(), tone(660.0)
    made = effects.apply(one, RATE, chain)
    np.testing.assert_array_equal(made, effects.apply(one, RATE, chain))
    assert not np.array_equal(made, effects.apply(other, RATE, chain))
    assert not effects.apply(np.zeros(4000, np.float32), RATE, chain).any()
    np.testing.assert_array_equal(effects.apply(one, RATE, ()), one)
