"""Published HiFi-GAN generators: their mel, their network, and files that are something else.

The references are written here from the paper and the release's description: weight norm by
torch's own function, the mel by librosa's filters and an STFT without centring.
"""

import json
import math
import os
import resource
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm as parametrized

from vctool import vocoders
from vctool.config import build, read_yaml
from vctool.errors import CheckpointError, ConfigError
from vctool.features.mel import log_mel
from vctool.features.settings import FeatureConfig
from vctool.vocoders.stored import published

SETTINGS: dict[str, Any] = {
    "resblock": "1",
    "upsample_rates": [8, 4],
    "upsample_kernel_sizes": [16, 8],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 2, 4]],
    "num_mels": 20,
    "n_fft": 256,
    "hop_size": 32,
    "win_size": 128,
    "sampling_rate": 16000,
    "fmin": 0,
    "fmax": 7000,
    "fmax_for_loss": None,
    "seed": 1234,
    "learning_rate": 0.0002,
}
FEATURES = FeatureConfig(
    rate=16000,
    n_fft=256,
    win_length=128,
    hop_length=32,
    n_mels=20,
    f_max=7000,
    mel_power=1,
    top_db=100,
)


class Block(nn.Module):
    """A residual block of either kind, under weight norm."""

    def __init__(self, width: int, kernel: int, dilations: list[int], kind: str, norm: Any) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            pad = dilation * (kernel - 1) // 2
            return norm(nn.Conv1d(width, width, kernel, 1, pad, dilation))

        first = nn.ModuleList([conv(dilation) for dilation in dilations])
        if kind == "1":
            self.convs1 = first
            self.convs2 = nn.ModuleList([conv(1) for _ in dilations])
        else:
            self.convs = first

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "convs"):
            for conv in self.convs:
                x = x + conv(torch.where(x > 0, x, 0.1 * x))
            return x
        for one, other in zip(self.convs1, self.convs2, strict=True):
            hidden = one(torch.where(x > 0, x, 0.1 * x))
            x = x + other(torch.where(hidden > 0, hidden, 0.1 * hidden))
        return x


