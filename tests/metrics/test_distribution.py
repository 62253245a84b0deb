"""The Frechet distance: its formula, one number of windows for all, and singers left out."""

import numpy as np
import pytest

from vctool.evaluation.page.table import Layout, tabulate
from vctool.metrics import bootstrap, distribution
from vctool.metrics.analysis import Analysis


def analyses(shift: float, seed: int, count: int = 20) -> list[Analysis]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        bands = -30 + 5 * rng.standard_normal((400, 40)) + shift * np.linspace(0, 20, 40)
        f0 = 200 * 2 ** ((rng.normal(0, 1, 8).repeat(50) + shift) / 12)
        found.append(Analysis(f0, bands - bands.max(), 4.0))
    return found


def test_frechet_distance_matches_its_formula_and_grows_with_the_shift() -> None:
    from scipy.linalg import sqrtm

    reference = distribution.Reference.of(analyses(0.0, 0))
    moved = analyses(0.5, 1)
    pooled = reference.distance(moved)
    rows = np.concatenate([distribution.windows(one) for one in moved])
    rows = (rows - reference.mean) / reference.scale
    kept = np.linspace(0, len(rows), reference.quota, endpoint=False).astype(int)
    own, real = rows[kept], np.concatenate(reference.groups)
    shrink = lambda x: 0.9 * np.cov(x, rowvar=False, bias=True) + 0.1 * np.eye(30)  # noqa: E731
    a, b = shrink(real), shrink(own)
    expected = (own.mean(axis=0) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert pooled.value == pytest.approx(expected, rel=1e-6)
    same = reference.distance(analyses(0.0, 2)).value
    far = reference.distance(analyses(2.0, 3)).value
    assert same < pooled.value < far


def test_silenced_utterances_are_not_hidden() -> None:
    reference = distribution.Reference.of(analyses(0.0, 0))
    silent = Analysis(np.zeros(400), np.zeros((400, 40)), 4.0)
    good = analyses(0.0, 2)
    assert len(distribution.windows(silent)) >= 1
    worse = reference.distance(good[:10] + [silent] * 10).value
    assert worse > 3 * reference.distance(good).value


def test_rows_have_one_number_of_windows_however_many_clips_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = distribution.Reference.of(analyses(0.0, 0))
    assert reference.quota == round(0.75 * reference.count)
    many, few = analyses(0.0, 2, 120), analyses(0.0, 2, 18)
    for clips in (many, few):
        kept = reference.thinned(clips, distribution.EVERYTHING)
        assert len(kept) == len(clips) and sum(map(len, kept)) == reference.quota
        assert max(map(len, kept)) - min(map(len, kept)) <= 1  # evenly, so that all are heard

    def ratio() -> float:
        return reference.distance(few).value / reference.distance(many).value

    thinned = ratio()
    monkeypatch.setattr(distribution, "SHARE", 100.0)
    assert thinned < 0.8 * ratio()


def singing(count: int = 20) -> tuple[list[Analysis], list[str]]:
    """Four singers who differ, `count` clips of each."""
    found, names = [], []
    for place, name in enumerate(("ann", "ben", "cleo", "dan")):
        found += analyses(1.5 * place, place, count)
        names += [name] * count
    return found, names


def test_a_singer_left_out_is_further_than_the_singers_that_are_known() -> None:
    clips, names = singing()
    reference = distribution.Reference.of(clips[::2], names[::2])
    assert reference.leaves_out and reference.singers == ("ann", "ben", "cleo", "dan")
    assert reference.quota == min(map(len, reference.groups))
    usual = reference.distance(clips[1::2])
    others = distribution.left_out(reference, clips, names)
    assert set(others) == set(distribution.MEASURES)
    assert others["distance"].value > 2 * usual.value
    # the mean over singers of what each has alone
    alone = []
    for name in reference.singers:
        rest = [
            x for who, x in zip(reference.singers, reference.groups, strict=True) if who != name
        ]
        own = [one for one, who in zip(clips, names, strict=True) if who == name]
        kept = np.concatenate(reference.thinned(own, distribution.EVERYTHING))
        moments = [distribution._moments(x)[None] for x in (kept, np.concatenate(rest))]
        alone.append(distribution.frechet(*moments)[0])
    assert others["distance"].value == pytest.approx(np.mean(alone))
    draws = others["distance"].draws(bootstrap.resample_counts(len(clips), 50, 0))
    assert np.isfinite(draws).all() and draws.std() > 0
    missing = np.concatenate([np.zeros((1, 20)), np.ones((1, 60))], axis=1)  # no clip of ann's
    assert np.isfinite(others["distance"].draws(missing)).all()


def test_singers_with_few_windows_are_not_left_out() -> None:
    clips, names = singing(4)
    reference = distribution.Reference.of(clips[::2], names[::2])
    assert not reference.leaves_out and distribution.left_out(reference, clips, names) == {}
    assert reference.quota == round(0.75 * reference.count)
    assert not distribution.Reference.of(clips, ["ann"] * len(clips)).singers


def test_no_interval_of_a_distance_reaches_below_0() -> None:
    reference = distribution.Reference.of(analyses(0.0, 0))
    pooled = {"real": {"distance": reference.distance(analyses(0.0, 1, 6))}}
    layout = Layout(distribution.MEASURES, "real")
    (score,) = tabulate(pooled, layout, 300, 0)["distance"].values()
    assert 0 <= score.low < score.value < score.high


def test_intervals_draw_the_singers_of_the_reference() -> None:
    clips, names = singing()
    outputs = analyses(0.7, 9, 10)
    counts = bootstrap.resample_counts(10, 200, 0)
    by_singer = distribution.Reference.of(clips, names).distance(outputs)
    by_clip = distribution.Reference.of(clips).distance(outputs)
    assert by_singer.against is not None and len(by_singer.against) == 4
    assert by_clip.against is not None and len(by_clip.against) == len(clips)
    # singers differ by more than clips of one do
    assert by_singer.draws(counts).std() > 2 * by_clip.draws(counts).std()
