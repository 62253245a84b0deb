"""Data dirs as lhotse's manifests, and back: gzipped JSON lines of recordings and supervisions.

Files are called as lhotse's own recipes call theirs, `<corpus>_recordings_<split>.jsonl.gz` and
`<corpus>_supervisions_<split>.jsonl.gz`, so `lhotse.recipes.utils.read_manifests_if_cached` finds
them. What lhotse has no field for (domain, accompaniment, sentence, pair, time map) stands in a
supervision's `custom`; JSON files beside the tables, such as a grammar, go to
`<corpus>_extra_<split>.json`. lhotse itself is not needed.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vctool import audio
from vctool.data.atomic import write_bytes
from vctool.data.datadir import DataDir
from vctool.data.tables import BOM, unfit
from vctool.data.utterance import Utterance
from vctool.errors import DataError

WHOLE_SLACK = 2e-3
"""Supervisions that end this close to their recording's end are the whole of it [s]."""


class Manifests(NamedTuple):
    """The files of one split."""

    recordings: Path
    supervisions: Path
    extra: Path
    """The JSON files beside the tables; only written where there are some."""


def manifests(folder: Path, corpus: str, split: str) -> Manifests:
    """Name the files of a split in a folder."""
    return Manifests(
        folder / f"{corpus}_recordings_{split}.jsonl.gz",
        folder / f"{corpus}_supervisions_{split}.jsonl.gz",
        folder / f"{corpus}_extra_{split}.json",
    )


