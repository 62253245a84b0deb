"""What keeps the words: a slow change, a loss that hears phones, and sound at finer frames."""

from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch
from pydantic import ValidationError

from vctool import audio
from vctool.config import PROJECT_ROOT
from vctool.data.batches import Clips
from vctool.features import envelopes, phones, world
from vctool.features.settings import FeatureConfig
from vctool.models.base import Condition
from vctool.models.vocal_cyclegan.generator import smoothed
from vctool.models.vocal_cyclegan.heard import Hearing
from vctool.models.vocal_cyclegan.settings import VocalCycleGanConfig
from vctool.models.vocal_cyclegan.streams import at_all_frames, from_channels, layout, to_channels
from vctool.models.vocal_cyclegan.system import System

MakeSystem = Callable[..., tuple[System, dict[str, Clips]]]
FINE = FeatureConfig(rate=16000, n_fft=1024, hop_length=160, n_mels=80)


def sentence() -> np.ndarray:
    """Read two seconds of the sentence that comes with the demonstration, at 16 kHz."""
    wave, rate = soundfile.read(PROJECT_ROOT / "vctool/demo/sentence.flac", dtype="float32")
    return audio.resample(wave, rate, 16000)[8000:40000]


def bands_of(wave: np.ndarray) -> torch.Tensor:
    """Analyse a wave into the bands of its envelope: (1, bands, F) [dB]."""
    channels = to_channels(world.analyse(wave, FINE), layout("world", FINE), FINE)
    return torch.from_numpy(channels[:, : FINE.envelope_dim].T.copy())[None]


def roughen(system: System) -> None:
    """Give untrained generators an output that moves with every frame of their input."""
    torch.manual_seed(3)
    for generator in (system.to_singing, system.to_speech):
        torch.nn.init.normal_(generator.spectrum.output.weight, std=0.5)


