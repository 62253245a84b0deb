"""What the published system got wrong, and ours must not: each test would have caught it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vctool.data.batches import Clips
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition
from vctool.models.vocal_cyclegan.generator import Output
from vctool.models.vocal_cyclegan.normalise import shared_bands
from vctool.models.vocal_cyclegan.streams import (
    from_channels,
    layout,
    to_channels,
    to_condition,
    voice_level,
)
from vctool.models.vocal_cyclegan.system import System

MakeSystem = Callable[..., tuple[System, dict[str, Clips]]]


def generator_terms(system: System, batch: dict[str, Clips]) -> dict[str, torch.Tensor]:
    """Return the generators' loss terms, leaving the critics as they are."""
    return dict(next(terms for group, terms in system.objectives(batch, 0) if group == "generator"))


@pytest.mark.parametrize("voice", ["mel", "world"])
def test_adversarial_gradient_reaches_the_generator_that_made_the_fake(
    make_system: MakeSystem, voice: str
) -> None:
    # The published critic left torch for numpy: its gradient never reached a generator.
    system, batch = make_system(voice=voice)
    terms = generator_terms(system, batch)
    for name, maker, other in (
        ("singing", system.to_singing, system.to_speech),
        ("speech", system.to_speech, system.to_singing),
    ):
        loss = terms[f"adversarial_{name}"]
        parameters = list(maker.spectrum.parameters())
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        norms = [gradient.norm() for gradient in gradients if gradient is not None]
        assert norms and all(torch.isfinite(norm) for norm in norms) and max(norms) > 0
        unused = torch.autograd.grad(
            loss, list(other.parameters()), retain_graph=True, allow_unused=True
        )
        assert all(gradient is None for gradient in unused)


