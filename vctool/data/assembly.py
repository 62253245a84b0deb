"""Build utterances from tables: valid ones are kept, everything else is reported."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from vctool import audio
from vctool.data import triplet_table
from vctool.data.tables import Problem, Table, read_table
from vctool.data.triplet_table import Triplet
from vctool.data.utterance import Utterance
from vctool.errors import AudioError, DataError

REQUIRED = ("wav.scp", "utt2spk", "spk2utt", "utt2dur")
NAMES = {"utt2sentence": "sentence", "utt2stretch": "stretch"}
"""Optional tables of what utterances share with others, and what their values are names of."""
TRAITS = ("text", "utt2domain", "utt2channel", "utt2accomp_channel", *NAMES)
"""Optional tables that say something of utterances."""
FILES = ("time_map.scp", "notes.scp")
"""Optional tables of a file for some utterances."""
ROWS = (*TRAITS, "segments", "accomp.scp", "pairs", *FILES)
OPTIONAL = (*ROWS, triplet_table.NAME)


@dataclass
class Assembly:
    """What the tables of a data dir hold."""

    utterances: list[Utterance] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    time_maps: dict[str, Path] = field(default_factory=dict)
    notes: dict[str, Path] = field(default_factory=dict)
    triplets: list[Triplet] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Further scp files in the folder, which are only looked at for pipes and order."""
    problems: list[Problem] = field(default_factory=list)


MP3_SLACK = 0.5
"""How far an MP3's header may be off [s]; others are held to `audio.END_SLACK`."""


def assemble(
    folder: Path, *, files: bool, lengths: bool = False, measure: bool = False
) -> Assembly:
    """Read all tables of a data dir.

    Args:
        folder: the data dir.
        files: whether to see that every file named exists.
        lengths: whether to compare ends and durations with the recordings.
        measure: whether to take them from the recordings where the tables do not say them, or say
            what is not so; audio is decoded where its header says nothing.

    Raises:
        DataError: there is no such folder, or it is no data dir.
    """
    if not (folder / "wav.scp").is_file():
        what = "holds no wav.scp" if folder.is_dir() else "no such data dir"
        raise DataError(
            f"{folder}: {what}; make it with `vctool prepare`, or by stage 1 of a recipe of its "
            "corpus, `./run.sh --recipe NAME --stage 1`"
        )
    tables = {name: read_table(folder, name) for name in (*REQUIRED, *ROWS)}
    # what is wrong with a row itself is told before what follows from its absence
    causes = [problem for table in tables.values() for problem in table.problems]
    builder = _Builder(folder.resolve(), tables, files, lengths, measure)
    result = Assembly()
    result.others = sorted(file.name for file in folder.glob("*.scp") if file.name not in tables)
    for utterance in sorted(builder.keys()):
        built = builder.build(utterance)
        if built is not None:
            result.utterances.append(built)
    known = {utterance.id for utterance in result.utterances}
    builder.check_rest(known)
    result.pairs = builder.pairs(known)
    result.time_maps = builder.named_files("time_map.scp", known)
    result.notes = builder.named_files("notes.scp", known)
    result.triplets, triplets = triplet_table.read(
        folder, {utterance.id: utterance for utterance in result.utterances}
    )
    _check_speakers(tables["spk2utt"], result.utterances)
    _check_order(tables["utt2spk"], result.utterances)
    everything = (*tables.values(), triplets, *(read_table(folder, name) for name in result.others))
    found = [problem for table in everything for problem in table.problems]
    result.problems = causes + [problem for problem in found if problem not in causes]
    return result


