"""Lays the utterances of a data dir out as the rows of its tables."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vctool.data.assembly import FILES, REQUIRED, ROWS, by_speaker
from vctool.data.tables import is_pipe, unfit
from vctool.errors import DataError

if TYPE_CHECKING:
    from vctool.data.datadir import DataDir


def rows(data: "DataDir", base: Path) -> dict[str, dict[str, str]]:
    """Lay the utterances of a data dir out as rows of every table.

    Args:
        data: the data dir.
        base: where it will stand; files below the folder of the corpora are named relative to it.

    Raises:
        DataError: an id or a path that the format cannot hold.
    """
    tables: dict[str, dict[str, str]] = {name: {} for name in (*REQUIRED, *ROWS)}
    segmented = any(utterance.start is not None for utterance in data)
    folders: dict[str, str] = {}
    for one in data:
        key = _word(one.id)
        source = _word(one.recording or one.id) if segmented else key
        if segmented:
            start = one.start or 0.0
            end = one.end if one.end is not None else start + one.duration
            tables["segments"][key] = f"{source} {start!r} {end!r}"
        _put(tables["wav.scp"], source, _name(one.wav, base, folders))
        if one.accomp:
            names = (_name(part, base, folders) for part in one.accomp)
            _put(tables["accomp.scp"], source, "\t".join(names))
        tables["utt2spk"][key] = _word(one.speaker)
        tables["utt2domain"][key] = _word(one.domain)
        tables["utt2dur"][key] = repr(float(one.duration))
        if one.channel is not None:
            tables["utt2channel"][key] = str(one.channel)
        if one.accomp_channel is not None:
            tables["utt2accomp_channel"][key] = str(one.accomp_channel)
        if one.sentence is not None:
            tables["utt2sentence"][key] = _word(one.sentence, "a sentence's name")
        if one.stretch is not None:
            tables["utt2stretch"][key] = _word(one.stretch, "a stretch's name")
        if one.text is not None:
            tables["text"][key] = " ".join(one.text.split())
    tables["spk2utt"] = {
        speaker: " ".join(ids) for speaker, ids in by_speaker(data.utterances).items()
    }
    tables["pairs"] = dict(data.pairs)
    for name, files in zip(FILES, (data.time_maps, data.notes), strict=True):
        tables[name] = {key: _name(file, base, folders) for key, file in files.items()}
    return tables


def _put(table: dict[str, str], key: str, value: str) -> None:
    if table.setdefault(key, value) != value:
        raise DataError(f"recording '{key}' has two files: '{table[key]}' and '{value}'")


def _word(name: str, what: str = "an id") -> str:
    if reason := unfit(name):
        raise DataError(f"'{name}' cannot be {what}: {reason}; rename it")
    return name


def unstorable(file: Path) -> str:
    """Return why a file's name cannot stand in a table; nothing where it can."""
    name = str(file)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    if name != name.strip() or any(sign in name for sign in "\t\r\n") or is_pipe(name):
        return "its name cannot stand in a data dir (tab, line break, or blank or | at an end)"
    return ""


def _name(file: Path, base: Path, folders: dict[str, str]) -> str:
    """Name a file for a table of the data dir at `base`; `folders` keeps how theirs are named."""
    parent, leaf = os.path.split(file)
    if parent not in folders:
        folder = Path(parent).resolve()  # not of the file: it may be a link into a store
        root = base.parent.parent
        inside = root != Path(root.anchor) and folder.is_relative_to(root)
        folders[parent] = os.path.relpath(folder, base) if inside else str(folder)
    value = os.path.normpath(os.path.join(folders[parent], leaf))
    if reason := unstorable(Path(value)):
        raise DataError(f"'{value}': {reason}; rename the file")
    return value
