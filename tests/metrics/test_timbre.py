"""The network that tells instruments apart, and the measures that rest on it."""

from itertools import product

import numpy as np

from vctool.corpora import tones
from vctool.metrics import timbre, timbre_network, timbre_style
from vctool.metrics.base import Group, Row
from vctool.metrics.timbre_network import TimbreNetwork

NAMES = ("brass", "flute", "organ", "reed", "vibes")


def play(name: str, stretch: int) -> np.ndarray:
    return tones.play(
        tones.notes(f"test_mono_{stretch:03d}"), tones.SEEN[name], np.random.default_rng(stretch)
    )


def test_it_has_the_published_size() -> None:
    network = TimbreNetwork()
    tensors = [one for name, one in network.state_dict().items() if "num_batches" not in name]
    assert sum(one.numel() for one in tensors) == 45_312


def test_instruments_that_it_never_heard_are_told_apart_whatever_they_play() -> None:
    """Additive instruments, of which the weights know none; by chance it would be a half."""
    found = {
        (name, stretch): timbre_network.embed([play(name, stretch)], tones.INFO.rate)[0]
        for name, stretch in product(NAMES, (0, 1))
    }
    right = [
        found[name, 0] @ found[name, 1] > found[name, 0] @ found[other, 0]
        for name, other in product(NAMES, NAMES)
        if name != other
    ]
    assert np.mean(right) >= 0.8


def test_level_and_length_do_not_count_much() -> None:
    wave = play("reed", 0)
    one, louder = timbre_network.embed([wave, 4 * wave], tones.INFO.rate)
    np.testing.assert_allclose(one, louder, atol=1e-4)
    (short,) = timbre_network.embed([wave[: tones.INFO.rate]], tones.INFO.rate)
    assert np.isfinite(short).all() and np.linalg.norm(short) > 0.99
    assert np.isfinite(timbre_network.embed([np.zeros(1000, "f4")], 16000)).all()


def test_an_output_with_the_sound_of_the_style_is_nearer_to_it() -> None:
    contents = [play("brass", 0), play("brass", 1)]
    styles, targets = ([play("vibes", k) for k in order] for order in ((1, 0), (0, 1)))
    group = Group(contents, tones.INFO.rate, lambda waves, rate: [])
    row = Row(
        outputs=group,
        sources=group,
        styles=group.like(styles),
        targets=group.like(targets),
    )
    converted = Row(**{**vars(row), "outputs": group.like(targets)})
    assert timbre.measure(converted)["timbre_target"].value < 1e-6
    assert timbre.measure(row)["timbre_target"].value > 0.02
    for system, rate in ((row, 0.0), (converted, 1.0)):
        assert timbre_style.measure(system)["nearer_style"].value == rate
    near, far = (timbre_style.measure(one)["timbre_style"].value for one in (converted, row))
    assert near < far