class _Builder:
    """Builds utterances out of tables, noting in each table what keeps one from being built."""

    def __init__(
        self, base: Path, tables: dict[str, Table], files: bool, lengths: bool, measure: bool
    ) -> None:
        self.base = base
        self.tables = tables
        self.files = files
        self.lengths = lengths
        self.measure = measure
        self._seconds: dict[Path, float] = {}
        for name in REQUIRED:
            if not tables[name].exists:
                # readers rebuild the reverse table from utt2spk
                tables[name].complain(None, "is missing", harmless=name == "spk2utt")

    def keys(self) -> Iterable[str]:
        segments = self.tables["segments"]
        return (segments if segments.exists else self.tables["wav.scp"]).rows

    def path(self, value: str) -> Path:
        """Resolve a path that starts at the data dir, whatever folder the command runs in."""
        return Path(os.path.normpath(self.base / value))

    def build(self, key: str) -> Utterance | None:
        tables = self.tables
        source = tables["segments" if tables["segments"].exists else "wav.scp"]
        recording, start, end, side = key, None, None, None
        try:
            if source.name == "segments":
                recording, start, end, side = _segment(source.rows[key])
            wav = self._file("wav.scp", recording)
            accomp = self._accomp(recording)
            speaker = self._row("utt2spk", key)
            channel = self._channel("utt2channel", key)
            channel = side if channel is None else channel
            accomp_channel = self._channel("utt2accomp_channel", key)
            end = self._end(key, wav, start, end)
            duration = self._duration(key, wav, channel, start, end)
        except _Unusable as reason:
            source.complain(key, f"'{key}': {reason}")
            return None
        if not key.startswith(f"{speaker}-") and key != speaker:
            message = f"'{key}' does not begin with its speaker, '{speaker}-'"
            source.complain(key, message, harmless=True)
        return Utterance(
            id=key,
            speaker=speaker,
            domain=tables["utt2domain"].rows.get(key, "speech"),
            wav=wav,
            duration=duration,
            start=start,
            end=end,
            channel=channel,
            accomp=accomp,
            accomp_channel=accomp_channel,
            text=tables["text"].rows.get(key),
            recording=recording if source.name == "segments" else None,
            sentence=self._name("utt2sentence", key),
            stretch=self._name("utt2stretch", key),
        )

    def _row(self, table: str, key: str) -> str:
        if key not in self.tables[table].rows:
            raise _Unusable(f"is not in {table}")
        return self.tables[table].rows[key]

    def _file(self, table: str, key: str) -> Path:
        return self._existing(self._row(table, key))

    def _existing(self, value: str) -> Path:
        path = self.path(value)
        if self.files and not path.is_file():
            raise _Unusable(f"no such file: {path}")
        return path

    def _accomp(self, recording: str) -> tuple[Path, ...]:
        value = self.tables["accomp.scp"].rows.get(recording, "")
        return tuple(self._existing(part.strip()) for part in value.split("\t") if part.strip())

    def _channel(self, table: str, key: str) -> int | None:
        value = self.tables[table].rows.get(key)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()):
            raise _Unusable(f"{table} gives channel '{value}', wanted 0, 1, ...")
        return int(value)

    def _name(self, table: str, key: str) -> str | None:
        value = self.tables[table].rows.get(key)
        if value is not None and len(value.split()) != 1:
            message = f"'{key}' has {NAMES[table]} '{value}', wanted a name without blanks"
            self.tables[table].complain(key, message)
            return None
        return value

    def _duration(
        self, key: str, wav: Path, channel: int | None, start: float | None, end: float | None
    ) -> float:
        value = self.tables["utt2dur"].rows.get(key)
        if value is not None:
            if not 0 < (seconds := _number(value)) < float("inf"):
                raise _Unusable(f"utt2dur gives '{value}', wanted seconds above 0")
            if not self.lengths:
                return seconds
            true = (self._length(wav) if end is None else end) - (start or 0.0)
            if abs(seconds - true) <= _slack(wav):
                return seconds
            message = f"'{key}': utt2dur gives {value} s, its recording {true:.2f} s"
            self.tables["utt2dur"].complain(key, message)
            if not self.measure:
                return seconds
        elif not self.measure:
            raise _Unusable("is not in utt2dur")
        if start is not None and end is not None:
            return round(end - start, 6)
        try:
            whole = audio.measure(wav, channel=channel).seconds
        except AudioError as error:
            raise _Unusable(str(error)) from None
        return round(whole - (start or 0.0), 6)

    def _end(self, key: str, wav: Path, start: float | None, end: float | None) -> float | None:
        """Compare a segment with its recording; return where it ends, at the latest there."""
        if start is None or not self.lengths:
            return end
        length = self._length(wav)
        if start >= length:
            raise _Unusable(f"begins at {start:g} s, its recording ends at {length:.2f} s")
        if end is None or end <= length + _slack(wav):
            return end
        message = f"'{key}' ends at {end:g} s, its recording at {length:.2f} s"
        self.tables["segments"].complain(key, message)
        return round(length, 6) if self.measure else end

    def _length(self, wav: Path) -> float:
        """Return how long a file is by its header [s]."""
        if wav not in self._seconds:
            try:
                self._seconds[wav] = audio.info(wav).seconds
            except AudioError as error:
                raise _Unusable(str(error)) from None
        return self._seconds[wav]

    def check_rest(self, known: set[str]) -> None:
        """Report the rows that belong to no utterance."""
        recordings = set(self.tables["wav.scp"].rows)
        keys = set(self.keys())
        for name in ("utt2spk", "utt2dur", *TRAITS, "accomp.scp"):
            owners = recordings if name == "accomp.scp" else keys
            for key in self.tables[name].rows:
                if key not in owners:
                    self.tables[name].complain(key, f"'{key}' belongs to no utterance")
        if self.tables["segments"].exists:
            used = {value.split()[0] for value in self.tables["segments"].rows.values()}
            for key in sorted(recordings - used):
                message = f"'{key}' is used by no segment"
                self.tables["wav.scp"].complain(key, message, harmless=True)

    def pairs(self, known: set[str]) -> list[tuple[str, str]]:
        table = self.tables["pairs"]
        for key, other in table.rows.items():
            missing = [name for name in (key, other) if name not in known]
            if missing:
                table.complain(key, f"'{key}': no usable utterance '{missing[0]}'")
        return sorted((a, b) for a, b in table.rows.items() if a in known and b in known)

    def named_files(self, name: str, known: set[str]) -> dict[str, Path]:
        """Return the files that a table names, by utterance."""
        table, found = self.tables[name], {}
        for key in sorted(table.rows):
            try:
                if key not in known:
                    raise _Unusable("no such usable utterance")
                found[key] = self._file(name, key)
            except _Unusable as reason:
                table.complain(key, f"'{key}': {reason}")
        return found


