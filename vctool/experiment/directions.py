"""Directions of an experiment (source and target), and the paths of their results.

                      two roles or one                 three roles and more
    table of pairs    infer/pairs.tsv                  infer/pairs.tsv, with two columns more
    features          infer/matched/                   infer/<source>_to_<target>/
    time maps         infer/time_map/                  infer/<source>_to_<target>/time_map/
    sound             wav/<utt>.wav                    wav/<source>_to_<target>/<utt>.wav
    scores            .                                <source>_to_<target>/

all below the experiment's folder. A recipe of two roles is scored from the first to the last.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

from vctool.data.atomic import write_text
from vctool.errors import ConfigError, DataError
from vctool.experiment.recipe import Recipe

MATCHED = "matched"
"""The one set of features that is scored where there are two roles or one."""

Rows = list[tuple[str, str]]
"""Converted utterances, each with the target utterance it goes with, or ""."""


class Direction(NamedTuple):
    """One source and one target."""

    source: str
    target: str
    name: str
    """Name of its folders; empty if it is the only direction."""

    @property
    def features(self) -> Path:
        """Folder of its converted features."""
        return Path("infer") / (self.name or MATCHED)

    @property
    def times(self) -> Path:
        """Folder of its time maps."""
        return self.features / "time_map" if self.name else Path("infer") / "time_map"

    @property
    def sounds(self) -> Path:
        """Folder of its sounds."""
        return Path("wav") / self.name

    @property
    def scores(self) -> Path:
        """Folder of its report."""
        return Path(self.name)

    @property
    def title(self) -> str:
        """The direction in words."""
        return f"{self.source} to {self.target}"


def of(recipe: Recipe) -> list[Direction]:
    """Return the scored directions: first to last role, or all if there are more than two roles.

    `evaluate.roles` limits these to directions from or to one of its roles, `evaluate.directions`
    to those that it names.

    Raises:
        ConfigError: two directions would have the same name, or none is left.
    """
    roles = list(recipe.roles)
    if len(roles) <= 2:
        return [Direction(roles[0], roles[-1], "")]
    wanted, names = set(recipe.evaluate.roles or roles), recipe.evaluate.directions
    found = [
        Direction(a, b, f"{a}_to_{b}")
        for a, b in permutations(roles, 2)
        if wanted.intersection((a, b)) and (names is None or f"{a}_to_{b}" in names)
    ]
    if not found:
        raise ConfigError(
            f"recipe {recipe.name}: none of evaluate.directions is from or to one of evaluate.roles"
        )
    named: dict[str, Direction] = {}
    for one in found:  # `a` to `b_to_c` would have the same name as `a_to_b` to `c`
        if named.setdefault(one.name, one) is not one:
            raise ConfigError(
                f"recipe {recipe.name}: {named[one.name].title} and {one.title} would share the "
                f"folder {one.name}; leave one out with evaluate.roles, or rename a voice"
            )
    return found


def sets(recipe: Recipe) -> dict[Path, Path]:
    """Return every possible folder of converted features, with the folder of its audio.

    If there is only one direction, this includes the same utterances under other accompaniments,
    and some in the reverse direction.
    """
    found = {one.features: one.sounds for one in of(recipe)}
    for one in of(recipe):
        if not one.name:
            for name in ("shuffled", f"to_{one.source}"):
                found[Path("infer") / name] = Path(f"wav_{name}")
    return found


def table(exp: Path) -> Path:
    """Return the path of the table of converted utterances; stage 4 is complete if it exists."""
    return exp / "infer" / "pairs.tsv"


def write(path: Path, found: Mapping[Direction, Iterable[tuple[str, str]]]) -> None:
    """Write a table of converted utterances, with columns for directions that have names."""
    named = any(one.name for one in found)
    lines = ["source\ttarget\t" * named + "utt\ttarget_utt\n"]
    for one, rows in found.items():
        where = f"{one.source}\t{one.target}\t" * named
        lines += [f"{where}{name}\t{other}\n" for name, other in rows]
    write_text(path, "".join(lines))


def read(exp: Path, wanted: Sequence[Direction]) -> dict[Direction, Rows]:
    """Read which utterances were converted.

    Args:
        exp: folder of the experiment.
        wanted: the directions to read.

    Raises:
        DataError: nothing was converted, or nothing in one of the directions.
    """
    path = table(exp)
    if not path.is_file():
        raise DataError(f"{path}: not there, so nothing was converted; run stage 4 (infer)")
    found: dict[Direction, Rows] = {one: [] for one in wanted}
    ways: dict[tuple[str, ...], Direction] = {
        (one.source, one.target) if one.name else (): one for one in wanted
    }
    for line in path.read_text("utf-8").splitlines()[1:]:
        *way, name, other = line.split("\t")
        one = ways.get(tuple(way))
        if one is not None:
            found[one].append((name, other))
    for one, rows in found.items():
        if not rows:
            raise DataError(f"{path}: nothing was converted from {one.title}; run stage 4 (infer)")
    return found
