"""Families and vocoders that are laid beside those of the tree, each by its files alone."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.toy import FEATURES
from vctool import models, vocoders
from vctool.engine import checkpoint
from vctool.features.stats import SpeakerStats
from vctool.models import base
from vctool.models.base import Context

HERE = Path(__file__).parent
Save = Callable[..., Path]


@contextmanager
def laid(package: ModuleType, folder: Path) -> Iterator[None]:
    """Lay copies of a package's toys in a folder beside those of the tree; no line names them."""
    name = package.__name__
    shutil.copytree(HERE / name.rpartition(".")[2], folder)
    package.__path__.append(str(folder))
    yield
    package.__path__.remove(str(folder))
    for toy in (path.stem for path in folder.iterdir()):
        for module in [one for one in sys.modules if f"{one}.".startswith(f"{name}.{toy}.")]:
            del sys.modules[module]
        vars(package).pop(toy, None)


@pytest.fixture
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make `mimic`, `echo` and `shade` families of the tree, and `loudness` a vocoder."""
    folder = tmp_path_factory.mktemp("toys")
    with laid(models, folder / "models"), laid(vocoders, folder / "vocoders"):
        yield


@pytest.fixture
def mimic(toys: None) -> Any:
    """The family that learns nothing and takes references."""
    return base.family("mimic")


@pytest.fixture
def save_mimic(mimic: Any, tmp_path: Path) -> Save:
    """Save an experiment of `mimic` below `tmp_path/exp`, of the voices ann (110 Hz) and ben."""

    def save(
        name: str = "mimic", roles: tuple[str, ...] = ("ann", "ben"), **convert: float
    ) -> Path:
        domains = {role: voice(110.0 * 1.5**place) for place, role in enumerate(roles)}
        context = Context(features=FEATURES, vocoder="world", roles=roles, domains=domains)
        return kept(tmp_path, name, mimic(mimic.Config(), context), "mimic", convert)

    return save


@pytest.fixture
def save_echo(toys: None, tmp_path: Path) -> Save:
    """Save an experiment of `echo` below `tmp_path/exp`, which sounds by `loudness`."""

    def save(name: str = "echo", **convert: float) -> Path:
        echo = base.family("echo")
        context = Context(features=FEATURES, vocoder="loudness", roles=("ann", "ben"))
        return kept(tmp_path, name, echo(echo.Config(), context), "echo", convert)

    return save


@pytest.fixture
def save_shade(toys: None, tmp_path: Path) -> Save:
    """Save an experiment of `shade`, which runs in real time, below `tmp_path/exp`."""

    def save(name: str = "shade", roles: tuple[str, ...] = ("ann", "ben lee")) -> Path:
        shade = base.family("shade")
        context = Context(features=FEATURES, vocoder="wave", roles=roles)
        return kept(tmp_path, name, shade(shade.Config(), context), "shade", {})

    return save


def kept(
    folder: Path, name: str, system: base.System, family: str, convert: dict[str, float]
) -> Path:
    path = folder / "exp" / name
    recipe = {"convert": convert}
    checkpoint.save(path / "checkpoints", system, family=family, step=0, recipe=recipe)
    return path


def voice(f0: float) -> SpeakerStats:
    """Return what is known of a voice around an F0 [Hz]."""
    return SpeakerStats(
        log_f0_mean=float(np.log(f0)),
        log_f0_std=0.2,
        f0_floor=70.0,
        f0_ceil=500.0,
        voiced_frames=1000,
    )
