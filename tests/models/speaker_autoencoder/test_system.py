"""The family: what it must not repeat of the published system, and what its sound must keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.models.conftest import FEATURES, case_of
from tests.sounds import make_speech, speak
from vctool.engine import checkpoint
from vctool.errors import ConfigError, DataError
from vctool.export import checks
from vctool.export import onnx as exporting
from vctool.inference.converter import Converter
from vctool.models.base import Condition
from vctool.models.speaker_autoencoder import clips, system, voice
from vctool.models.speaker_autoencoder.embedder import DIM
from vctool.nn.streaming import whole

CASE = case_of("speaker_autoencoder")


def lively(seed: int = 0) -> Any:
    """A system whose decoder answers to all that it is told, as one that was trained."""
    made = CASE.system()
    torch.manual_seed(seed)
    for layer in (made.voice.encoder.project, made.voice.decoder.project):
        torch.nn.init.normal_(layer.weight, std=0.5)
    for block in made.voice.decoder.blocks:
        torch.nn.init.normal_(block.affine.weight, std=0.5)
    made.voice.std.fill_(0.5)  # of a voice; the clips of the contract are noise
    return made.eval()


def terms(made: Any, step: int = 0) -> dict[str, torch.Tensor]:
    found = dict(made.objectives(CASE.data.batch(step), step))
    return found["generator"]


def speech(seconds: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(make_speech(seconds).astype(np.float32))


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A system that changes no envelope."""
    made = CASE.system()
    monkeypatch.setattr(made.voice.envelope, "curve", lambda c: 0 * c @ made.voice.envelope.curves)
    return made


def test_target_and_output_are_aligned_to_the_sample(flat: Any) -> None:
    """Two crops of one clip were drawn apart, so that no loss could train (published bug E10)."""
    with torch.no_grad():
        found = terms(flat)
    assert float(found["stft"]) < 2e-3 and float(found["mel"]) < 2e-3


