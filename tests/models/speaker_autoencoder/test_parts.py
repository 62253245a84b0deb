"""The parts, by physics: what a frame, a pitch, an envelope and an embedding must be."""

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance

from tests.sounds import speak
from vctool.features.live_pitch import HOPS, Pitch
from vctool.features.mel import mel_frequencies
from vctool.features.settings import FeatureConfig
from vctool.metrics.speaker import SpeakerEncoder
from vctool.models.speaker_autoencoder import system
from vctool.models.speaker_autoencoder.embedder import MELS, RATE, Embedder
from vctool.models.speaker_autoencoder.envelope import FLOOR, Envelope
from vctool.models.speaker_autoencoder.perturbation import Perturbation
from vctool.models.speaker_autoencoder.spectra import Spectra, overlapped
from vctool.nn.fourier import Transform, framed

FEATURES = FeatureConfig(rate=44100, hop_length=512, n_fft=1024, n_mels=64)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("by_matrix", [False, True])
def test_unchanged_spectra_give_the_sound_back_a_hop_late(by_matrix: bool) -> None:
    spectra = Spectra(64, by_matrix)
    wave = noise(2, 64 * 9)
    hops = torch.cat([torch.zeros(2, 1, 64), wave.unflatten(1, (-1, 64))], dim=1)
    frames = spectra.synthesise(*spectra.analyse(framed(hops, 2)))
    made, rest = overlapped(frames, torch.zeros(2, 64))
    torch.testing.assert_close(made[:, 64:], wave[:, :-64], rtol=0, atol=2e-6)
    assert rest.shape == (2, 64)


