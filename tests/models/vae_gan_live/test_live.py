"""What is frozen of a voice, and that with it networks compute live what they do offline."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.models.conftest import FEATURES, ROLES, case_of, features_of, stats
from vctool.errors import ConfigError
from vctool.models.base import Condition
from vctool.models.vae_gan import live, streams
from vctool.models.vae_gan_live.settings import VaeGanLiveConfig, VaeGanLiveOptions
from vctool.nn.streaming import whole


def made() -> Any:
    return case_of("vae_gan_live").system().eval()


def recordings(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [features_of("mel", frames, rng) for frames in (90, 150, 121)]


def values_of(mels: list[np.ndarray], level: float) -> Tensor:
    joined = np.concatenate(mels)
    values = np.maximum(0.0, 1.0 + (joined - level) / FEATURES.top_db)
    return torch.from_numpy(values[:-1].T)[None].double()


def test_what_is_frozen_is_what_the_norms_compute_over_all_of_a_voice() -> None:
    """Their own offline form, over its recordings one after another, layer by layer."""
    voices = made().voices
    mels = recordings()
    measured = voices.statistics(iter(mels))
    level = float(measured[0])
    assert level == pytest.approx(np.mean([streams.level(one) for one in mels]), abs=1e-4)
    path = voices.path("singing", 0)
    values = values_of(mels, level)
    told = path.told(measured[1:])
    cepstra = voices.encoder.basis.double() @ values[0]
    np.testing.assert_allclose(
        told[f"{path.frozen[0]}.mean"][:, 0], cepstra.mean(dim=1), rtol=0, atol=1e-5
    )
    deviation = (cepstra.var(dim=1, correction=0) + 1e-5).sqrt()
    np.testing.assert_allclose(1 / told[f"{path.frozen[0]}.scale"][:, 0], deviation, rtol=1e-5)
    for name in path.frozen:
        layer = path.get_submodule(name)
        layer.mean.copy_(told[f"{name}.mean"])
        layer.scale.copy_(told[f"{name}.scale"])
    frozen = spoken(path, values, torch.zeros(1, values.shape[-1]), code=True)
    offline, _ = voices.encoder(values.float())
    assert float(offline.std()) > 0.01
    inner = slice(12, -12)  # offline there is a reflection at both ends, and here is silence
    assert float((frozen - offline)[..., inner].abs().max()) < 1e-4 * float(offline.abs().max())


def test_the_decoders_give_in_real_time_what_they_give_offline() -> None:
    voices = made().voices
    values = values_of(recordings(1), -20.0)
    frames = values.shape[-1]
    f0 = torch.from_numpy(features_of("pitch", frames, np.random.default_rng(3)).T.copy())
    for role in ROLES:
        path = voices.path(role, 0)
        code = spoken(path, values, f0, code=True)
        mel = spoken(path, values, f0)
        told = voices._loudness(values.float())
        offline = voices._decode(code.float(), f0, told, role)
        inner = slice(24, -24)
        assert float((mel - offline)[..., inner].abs().max()) < 1e-4
    assert float((mel[..., inner] - values[..., inner]).abs().max()) > 0.05


def spoken(path: Any, values: Tensor, f0: Tensor, code: bool = False) -> Tensor:
    """Return what a path makes of an utterance, or its code, without the delay."""
    layer, late = (path.encode, path.encode.delay) if code else (path, path.delay)
    more = 4 + 2 * late
    values = torch.nn.functional.pad(values, (0, more))
    f0 = torch.nn.functional.pad(f0, (0, more))
    start = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        if code:
            found, _ = layer.run(values, path.memory(), "encode", start)
        else:
            found = layer(values, f0, path.memory(), start)[0].mel
    kept = (values.shape[-1] - more) // (2 if code else 1)
    return found[..., late : late + kept]


def test_f0_moves_as_it_does_offline() -> None:
    source, target = stats(150), stats(240)
    f0 = np.array([0, 140, 150, 0, 170, 400], np.float32)
    how = torch.from_numpy(live.moving(source, target))[None]
    offline = streams.move_f0(f0, target, source)
    found = live.moved(torch.from_numpy(f0)[None], how)[0]
    np.testing.assert_allclose(found, offline, rtol=1e-5)
    unmoved = live.moved(torch.from_numpy(f0)[None], torch.zeros(1, 3))[0]
    np.testing.assert_allclose(unmoved, f0, rtol=1e-6)


def test_who_speaks_can_be_said() -> None:
    system = made()
    told = {
        who: system.controls(Condition(options=VaeGanLiveOptions(speaker=who)), "singing")
        for who in ("", *ROLES)
    }
    for name in ("source", "pitch"):
        mean = np.mean([told[role][name] for role in ROLES], axis=0)
        np.testing.assert_allclose(told[""][name], mean, rtol=1e-5)
        assert np.abs(told["speech"][name] - told["singing"][name]).max() > 1e-3
    np.testing.assert_array_equal(told[""]["target"], [[0, 1]])
    time = torch.arange(16000) / 16000
    wave = 0.1 * torch.sign(torch.sin(2 * torch.pi * 140 * time))
    stream = system.streamable()
    tensors = ({n: torch.from_numpy(v) for n, v in told[role].items()} for role in ROLES)
    one, other = (whole(stream, wave, each) for each in tensors)
    assert float((one - other).abs().max()) > 1e-3
    wrong = Condition(options=VaeGanLiveOptions(speaker="speach"))
    with pytest.raises(ConfigError, match=r"--speaker speach: no such voice.*speech"):
        system.controls(wrong, "singing")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"networks": {"network": "2d"}}, "only 1d"),
        ({"sound": {"causal": False}}, "does not run in real time"),
        ({"networks": {"widht": 3}}, "widht"),
    ],
    ids=["2d", "whole utterances", "unknown"],
)
def test_networks_that_cannot_run_live_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        VaeGanLiveConfig(**changes)