def export(data: DataDir, folder: Path) -> Manifests:
    """Write a data dir's manifests; their names come from its last two folders.

    Raises:
        DataError: the folder cannot be written to.
        AudioError: a recording cannot be read.
    """
    place = data.path.resolve()
    written = manifests(folder, place.parent.name, place.name)
    whole = all(one.start is None for one in data)
    recordings: dict[str, dict[str, Any]] = {}
    supervisions = []
    pairs = dict(data.pairs)
    for one in data:
        name = one.recording or one.id
        if name not in recordings:
            recordings[name] = _recording(name, one)
        custom = _custom(one, whole, pairs.get(one.id), data.time_maps.get(one.id))
        supervisions.append(_supervision(one, recordings[name], custom))
    _write(written.recordings, (recordings[name] for name in sorted(recordings)))
    _write(written.supervisions, iter(supervisions))
    if data.extra:
        text = json.dumps(dict(data.extra), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        write_bytes(written.extra, text.encode())
    else:
        written.extra.unlink(missing_ok=True)
    return written


def _recording(name: str, one: Utterance) -> dict[str, Any]:
    info = audio.info(one.wav)
    samples = info.samples
    if one.start is None:  # its decoded length is known, and MP3 headers overstate theirs
        samples = round(one.duration * info.rate)
    elif one.wav.suffix.lower() == ".mp3":
        samples = audio.measure(one.wav).samples
    channels = list(range(info.channels))
    return {
        "id": name,
        "sources": [{"type": "file", "channels": channels, "source": str(one.wav.absolute())}],
        "sampling_rate": info.rate,
        "num_samples": samples,
        "duration": samples / info.rate,
        "channel_ids": channels,
    }


def _custom(one: Utterance, whole: bool, pair: str | None, time_map: Path | None) -> dict[str, Any]:
    """Return the fields of an utterance that lhotse has no place for."""
    custom: dict[str, Any] = {"domain": one.domain, "channel": one.channel, "seconds": one.duration}
    if not whole:
        custom["end"] = one.end
    if one.accomp:
        custom["accomp"] = [str(path.absolute()) for path in one.accomp]
        custom["accomp_channel"] = one.accomp_channel
    if one.sentence is not None:
        custom["sentence"] = one.sentence
    if pair is not None:
        custom["pair"] = pair
    if time_map is not None:
        custom["time_map"] = str(time_map.absolute())
    return custom


def _supervision(
    one: Utterance, recording: Mapping[str, Any], custom: Mapping[str, Any]
) -> dict[str, Any]:
    channels = recording["channel_ids"]
    everywhere = channels[0] if len(channels) == 1 else channels
    start = one.start or 0.0
    found: dict[str, Any] = {
        "id": one.id,
        "recording_id": recording["id"],
        "start": start,
        # lhotse wants supervisions to end with their recordings
        "duration": min(one.duration, recording["duration"] - start),
        "channel": everywhere if one.channel is None else one.channel,
    }
    if one.text is not None:
        found["text"] = one.text
    return found | {"speaker": one.speaker, "custom": dict(custom)}


def read(
    recordings: Path, supervisions: Path, path: Path, *, speaker: str | None = None
) -> DataDir:
    """Make a data dir of manifests that lhotse, or `export`, has written.

    Args:
        recordings: `.jsonl.gz` or `.jsonl`.
        supervisions: the same of the utterances.
        path: folder of the data dir, which is not written yet.
        speaker: who speaks where a supervision names nobody.

    Returns:
        The data dir. Ids that do not begin with their speaker, as Kaldi wants, get it in front;
        blanks in names become `_`. Language, gender and alignments are not taken over.

    Raises:
        DataError: a file is no manifest; a recording is a command, an address, or is transformed;
            a supervision names no recording, no speaker, or several files.
    """
    known = {str(row["id"]): (row, where) for row, where in _rows(recordings)}
    rows = list(_rows(supervisions))
    if not rows:
        raise DataError(f"{supervisions}: holds no supervisions")
    sources: dict[str, Mapping[str, Any]] = {}
    for row, where in rows:
        name = str(row.get("recording_id"))
        if name not in known:
            raise DataError(f"{where}: recording '{name}' is not in {recordings}")
        sources[name] = known[name][0]
    whole = all(_is_whole(row, sources[str(row["recording_id"])], where) for row, where in rows)
    made: dict[str, Utterance] = {}
    for row, where in rows:
        one = _utterance(row, *known[str(row["recording_id"])], where, whole, speaker)
        made[str(row["id"])] = one
    pairs, time_maps = [], {}
    for row, where in rows:
        custom, one = _custom_of(row, where), made[str(row["id"])]
        if custom.get("pair") in made:
            pairs.append((one.id, made[custom["pair"]].id))
        if "time_map" in custom:
            time_maps[one.id] = Path(custom["time_map"])
    extra = _extra(recordings)
    return DataDir(path, tuple(made.values()), tuple(sorted(pairs)), time_maps, extra)


def _utterance(
    row: Mapping[str, Any],
    recording: Mapping[str, Any],
    recording_where: str,
    where: str,
    whole: bool,
    speaker: str | None,
) -> Utterance:
    custom = _custom_of(row, where)
    who = row.get("speaker") or speaker
    if who is None:
        raise DataError(f"{where}: names no speaker; pass --speaker NAME")
    who = _word(str(who))
    name = _word(str(row["id"]))
    wav, channel = _source(row, recording, recording_where, where)
    start, seconds = _number(row, "start", where, 0.0), _number(row, "duration", where)
    if custom.get("seconds") is not None:
        seconds = _number(custom, "seconds", where)
    end = round(start + seconds, 6)
    if custom.get("end") is not None:
        end = _number(custom, "end", where)
    text = row.get("text") or None
    if text is not None and not isinstance(text, str):
        raise DataError(f"{where}: text is {text!r}, wanted words")
    return Utterance(
        id=name if name.startswith(f"{who}-") else f"{who}-{name}",
        speaker=who,
        domain=str(custom.get("domain", "speech")),
        wav=wav,
        duration=seconds,
        start=None if whole else start,
        end=None if whole else end,
        channel=custom["channel"] if "channel" in custom else channel,
        accomp=tuple(Path(path) for path in custom.get("accomp", ())),
        accomp_channel=custom.get("accomp_channel"),
        text=text,
        recording=None if whole else _word(str(recording["id"])),
        sentence=custom.get("sentence"),
    )


def _source(
    row: Mapping[str, Any], recording: Mapping[str, Any], recording_where: str, where: str
) -> tuple[Path, int | None]:
    """Find a supervision's file, and its channel in it; None for all of them."""
    if recording.get("transforms"):
        raise DataError(f"{recording_where}: has transforms; save it with lhotse as files first")
    wanted = row.get("channel", 0)
    asked = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(channel, int) for channel in asked):
        raise DataError(f"{where}: channel is {wanted!r}, wanted numbers from 0")
    several = set(asked)
    for source in _sources(recording, recording_where):
        channels = list(source.get("channels", (0,)))
        if several <= set(channels):
            if source.get("type") != "file":
                raise DataError(
                    f"{recording_where}: is a {source.get('type')}, which is never run or fetched; "
                    "save it with lhotse as files first"
                )
            if several == set(channels):
                return Path(source["source"]).absolute(), None
            if len(several) == 1:
                return Path(source["source"]).absolute(), channels.index(next(iter(several)))
    raise DataError(f"{where}: channel {wanted} is not one channel, or all, of one file")