class Generator(nn.Module):
    """The generator as the paper draws it, with every convolution under weight norm."""

    def __init__(self, settings: dict[str, Any], norm: Any) -> None:
        super().__init__()
        width = settings["upsample_initial_channel"]
        self.conv_pre = norm(nn.Conv1d(settings["num_mels"], width, 7, 1, 3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        self.count = len(settings["resblock_kernel_sizes"])
        for stage, (rate, kernel) in enumerate(
            zip(settings["upsample_rates"], settings["upsample_kernel_sizes"], strict=True)
        ):
            narrow = width // 2 ** (stage + 1)
            self.ups.append(
                norm(nn.ConvTranspose1d(2 * narrow, narrow, kernel, rate, (kernel - rate) // 2))
            )
            for size, dilations in zip(
                settings["resblock_kernel_sizes"], settings["resblock_dilation_sizes"], strict=True
            ):
                block = Block(narrow, size, dilations, settings["resblock"], norm)
                self.resblocks.append(block)
        self.conv_post = norm(nn.Conv1d(narrow, 1, 7, 1, 3))

    def forward(self, mel: Tensor) -> Tensor:
        x = self.conv_pre(mel)
        for stage, up in enumerate(self.ups):
            x = up(torch.where(x > 0, x, 0.1 * x))
            first = stage * self.count
            x = sum(self.resblocks[first + place](x) for place in range(self.count)) / self.count
        return torch.tanh(self.conv_post(torch.where(x > 0, x, 0.01 * x)))


def published_mel(wave: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The release's mel: no centring, reflected ends, ln of magnitudes: (M, F)."""
    size, hop = settings["n_fft"], settings["hop_size"]
    padded = np.pad(wave, (size - hop) // 2, mode="reflect")
    frames = librosa.util.frame(padded, frame_length=size, hop_length=hop)
    hann = np.zeros(size)
    before = (size - settings["win_size"]) // 2
    hann[before : before + settings["win_size"]] = np.hanning(settings["win_size"] + 1)[:-1]
    magnitude = np.sqrt(np.abs(np.fft.rfft(frames * hann[:, None], axis=0)) ** 2 + 1e-9)
    filters = librosa.filters.mel(
        sr=settings["sampling_rate"],
        n_fft=size,
        n_mels=settings["num_mels"],
        fmin=settings["fmin"],
        fmax=settings["fmax"],
    )
    return np.log(np.maximum(filters @ magnitude, 1e-5))


def noise(samples: int) -> np.ndarray:
    return (0.2 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def release(folder: Path, settings: dict[str, Any], norm: Any) -> tuple[Generator, Path]:
    """Write a generator with random weights as it would be published."""
    torch.manual_seed(0)
    generator = Generator(settings, norm).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith(("weight_g", "original0")):  # else the norm of v, and folding is nothing
            parameter.data *= 1.0 + torch.rand_like(parameter)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"generator": generator.state_dict()}, folder / "g_00000010")
    (folder / "config.json").write_text(json.dumps(settings))
    return generator, folder / "g_00000010"


def old(module: nn.Module) -> nn.Module:
    """Weight norm as torch had it when the weights were published."""
    with pytest.warns(FutureWarning, match="weight_norm"):
        normed: nn.Module = nn.utils.weight_norm(module)
    return normed


KINDS: dict[str, dict[str, Any]] = {
    "V1": {},
    "V3": {"resblock": "2", "resblock_dilation_sizes": [[1, 2], [2, 6]]},
}


@pytest.mark.parametrize("norm", [old, parametrized])
@pytest.mark.parametrize("kind", KINDS)
def test_a_published_generator_sounds_as_its_reference(
    tmp_path: Path, kind: str, norm: Any
) -> None:
    settings = SETTINGS | KINDS[kind]
    generator, path = release(tmp_path, settings, norm)
    wave, hop = noise(4000), settings["hop_size"]
    # Their frame k is centred half a hop later than ours, and so is what they make of it.
    delayed = np.pad(wave, (hop // 2, 2 * hop))
    with torch.no_grad():
        theirs = generator(torch.from_numpy(published_mel(delayed, settings)).float()[None])
    expected = theirs[0, 0].numpy()[hop // 2 :][: len(wave)]
    vocoder = vocoders.get(str(path))
    vocoder.accepts(FEATURES, ["mel"])
    assert vocoder.features is not None
    assert vocoder.features.top_db == FEATURES.top_db
    ours = vocoder.synthesise({"mel": log_mel(wave, FEATURES)}, FEATURES, len(wave))
    assert np.abs(expected).std() > 1e-3
    # Beyond the ends of the wave theirs is reflected, ours silent.
    inner = slice(600, -600)
    np.testing.assert_allclose(ours[inner], expected[inner], atol=1e-3 * np.abs(expected).max())
    assert (
        np.abs(ours[inner] - theirs[0, 0].numpy()[: len(wave)][inner]).max()
        > 0.1 * np.abs(expected).max()
    )  # half a hop off is far off


def test_our_mel_is_theirs_half_a_hop_later(root: Path) -> None:
    config = build(FeatureConfig, read_yaml(root / "conf/features/22k_hifigan.yaml"), "conf")
    settings = {
        "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050,
        "num_mels": 80, "fmin": 0, "fmax": 8000,
    }  # fmt: skip
    wave = noise(22050)
    theirs = published_mel(np.pad(wave, (128, 512)), settings)
    ours = log_mel(wave, config).T * math.log(10) / 20
    inner = slice(4, ours.shape[1] - 4)
    np.testing.assert_allclose(ours[:, inner], theirs[:, inner], atol=2e-4)


def test_the_shipped_features_are_those_of_the_published_models(tmp_path: Path, root: Path) -> None:
    config = build(FeatureConfig, read_yaml(root / "conf/features/22k_hifigan.yaml"), "conf")
    settings = SETTINGS | {
        "num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024,
        "sampling_rate": 22050, "fmin": 0, "fmax": 8000,
        "upsample_rates": [16, 16], "upsample_kernel_sizes": [32, 32],
    }  # fmt: skip
    _, path = release(tmp_path, settings, parametrized)
    vocoder = vocoders.get(str(path))
    vocoder.accepts(config, ["mel"])
    other = config.model_copy(update={"hop_length": 200, "n_mels": 128, "rate": 16000})
    with pytest.raises(ConfigError) as caught:
        vocoder.accepts(other, ["mel"])
    said = str(caught.value)
    for told in ("rate = 22050 (here 16000)", "hop_length = 256 (here 200)", "n_mels = 80 (here 1"):
        assert told in said
    assert "n_fft" not in said and "\n" not in said


def test_a_folder_means_its_latest_generator(tmp_path: Path) -> None:
    _, path = release(tmp_path, SETTINGS, parametrized)
    later = tmp_path / "g_00000020"
    path.rename(later)
    release(tmp_path, SETTINGS, parametrized)
    assert vocoders.files(str(tmp_path))["weights"] == later
    assert vocoders.get(str(tmp_path)) is vocoders.get(str(later))


def test_settings_that_were_edited_in_place_are_read_again(tmp_path: Path) -> None:
    _, path = release(tmp_path, SETTINGS, parametrized)
    assert vocoders.get(str(path)).features.f_max == 7000
    settings = path.with_name("config.json")
    before = settings.stat()
    settings.write_text(settings.read_text().replace("7000", "6000"))
    os.utime(settings, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert settings.stat().st_size == before.st_size
    assert vocoders.get(str(path)).features.f_max == 6000


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    _, path = release(tmp_path, SETTINGS, parametrized)
    torch.save({"generator": {"conv_pre.weight": Trap(tmp_path / "sprung")}}, path)
    with pytest.raises(CheckpointError, match="more than tensors") as caught:
        vocoders.get(str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_generator_is_told_in_one_line(tmp_path: Path) -> None:
    _, path = release(tmp_path, SETTINGS, parametrized)
    config = tmp_path / "config.json"

    def refused(said: str) -> None:
        with pytest.raises(CheckpointError, match=said) as caught:
            vocoders.get(str(path))
        assert "\n" not in str(caught.value)

    config.write_text(json.dumps(SETTINGS | {"num_mels": 40}))
    refused(r"conv_pre.weight \(16, 20, 7\) instead of \(16, 40, 7\)")
    config.write_text(json.dumps(SETTINGS | {"hop_size": 64}))
    refused("upsample_rates")
    config.write_text(json.dumps({"num_mels": 80}))
    refused("lacks resblock, upsample_rates")
    config.write_text("{")
    refused("not readable as JSON")
    config.unlink()
    refused("no config.json beside it")
    config.write_text(json.dumps(SETTINGS))
    torch.save({"mpd": {}, "msd": {}}, path)
    refused("discriminators")
    path.write_bytes(b"")
    refused("not readable as weights|more than tensors")
    path.write_bytes(b"PK\x03\x04 half a file")
    refused("not readable as weights|more than tensors")


def test_folding_needs_both_halves() -> None:
    with pytest.raises(ConfigError, match=r"stands without a\.weight_g"):
        published.fold({"a.weight_v": torch.ones(2, 2)})
    folded = published.fold(
        {"a.weight_v": torch.tensor([[3.0, 4.0]]), "a.weight_g": torch.ones(1, 1) * 10}
    )
    torch.testing.assert_close(folded, {"a.weight": torch.tensor([[6.0, 8.0]])})


@pytest.mark.parametrize(
    "changes",
    [
        {"num_mels": 100_000_000},
        {"upsample_initial_channel": 2**24},
        {"resblock_kernel_sizes": [10**9 + 1, 10**9 + 1]},
        {"n_fft": 2**40, "win_size": 2**40},
    ],
)
def test_a_config_of_another_size_asks_for_no_memory(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    _, path = release(tmp_path, SETTINGS, parametrized)
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS | changes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        vocoders.get(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
