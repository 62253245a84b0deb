"""The interface of a kind of features, and the lookup of kinds by file name.

A kind is a file `vctool/features/kinds/NAME.py` with a class `Kind`; it is registered nowhere else.
It defines which settings decide its values, how they are extracted, which global values of a
recording it needs before a part can be analysed, and how it is stretched in time. A family names
the kinds that it reads; the prefix `accomp_` means the same kind of the accompaniment.

Every recipe that is read looks up settings here, so neither this module nor those of the kinds may
import numpy, torch or WORLD at the top: they are imported inside the functions that use them.
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
"""Prefix of the kinds that are extracted from the accompaniment instead of the voice."""


class F0Range(NamedTuple):
    """Search range of F0."""

    floor: float
    """Lowest F0 [Hz]."""
    ceil: float
    """Highest F0 [Hz]."""


class FeatureKind:
    """Base class of the kinds of features; subclasses are called `Kind` and have no state."""

    VERSION: ClassVar[int] = 1
    """Version of the code that computes the values. Raise it whenever they change, also when shared
    code such as the F0 search changes: a new version gets new dumps."""
    fields: ClassVar[tuple[str, ...]] = ("rate", "hop_length")
    """Fields of `FeatureConfig` that decide its values, and so its path on disk."""
    later: ClassVar[Mapping[str, object]] = {}
    """Fields added later, each with the value that older dumps were made with; they count only
    where they differ from it, so that those dumps stay valid."""
    Settings: ClassVar[type[Config] | None] = None
    """Settings of this kind alone, which recipes give as `features: {NAME: {field: value}}` and its
    functions get by `config.own(NAME)`; None where it has none."""
    in_voice_range: ClassVar[bool] = False
    """Whether F0 is searched in the voice's own range, which then decides its values too."""
    f0_column: ClassVar[int | None] = None
    """Column that holds F0 [Hz], 0 where unvoiced; None where there is none."""

    def width(self, config: "FeatureConfig") -> int:
        """Return D, the number of columns."""
        raise NotImplementedError

    def survey(self, part: "Excerpt", before: Any) -> Any:
        """Update the global value that is needed before any part of a recording can be analysed.

        It is called once for each piece of a recording, in order. By default there is none.

        Args:
            part: the next piece.
            before: the value returned for the piece before; None at the first.
        """
        return None

    def extract(self, part: "Excerpt", known: Any, f0_range: F0Range) -> "np.ndarray":
        """Analyse a recording, or a part of one.

        Args:
            part: the sound to analyse.
            known: the value of `survey` after the last piece of the whole recording.
            f0_range: the voice's own; the wide range of the settings where it is not known.

        Returns:
            (F, D) float32, F = 1 + T // hop_length.
        """
        raise NotImplementedError

    def stretch(
        self, values: "np.ndarray", positions: "np.ndarray", config: "FeatureConfig"
    ) -> "np.ndarray":
        """Resample features at fractional frames; by default linearly, and F0 in log-frequency.

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
    """Return a kind by its name, with or without the prefix `accomp_`.

    >>> get("mel").f0_column, get("accomp_pitch").f0_column
    (None, 0)
    """
    name = plain(kind)
    assert name in names(), f"no kind of features '{kind}'; there are: {', '.join(names())}"
    found: FeatureKind = importlib.import_module(f"{FOLDER}.{name}").Kind()
    return found


def plain(kind: str) -> str:
    """Return the name of a kind without the prefix `accomp_`: `mel` for `accomp_mel`."""
    return kind.removeprefix(ACCOMPANIMENT)


def of_accompaniment(kind: str) -> bool:
    """Tell whether a kind is of the accompaniment, which only some utterances have."""
    return kind.startswith(ACCOMPANIMENT)


def in_voice_range(kind: str) -> bool:
    """Tell whether the values of a kind depend on each voice's own F0 range."""
    return not of_accompaniment(kind) and get(kind).in_voice_range


def voice_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Keep the kinds of the voice."""
    return tuple(kind for kind in kinds if not of_accompaniment(kind))


def accompaniment_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Keep the kinds of the accompaniment.

    >>> accompaniment_kinds(["mel", "accomp_mel"]), voice_kinds(["mel", "accomp_mel"])
    (('accomp_mel',), ('mel',))
    """
    return tuple(kind for kind in kinds if of_accompaniment(kind))


def f0_of(features: Mapping[str, "np.ndarray"]) -> "np.ndarray | None":
    """Return F0 (F,) [Hz], 0 where unvoiced, from features by kind; None where no kind has it."""
    for kind in voice_kinds(features):
        column = get(kind).f0_column
        if column is not None:
            return features[kind][:, column]
    return None