def _sources(recording: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """Return the files of a recording.

    Raises:
        DataError: they are not described as lhotse does.
    """
    sources = recording.get("sources") or []
    if not isinstance(sources, list) or not all(
        isinstance(source, dict)
        and isinstance(source.get("source"), str)
        and isinstance(source.get("channels", []), list)
        for source in sources
    ):
        raise DataError(f"{where}: sources is {sources!r}, wanted a list of files")
    return sources


def _is_whole(row: Mapping[str, Any], recording: Mapping[str, Any], where: str) -> bool:
    start = _number(row, "start", where, 0.0)
    ends = start + _number(row, "duration", where)
    return (
        start == 0.0
        and abs(ends - _number(recording, "duration", where)) <= WHOLE_SLACK
        and _custom_of(row, where).get("end") is None
    )


def _extra(recordings: Path) -> dict[str, str]:
    path = recordings.with_name(
        recordings.name.split(".")[0].replace("_recordings_", "_extra_") + ".json"
    )
    if path == recordings or not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:  # neither JSON nor UTF-8
        raise DataError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(found, dict) or any(unfit(name) or "/" in name for name in found):
        raise DataError(f"{path}: holds {type(found).__name__}, wanted texts by file name")
    return {str(name): str(text) for name, text in found.items()}


def _word(name: str) -> str:
    return "_".join(name.split())


def _number(row: Mapping[str, Any], field: str, where: str, default: float | None = None) -> float:
    """Return a number of seconds of a row.

    Raises:
        DataError: it is something else, or is missing where there is no default.
    """
    value = row.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise DataError(f"{where}: {field} is {value!r}, wanted seconds")
    return float(value)


def _custom_of(row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return what a supervision says besides, each of it of the kind that `export` writes.

    Raises:
        DataError: something is of another kind.
    """
    custom = row.get("custom") or {}
    if not isinstance(custom, dict):
        raise DataError(f"{where}: custom is {custom!r}, wanted an object")
    texts, counts = ("domain", "sentence", "pair", "time_map"), ("channel", "accomp_channel")
    for field in (*texts, *counts):
        value, kind = custom.get(field), str if field in texts else int
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise DataError(f"{where}: custom.{field} is {value!r}, wanted {kind.__name__}")
    files = custom.get("accomp", [])
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        raise DataError(f"{where}: custom.accomp is {files!r}, wanted a list of files")
    return custom


def _write(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    buffer = io.BytesIO()
    # without a time in the header, so that the same data gives the same bytes
    with gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=0) as file:
        for row in rows:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    write_bytes(path, buffer.getvalue())


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows of a manifest, each with where it stands.

    Raises:
        DataError: there is no such file, or it is no manifest.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                where = f"{path}:{number}"
                row = json.loads(line.removeprefix(BOM) if number == 1 else line)
                if not isinstance(row, dict) or "id" not in row or "duration" not in row:
                    raise DataError(f"{where}: is no recording and no supervision of lhotse's")
                yield row, where
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as a manifest: {error}") from None
