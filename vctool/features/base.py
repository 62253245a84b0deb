"""The contract of a kind of features, and the registry of kinds, which is the tree.

A kind is a file `vctool/features/kinds/NAME.py` with a class `Kind`, and no other line names it: it
says which settings decide its content, how a recording becomes numbers, what must be known of a
whole recording before a part of it can be analysed, and how it is stretched in time. A family
names the kinds that it reads; with `accomp_` before its name a kind is that of the accompaniment.

Settings are looked up here wherever a recipe is read, so neither this module nor a kind's may load
what sound is analysed with: numpy, torch and WORLD are imported inside the functions that use them.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from vctool.config import Config

if TYPE_CHECKING:
    import numpy as np

    from vctool.features.excerpt import Excerpt
    from vctool.features.settings import FeatureConfig

Features = dict[str, "np.ndarray"]
"""Features of one utterance by kind, each (F, D) float32, all with the same F."""

FOLDER = "vctool.features.kinds"
"""The package that holds a file for every kind."""

ACCOMPANIMENT = "accomp_"
"""What the name of a kind begins with that is of the accompaniment, and not of the voice."""


class F0Range(NamedTuple):
    """Where F0 is searched."""

    floor: float
    """Lowest F0 [Hz]."""
    ceil: float
    """Highest F0 [Hz]."""


class FeatureKind:
    """One kind of features. A subclass `Kind` says what it is; it has no state."""

    VERSION: ClassVar[int] = 1
    """Version of the code that computes it. One more makes new dumps: raise it with every change
    of the numbers, also in what several kinds share, such as the search for F0."""
    fields: ClassVar[tuple[str, ...]] = ("rate", "hop_length")
    """Fields of `FeatureConfig` that decide its content, and so its place on disk."""
    later: ClassVar[Mapping[str, object]] = {}
    """Fields that came later, each with the value that older dumps were made with; they count only
    where they differ from it, so that those dumps stay valid."""
    Settings: ClassVar[type[Config] | None] = None
    """Settings of its own, which recipes give as `features: {NAME: {field: value}}` and its
    functions get by `config.own(NAME)`; None where it has none."""
    in_voice_range: ClassVar[bool] = False
    """Whether F0 is searched in the voice's own range, which then decides its content too."""
    f0_column: ClassVar[int | None] = None
    """Column that holds F0 [Hz], 0 where unvoiced; None where none does."""

    def width(self, config: "FeatureConfig") -> int:
        """Return D, the number of columns."""
        raise NotImplementedError

    def survey(self, part: "Excerpt", before: Any) -> Any:
        """Learn what must be known of a whole recording before any part of it can be analysed.

        Recordings are gone through once, piece by piece. Default: nothing need be known.

        Args:
            part: the next piece.
            before: what the pieces before it gave; None at the first.
        """
        return None

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Analyse a recording, or a part of one.

        Args:
            part: what is analysed.
            known: what `survey` gave after the last piece of the whole recording.
            f0_range: the voice's; the wide one of the settings where it is not known.

        Returns:
            (F, D) float32, F = 1 + T // hop_length.
        """
        raise NotImplementedError

    def stretch(
        self, values: "np.ndarray", positions: "np.ndarray", config: "FeatureConfig"
    ) -> "np.ndarray":
        """Take features at fractional frames; by default between their neighbours, F0 in log.

        Args:
            values: (F, D).
            positions: (F',) in [0, F - 1].
            config: the settings.

        Returns:
            (F', D) float32.
        """
        from vctool.features.interpolation import at_positions

        return at_positions(values, positions, self.f0_column)


def names() -> list[str]:
    """Name the kinds: the files in `vctool/features/kinds/`."""
    folder = importlib.import_module(FOLDER).__path__
    return sorted(module.name for module in pkgutil.iter_modules(folder))


def get(kind: str) -> FeatureKind:
    """Return a kind by its name, or by that of its twin of the accompaniment.

    >>> get("mel").f0_column, get("accomp_pitch").f0_column
    (None, 0)
    """
    name = plain(kind)
    assert name in names(), f"no kind of features '{kind}'; there are: {', '.join(names())}"
    found: FeatureKind = importlib.import_module(f"{FOLDER}.{name}").Kind()
    return found


def plain(kind: str) -> str:
    """Return the name of a kind whatever it is of: `mel` of `mel` and of `accomp_mel`."""
    return kind.removeprefix(ACCOMPANIMENT)


def of_accompaniment(kind: str) -> bool:
    """Tell whether features are those of an accompaniment; only some utterances have one."""
    return kind.startswith(ACCOMPANIMENT)


def in_voice_range(kind: str) -> bool:
    """Tell whether the F0 range of each voice decides the content of a kind, its F0 among it."""
    return not of_accompaniment(kind) and get(kind).in_voice_range


def voice_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Keep the kinds that are of the voice."""
    return tuple(kind for kind in kinds if not of_accompaniment(kind))


def accompaniment_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Keep the kinds that are of the accompaniment.

    >>> accompaniment_kinds(["mel", "accomp_mel"]), voice_kinds(["mel", "accomp_mel"])
    (('accomp_mel',), ('mel',))
    """
    return tuple(kind for kind in kinds if of_accompaniment(kind))


def f0_of(features: Mapping[str, "np.ndarray"]) -> "np.ndarray | None":
    """Return F0 (F,) [Hz], 0 where unvoiced, out of features by kind; None where none hold it."""
    for kind in voice_kinds(features):
        column = get(kind).f0_column
        if column is not None:
            return features[kind][:, column]
    return None