class _Unusable(DataError):
    """The reason why an utterance cannot be built."""


def _slack(wav: Path) -> float:
    return MP3_SLACK if wav.suffix.lower() == ".mp3" else audio.END_SLACK


def _segment(value: str) -> tuple[str, float, float | None, int | None]:
    """Parse `recording start end [channel]`; an end of -1 is the recording's own, as in Kaldi."""
    parts = value.split()
    if len(parts) in (3, 4):
        start, end = _number(parts[1]), _number(parts[2])
        side = parts[3] if len(parts) == 4 else ""
        known = side in ("", "A", "B") or (side.isascii() and side.isdigit())
        if known and 0 <= start < (float("inf") if end == -1 else end):
            channel = None if not side else "AB".index(side) if side in "AB" else int(side)
            if end != float("inf"):
                return parts[0], start, None if end == -1 else end, channel
    raise _Unusable(
        f"segment '{value}' is not `recording start end` with 0 <= start < end (and a channel)"
    )


def _number(text: str) -> float:
    """Parse a number; NaN, which every comparison refuses, where it is none."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _check_speakers(table: Table, utterances: list[Utterance]) -> None:
    listed = {speaker: value.split() for speaker, value in table.rows.items()}
    if table.exists and listed != by_speaker(utterances):
        table.complain(None, "does not agree with utt2spk", harmless=True)


def _check_order(table: Table, utterances: list[Utterance]) -> None:
    found = disorder(utterances)
    if found is not None:
        one, other = found
        message = (
            f"'{other.id}' follows '{one.id}', but speaker '{other.speaker}' does not follow "
            f"'{one.speaker}'; rename one"
        )
        table.complain(other.id, message, harmless=True)


def disorder(utterances: Iterable[Utterance]) -> tuple[Utterance, Utterance] | None:
    """Find where utterances in order are not speakers in order, as Kaldi's tools take for granted.

    Ids that begin with their speaker are not enough: `a+b-1` sorts before `a-1`, but `a` before
    `a+b`.
    """
    for one, other in pairwise(sorted(utterances, key=lambda utterance: utterance.id)):
        if other.speaker < one.speaker:
            return one, other
    return None


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[str]]:
    """List the ids of every speaker, sorted bytewise."""
    found: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda one: one.id):
        found.setdefault(utterance.speaker, []).append(utterance.id)
    return dict(sorted(found.items()))