def test_what_is_not_changed_is_the_recording(flat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Phase is right from the first step on."""
    wave = speech()
    frames = wave[: len(wave) // 192 * 192][None]
    told = voice.Target(torch.zeros(1, DIM), torch.zeros(1, CASE.config.cepstra))
    with torch.no_grad():
        made, _ = flat.voice(frames, told, flat.voice.memory())
    late = flat.voice.latency
    torch.testing.assert_close(made[:, late:], frames[:, :-late], rtol=0, atol=1e-5)


def test_another_voice_is_compared_with_no_waveform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source was the target under another's embedding too (published bug E2)."""
    made = CASE.system()
    calls: list[voice.Target] = []

    def render(frames: Any, code: Any, target: Any, memory: Any) -> Any:
        calls.append(target)
        hop, count = made.voice.hop, code.shape[-1]
        if len(calls) == 1:  # own voice: the recording, late
            real, imaginary = frames.real[:, :count], frames.imaginary[:, :count]
            windows = made.voice.spectra.synthesise(real, imaginary)
            wave, _ = voice.overlapped(windows, memory["tail"])
            return wave, {}
        return torch.randn(len(code), count * hop, requires_grad=True), {}

    monkeypatch.setattr(made.voice, "render", render)
    with torch.no_grad():
        found = terms(made)
    own, other = calls
    assert not torch.equal(own.embedding, other.embedding)
    assert float(found["stft"]) < 2e-3 and float(found["mel"]) < 2e-3
    assert float(found["embedding"]) > 0.01


def test_the_embedding_alone_changes_the_sound() -> None:
    made, wave = lively(), speech(0.5)
    stream = made.streamable()
    given = made.controls(Condition(options=CASE.cls.Options()), "speech")
    told = {name: torch.tensor(one) for name, one in given.items()}
    plain = whole(stream, wave, told)
    shuffled = told["embedding"][:, torch.randperm(DIM)]
    for change in ({"embedding": shuffled}, {"timbre": told["timbre"].flip(1)}):
        moved = whole(stream, wave, {**told, **change})
        assert float((moved - plain).abs().max()) > 0.01 * float(plain.abs().max())


def test_the_embedding_term_reaches_encoder_style_and_decoder() -> None:
    """The published encoder ran without gradients, whatever its flag said (bug E8)."""
    made = lively().train()
    for name in ("embedding", "stft"):
        term = terms(made)[name]
        for part in (made.voice.encoder, made.voice.style, made.voice.decoder):
            grads = torch.autograd.grad(
                term, list(part.parameters()), retain_graph=True, allow_unused=True
            )
            assert sum(float(g.abs().sum()) for g in grads if g is not None) > 0, name


def test_sound_without_a_voice_is_left_as_it_is() -> None:
    noise = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    apart = {}
    for share in (0.0, 1.0):
        made = lively()
        made.config = made.config.model_copy(update={"unvoiced": share})
        change = whole(made.streamable(), noise) - noise
        apart[share] = float(change[2000:14000].std() / noise.std())
    assert apart[0.0] < 0.1 < 0.3 < apart[1.0]


def test_every_frame_keeps_its_power_and_silence_stays_silent() -> None:
    made, wave = lively(), speech(1.0)
    wave[6000:10000] = 0
    heard = whole(made.streamable(), wave)
    inner = slice(6000 + 3 * 192, 10000 - 3 * 192)
    assert float(heard[inner].abs().max()) < 1e-4
    power = [
        one[: len(one) // 800 * 800].view(-1, 800).square().mean(dim=1) for one in (wave, heard)
    ]
    loud = power[0] > 1e-2 * power[0].max()
    change = 10 * torch.log10(power[1][loud] / power[0][loud])
    assert float(change.abs().median()) < 1.5 and abs(float(change.mean())) < 1.5
    assert float((heard - wave).abs().max()) > 0.1 * float(wave.abs().max())


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_a_change_is_smoothed_around_the_frame_that_it_is_of(reach: int) -> None:
    config = CASE.config.model_copy(update={"smoothing": reach})
    path = voice.Voice(config, FEATURES)
    change = torch.zeros(1, 12, config.cepstra)
    change[:, 5] = 1
    made, _ = path._smoothed(change, path.memory())
    assert float(made[0, :, 0].sum()) == pytest.approx(1)
    assert int(made[0, :, 0].argmax()) == 5 + reach == 5 + path.late - config.look_ahead
    torch.testing.assert_close(made[0, 5 : 6 + 2 * reach], made[0, 5 : 6 + 2 * reach].flip(0))
    assert path.latency == (2 + reach) * FEATURES.hop_length


def test_what_moves_of_a_change_is_damped_around_its_mean_over_voiced_frames() -> None:
    config = CASE.config.model_copy(update={"mean_frames": 20})
    path = voice.Voice(config, FEATURES)
    draw = torch.Generator().manual_seed(0)
    change = 2 + torch.randn(1, 60, config.cepstra, generator=draw)
    voicing = (torch.rand(1, 60, generator=draw) > 0.4).float()
    made, after = path._mean(change, voicing, path.memory()["voiced"])
    for frame in (0, 7, 19, 45, 59):
        heard = slice(max(frame - 19, 0), frame + 1)
        share = voicing[0, heard, None]
        expected = (share * change[0, heard]).sum(dim=0) / share.sum().clamp_min(1e-3)
        torch.testing.assert_close(made[0, frame], expected, rtol=2e-3, atol=1e-5)
    one, kept = path._mean(change[:, :23], voicing[:, :23], path.memory()["voiced"])
    two, kept = path._mean(change[:, 23:], voicing[:, 23:], kept)
    torch.testing.assert_close(torch.cat([one, two], dim=1), made)
    torch.testing.assert_close(kept, after)


def test_a_graph_of_it_runs_at_every_length() -> None:
    checks.require(exporting.graph(lively().streamable()), lively().streamable())


def test_without_dynamics_the_change_is_the_same_for_every_voiced_frame() -> None:
    """A vowel that wavers in the output less than in the network's own change."""
    spread = {}
    for share in (0.0, 1.0):
        made = lively()
        made.config = made.config.model_copy(update={"dynamics": share, "unvoiced": 1.0})
        path = made.streamable().voice
        moves: list[Any] = []
        smoothed = path._smoothed
        path._smoothed = lambda change, memory, keep=moves, do=smoothed: (  # type: ignore[misc]
            keep.append(change) or do(change, memory)
        )
        wave = speech(1.0)[: 16000 // FEATURES.hop_length * FEATURES.hop_length]
        told = {n: torch.tensor(v) for n, v in made.controls(Condition(), "speech").items()}
        path(wave[None], voice.Target(told["embedding"], told["timbre"]), path.memory())
        steps = moves[0][0, 20:].diff(dim=0)
        spread[share] = float(steps.square().mean().sqrt())
    assert spread[0.0] < 0.2 * spread[1.0]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "exp" / "checkpoints", lively(), family=CASE.name, step=1)
    return tmp_path / "exp"


def test_channels_are_averaged_and_the_level_is_kept(saved: Path) -> None:
    """The published system summed what it had made of two channels: 6 dB (bug E7)."""
    converter = Converter(saved, "cpu")
    wave = make_speech(1.0).astype(np.float32)
    mono, rate = converter.convert(wave, FEATURES.rate, to="speech")
    stereo, _ = converter.convert(np.stack([wave, wave], axis=1), rate, to="speech")
    np.testing.assert_array_equal(mono, stereo)
    half, _ = converter.convert(np.stack([1.5 * wave, 0.5 * wave], axis=1), rate, to="speech")
    np.testing.assert_allclose(half, mono, atol=1e-4)
    levels = [20 * np.log10(np.sqrt(np.mean(np.square(one)))) for one in (wave, mono)]
    assert levels[1] == pytest.approx(levels[0], abs=1.0)


def test_a_file_is_a_target(saved: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "anna.wav", make_speech(2.0, seed=3), FEATURES.rate)
    converter = Converter(saved, "cpu")
    anna = converter.reference(tmp_path / "anna.wav")
    assert np.linalg.norm(anna["embedding"]) == pytest.approx(1, abs=1e-5)
    wave = make_speech(1.0).astype(np.float32)
    one, _ = converter.convert(wave, FEATURES.rate, to=anna)
    other, _ = converter.convert(wave, FEATURES.rate, to="speech")
    assert len(one) == len(wave) and float(np.abs(one - other).max()) > 1e-3


@pytest.mark.parametrize(
    ("parts", "enough"), [((0.3,), False), ((0.9,), False), ((0.6, 0.6), True)]
)
def test_a_target_of_less_than_a_second_of_sound_is_refused(
    parts: tuple[float, ...], enough: bool
) -> None:
    """Pauses do not count, and recordings are taken together."""
    made, hop = CASE.system().eval(), FEATURES.hop_length
    spoken = np.ones(3 * FEATURES.rate // hop * hop) * 1e-5
    recordings = []
    for seconds in parts:
        wave = spoken.copy()
        count = round(seconds * FEATURES.rate)
        wave[:count] = np.sin(2 * np.pi * 200 / FEATURES.rate * np.arange(count))
        recordings.append({"wave": wave.reshape(-1, hop).astype(np.float32)})
    if enough:
        assert made.reference(recordings)["embedding"].shape == (DIM,)
    else:
        with pytest.raises(DataError, match=r"of the target sound; a voice is known from 1 s"):
            made.reference(recordings)


def test_a_voice_that_is_heard_again_embeds_near_itself() -> None:
    made = lively()
    voices = {seed: speak(seed, hz, 2.4) for seed, hz in ((0, 110.0), (1, 220.0))}
    found = {
        (seed, half): made.reference(
            [{"wave": part[: len(part) // 192 * 192].reshape(-1, 192).astype(np.float32)}]
        )["embedding"]
        for seed, wave in voices.items()
        for half, part in enumerate(np.split(wave, 2))
    }
    assert found[0, 0] @ found[0, 1] > found[0, 0] @ found[1, 0] + 0.02


def test_clips_lose_the_silence_at_their_ends_and_no_more() -> None:
    frames = np.zeros((60, 8), np.float32)
    frames[20:40] = 0.1
    frames[30] = 0  # a pause within
    assert len(clips.trimmed(frames)) == 20 + 2 * clips.MARGIN
    assert len(clips.trimmed(frames[:10])) == 10


def test_one_voice_at_one_speed_is_refused() -> None:
    alone = CASE.context.model_copy(update={"roles": ("speech",)})
    with pytest.raises(ConfigError, match="there is one, 'speech x1'"):
        system.System(CASE.config, alone)


def test_without_resemblyzer_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from vctool.models.speaker_autoencoder import embedder

    monkeypatch.setattr(embedder, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"Resemblyzer.*setup.sh --eval"):
        embedder.Embedder(16000).load()
