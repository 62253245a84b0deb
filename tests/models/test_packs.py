"""What packs hold, for every family: the tensors that converting needs, and no others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.test_contract import Case, trained
from vctool import packs, vocoders
from vctool.engine import checkpoint
from vctool.errors import ConfigError
from vctool.models import base
from vctool.tools import pack
from vctool.vocoders import vocoder_class

MINI = {"name": "mini", "corpus": {"name": "mini"}}
LEAST, MOST = 150, 0.1


def saved(case: Case, folder: Path) -> Any:
    """Save a system that was trained for two steps as an experiment."""
    system = trained(case).eval()
    checkpoint.save(folder / "checkpoints", system, family=case.name, step=2, recipe=MINI)
    return system


def packed(case: Case, folder: Path, bits: int = 32) -> tuple[Any, Path]:
    system = saved(case, folder / "exp" / "mini")
    out = folder / "sent" / f"mini{bits}.vctool"
    pack.run(folder / "exp" / "mini", out, bits)
    return system, out


def converted(case: Case, system: Any) -> list[base.Features]:
    """Convert to every role, and to recordings where the family takes them."""
    source = case.source(LEAST)
    with torch.no_grad():
        roles = [(to, case.condition(LEAST, to, system)) for to in case.context.roles]
        if system.takes_reference:
            roles.append((None, case.reference(system)))
        return [system.convert(source, condition, to) for to, condition in roles]


def is_vocoder(case: Case) -> bool:
    return case.name in vocoders.names()


def test_a_pack_converts_to_the_bit_as_what_it_was_packed_from(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_vocoder(case):
        saved(case, tmp_path / "mini")
        with pytest.raises(ConfigError, match=r"package-vocoder"):
            pack.run(tmp_path / "mini", tmp_path / "mini.vctool")
        return
    system, path = packed(case, tmp_path)
    kept = packs.read_tensors(path)
    assert set(kept) == checkpoint.converting(system)
    own = {id(one) for group in system.discriminator_groups for one in system.groups()[group]}
    judging = {name for name, one in system.named_parameters() if id(one) in own}
    assert not judging & set(kept)
    loaded, state = checkpoint.load(path)
    with torch.no_grad():  # whatever a pack lacks is of no use to converting
        for name, one in loaded.state_dict().items():
            if name not in kept and one.is_floating_point():
                one.fill_(float("nan"))
    assert state["family"] == case.name and not loaded.training
    pairs = list(zip(converted(case, system), converted(case, loaded), strict=True))
    assert pairs
    for ours, theirs in pairs:
        assert all(np.array_equal(ours[kind], theirs[kind]) for kind in case.writes)


def test_sixteen_bits_move_the_output_by_less_than_a_tenth_of_a_decibel(
    case: Case, tmp_path: Path
) -> None:
    if is_vocoder(case):
        pytest.skip("a vocoder is packaged, not packed")
    system, path = packed(case, tmp_path, 16)
    loaded, _ = checkpoint.load(path)
    vocoder = vocoder_class(case.context.vocoder)()
    source = case.source(LEAST)
    samples = (LEAST - 1) * case.context.features.hop_length
    for pair in zip(converted(case, system), converted(case, loaded), strict=True):
        given = [vocoders.given(vocoder, made, source) for made in pair]
        waves = [vocoder.synthesise(one, case.context.features, samples) for one in given]
        assert abs(level(waves[0]) - level(waves[1])) < MOST
        assert difference(*waves) < MOST


def level(wave: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave, dtype=np.float64))))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean distance of two waves' levels in third-octaves, every 50 ms [dB]."""
    frames = [np.lib.stride_tricks.sliding_window_view(wave, 800)[::400] for wave in (one, other)]
    powers = [np.abs(np.fft.rfft(part * np.hanning(800))) ** 2 for part in frames]
    edges = np.unique(np.round(5 * 2 ** (np.arange(19) / 3)).astype(int))
    bands = [np.add.reduceat(power, edges[edges < 400], axis=1) for power in powers]
    loud = bands[0] > bands[0].max() * 1e-6
    return float(np.abs(10 * np.log10(bands[0][loud] / bands[1][loud])).mean())
