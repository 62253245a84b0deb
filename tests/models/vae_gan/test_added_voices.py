"""What a voice begins as that is added to a trained system."""

from typing import Any

import numpy as np
import pytest
import torch

from vctool.data.batches import Clips
from vctool.data.feature_set import FeatureSet
from vctool.errors import ConfigError
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Context
from vctool.models.vae_gan.settings import VaeGanConfig
from vctool.models.vae_gan.system import System

FEATURES = FeatureConfig(rate=16000, n_fft=512, hop_length=200, n_mels=32, f0_ceil=500)
SMALL: dict[str, Any] = {
    "clip_frames": 32,
    "width": 8,
    "latent_channels": 4,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "discriminator_width": 2,
}


def system(roles: tuple[str, ...], added: tuple[str, ...] = (), **changes: Any) -> System:
    voice = SpeakerStats(log_f0_mean=5, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=9)
    context = Context(
        features=FEATURES,
        vocoder="griffin_lim",
        roles=roles,
        domains=dict.fromkeys(roles, voice),
        added=added,
    )
    torch.manual_seed(len(roles))
    return System(VaeGanConfig(**{**SMALL, **changes}), context)


def clips(level: float) -> Clips:
    rng = np.random.default_rng(0)
    mel = level + 0.02 * rng.standard_normal((6, 32, 32))
    return Clips(torch.from_numpy(mel.astype(np.float32)), torch.zeros(6, 0, 32), torch.arange(6))


@pytest.mark.parametrize(
    "choices", [{}, {"network": "2d"}, {"discriminator": "scales", "clip_frames": 64}]
)
def test_it_begins_as_a_copy_of_the_voice_that_is_nearest(choices: dict[str, Any]) -> None:
    made = system(("a", "b", "c"), ("c",), **choices)
    for role, level in (("a", 0.2), ("b", 0.8)):
        made._decoder(role).range.measure(clips(level).voice)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    # setup sees the voices that were there, too, and leaves them alone
    made.setup({"a": clips(0.5), "b": clips(0.5), "c": clips(0.75)})
    after = made.state_dict()
    old = [name for name in after if not name.startswith(("decoders.2.", "discriminators.2."))]
    assert [name for name in old if not torch.equal(before[name], after[name])] == []
    own = made._decoder("c").range
    assert 0.6 < float(own.low.mean()) < 0.75 < float(own.high.mean()) < 0.9
    measured = (".range.", "2.mean", "2.deviation")
    if "discriminators.2.mean" in after:
        assert float(after["discriminators.2.mean"].mean()) == pytest.approx(0.75, abs=0.01)
    for name in (x for x in after if x not in old and not any(part in x for part in measured)):
        assert torch.equal(after[name], after[name.replace(".2.", ".1.", 1)]), name


def test_it_is_in_every_batch_with_one_of_the_others() -> None:
    roles = ("a", "b", "c", "d")
    made = system(roles, ("d",))
    sets = {}
    for role in roles:
        mel = {role: np.full((40, 32), -40, np.float32)}
        sets[role] = FeatureSet.from_arrays({"mel": mel}, {role: role}, {role: "speech"})
    data = System.dataset(made.config, made.context, sets, 2, 0)
    drawn = [list(data.batch(step)) for step in range(6)]
    assert {roles[0] for roles in drawn} == {"d"} and {len(roles) for roles in drawn} == {2}
    assert sorted(roles[1] for roles in drawn) == ["a", "a", "b", "b", "c", "c"]


def test_one_voice_alone_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="converts between voices, and there is one, 'voices'"):
        system(("voices",))