def test_adversarial_gradient_reaches_the_generator_through_minirocket_alone(
    make_system: MakeSystem,
) -> None:
    system, batch = make_system(patch_width=0)
    loss = generator_terms(system, batch)["adversarial_singing"]
    gradients = torch.autograd.grad(loss, list(system.to_singing.spectrum.output.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_pitch_of_a_fake_gets_an_adversarial_gradient(make_system: MakeSystem) -> None:
    system, batch = make_system()
    loss = generator_terms(system, batch)["adversarial_singing"]
    assert system.to_singing.melody is not None
    gradients = torch.autograd.grad(loss, list(system.to_singing.melody.score.parameters()))
    assert gradients[0].abs().max() > 0


def test_singing_critic_hears_the_accompaniment(make_system: MakeSystem) -> None:
    # The published one was fitted on speech channels only and ignored all others.
    system, batch = make_system(patch_width=0, rocket_features=1000)
    singing = batch["singing"]
    truth = system._truth(singing.voice)
    keys = singing.key
    own = system._judged("singing", truth, singing.condition)
    shuffled = system._judged("singing", truth, singing.condition.flip(0))
    critic = system._rocket("singing")
    system.eval()  # spectral normalisation moves at every forward pass in training
    heard = [critic.judge(critic.features(judged), keys) for judged in (own, shuffled, own)]
    assert torch.equal(heard[0], heard[2])
    assert not torch.allclose(heard[0], heard[1])


def test_fakes_are_judged_with_the_accompaniment_they_were_made_with(
    make_system: MakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, batch = make_system()
    judged: list[tuple[bool, torch.Tensor | None]] = []
    original = System._judged

    def spy(
        self: System, domain: str, output: Output, condition: torch.Tensor | None
    ) -> torch.Tensor:
        if domain == "singing":
            judged.append((output.scores is not None, condition))
        return original(self, domain, output, condition)

    monkeypatch.setattr(System, "_judged", spy)
    made: list[torch.Tensor] = []
    hook = system.to_singing.register_forward_pre_hook(lambda _, inputs: made.append(inputs[1]))
    generator_terms(system, batch)
    hook.remove()
    fakes = [condition for fake, condition in judged if fake]
    reals = [condition for fake, condition in judged if not fake]
    assert len(fakes) == 1 and fakes[0] is made[0] is batch["speech"].condition
    assert len(reals) == 1 and reals[0] is batch["singing"].condition


def test_converted_output_follows_its_condition(make_system: MakeSystem) -> None:
    system, batch = make_system(residual=False)
    speech = batch["speech"]
    one = system._sing(speech.voice, speech.condition, speech.key)
    two = system._sing(speech.voice, speech.condition.flip(0), speech.key)
    assert not torch.allclose(one.spectrum, two.spectrum)
    assert one.notes is not None and two.notes is not None
    assert not torch.allclose(one.notes, two.notes)


@pytest.mark.parametrize("voice", ["mel", "world"])
def test_train_and_eval_agree(make_system: MakeSystem, voice: str) -> None:
    system, batch = make_system(voice=voice, residual=False)
    speech = batch["speech"]
    trained = system.train()._sing(speech.voice, speech.condition, speech.key).spectrum
    evaluated = system.eval()._sing(speech.voice, speech.condition, speech.key).spectrum
    torch.testing.assert_close(trained, evaluated)
    assert trained.abs().max() > 1


def test_untrained_generator_is_the_mean_variance_transform(make_system: MakeSystem) -> None:
    system, batch = make_system()
    speech, singing = batch["speech"], batch["singing"]
    made = system._sing(speech.voice, speech.condition, speech.key).spectrum
    bands = slice(0, system.layout.bands)
    made = made[:, bands]
    torch.testing.assert_close(
        made.mean((0, 2)), singing.voice[:, bands].mean((0, 2)), rtol=0, atol=0.01
    )
    torch.testing.assert_close(
        made.std((0, 2)), singing.voice[:, bands].std((0, 2)), rtol=0.01, atol=0
    )


def test_reloaded_critic_sees_the_same_features(make_system: MakeSystem) -> None:
    # The published kernels were random and in no checkpoint: a reloaded head met other features.
    system, batch = make_system()
    other, _ = make_system()
    judged = system._judged("speech", system._truth(batch["speech"].voice), None)
    other._rocket("speech").fit(judged.flip(2) * 3)
    before = system._rocket("speech").features(judged)
    assert not torch.allclose(other._rocket("speech").features(judged), before)
    other.load_state_dict(system.state_dict())
    torch.testing.assert_close(other._rocket("speech").features(judged), before)


def narrow(clips: Clips, bands: int, first_missing: int) -> Clips:
    """Take away everything above a band, as recording at a lower rate does."""
    voice = clips.voice.clone()
    voice[:, first_missing:bands] = -95.0
    return clips._replace(voice=voice)


def test_critics_cannot_tell_low_passed_singing_from_full_band(make_system: MakeSystem) -> None:
    # 16 kHz speech beside 44.1 kHz singing differs in bandwidth; no critic may live on that.
    system, batch = make_system()
    bands = system.layout.bands
    batch = {"speech": narrow(batch["speech"], bands, 10), "singing": batch["singing"]}
    system.setup(batch)
    # The two bands next to the edge are on a filter's slope, and are left out too.
    assert system.shared[:8].all() and not system.shared[8:bands].any()
    full = batch["singing"]
    low_passed = narrow(full, bands, 10)
    seen = [
        system._judged("singing", system._truth(clips.voice), clips.condition)
        for clips in (full, low_passed)
    ]
    system.eval()  # spectral normalisation moves at every forward pass in training
    for critic in (system._rocket("singing").features, system.critics["singing_patch"]):
        torch.testing.assert_close(critic(seen[0]), critic(seen[1]))


def test_generators_do_not_see_bands_that_one_domain_lacks(make_system: MakeSystem) -> None:
    system, batch = make_system()
    bands = system.layout.bands
    batch = {"speech": narrow(batch["speech"], bands, 10), "singing": batch["singing"]}
    system.setup(batch)
    full, keys = batch["singing"], batch["singing"].key
    low_passed = narrow(full, bands, 10)
    one = system._sing(full.voice, full.condition, keys, own=True).spectrum
    two = system._sing(low_passed.voice, full.condition, keys, own=True).spectrum
    torch.testing.assert_close(one, two)


def test_all_bands_are_shared_where_both_domains_reach_the_top(make_system: MakeSystem) -> None:
    system, batch = make_system()
    assert shared_bands(batch["speech"].voice, batch["singing"].voice, system.layout).all()


def test_cycle_and_identity_are_zero_decibels_for_a_perfect_copy(
    make_system: MakeSystem, features: FeatureConfig
) -> None:
    system, batch = make_system()
    singing = batch["singing"]
    truth = system._truth(singing.voice)
    assert system._distance_db(truth, singing.voice) == 0
    louder = truth._replace(spectrum=truth.spectrum + 2.0)
    bands = singing.voice[:, : system.layout.bands]
    above = bands > bands.amax(dim=(1, 2), keepdim=True) - features.top_db
    assert above.all()
    torch.testing.assert_close(system._distance_db(louder, singing.voice), torch.tensor(2.0))
    # Below the floor nothing counts, on either side.
    quiet = truth._replace(spectrum=torch.where(truth.spectrum > -35, truth.spectrum, -300.0))
    floored = truth._replace(spectrum=torch.where(truth.spectrum > -35, truth.spectrum, -200.0))
    torch.testing.assert_close(
        system._distance_db(quiet, singing.voice), system._distance_db(floored, singing.voice)
    )


def test_gate_starts_open_and_shuts_when_the_critics_win(make_system: MakeSystem) -> None:
    # The published running mean started from zero at every epoch and kept the critics frozen.
    system, batch = make_system(gate=0.6)
    high, low = {"a": torch.tensor(0.9)}, {"a": torch.tensor(0.1)}
    assert system._critics_step(high)
    assert system._critics_step(low)  # 0.9 * 0.9 + 0.1 * 0.1 = 0.82
    for _ in range(5):
        opened = system._critics_step(low)
    assert not opened
    mean = system.critic_mean.clone()
    system.eval()
    assert system._critics_step(low) and torch.equal(system.critic_mean, mean)
    system.train()
    assert [group for group, _ in system.objectives(batch, 0)] == ["generator"]


def test_cycle_does_not_teach_the_first_generator_to_hide_notes(make_system: MakeSystem) -> None:
    system, batch = make_system()
    loss = generator_terms(system, batch)["cycle_singing_f0"]
    gradients = torch.autograd.grad(
        loss, list(system.to_speech.melody.parameters()), allow_unused=True
    )
    assert all(gradient is None or not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("voice", ["mel", "world"])
@pytest.mark.parametrize("frames", [3, 40, 301])
def test_conversion_keeps_length_level_and_repeats_itself(
    make_system: MakeSystem, voice: str, frames: int, features: FeatureConfig
) -> None:
    system, _ = make_system(voice=voice)
    random = np.random.default_rng(0)
    shape = layout(system.config.voice, features)
    spectrum = random.normal(-30, 5, (frames, shape.spectrum))
    notes = 45 + 5 * np.sin(np.arange(frames) / 20)
    voiced = np.arange(frames) % 10 > 2
    raw = from_channels(spectrum, notes, voiced, -20.0, shape, features)
    condition = {
        "accomp_mel": random.normal(-30, 8, (frames, features.n_mels)).astype(np.float32),
        "accomp_chroma": random.dirichlet(np.ones(12), frames).astype(np.float32),
    }
    for to in ("singing", "speech"):
        given = Condition(condition if to == "singing" else None)
        made = system.convert({voice: raw}, given, to)[voice]
        assert made.shape == raw.shape and made.dtype == np.float32 and np.isfinite(made).all()
        np.testing.assert_array_equal(made, system.convert({voice: raw}, given, to)[voice])
        assert abs(voice_level(made, shape, features) - voice_level(raw, shape, features)) < 12
        louder = raw.copy()
        if voice == "mel":
            louder += 20.0
        else:
            louder[:, 1] += 20.0 * np.log(10) / 10
        there = system.convert({voice: louder}, given, to)[voice]
        again = to_channels(there, shape, features), to_channels(made, shape, features)
        np.testing.assert_allclose(
            again[0][:, : shape.spectrum], again[1][:, : shape.spectrum], atol=0.05
        )


def test_channels_and_features_are_inverse(features: FeatureConfig) -> None:
    random = np.random.default_rng(0)
    shape = layout("world", features)
    spectrum = random.normal(-20, 5, (30, shape.spectrum))
    spectrum[:, shape.bands :] = -np.abs(spectrum[:, shape.bands :])
    notes = np.linspace(50, 60, 30)
    voiced = np.ones(30, bool)
    raw = from_channels(spectrum, notes, voiced, 0.0, shape, features)
    channels = to_channels(raw, shape, features)
    level = voice_level(raw, shape, features)
    np.testing.assert_allclose(
        channels[:, : shape.bands] + level, spectrum[:, : shape.bands], atol=1e-3
    )
    np.testing.assert_allclose(channels[:, shape.note], notes, atol=1e-4)


def test_condition_is_free_of_its_level(features: FeatureConfig) -> None:
    random = np.random.default_rng(0)
    mel = random.normal(-30, 8, (64, features.n_mels))
    chroma = random.dirichlet(np.ones(12), 64)
    one = to_condition(mel, chroma, features)
    two = to_condition(mel + 17, chroma, features)
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_voicing_is_inferred_from_the_bands_and_not_from_the_tracker(
    make_system: MakeSystem,
) -> None:
    # A tracker misses creaky speech; its verdict must not decide what is sung as noise.
    system, batch = make_system(residual=False)
    system.eval()
    speech = batch["speech"]
    missed = speech.voice.clone()
    missed[:, system.layout.bands : system.layout.spectrum] = 0.0  # fully aperiodic
    one = system._sing(speech.voice, speech.condition, speech.key)
    two = system._sing(missed, speech.condition, speech.key)
    assert one.voiced is not None and two.voiced is not None
    torch.testing.assert_close(one.voiced, two.voiced)
    torch.testing.assert_close(one.spectrum, two.spectrum)


def test_voicing_loss_falls_towards_the_truth(make_system: MakeSystem) -> None:
    system, batch = make_system()
    singing = batch["singing"]
    truth = system._truth(singing.voice)
    assert truth.voiced is not None
    right = truth._replace(voicing=20.0 * (2.0 * truth.voiced - 1.0))
    assert system._voicing_loss(right, singing.voice) < 1e-6
    wrong = truth._replace(voicing=-20.0 * (2.0 * truth.voiced - 1.0))
    assert system._voicing_loss(wrong, singing.voice) > 10
