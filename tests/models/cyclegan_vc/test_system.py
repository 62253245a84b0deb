"""What decides a speaker conversion, and the published bugs that undid it."""

from typing import Any

import numpy as np
import pytest
import torch

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.data.feature_set import FeatureSet
from vctool.engine.distributed import Processes
from vctool.engine.optim import GroupOptimizers
from vctool.engine.settings import TrainConfig
from vctool.engine.step import train_step
from vctool.errors import ConfigError
from vctool.features import world
from vctool.features.envelopes import at_loudness
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Condition, Context
from vctool.models.cyclegan_vc import streams
from vctool.models.cyclegan_vc.settings import CycleGanVcConfig
from vctool.models.cyclegan_vc.system import SOURCE, TARGET, System

FEATURES = FeatureConfig(
    rate=16000, hop_length=80, n_fft=1024, n_mels=40, envelope_dim=13, envelope_coding="mcep"
)
ROLES = ("anna", "ben")
SMALL = {
    "generator_width": 4,
    "residual_blocks": 1,
    "discriminator_width": 4,
    "aligned_frames": 256,
}
SHORT, LONG = 40, 400
"""Frames of the shortest and the longest utterance; a segment has 128."""


def stats(f0: float, std: float) -> SpeakerStats:
    return SpeakerStats(
        log_f0_mean=float(np.log(f0)), log_f0_std=std, f0_floor=60, f0_ceil=500, voiced_frames=999
    )


STATS = {"anna": stats(210.0, 0.2), "ben": stats(110.0, 0.3)}


def utterance(role: str, seed: int, frames: int) -> np.ndarray:
    rng = np.random.default_rng([len(role), seed])
    moves = np.cumsum(rng.normal(0, 0.1, (frames, 13)), axis=0)
    envelope = moves / np.arange(1, 14) + (2.0 if role == "anna" else -1.0)
    f0 = np.where(rng.random(frames) > 0.3, np.exp(STATS[role].log_f0_mean), 0.0)
    return world.join(f0, envelope, np.full((frames, 1), -10.0))


def sets(kind: str = "world") -> dict[str, FeatureSet]:
    found = {}
    for role in ROLES:
        lengths = [SHORT, LONG, 200, 260]
        arrays = {f"{role}-{n}": utterance(role, n, size) for n, size in enumerate(lengths)}
        if kind == "mel":
            arrays = {n: np.repeat(5 * a[:, 1:11], 4, axis=1) - 40 for n, a in arrays.items()}
        found[role] = FeatureSet.from_arrays(
            {kind: arrays}, dict.fromkeys(arrays, role), dict.fromkeys(arrays, "speech")
        )
    return found


def context(roles: tuple[str, ...] = ROLES) -> Context:
    return Context(features=FEATURES, vocoder="world", roles=roles, speakers=STATS, domains=STATS)


def system(**changes: Any) -> tuple[System, Any]:
    torch.manual_seed(0)
    config = build(CycleGanVcConfig, {**SMALL, **changes}, "test")
    made = System(config, context())
    kind = System.reads(config)[0]
    data = System.dataset(config, context(), sets(kind), 4, 0)
    made.setup(data.setup_batch())
    return made.train(), data


