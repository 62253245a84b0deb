"""cyclegan_vc where the phones say which frames of two speakers are alike."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.models.cyclegan_vc.test_system import FEATURES, ROLES, SMALL, STATS, context, utterance
from vctool.config import build
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError
from vctool.experiment import recipe
from vctool.features import search, world
from vctool.features.envelopes import at_loudness
from vctool.features.phones import CEPSTRA, PHONES
from vctool.models.base import Condition
from vctool.models.cyclegan_vc import streams
from vctool.models.cyclegan_vc.settings import CycleGanVcConfig
from vctool.models.cyclegan_vc.system import SOURCE, TARGET, System

SIZE = FEATURES.envelope_dim
GUIDED = {**SMALL, "guide": "phones", "neighbours": 128, "nearest": 4, "start": "alignment"}


def features(role: str, seed: int, frames: int) -> dict[str, np.ndarray]:
    """Say eight phones, each for 100 ms and each with an envelope of the speaker's own."""
    random = np.random.default_rng([len(role), seed])
    voice = np.random.default_rng(len(role)).normal(0, 1, (8, SIZE))
    which = np.repeat(random.integers(0, 8, frames // 20 + 1), 20)[:frames]
    values = utterance(role, seed, frames)
    values[:, 2 : 1 + SIZE] = voice[which, 1:] + random.normal(0, 0.05, (frames, SIZE - 1))
    values[:, 1] = -1.0
    values[:, 0] = np.where(which % 4 == 3, 0.0, np.exp(STATS[role].log_f0_mean))
    cepstra = random.normal(0, 0.1, (frames, CEPSTRA)).astype(np.float32)
    cepstra[:, 0] = 0.0
    return {
        "world": values,
        "phones": np.eye(len(PHONES), dtype=np.float32)[which],
        "mfcc": cepstra,
    }


def system(**changes: Any) -> tuple[System, Any]:
    torch.manual_seed(0)
    config = build(CycleGanVcConfig, {**GUIDED, **changes}, "test")
    made = System(config, context())
    sets = {}
    for role in ROLES:
        found = {f"{role}-{n}": features(role, n, 300 + 40 * n) for n in range(6)}
        kinds = {kind: {n: one[kind] for n, one in found.items()} for kind in System.reads(config)}
        sets[role] = FeatureSet.from_arrays(
            kinds, dict.fromkeys(found, role), dict.fromkeys(found, "speech")
        )
    data = System.dataset(config, context(), sets, 4, 0)
    made.setup(data.setup_batch())
    return made.train(), data


def test_every_phone_begins_as_the_target_says_it() -> None:
    made, _ = system(noise_range_db=0)  # random frames are all noise
    source = features("anna", 9, 400)
    out = made.convert(source, Condition(), "ben")["world"]
    which = source["phones"].argmax(axis=1)
    voice = np.random.default_rng(len("ben")).normal(0, 1, (8, SIZE))
    middles = np.arange(10, 400, 20)
    away = np.abs(out[middles, 2 : 1 + SIZE] - voice[which[middles], 1:]).mean()
    before = np.abs(source["world"][middles, 2 : 1 + SIZE] - voice[which[middles], 1:]).mean()
    assert away < 0.35 * before


def test_the_neighbour_loss_draws_a_fake_to_what_its_source_says() -> None:
    made, data = system()
    clips = data.batch(0)["anna"]
    voice, said = made._split(clips.voice)
    assert said is not None and said.shape[1] == search.WIDTH
    spoken = torch.ones(len(voice), voice.shape[-1], dtype=torch.bool)
    # what the bank has for the phones of these frames
    found = torch.stack(
        [
            search.mean_of_nearest(
                one.T, made.target_keys, made.target_bank, 4, made.target_nearness
            ).T
            for one in said
        ]
    )
    assert made._to_alike(found, spoken, said, TARGET) == pytest.approx(0.0, abs=1e-6)
    assert made._to_alike(found + 0.3, spoken, said, TARGET) == pytest.approx(0.3, abs=1e-5)
    assert made._to_alike(found + 0.3, ~spoken, said, TARGET) == 0
    # another sentence's phones, another target: it is not the fake's own nearest frame
    assert made._to_alike(found, spoken, said.roll(1, 0), TARGET) > 0.1


def test_what_is_said_reaches_the_output_and_the_gradient() -> None:
    made, data = system()
    terms = dict(made.objectives(data.batch(0), 0))["generator"]
    first = made.generators[TARGET].first.conv.weight
    torch.nn.init.normal_(made.generators[TARGET].last.weight, std=0.01)
    terms = dict(made.objectives(data.batch(0), 0))["generator"]
    (gradient,) = torch.autograd.grad(terms["neighbour_target"], first)
    assert gradient.shape[1] == SIZE + streams.TOLD
    assert gradient[:, SIZE:].abs().max() > 0
    source = features("anna", 9, 300)
    other = {**source, "phones": np.roll(source["phones"], 3, axis=1)}
    one, two = (made.convert(x, Condition(), "ben")["world"] for x in (source, other))
    assert np.abs(one - two).max() > 1e-3


def test_the_way_back_is_told_what_the_source_said() -> None:
    made, data = system()
    batch = data.batch(0)
    heard: list[torch.Tensor] = []
    made.generators[SOURCE].register_forward_hook(
        lambda module, inputs, kwargs, output: heard.append(kwargs.get("told")), with_kwargs=True
    )
    dict(made.objectives(batch, 0))
    _, said = made._split(batch["anna"].voice)
    assert said is not None
    torch.testing.assert_close(heard[-1], streams.heard(said))


def test_a_converted_frame_keeps_its_loudness_and_the_spread_is_the_targets() -> None:
    made, _ = system(level=0, noise_range_db=0)
    source = features("anna", 9, 3000)
    out = made.convert(source, Condition(), "ben")["world"]
    own, new = (world.split(x, FEATURES)[1] for x in (source["world"], out))
    np.testing.assert_allclose(new, own + at_loudness(own, new - own, FEATURES), atol=1e-4)
    wanted = made._statistics(TARGET)[1][1:, 0].numpy()
    np.testing.assert_allclose(new[:, 1:].std(axis=0), wanted, rtol=0.1)


def test_a_description_follows_the_frames_at_any_step() -> None:
    one = features("anna", 3, 301)
    said = streams.said(one, FEATURES)
    assert said.shape == (301, search.WIDTH)
    heard = streams.heard(torch.from_numpy(said.T)[None])[0].numpy()
    assert heard.shape == (streams.TOLD, 301)
    now = heard[: len(PHONES)].argmax(axis=0)
    assert (now == one["phones"].argmax(axis=1)).mean() > 0.94
    np.testing.assert_array_equal(heard[-1] > 0, np.repeat(one["world"][::2, 0] > 0, 2)[:301])


def test_the_confs_weights_are_its_terms() -> None:
    loaded = recipe.load("vcc2016_cyclegan_vc_phones")
    assert loaded.model["guide"] == "phones"
    made, data = system(identity_steps=0)
    terms = dict(made.objectives(data.batch(0), 0))
    weights = loaded.train.weights
    assert {g: set(t) for g, t in terms.items()} == {g: set(w) for g, w in weights.items()}


def test_phones_need_cepstra_and_the_generator_that_can_be_told() -> None:
    for changes in ({"voice": "mel"}, {"generator": "2-1-2d"}):
        with pytest.raises(ConfigError, match="guide: phones needs voice: mcep and generator: 1d"):
            build(CycleGanVcConfig, {**GUIDED, **changes}, "test")
