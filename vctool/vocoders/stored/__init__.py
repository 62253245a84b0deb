"""Vocoders restored from files; the path tells the format.

| path | is |
|---|---|
| `exp/NAME`, `exp/NAME/checkpoints/step-...` | an experiment of a vocoder's family |
| `NAME.safetensors` | what `vctool package-vocoder` wrote |
| `g_02500000`, `generator.pth`, a folder with one | a published HiFi-GAN, `config.json` beside it |
"""

from functools import lru_cache
from pathlib import Path

from vctool.cache import state_of
from vctool.errors import CheckpointError
from vctool.features.settings import FeatureConfig
from vctool.vocoders import Vocoder


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


def settings_of(file: Path) -> Path | None:
    """Return the file of settings that belongs to a file of weights; None where it holds them."""
    from vctool.checkpoints import MODEL, STATE
    from vctool.vocoders.stored import packaged, published

    if file.name == MODEL and (file.parent / STATE).exists():
        return file.parent / STATE
    return None if file.suffix == packaged.SUFFIX else file.parent / published.CONFIG


@lru_cache(maxsize=4)
def _load(file: Path, weights: str | None, settings: str | None) -> Vocoder:
    """Restore a vocoder once, as long as the states of its files stay the same."""
    from vctool.checkpoints import MODEL, STATE
    from vctool.vocoders.stored import experiment, packaged, published

    if file.name == MODEL and (file.parent / STATE).exists():
        return experiment.load(file.parent)
    if file.suffix == packaged.SUFFIX:
        return packaged.load(file)
    return published.load(file)


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
