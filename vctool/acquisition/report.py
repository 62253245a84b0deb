"""The end of every preparer: data dirs written, rejected files named, one line for the log.

Beside the data dirs it leaves `report.md` (files, hours, speakers, rates, how many were left out
and why) and `rejected.tsv` (every file that was left out, with the reason).
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vctool import audio
from vctool.cache import over
from vctool.data.assembly import OPTIONAL, REQUIRED
from vctool.data.atomic import write_text
from vctool.data.datadir import DataDir, Utterance
from vctool.errors import AudioError, DataError
from vctool.markdown import table

SPLITS = ("train", "dev", "test")
"""The splits that every preparer writes."""

COPY = "a copy"
"""How the reason begins for a file that is another's copy."""

STAMP = "prepared.json"
"""The file beside them that says that they are complete."""

MAX_REJECTED = 0.5
"""Share of the files that may be unusable before preparing fails."""


@dataclass(frozen=True)
class Rejected:
    """A file that is left out."""

    file: Path
    reason: str
    """Why, in one line."""

    @property
    def kind(self) -> str:
        """The reason without its numbers and names, for counting."""
        return re.split(r"[:;(]| at /", self.reason, maxsplit=1)[0].strip()


@dataclass(frozen=True)
class Split:
    """How much a split holds."""

    utterances: int
    seconds: float
    """Sum of all durations [s]."""
    speakers: int
    files: int = 0
    """Recordings that the utterances are, or are cut from."""

    def __str__(self) -> str:
        """Return the three numbers."""
        names = "speaker" if self.speakers == 1 else "speakers"
        minutes = self.seconds / 60
        return f"{self.utterances} utterances, {minutes:.1f} min, {self.speakers} {names}"


@dataclass(frozen=True)
class Report:
    """What a preparer found and wrote."""

    corpus: str
    out: Path
    """The folder of the data dirs."""
    splits: Mapping[str, Split]
    disjoint_by: str
    """What no two splits share, such as `speaker`."""
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user should know of this data."""
    rates: tuple[tuple[int, int], ...] = ()
    """Sampling rates [Hz] of the recordings, each with how many have it."""
    files: int = 0
    """Recordings that are used, each once, however many splits it is cut for."""

    @property
    def hours(self) -> float:
        """Length of all utterances [h]."""
        return sum(split.seconds for split in self.splits.values()) / 3600

    def __str__(self) -> str:
        """Return one line."""
        parts = [f"{name} {split}" for name, split in self.splits.items()]
        parts.append(f"disjoint by {self.disjoint_by}")
        if self.rejected:
            where = self.out / "rejected.tsv"
            parts.append(f"{len(self.rejected)} files rejected, see {where}")
        return "; ".join((*parts, *self.notes))

    def table(self) -> str:
        """Return the report as Markdown."""
        heads = ["split", "files", "utterances", "hours", "speakers"]
        rows = [
            [name, one.files, one.utterances, f"{one.seconds / 3600:.2f}", one.speakers]
            for name, one in self.splits.items()
        ]
        lines = [f"# {self.corpus}", "", *table(heads, rows, numbers=True)]
        lines += ["", f"Splits are disjoint by {self.disjoint_by}.", ""]
        lines += [f"- {count} files at {rate} Hz" for rate, count in self.rates]
        lines += [f"- {note}" for note in self.notes]
        total = self.files + len(self.rejected)
        lines += ["", f"Left out: {len(self.rejected)} of {total} files."]
        if self.rejected:
            counts = Counter(one.kind for one in self.rejected)
            lines += ["They are named in `rejected.tsv`.", ""]
            lines += table(["reason", "files"], sorted(counts.items()), numbers=True)
        return "\n".join(lines) + "\n"


def finish(
    corpus: str,
    out: Path,
    splits: Mapping[str, Sequence[Utterance]],
    *,
    disjoint_by: str,
    rejected: Sequence[Rejected] = (),
    notes: Sequence[str] = (),
    complete: Callable[[DataDir], DataDir] = lambda data: data,
) -> Report:
    """Write the data dirs of a corpus and `rejected.tsv`.

    Args:
        corpus: its name.
        out: folder that gets `train`, `dev` and `test`.
        splits: utterances by split.
        disjoint_by: what no two splits share.
        rejected: files that are left out.
        notes: what a user should know.
        complete: adds what is known of a data dir besides its utterances.

    Raises:
        DataError: a split is empty, or too large a share of the files was rejected.
    """
    lines = sorted(f"{shown(one.file)}\t{one.reason}\n" for one in rejected)
    write_text(out / "rejected.tsv", "file\treason\n" + "".join(lines))
    files = sorted({utterance.wav for split in splits.values() for utterance in split})
    unusable = [one for one in rejected if one.kind != COPY]
    share = len(unusable) / max(1, len(files) + len(unusable))
    if share > MAX_REJECTED:
        raise DataError(
            f"corpus {corpus}: {len(unusable)} of {len(files) + len(unusable)} files are unusable "
            f"({lines[0].strip().replace(chr(9), ': ')}); see {out / 'rejected.tsv'}"
        )
    empty = [name for name in SPLITS if not splits.get(name)]
    if empty:
        count = sum(map(len, splits.values()))
        raise DataError(
            f"corpus {corpus}: {count} usable recordings leave nothing for {' and '.join(empty)}; "
            f"add recordings (rejected ones are in {out / 'rejected.tsv'})"
        )
    summaries = {}
    data_dirs = [complete(DataDir(out / name, tuple(splits[name]))) for name in SPLITS]
    _write_together(out, data_dirs)
    for name, data in zip(SPLITS, data_dirs, strict=True):
        own = len({one.wav for one in data})
        summaries[name] = Split(len(data), data.seconds, len(data.speakers), own)
    report = Report(
        corpus,
        out,
        summaries,
        disjoint_by,
        tuple(rejected),
        tuple(notes),
        _rates(files),
        len(files),
    )
    write_text(out / "report.md", report.table())
    return report


def shown(file: Path) -> str:
    """Write a file's name so that it stands in a line of UTF-8, whatever it is made of."""
    name = os.fsencode(file).decode("utf-8", "backslashreplace")
    return name.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _write_together(out: Path, data_dirs: Sequence[DataDir]) -> None:
    """Write data dirs beside their places first, so that what fails leaves all as they were.

    A process killed while they are put in place leaves no `STAMP`, and so an unprepared corpus.
    """
    new = [data.path.with_name(f".{data.path.name}.new") for data in data_dirs]
    for data, beside in zip(data_dirs, new, strict=True):
        shutil.rmtree(beside, ignore_errors=True)
        data.write(beside, base=data.path)
    (out / STAMP).unlink(missing_ok=True)
    for data, beside in zip(data_dirs, new, strict=True):
        data.path.mkdir(parents=True, exist_ok=True)
        written = [table.name for table in beside.iterdir()]
        for name in written:
            os.replace(beside / name, data.path / name)
        for name in {*REQUIRED, *OPTIONAL}.difference(written):
            (data.path / name).unlink(missing_ok=True)
        beside.rmdir()


def _rates(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """Count the sampling rates of files.

    Raises:
        AudioError: one of them cannot be read.
    """
    counts: Counter[int] = Counter()
    for found in over(files, _rate, "rate", nj=8):
        if isinstance(found, AudioError):
            raise found
        counts[found] += 1
    return tuple(sorted(counts.items()))


def _rate(file: Path) -> int:
    return audio.info(file).rate
