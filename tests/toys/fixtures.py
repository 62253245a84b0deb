"""Families and vocoders that are laid beside those of the tree, each by its files alone."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.toy import FEATURES
from vctool import models
from vctool.engine import checkpoint
from vctool.features.stats import SpeakerStats
from vctool.models import base
from vctool.models.base import Context

HERE = Path(__file__).parent


@pytest.fixture
def mimic(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make `mimic`, which learns nothing and takes references, a family of the tree."""
    folder = tmp_path_factory.mktemp("models") / "more"
    shutil.copytree(HERE / "models", folder)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(folder)])
    system = base.family("mimic")
    monkeypatch.setattr(system, "heard", [])
    yield system
    for name in [name for name in sys.modules if name.startswith("vctool.models.mimic")]:
        del sys.modules[name]
    del models.mimic  # type: ignore[attr-defined]


@pytest.fixture
def save_mimic(mimic: Any, tmp_path: Path) -> Callable[..., Path]:
    """Save an experiment of `mimic` below `tmp_path/exp`, of the voices ann (110 Hz) and ben."""

    def save(
        name: str = "mimic", roles: tuple[str, ...] = ("ann", "ben"), **convert: float
    ) -> Path:
        domains = {role: voice(110.0 * 1.5**place) for place, role in enumerate(roles)}
        context = Context(features=FEATURES, vocoder="world", roles=roles, domains=domains)
        path = tmp_path / "exp" / name
        system = mimic(mimic.Config(), context)
        recipe = {"convert": convert}
        checkpoint.save(path / "checkpoints", system, family="mimic", step=0, recipe=recipe)
        return path

    return save


def voice(f0: float) -> SpeakerStats:
    """Return what is known of a voice around an F0 [Hz]."""
    return SpeakerStats(
        log_f0_mean=float(np.log(f0)),
        log_f0_std=0.2,
        f0_floor=70.0,
        f0_ceil=500.0,
        voiced_frames=1000,
    )
