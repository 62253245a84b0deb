"""Log-spectral distance: its axes, and that loudness does not count."""

import numpy as np
import pytest

from vctool.metrics import lsd_music

STORED = np.array([[0.0, 0.0, 6.0, 0.0], [3.0, 3.0, 3.0, 3.0], [0.0, 4.0, 0.0, 0.0]])


def note(hertz: float, seed: int = 0) -> np.ndarray:
    time = np.arange(lsd_music.RATE) / lsd_music.RATE
    wave = sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 9))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return np.asarray(0.1 * wave + 1e-3 * noise, np.float32)


def test_the_root_is_taken_over_time_and_the_mean_over_bins() -> None:
    # rows are bins: roots over time are 3, 3 and 2; over bins it would be another number
    assert lsd_music.distance(STORED, np.zeros_like(STORED)) == pytest.approx((3 + 3 + 2) / 3)
    assert lsd_music.distance(STORED.T, np.zeros_like(STORED.T)) != pytest.approx(8 / 3, abs=0.1)
    longer = np.concatenate([STORED, 50 + np.zeros((3, 2))], axis=1)
    assert lsd_music.distance(longer, np.zeros_like(STORED)) == pytest.approx(8 / 3)


def test_a_louder_copy_is_no_distance_away_and_another_note_is() -> None:
    one = lsd_music.log_mel(note(220.0))
    assert one.shape[0] == lsd_music.N_MELS
    assert lsd_music.distance(one, lsd_music.log_mel(2.0 * note(220.0))) < 1e-4
    assert lsd_music.distance(one, lsd_music.log_mel(note(330.0))) > 3
    assert lsd_music.distance(one, lsd_music.log_mel(np.zeros(100, np.float32))) > 3