@pytest.mark.parametrize("frames", [1, 3, 128, 300])
@pytest.mark.parametrize("half_width", [0.5, 7.3, 30.0])
def test_smoothing_is_that_of_other_families(frames: int, half_width: float) -> None:
    values = torch.randn(2, 5, frames, generator=torch.Generator().manual_seed(0))
    expected = [envelopes.smoothed(one.double().numpy().T, half_width).T for one in values]
    np.testing.assert_allclose(smoothed(values, half_width), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("own", [False, True])
def test_the_envelope_changes_no_faster_than_is_allowed(make_system: MakeSystem, own: bool) -> None:
    steps = {}
    for smoothing_ms in (0.0, 150.0):
        system, batch = make_system(smoothing_ms=smoothing_ms)
        roughen(system)
        clips = batch["singing" if own else "speech"]
        made = system._sing(clips.voice, batch["speech"].condition, clips.key, own).spectrum
        bands = slice(0, system.layout.bands)
        change = made[:, bands] - clips.voice[:, bands]
        steps[smoothing_ms] = change.diff(dim=2).abs().mean()
        assert change.std() > 0.5
    # A Hann window of 12.5 frames to each side leaves a fourteenth of a white change's steps.
    assert steps[150.0] < 0.15 * steps[0.0]


def test_bands_that_the_speech_lacks_are_still_filled(make_system: MakeSystem) -> None:
    system, batch = make_system(smoothing_ms=150.0)
    bands = system.layout.bands
    voice = batch["speech"].voice.clone()
    voice[:, 10:bands] = -95.0
    batch["speech"] = batch["speech"]._replace(voice=voice)
    system.setup(batch)
    assert not system.shared[10:bands].any()
    made = system._sing(voice, batch["speech"].condition, batch["speech"].key).spectrum
    wanted = batch["singing"].voice[:, 10:bands].mean()
    assert (made[:, 10:bands].mean() - wanted).abs() < 3


def test_posteriors_of_bands_are_those_of_the_wave() -> None:
    wave = sentence()
    direct = phones.posteriors(phones.cepstra(torch.from_numpy(wave).float(), 16000))
    heard = Hearing(layout("world", FINE), FINE.frame_rate)
    cepstra = heard._at_100(bands_of(wave).transpose(1, 2) @ heard.matrix)
    coded = phones.posteriors(cepstra[0])
    frames = min(len(direct), len(coded))
    alike = (direct[:frames].sqrt() * coded[:frames].sqrt()).sum(dim=1)
    other = (direct[:frames].sqrt() * coded[:frames].flip(0).sqrt()).sum(dim=1)
    assert alike.mean() > 0.7
    assert alike.mean() > other.mean() + 0.3


def test_frames_that_are_left_out_change_little() -> None:
    cepstra = phones.cepstra(torch.from_numpy(sentence()).float(), 16000)
    every, some = phones.posteriors(cepstra), phones.log_posteriors(cepstra, every=2).exp()
    assert len(some) == -(-len(every) // 2)
    assert (every[::2].sqrt() * some.sqrt()).sum(dim=1).mean() > 0.95


def test_phones_order_what_was_done_to_them() -> None:
    bands = bands_of(sentence())
    hearing = Hearing(layout("world", FINE), FINE.frame_rate)
    tilt = torch.linspace(6, -6, bands.shape[1])[None, :, None]
    ladder = [
        bands + 7,
        bands + tilt,
        smoothed(bands, 10.0),
        smoothed(bands, 40.0),
        bands.flip(2),
    ]
    distances = [float(hearing.distance(one, bands)) for one in ladder]
    assert distances[:2] == pytest.approx([0, 0], abs=1e-4)  # the mean is nobody's phone
    assert 0.01 < distances[2] < distances[3] < distances[4]


def test_phones_teach_the_generator_that_made_the_fake(make_system: MakeSystem) -> None:
    system, batch = make_system(phones=True)
    roughen(system)
    terms = dict(next(terms for name, terms in system.objectives(batch, 0) if name == "generator"))
    for name, maker, other in (
        ("singing", system.to_singing, system.to_speech),
        ("speech", system.to_speech, system.to_singing),
    ):
        (gradient,) = torch.autograd.grad(
            terms[f"phones_{name}"], [maker.spectrum.output.weight], retain_graph=True
        )
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0
        unused = torch.autograd.grad(
            terms[f"phones_{name}"],
            list(other.parameters()),
            retain_graph=True,
            allow_unused=True,
        )
        assert all(one is None for one in unused)


def test_critics_see_the_notes_that_conversion_gives(make_system: MakeSystem) -> None:
    system, batch = make_system(judged_notes="path")
    speech, domain = batch["speech"], system._domain("singing")
    sung = system._sing(speech.voice, speech.condition, speech.key)
    shown = system.to_singing.delivered(sung, domain)
    assert sung.scores is not None and sung.notes is not None and shown.notes is not None
    for clip in range(len(speech.key)):
        one = sung._replace(
            spectrum=sung.spectrum[clip : clip + 1],
            scores=sung.scores[clip : clip + 1].detach(),
            voiced=sung.voiced[clip : clip + 1].detach(),
        )
        notes, _ = system.to_singing.decode(one, domain)
        np.testing.assert_allclose(shown.notes[clip].detach(), notes, atol=1e-3)
    assert not torch.allclose(shown.notes, sung.notes)
    scores = [
        torch.autograd.grad(one.notes.square().sum(), sung.scores, retain_graph=True)[0]
        for one in (shown, sung)
    ]
    assert scores[0].abs().max() > 0 and scores[0].shape == scores[1].shape


@pytest.mark.parametrize("voiced_from", [0.25, 0.5, 0.75])
def test_voice_begins_at_the_probability_that_is_asked(
    make_system: MakeSystem, voiced_from: float
) -> None:
    system, batch = make_system(voiced_from=voiced_from)
    speech = batch["speech"]
    with torch.no_grad():
        made = system._sing(speech.voice[:1], speech.condition[:1], speech.key[:1])
    chances = torch.linspace(0, 1, speech.voice.shape[-1])[None]
    _, voiced = system.to_singing.decode(made._replace(voiced=chances), system._domain("singing"))
    assert voiced is not None
    np.testing.assert_array_equal(voiced, chances[0].numpy() > voiced_from)


@pytest.mark.parametrize("frames", [4, 5, 90])
def test_detail_between_the_networks_frames_is_the_source_s(
    make_system: MakeSystem, features: FeatureConfig, frames: int
) -> None:
    system, _ = make_system(stride=2, smoothing_ms=150.0)
    roughen(system)
    random = np.random.default_rng(0)
    shape = layout("world", features)
    spectrum = random.normal(-30, 3, (frames, shape.spectrum))
    raw = from_channels(
        spectrum, np.full(frames, 50.0), np.ones(frames, bool), -20.0, shape, features
    )
    condition = {
        "accomp_mel": random.normal(-30, 8, (frames, features.n_mels)).astype(np.float32),
        "accomp_chroma": random.dirichlet(np.ones(12), frames).astype(np.float32),
    }
    made = system.convert({"world": raw}, Condition(condition), "singing")["world"]
    assert made.shape == raw.shape
    before, after = (to_channels(one, shape, features)[:, : shape.bands] for one in (raw, made))
    change = after - before
    between = change[1:-1:2]
    middle = 0.5 * (change[:-2:2] + change[2::2])[: len(between)]
    assert np.abs(change).mean() > 0.5
    np.testing.assert_allclose(between[: len(middle)], middle, atol=0.01)


def test_what_is_inferred_is_interpolated_itself() -> None:
    channels = np.array([[1.0, 0], [9, 0], [3, 0]])
    made, notes, voiced = at_all_frames(
        np.array([[2.0, 10], [4, 20]]),
        np.array([50.0, 54]),
        np.array([True, False]),
        channels,
        np.array([True, False]),
        2,
    )
    np.testing.assert_allclose(made, [[2, 10], [10, 15], [4, 20]])
    np.testing.assert_allclose(notes, [50, 52, 54])
    assert voiced.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"smoothing_ms": 100, "residual": False}, "needs residual: true"),
        ({"smoothing_ms": 100, "voice": "mel"}, "smoothing_ms needs voice: world"),
        ({"phones": True, "voice": "mel"}, "phones needs voice: world"),
        ({"stride": 2, "voice": "mel"}, "stride needs voice: world"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        VocalCycleGanConfig.model_validate(settings)
