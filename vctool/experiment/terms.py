"""What a model was trained on, and under which terms: what may be done with it depends on that."""

from pathlib import Path
from typing import NamedTuple

from vctool import checkpoints, corpora
from vctool.config import build
from vctool.errors import ConfigError
from vctool.experiment.recipe import CorpusConfig, FineTuneConfig


class Terms(NamedTuple):
    """The terms of one corpus."""

    corpus: str
    title: str
    """Its own name; that of the corpus where it is the user's own."""
    licence: str
    homepage: str
    """Where its publisher offers it; empty for recordings of one's own."""
    non_commercial: bool

    @property
    def line(self) -> str:
        """All of it in a line."""
        return ", ".join(filter(None, (self.title, self.licence, self.homepage)))


OWN = "your own recordings; the people recorded must agree"
"""The licence of a corpus that is not among those that vctool knows."""


def of_corpus(name: str) -> Terms:
    """Return the terms of a corpus; those of one's own recordings where it is not a known one."""
    if name not in corpora.names():
        return Terms(name, name, OWN, "", False)
    info = corpora.get(name).INFO
    return Terms(name, info.title, info.licence, info.homepage, info.non_commercial)


def of_model(folder: Path, state: checkpoints.State) -> list[Terms]:
    """Return the terms of all corpora that a checkpoint was trained on.

    Args:
        folder: the checkpoint.
        state: its `state.json`.

    Raises:
        ConfigError: it does not say what it was trained on.
        CheckpointError: an experiment that it began with, or whose mels it got, is not there.
    """
    return [of_corpus(name) for name in _corpora(folder.resolve(), state, set())]


def require_free(terms: list[Terms], folder: Path) -> None:
    """Refuse to share what was made from recordings that not everybody may use.

    Raises:
        ConfigError: the licence of a corpus does not let everybody use what is made from it.
    """
    for one in terms:
        if one.non_commercial:
            raise ConfigError(
                f"{folder}: trained on {one.corpus}, whose terms are '{one.licence}': its weights "
                "are not for everybody's use, and are not packaged; train on other recordings"
            )


def _corpora(folder: Path, state: checkpoints.State, seen: set[Path]) -> list[str]:
    """Name the corpora that a checkpoint was trained on, directly or through other experiments.

    Args:
        folder: the checkpoint, absolute.
        state: its `state.json`.
        seen: checkpoints that are done already; this one is added.

    Raises:
        ConfigError: one of them does not say what it was trained on.
        CheckpointError: an experiment that it began with, or whose mels it got, is not there.
    """
    seen.add(folder)
    recipe = state["recipe"]
    names = list(build(CorpusConfig, recipe.get("corpus") or {}, str(folder)).names)
    if not names:
        raise ConfigError(f"{folder}: does not say what it was trained on; train it anew")
    tuned = build(FineTuneConfig, recipe.get("fine_tune") or {}, str(folder))
    for other in (tuned.start, tuned.mels_of):
        if other is not None:
            before = checkpoints.find(folder.parents[2] / other)
            if before not in seen:
                names += _corpora(before, checkpoints.read_state(before), seen)
    return list(dict.fromkeys(names))
