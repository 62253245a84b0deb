"""Data dirs: Kaldi's tables of a corpus's utterances, and ours for domain and accompaniment.

The required tables map utterances to what is known of them::

    wav.scp   audio file        utt2spk   speaker
    utt2dur   duration [s]      spk2utt   (speaker to utterances)

and the optional ones are `text`, `utt2domain` (speech where absent, as in Kaldi's corpora),
`accomp.scp` (files joined by TAB are summed), `segments` (`utterance recording start end`; wav.scp
and accomp.scp then list recordings), `utt2channel` and `utt2accomp_channel` (0-based; the mean of
all channels where absent), `utt2sentence` (the name of what is said, the same for every speaker who
says it: utterances of two speakers that share one are parallel), `pairs` (`speech-utterance
singing-utterance` with the same words) and `time_map.scp` (speech utterance to a TSV that maps its
time to its pair's).

Of music, where an utterance is one stretch of notes by one instrument, the speaker and the domain
are the instrument, `utt2stretch` names the stretch (the same notes at the same times in the same
key, whoever plays them), `notes.scp` names a TSV of the notes, `onset`, `offset` [s] and `pitch`
(MIDI), and `triplets.tsv` lists which conversions are scored (`data.triplet_table`).

JSON files beside them, such as a grammar, travel along.

Paths may hold spaces; relative ones start at the data dir. Tables are read in any order and
written sorted bytewise, each atomically.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from vctool.data import attached, layout, triplet_table
from vctool.data.assembly import OPTIONAL, REQUIRED, assemble, disorder
from vctool.data.atomic import write_text
from vctool.data.tables import Problem, read_table, unfit
from vctool.data.triplet_table import Triplet
from vctool.data.utterance import Utterance
from vctool.errors import DataError

__all__ = ["DataDir", "Problem", "Triplet", "Utterance", "check", "fix"]


@dataclass(frozen=True)
class DataDir:
    """The utterances of one split, sorted by id."""

    path: Path
    """The folder that it was read from, or will be written to."""
    utterances: tuple[Utterance, ...]
    """All utterances; sorted by id on construction."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Ids of speech and singing utterances with the same words."""
    time_maps: Mapping[str, Path] = field(default_factory=dict)
    """TSV files by speech utterance; see `time_map`."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Text of the JSON files beside the tables, by name, such as `grammar.json`."""
    notes: Mapping[str, Path] = field(default_factory=dict)
    """TSV files of the notes played, by utterance; see `notes_of`."""
    triplets: tuple[Triplet, ...] = ()
    """The conversions that are scored, by id."""

    def __post_init__(self) -> None:
        """Sort, and see that names can be ids and that none stands twice."""
        ordered = tuple(sorted(self.utterances, key=lambda utterance: utterance.id))
        for one in ordered:
            for name in (one.id, one.speaker, one.domain):
                if reason := unfit(name):
                    raise DataError(f"{self.path}: '{name}' cannot be an id: {reason}; rename it")
        for one, other in pairwise(ordered):
            if one.id == other.id:
                raise DataError(
                    f"{self.path}: two utterances are called '{one.id}': {one.wav} and "
                    f"{other.wav}; rename one"
                )
        object.__setattr__(self, "utterances", ordered)

    @classmethod
    def read(cls, path: Path, *, check: bool = True) -> "DataDir":
        """Read a data dir.

        Args:
            path: the folder.
            check: whether to see that every file it names exists.

        Raises:
            DataError: no such data dir, or duplicate, dangling, malformed or missing entries,
                command pipes, missing files; the first is named. Order does not matter.
        """
        path = Path(path)
        found = assemble(path, files=check)
        serious = [problem for problem in found.problems if not problem.harmless]
        if serious:
            more = f" (and {len(serious) - 1} more)" if len(serious) > 1 else ""
            remedy = f"see `vctool data check {path}`, repair with `vctool data fix {path}`"
            raise DataError(f"{path}/{serious[0]}{more}; {remedy}")
        if not found.utterances:
            raise DataError(f"{path}: holds no utterances; prepare the corpus again")
        extra = {
            file.name: _json_text(file)
            for file in sorted(path.glob("*.json"))
            if not file.name.startswith(".")  # such as macOS leaves on foreign disks
        }
        return cls(
            path,
            tuple(found.utterances),
            tuple(found.pairs),
            found.time_maps,
            extra,
            found.notes,
            tuple(found.triplets),
        )

    def write(self, path: Path | None = None, base: Path | None = None) -> None:
        """Write the tables sorted bytewise, each atomically; tables that are not needed go.

        Files below the folder that holds the corpora's folders (`data/`) are named relative to the
        data dir, so that a project can be moved; others by their absolute path.

        Args:
            path: where to; `self.path` where None.
            base: where the data dir will stand in the end; `path` where None.

        Raises:
            DataError: an id, path or text that the format cannot hold, or an unwritable folder.
        """
        path = Path(path or self.path)
        tables = layout.rows(self, (base or path).resolve())
        for name, rows in tables.items():
            if rows or name in REQUIRED:
                write_text(path / name, _text(rows))
            else:
                (path / name).unlink(missing_ok=True)
        if self.triplets:
            write_text(path / triplet_table.NAME, triplet_table.text(self.triplets))
        else:
            (path / triplet_table.NAME).unlink(missing_ok=True)
        for name, text in self.extra.items():
            write_text(path / name, text)

    def subset(self, keep: Callable[[Utterance], bool]) -> "DataDir":
        """Return the data dir of the utterances that a predicate accepts."""
        kept = tuple(utterance for utterance in self.utterances if keep(utterance))
        ids = {utterance.id for utterance in kept}
        return replace(
            self,
            utterances=kept,
            pairs=tuple(pair for pair in self.pairs if ids.issuperset(pair)),
            time_maps={key: file for key, file in self.time_maps.items() if key in ids},
            notes={key: file for key, file in self.notes.items() if key in ids},
            triplets=tuple(one for one in self.triplets if ids.issuperset(one[1:4])),
        )

    def by_domain(self, domain: str) -> "DataDir":
        """Return the utterances of one domain."""
        return self.subset(lambda utterance: utterance.domain == domain)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All ids, sorted."""
        return tuple(utterance.id for utterance in self.utterances)

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """All speakers, sorted."""
        return tuple(sorted({utterance.speaker for utterance in self.utterances}))

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """All domains, sorted."""
        return tuple(sorted({utterance.domain for utterance in self.utterances}))

    @property
    def seconds(self) -> float:
        """Sum of all durations [s]."""
        return sum(utterance.duration for utterance in self.utterances)

    @cached_property
    def _by_id(self) -> dict[str, Utterance]:
        return {utterance.id: utterance for utterance in self.utterances}

    def __len__(self) -> int:
        """Count the utterances."""
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        """Iterate over the utterances in order of id."""
        return iter(self.utterances)

    def __contains__(self, utterance_id: object) -> bool:
        """Tell whether there is an utterance of this id."""
        return utterance_id in self._by_id

    def __getitem__(self, utterance_id: str) -> Utterance:
        """Return an utterance by id.

        Raises:
            DataError: there is none.
        """
        if utterance_id not in self._by_id:
            raise DataError(f"{self.path}: no utterance '{utterance_id}'; see {self.path}/wav.scp")
        return self._by_id[utterance_id]

    def time_map(self, utterance_id: str) -> np.ndarray:
        """Read how the time of a speech utterance runs in the singing of its pair.

        Returns:
            Knots, (K, 2) float64: speech time [s] and sung time [s], both increasing.

        Raises:
            DataError: there is no time map, or it does not increase.
        """
        if utterance_id not in self.time_maps:
            raise DataError(f"{self.path}: no time map of '{utterance_id}' in time_map.scp")
        return attached.read_time_map(self.time_maps[utterance_id])

    def notes_of(self, utterance_id: str) -> np.ndarray:
        """Read the notes that an utterance plays.

        Returns:
            (N, 3) float64 by onset: onset [s], offset [s] and pitch (MIDI number, 69 is A4).

        Raises:
            DataError: they are not known, or the file holds something else.
        """
        if utterance_id not in self.notes:
            raise DataError(f"{self.path}: no notes of '{utterance_id}' in notes.scp")
        return attached.read_notes(self.notes[utterance_id])


def check(path: Path) -> list[Problem]:
    """List everything that is wrong with a data dir, missing files included.

    Raises:
        DataError: there is no such data dir.
    """
    return assemble(Path(path), files=True, lengths=True).problems


def fix(path: Path) -> list[str]:
    """Repair a data dir: sort it, rebuild what follows, leave out what cannot be used.

    The tables are kept in `.backup/` first (`.backup-1/`... where that exists). Duplicates keep
    their first row; ids that do not begin with their speaker get it in front, and speakers that
    would not sort as their utterances do get `_` for `+`, `-` and the like.

    Returns:
        What was wrong, a line each; nothing where nothing was.

    Raises:
        DataError: there is no such data dir, or nothing usable would be left.
    """
    path = Path(path)
    problems = check(path)
    if not problems:
        return []
    found = assemble(path, files=True, lengths=True, measure=True)
    if not found.utterances:
        raise DataError(f"{path}: {found.problems[0]}; no usable utterance would be left")
    renamed = _renamed(found.utterances, path)
    others = [read_table(path, name) for name in found.others]
    _back_up(path, (*REQUIRED, *OPTIONAL, *found.others))
    for table in others:  # such as feats.scp: only its unusable rows go
        if table.problems:
            write_text(path / table.name, _text(table.rows))
    DataDir(
        path,
        tuple(renamed.values()),
        tuple((renamed[a].id, renamed[b].id) for a, b in found.pairs),
        {renamed[key].id: file for key, file in found.time_maps.items()},
        notes={renamed[key].id: file for key, file in found.notes.items()},
        triplets=tuple(
            one._replace(
                content=renamed[one.content].id,
                style=renamed[one.style].id,
                target=renamed[one.target].id,
            )
            for one in found.triplets
        ),
    ).write()
    return [str(problem) for problem in problems]


def _renamed(utterances: Iterable[Utterance], path: Path) -> dict[str, Utterance]:
    """Put speakers in front of ids, and rename those that then do not sort as their utterances.

    Returns:
        The utterances by the ids that they had.
    """
    found = {
        one.id: replace(one, id=f"{one.speaker}-{one.id.removeprefix(f'{one.speaker}-')}")
        for one in utterances
    }
    if disorder(found.values()) is None:
        return found
    speakers = sorted({one.speaker for one in found.values()})
    clean = {name: "".join(sign if sign > "-" else "_" for sign in name) for name in speakers}
    if len(set(clean.values())) < len(clean):
        raise DataError(f"{path}: speakers differ only in signs such as + and -; rename some")
    return {
        key: replace(
            one,
            id=f"{clean[one.speaker]}-{one.id.removeprefix(f'{one.speaker}-')}",
            speaker=clean[one.speaker],
        )
        for key, one in found.items()
    }


def _text(rows: Mapping[str, str]) -> str:
    """Lay rows out as the text of a table, sorted bytewise (UTF-8 sorts as its code points)."""
    return "".join(f"{key} {value}".rstrip(" ") + "\n" for key, value in sorted(rows.items()))


def _back_up(path: Path, names: Iterable[str]) -> None:
    number = 0
    while (backup := path / (f".backup-{number}" if number else ".backup")).exists():
        number += 1
    backup.mkdir()
    for name in names:
        if (path / name).is_file():
            shutil.copy2(path / name, backup / name)


def _json_text(path: Path) -> str:
    """Read a JSON file that travels along.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8; move it elsewhere or save it as UTF-8") from None