def test_matrices_transform_as_ffts_do() -> None:
    frames = noise(3, 1024)
    fast, plain = Spectra(512), Spectra(512, by_matrix=True)
    for one, other in zip(fast.analyse(frames), plain.analyse(frames), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("length", [2, 14, 100, 882, 1024])
def test_two_steps_of_small_matrices_are_the_transform(length: int) -> None:
    transform, frames = Transform(length), noise(2, 3, length).double()
    expected = torch.fft.rfft(frames)
    real, imaginary = transform(frames)
    torch.testing.assert_close(torch.complex(real, imaginary), expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(transform.inverse(real, imaginary), frames, rtol=0, atol=1e-13)


def tones() -> torch.Tensor:
    """Frames (300, 4 * 512) of pure tones, whose octaves are alike."""
    hz = torch.logspace(np.log10(60), np.log10(20000), 300, dtype=torch.float64)
    time = torch.arange(HOPS * 512, dtype=torch.float64) / 44100
    return (0.3 * torch.sin(2 * np.pi * hz[:, None] * time)).float()


def test_the_pitch_is_decided_alike_however_many_frames_come_at_once() -> None:
    pitch, frames = Pitch(44100, 512, 65.0, 1000.0), tones()
    alike = pitch.likeness(frames)
    assert torch.equal(alike, torch.cat([pitch.likeness(one) for one in frames.split(1)]))
    assert torch.equal(alike, pitch.likeness(frames.flip(0)).flip(0))


def test_bands_far_below_a_tone_are_not_those_of_rounding() -> None:
    spectra, envelope, frames = Spectra(512, by_matrix=True), Envelope(FEATURES, 20), tones()
    true = torch.fft.rfft(frames[:, :1024].double() * spectra.window)
    bands = envelope.bands(*spectra.analyse(frames[:, :1024]))
    power = (true.abs().square() @ envelope.bank.double()).clamp_min(FLOOR)
    torch.testing.assert_close(bands.double(), 0.5 * power.log(), rtol=0, atol=3e-6)


@pytest.mark.parametrize("hz", [82.0, 130.0, 220.0, 415.0, 880.0])
def test_a_buzz_has_its_pitch_and_noise_has_none(hz: float) -> None:
    pitch = Pitch(44100, 512, 65.0, 1000.0)
    time = torch.arange(HOPS * 512) / 44100
    buzz = sum(torch.cos(2 * np.pi * k * hz * time + k * k) / k for k in range(1, 9))
    f0, voicing = pitch(buzz[None] + 0.05 * noise(1, HOPS * 512))
    assert float(f0[0]) == pytest.approx(hz, rel=0.01)
    assert float(voicing[0]) > 0.95
    _, silent = pitch(torch.cat([noise(20, HOPS * 512), torch.zeros(1, HOPS * 512)]))
    assert float(silent.max()) < 0.2


def test_a_curve_of_all_cepstra_passes_through_the_bands() -> None:
    envelope = Envelope(FEATURES, 60)
    bands = torch.cumsum(noise(64), dim=0)[None] / 4
    centres = mel_frequencies(FEATURES)[1:-1]
    curve = envelope.curve(envelope.cepstra(bands))[0].numpy() + float(bands.mean())
    found = np.interp(centres, np.linspace(0, 22050, 513), curve)
    assert np.abs(found - bands[0].numpy())[8:].max() < 0.2


def test_white_noise_has_a_flat_envelope_at_its_power() -> None:
    envelope, spectra = Envelope(FEATURES, 20), Spectra(512)
    bands = envelope.bands(*spectra.analyse(noise(400, 1024)))
    power = bands.mul(2).exp().mean(dim=0)
    assert float((power / 512).sub(1).abs().max()) < 0.3


def test_the_energy_distance_is_that_of_its_definition() -> None:
    x, y = noise(1, 40, 1).double(), noise(1, 60, 1).double()[:, 20:] * 2 + 1
    of_x, of_y = torch.ones(1, 40), torch.rand(1, 40, generator=torch.Generator().manual_seed(1))
    expected = energy_distance(x[0, :, 0], y[0, :, 0], None, of_y[0]) ** 2
    found = system.energy_distance(x, of_x.double(), y, of_y.double())
    assert float(found[0]) == pytest.approx(expected, rel=1e-6)
    assert float(system.energy_distance(x, of_x.double(), x, of_x.double())[0]) == 0
    twice = torch.cat([x, x + 100], dim=1), torch.cat([of_x, 0 * of_x], dim=1).double()
    assert float(system.energy_distance(*twice, y, of_y.double())[0]) == pytest.approx(expected)


def test_clips_are_heard_through_other_throats_and_microphones() -> None:
    key = torch.tensor([3, 4])
    place = torch.linspace(0, 1, 64)
    bands = torch.exp(-(((place - 0.4) / 0.05) ** 2)).expand(2, 5, 64)
    warped = Perturbation(FEATURES, 0.3, 0.0)(bands, key)
    assert int(warped[0, 0].argmax()) != int(warped[1, 0].argmax())
    torch.testing.assert_close(warped[0, 0], warped[0, 4])  # one throat for the whole clip
    moved = Perturbation(FEATURES, 0.0, 4.0)(torch.zeros(400, 1, 64), torch.arange(400))
    assert float(moved.std()) * 20 / np.log(10) == pytest.approx(4.0, rel=0.1)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    made = Embedder(44100)
    made.load()
    return made


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_a_tone_is_heard_at_its_frequency(rate: int) -> None:
    """The published system took 131072 for the rate, and heard all voices three times as high."""
    tone = torch.sin(2 * np.pi * 1000 * torch.arange(rate) / rate)[None]
    mels = Embedder(rate).mels(0.1 * tone)[0].mean(dim=0)
    centres = mel_frequencies(MELS)[1:-1]
    assert centres[int(mels.argmax())] == pytest.approx(1000, rel=0.06)
    assert float(mels.max() / mels.sum()) > 0.5
    assert Embedder(rate).mels(tone).shape[1] == 1 + RATE // MELS.hop_length


def test_it_embeds_as_resemblyzer_does(embedder: Embedder) -> None:
    wave = speak(seconds=1.6).astype(np.float32)
    own = Embedder(RATE)
    own.load_state_dict({**own.state_dict(), **_weights(embedder)})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*scipy\.ndimage.*", DeprecationWarning)
        theirs = SpeakerEncoder()
    level = torch.from_numpy(wave)[None]
    loud = (level * own._gain(level))[0].numpy()
    expected = theirs._model.embed_utterance(loud)
    assert float(own.embed(own.mels(level)[:, :160])[0].numpy() @ expected) > 0.9999


def test_embeddings_do_not_depend_on_level_or_pauses(embedder: Embedder) -> None:
    time = torch.arange(88200) / 44100
    wave = sum(torch.sin(2 * np.pi * 160 * k * time + k) / k for k in range(1, 30))
    wave = 0.05 * wave * (1.2 + torch.sin(9 * time))
    quiet = torch.nn.functional.normalize(embedder.voice(0.01 * wave), dim=0)
    loud = torch.nn.functional.normalize(embedder.voice(wave), dim=0)
    assert float(quiet @ loud) > 0.9999
    paused = torch.cat([wave, torch.zeros(88200), wave])
    again = torch.nn.functional.normalize(embedder.voice(paused), dim=0)
    assert float(again @ loud) > 0.95


def _weights(embedder: Embedder) -> dict[str, torch.Tensor]:
    state = embedder.state_dict()
    return {name: one for name, one in state.items() if name.startswith(("lstm", "linear"))}
