import numpy as np
import pytest
import torch

from vctool.features import search, world
from vctool.features.phones import CEPSTRA, PHONES
from vctool.features.settings import FeatureConfig

FEATURES = FeatureConfig(rate=16000, hop_length=80, envelope_dim=25, envelope_coding="mcep")


def features(frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((frames, world.world_dim(FEATURES))).astype(np.float32)
    values[:, 0] = np.where(np.arange(frames) % 20 < 12, 120.0, 0.0)
    phones = rng.dirichlet(np.ones(len(PHONES)), frames).astype(np.float32)
    mfcc = rng.standard_normal((frames, CEPSTRA)).astype(np.float32)
    return {"world": values, "phones": phones, "mfcc": mfcc}


@pytest.mark.parametrize("rate, hop, expected", [(16000, 80, 2), (22050, 256, 1), (44100, 220, 2)])
def test_frames_are_searched_every_ten_milliseconds(rate: int, hop: int, expected: int) -> None:
    assert search.stride(FeatureConfig(rate=rate, hop_length=hop, n_fft=2048)) == expected


def test_the_mean_of_the_nearest_is_that_of_a_search_one_by_one() -> None:
    torch.manual_seed(0)
    queries, keys, values = torch.randn(600, 9), torch.randn(70, 9), torch.randn(70, 4)
    found = search.mean_of_nearest(queries, keys, values, 5)
    for row in (0, 255, 256, 599):
        distance = (keys - queries[row]).square().sum(dim=1)
        expected = values[distance.argsort()[:5]].mean(dim=0)
        torch.testing.assert_close(found[row], expected)


def test_fewer_keys_than_neighbours_are_all_taken() -> None:
    values = torch.randn(3, 4)
    found = search.mean_of_nearest(torch.randn(2, 9), torch.randn(3, 9), values, 16)
    torch.testing.assert_close(found, values.mean(dim=0).expand(2, 4))


def test_a_description_does_not_depend_on_the_level_or_the_colour_of_a_recording() -> None:
    one = features(200)
    louder = {**one, "mfcc": one["mfcc"] * 1.7 + np.linspace(-2, 5, CEPSTRA, dtype=np.float32)}
    told = []
    for each in (one, louder):
        part = search.frames(each, FEATURES)
        told.append(search.described(part, search.normalisation([part]), FEATURES, 0.3, 2.0))
    assert told[0].shape == (100, search.WIDTH)
    # c0 also decides which frames sound; all of them do here
    np.testing.assert_allclose(told[1], told[0], atol=2e-3)


def test_posteriors_are_compared_by_hellingers_distance() -> None:
    one = features(200)
    constant = np.tile(one["phones"][:1], (200, 1))
    other = np.tile(one["phones"][1:2], (200, 1))
    told = []
    for phones in (constant, other):
        part = search.frames({**one, "phones": phones}, FEATURES)
        told.append(search.described(part, search.normalisation([part]), FEATURES, 0.3, 2.0))
    overlap = np.sqrt(constant[0].astype(np.float64) * other[0]).sum()
    expected = np.sqrt(2 - 2 * overlap)
    np.testing.assert_allclose(np.linalg.norm(told[0] - told[1], axis=1), expected, rtol=1e-4)


def test_voiced_and_unvoiced_are_apart_by_their_weight() -> None:
    one = features(200)
    whispered = {**one, "world": one["world"].copy()}
    whispered["world"][:, 0] = 0
    told = []
    for each in (one, whispered):
        part = search.frames(each, FEATURES)
        told.append(search.described(part, search.normalisation([part]), FEATURES, 0.3, 2.0))
    voiced = one["world"][::2, 0] > 0
    distance = np.linalg.norm(told[0] - told[1], axis=1)
    np.testing.assert_allclose(distance[voiced], 2.0, rtol=1e-5)
    np.testing.assert_allclose(distance[~voiced], 0.0, atol=1e-6)


def test_phones_explain_their_own_mean_where_they_are_heard_long_enough() -> None:
    rng = np.random.default_rng(0)
    which = rng.integers(0, 4, 4000)
    posteriors = np.eye(40)[which]
    means = rng.standard_normal((4, 6))
    envelope = means[which] + 0.1 * rng.standard_normal((4000, 6))
    found = search.explained(posteriors, envelope, np.ones(4000, bool))
    np.testing.assert_allclose(found, means[which], atol=0.02)


def test_phones_that_are_hardly_heard_are_explained_by_the_mean() -> None:
    which = np.array([0] * 50 + [1])
    posteriors, envelope = np.eye(40)[which], np.where(which == 1, 10.0, 0.0)[:, None]
    found = search.explained(posteriors, envelope, np.ones(51, bool))
    mean = envelope.mean()
    assert mean < found[-1, 0] < 0.5 * (10 + mean)
    # silence does not count
    silent = search.explained(posteriors, envelope, which == 0)
    np.testing.assert_allclose(silent, 0, atol=1e-9)


def test_a_hub_is_asked_by_all_until_it_is_corrected_for() -> None:
    """Two groups of queries, keys at each, and one key in the middle of everything."""
    random = torch.Generator().manual_seed(0)

    def group(count: int, centre: int, away: float) -> torch.Tensor:
        made = away * torch.randn(count, 40, generator=random)
        made[:, centre] += 1.5
        return made

    queries = torch.cat([group(50, 0, 0.6), group(50, 1, 0.6)])
    keys = torch.cat([group(30, 0, 0.6), group(30, 1, 0.6), queries.mean(dim=0, keepdim=True)])
    values = torch.cat([torch.zeros(60, 1), torch.ones(1, 1)])

    def share(nearness: torch.Tensor | None) -> float:
        return float(search.mean_of_nearest(queries, keys, values, 1, nearness).mean())

    assert share(None) > 0.9
    found = search.nearness(keys, queries, 4)
    expected = torch.cdist(keys, queries).sort(dim=1).values[:, :4].mean(dim=1)
    torch.testing.assert_close(found, expected)
    assert share(found) < 0.2