def terms_of(made: System, batch: Any, step: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    return dict(made.objectives(batch, step))


def test_the_adversarial_loss_reaches_the_generators() -> None:
    """Bug C1: only cycle and identity trained the published generators, towards the identity."""
    made, data = system()
    terms = terms_of(made, data.batch(0))["generator"]
    for side in (SOURCE, TARGET):
        parameters = list(made.generators[side].parameters())
        found = torch.autograd.grad(terms[f"adversarial_{side}"], parameters, retain_graph=True)
        assert all(gradient.abs().max() > 0 for gradient in found[::2])


def test_every_frame_of_the_cycle_is_pulled() -> None:
    """Bug C3: the published norm was the largest column sum, so one frame of 128 had a gradient."""
    made, data = system()
    caught = {}

    def catch(module: Any, inputs: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        caught[len(caught)] = output

    handle = made.generators[SOURCE].register_forward_hook(catch)
    terms_of(made, data.batch(0))["generator"]["cycle_source"].backward()
    handle.remove()
    back = caught[1]  # fakes first, then the way back
    pulled = back.grad.abs().sum(dim=1)
    assert back.grad.shape[-1] == 128
    assert (pulled > 0).all()
    # a mean over everything: each element is pulled by one over their number, whichever way
    assert back.grad.abs().max() == pytest.approx(1.0 / back.numel(), rel=1e-3)


def test_two_steps_run_without_touching_what_they_differentiate() -> None:
    """Bug C4: the published order stepped a network whose old weights were still needed."""
    made, data = system()
    weights = {"adversarial_source": 1.0, "adversarial_target": 1.0}
    more = {f"{kind}_{side}": 1.0 for kind in ("cycle", "identity") for side in (SOURCE, TARGET)}
    config = TrainConfig(
        steps=2, batch_size=4, weights={"discriminator": weights, "generator": weights | more}
    )
    optimizers = GroupOptimizers(made, config)
    for step in range(2):
        assert not train_step(made, data.batch(step), step, optimizers, Processes()).bad


def test_no_coefficient_outweighs_the_others() -> None:
    """Bug C6: without normalisation c0 had nearly all of every loss."""
    made, data = system()
    batch = data.setup_batch()
    for role, side in made.sides.items():
        values = batch[role].voice
        spoken = streams.active(values, "mcep")
        normal = made._normalise(values, side).transpose(1, 2)[spoken]
        torch.testing.assert_close(normal.mean(dim=0), torch.zeros(13), atol=1e-3, rtol=0.0)
        torch.testing.assert_close(normal.std(dim=0), torch.ones(13), atol=1e-3, rtol=0.0)


def test_segments_move_from_step_to_step() -> None:
    """Bug C7: the published crop was drawn once for each utterance and then kept."""
    _, data = system()
    starts = {float(c) for k in range(40) for c in data.batch(k)["anna"].voice[:, 1, 0]}
    assert len(starts) > 60


def test_an_utterance_shorter_than_a_segment_is_used_and_converted() -> None:
    """Bug C8: utterances under 128 frames raised."""
    made, data = system()
    assert any("anna-0" in data.names(step) for step in range(60))
    for frames in (1, 3, SHORT):
        source = utterance("anna", 7, frames)
        out = made.convert({"world": source}, Condition(), "ben")["world"]
        assert out.shape == source.shape
        assert np.isfinite(out).all()


def test_speakers_may_have_any_name_and_must_be_two() -> None:
    """Bug C8: the published dataset's length was that of 'SF1'."""
    config = CycleGanVcConfig(**SMALL)
    assert System(config, context()).sides == {"anna": SOURCE, "ben": TARGET}
    with pytest.raises(ConfigError, match=r"two speakers, not 1 \(anna\); set corpus.source"):
        System(config, context(("anna",)))


def test_both_step_sizes_fall_each_with_its_own_optimizer() -> None:
    """Bug C9: the discriminators' decay was handed the generators' optimizer."""
    made, _ = system()
    rates = {"generator": 2e-4, "discriminator": 1e-4}
    optimizers = GroupOptimizers(made, TrainConfig(steps=100, learning_rates=rates, decay_from=0.5))
    for group, rate in rates.items():
        assert optimizers.learning_rate(group, 0) == rate
        assert optimizers.learning_rate(group, 49) == rate
        assert optimizers.learning_rate(group, 75) == pytest.approx(rate / 2)
    owned = {group: set(part) for group, part in optimizers.parameters.items()}
    assert owned["generator"] == set(made.generators.parameters())
    assert owned["discriminator"] == set(made.discriminators.parameters())


@pytest.mark.parametrize("name", ["cyclegan_vc", "cyclegan_vc2", "mask_cyclegan_vc", "default"])
def test_every_variants_weights_are_its_terms(name: str) -> None:
    tree = read_yaml(PROJECT_ROOT / "conf" / "cyclegan_vc" / f"{name}.yaml")
    changes = {**tree["model"], **SMALL}
    changes = {k: 32 if k == "neighbours" else v for k, v in changes.items()}
    made, data = system(**changes)
    terms = terms_of(made, data.batch(0))
    weights = build(TrainConfig, tree["train"], name).weights
    assert {g: set(t) for g, t in terms.items()} == {g: set(w) for g, w in weights.items()}


def test_the_identity_loss_ends() -> None:
    made, data = system(identity_steps=5)
    before = terms_of(made, data.batch(4), 4)["generator"]["identity_target"]
    after = terms_of(made, data.batch(5), 5)["generator"]["identity_target"]
    assert before.requires_grad
    assert not after.requires_grad
    assert after == 0
    kept, data = system(identity_steps=None)
    assert terms_of(kept, data.batch(9), 10**6)["generator"]["identity_target"] > 0


def test_f0_goes_to_the_targets_mean_and_deviation_and_noise_stays() -> None:
    made, _ = system()
    rng = np.random.default_rng(0)
    source = utterance("anna", 3, 3000)
    log_f0 = STATS["anna"].log_f0_mean + STATS["anna"].log_f0_std * rng.normal(0, 1, 3000)
    source[:, 0] = np.where(source[:, 0] > 0, np.exp(log_f0), 0)
    f0, _, noise = world.split(
        made.convert({"world": source}, Condition(), "ben")["world"], FEATURES
    )
    assert np.array_equal(f0 > 0, source[:, 0] > 0)
    moved = np.log(f0[f0 > 0])
    assert moved.mean() == pytest.approx(STATS["ben"].log_f0_mean, abs=0.02)
    assert moved.std() == pytest.approx(STATS["ben"].log_f0_std, rel=0.03)
    np.testing.assert_array_equal(noise, source[:, -1:])


def test_the_loudness_of_every_frame_stays() -> None:
    made, _ = system(level=0, noise_range_db=0)
    source = utterance("anna", 3, 300)
    out = made.convert({"world": source}, Condition(), "ben")["world"]
    own, new = (world.split(x, FEATURES)[1] for x in (source, out))
    np.testing.assert_allclose(new, own + at_loudness(own, new - own, FEATURES), atol=1e-4)
    assert np.abs(out[:, 2:14] - source[:, 2:14]).max() > 0.1


def test_noise_of_a_recording_is_not_raised_like_its_voice() -> None:
    source = utterance("anna", 3, 300)
    source[100:150, 1] -= 9.0  # a pause
    own = world.split(source, FEATURES)[1]
    raised = []
    for noise_range_db in (0, 60):
        made, _ = system(noise_range_db=noise_range_db)
        out = made.convert({"world": source}, Condition(), "ben")["world"]
        gain = world.envelope_gain_db(world.split(out, FEATURES)[1] - own, FEATURES)
        raised.append(np.maximum(gain[110:140], 0).mean())
    assert raised[1] < 0.3 * raised[0]


def test_a_louder_recording_is_converted_to_the_same_voice() -> None:
    made, _ = system(start="identity")
    source = utterance("anna", 3, 300)
    louder = source.copy()
    louder[:, 1] += 1.5
    one, two = (made.convert({"world": x}, Condition(), "ben")["world"] for x in (source, louder))
    np.testing.assert_allclose(two[:, 1] - one[:, 1], 1.5, atol=1e-4)
    np.testing.assert_allclose(two[:, 2:], one[:, 2:], atol=1e-4)


def test_an_untrained_residual_generator_is_the_mean_variance_transform() -> None:
    made, _ = system(start="identity", noise_range_db=0)
    source = utterance("anna", 3, 300)
    out = made.convert({"world": source}, Condition(), "ben")["world"]
    (m_a, s_a), (m_b, s_b) = (
        [x.numpy()[1:, 0] for x in made._statistics(side)] for side in (SOURCE, TARGET)
    )
    expected = (source[:, 2:14] - m_a) / s_a * s_b + m_b
    np.testing.assert_allclose(out[:, 2:14], expected, atol=1e-4)


def test_hidden_frames_are_drawn_by_each_segments_own_key() -> None:
    made, data = system(mask_frames=60)
    clips = data.batch(0)["anna"]
    mask = made._mask(clips)
    assert mask.shape == (4, 1, 128)
    hidden = (mask == 0).sum(dim=-1)
    assert hidden.max() <= 60
    assert len(set(hidden.flatten().tolist())) > 1
    for row in mask[:, 0]:  # one stretch
        assert (row.diff() != 0).sum() <= 2
    single = type(clips)(clips.voice[2:3], clips.condition[2:3], clips.key[2:3])
    assert torch.equal(made._mask(single)[0], mask[2])


@pytest.mark.parametrize("voice", ["mcep", "mel"])
def test_warping_the_frequency_axis_moves_a_peak(voice: Any) -> None:
    size = 25 if voice == "mcep" else 40
    maps = streams.warp_matrices(voice, size)
    assert len(maps) == streams.WARPS
    np.testing.assert_allclose(maps[streams.WARPS // 2], np.eye(size), atol=1e-5)
    axis = np.linspace(0, np.pi, size * 4)
    series = np.cos(np.arange(size)[:, None] * axis)
    centres = (np.arange(size) + 0.5) * np.pi / size
    peak = np.exp(-0.5 * ((axis - 1.0) / 0.3) ** 2)

    def place(matrix: np.ndarray) -> float:
        if voice == "mcep":
            moved = (matrix @ np.linalg.lstsq(series.T, peak, rcond=None)[0]) @ series
            return float(axis[np.argmax(moved)])
        return float(centres[np.argmax(matrix @ np.interp(centres, axis, peak))])

    # what is read at v(w) = 1 stands at w: v raises every place for a positive constant
    assert place(maps[-1]) < 0.8
    assert place(maps[streams.WARPS // 2]) == pytest.approx(1.0, abs=0.1)
    assert place(maps[0]) > 1.2


def test_the_neighbour_loss_draws_spoken_fakes_to_the_nearest_frame() -> None:
    made, _data = system(neighbours=64, identity_steps=0)
    wanted = made.target_bank[5]  # (D, TAPS)
    # a fake whose frames, every SPACING apart, are those of the bank, but for a small error
    fake = torch.repeat_interleave(wanted, 4, dim=1)[None] + 0.01
    spoken = torch.zeros(1, 20, dtype=torch.bool)
    spoken[0, 8] = True  # the middle of the taps, alone
    fake.requires_grad_()
    loss = made._to_neighbours(fake, spoken, TARGET)
    assert loss.item() == pytest.approx(0.01 / 5, rel=1e-3)  # a mean over the five places looked at
    (gradient,) = torch.autograd.grad(loss, fake)
    assert (gradient[0, :, 8] > 0).all()
    assert gradient.abs().sum(dim=1)[0].nonzero().flatten().tolist() == [8]
