"""Vocoders restored from files; the path tells the format.

| path | is |
|---|---|
| `exp/NAME`, `exp/NAME/checkpoints/step-...` | an experiment of a vocoder's family |
| `NAME.safetensors` | what `vctool package-vocoder` wrote |
| `NAME.vctool` | a pack of a model, whose vocoder has weights |
| `g_02500000`, `generator.pth`, a folder with one | a published HiFi-GAN, `config.json` beside it |
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vctool.cache import state_of
from vctool.config import build
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.vocoders import Vocoder

if TYPE_CHECKING:
    from vctool.vocoders.stored.restoring import Parts


def find_weights(path: Path) -> Path:
    """Return the file of weights at a path.

    Raises:
        CheckpointError: no such path, or no weights below it.
    """
    from vctool.vocoders.stored import experiment, published

    if not path.exists():
        raise CheckpointError(
            f"vocoder: {path}: no such file or folder; train one with ./run.sh --recipe "
            "vcc2016_istft, or name a vocoder"
        )
    if path.is_file():
        return path
    found = published.inside(path)
    return experiment.weights(path) if found is None else found


def load(path: Path) -> Vocoder:
    """Restore a vocoder; the last few are cached and shared.

    Raises:
        CheckpointError: no such path, no weights there, or weights that do not fit.
        ConfigError: the weights are not a vocoder's.
    """
    file = find_weights(path).absolute()
    settings = settings_of(file)
    return _load(file, state_of(file), None if settings is None else state_of(settings))


def told(path: Path) -> tuple[str, FeatureConfig]:
    """Read which vocoder an experiment or a file of `package-vocoder` holds, and its features.

    No weights are read; the features are those that it was trained on.

    Raises:
        CheckpointError: it is not readable, or is something else.
        ConfigError: the experiment trained no vocoder.
    """
    from vctool.checkpoints import MODEL
    from vctool.vocoders.stored import experiment, packaged

    file = find_weights(path)
    if file.name == MODEL:
        return experiment.told(file.parent)
    return packaged.read_header(file)["vocoder"], packaged.features_of(file)


def settings_of(file: Path) -> Path | None:
    """Return the file of settings that belongs to a file of weights; None where it holds them."""
    from vctool.checkpoints import MODEL, STATE
    from vctool.packs import is_pack
    from vctool.vocoders.stored import packaged, published

    if file.name == MODEL and (file.parent / STATE).exists():
        return file.parent / STATE
    itself = is_pack(file) or file.suffix == packaged.SUFFIX
    return None if itself else file.parent / published.CONFIG


def parts(file: Path) -> "Parts":
    """Read all that a vocoder is made of, from the file of its weights.

    Raises:
        CheckpointError: it is not readable, damaged, or holds no vocoder.
        ConfigError: the weights are not a vocoder's, or their settings cannot be.
    """
    from vctool.checkpoints import MODEL, STATE
    from vctool.packs import is_pack
    from vctool.vocoders.stored import experiment, packaged, published

    if is_pack(file):
        return _of_pack(file)
    if file.name == MODEL and (file.parent / STATE).exists():
        return experiment.parts(file.parent)
    return packaged.parts(file) if file.suffix == packaged.SUFFIX else published.parts(file)


def _of_pack(file: Path) -> "Parts":
    from vctool.packs import VOCODER, read_header, read_tensors
    from vctool.vocoders.stored.restoring import Parts

    told = read_header(file).vocoder
    if told is None:
        raise CheckpointError(f"{file}: its vocoder has no weights; name the vocoder itself")
    features = build(FeatureConfig, told["features"], f"{file} features")
    weights = {name: tensor.float() for name, tensor in read_tensors(file, VOCODER).items()}
    return Parts(told["name"], told["config"], features, weights)


@lru_cache(maxsize=4)
def _load(file: Path, weights: str | None, settings: str | None) -> Vocoder:
    """Restore a vocoder once, as long as the states of its files stay the same."""
    from vctool.vocoders.stored import restoring

    found = parts(file)
    try:
        return restoring.restore(*found)
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}; {_remedy(file)}") from None


def _remedy(file: Path) -> str:
    """Say what to do about weights that do not fit, by what wrote them."""
    from vctool.checkpoints import MODEL
    from vctool.packs import is_pack
    from vctool.vocoders.stored import packaged, published

    if is_pack(file):
        return "update vctool, or pack it again"
    if file.name == MODEL:
        return "train it again with --fresh"
    again = file.suffix == packaged.SUFFIX
    return "package it again" if again else f"is {published.CONFIG} beside it its own?"


def find_kept(name: str, features: FeatureConfig | None) -> Path:
    """Find the weights of a vocoder that come with the project; see `packaged.find_kept`."""
    from vctool.vocoders.stored import packaged

    return packaged.find_kept(name, features)


def load_kept(name: str, features: FeatureConfig | None) -> Vocoder:
    """Restore a vocoder from the weights that come with the project.

    Raises:
        ConfigError: there are none, or none for these features.
    """
    return load(find_kept(name, features))
