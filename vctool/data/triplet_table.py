"""Triplets of a test split: whose notes are played with whose sound, and what that should give.

`triplets.tsv` of a data dir has a header and a row for every conversion that is scored::

    id   content   style   target   group   voices

The content is played by one instrument and the style by another; the target is what the content
would be if the style's instrument played it. So style and target share the instrument (the
utterances' speaker) and never the stretch of notes, and content and target share the stretch and
never the instrument.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from vctool.data.tables import Table, unfit
from vctool.data.utterance import Utterance
from vctool.errors import DataError

NAME = "triplets.tsv"
"""The file in a data dir."""

GROUPS = ("seen", "unheard_programs", "unheard_font")
"""What a style's instrument is to the training split: one of its own, another program of the same
sound font, or any program of another font."""

VOICES = ("mono", "poly")
"""Whether the stretch is a melody, or holds several notes at once."""


class Triplet(NamedTuple):
    """One conversion to score; content, style and target are ids of utterances."""

    id: str
    """Its own name, which outputs have."""
    content: str
    """Whose notes are to be heard."""
    style: str
    """Whose sound is to be heard."""
    target: str
    """The notes of the content, played by the instrument of the style."""
    group: str
    """One of `GROUPS`."""
    voices: str
    """One of `VOICES`."""


def read(folder: Path, known: Mapping[str, Utterance]) -> tuple[list[Triplet], Table]:
    """Read the triplets of a data dir.

    Args:
        folder: the data dir.
        known: its utterances by id.

    Returns:
        The usable triplets by id, and what is wrong with the others; `exists` is False where the
        data dir has none.

    Raises:
        DataError: the file is there but cannot be read at all.
    """
    table = Table(NAME)
    try:
        lines = (folder / NAME).read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        table.exists = False
        return [], table
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / NAME}: cannot be read: {error}") from None
    wanted = "\t".join(Triplet._fields)
    if not lines or lines[0] != wanted:
        table.complain(None, f"begins with '{lines[0] if lines else ''}', wanted '{wanted}'")
        return [], table
    found: dict[str, Triplet] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        parts = line.split("\t")
        key = parts[0]
        table.lines.setdefault(key, number)
        if len(parts) != len(Triplet._fields):
            table.complain(key, f"'{key}' has {len(parts)} columns, wanted {len(Triplet._fields)}")
            continue
        one = Triplet(*parts)
        reason = _wrong(one, known)
        if key in found:
            reason = "stands twice"
        if reason:
            table.complain(key, f"'{key}': {reason}")
        else:
            found[key] = one
            table.rows[key] = line
    return sorted(found.values()), table


def text(triplets: Iterable[Triplet]) -> str:
    """Lay triplets out as the text of the table, sorted by id."""
    rows = [Triplet._fields, *sorted(triplets)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _wrong(one: Triplet, known: Mapping[str, Utterance]) -> str:
    """Return why a triplet cannot be used; nothing where it can."""
    if reason := unfit(one.id):
        return f"it cannot be an id: {reason}"
    for name in (one.content, one.style, one.target):
        if name not in known:
            return f"no usable utterance '{name}'"
    if one.group not in GROUPS:
        return f"group '{one.group}', wanted {', '.join(GROUPS)}"
    if one.voices not in VOICES:
        return f"voices '{one.voices}', wanted {' or '.join(VOICES)}"
    content, style, target = (known[name] for name in (one.content, one.style, one.target))
    if None in (content.stretch, style.stretch, target.stretch):
        return "not all of its utterances are in utt2stretch"
    if content.stretch != target.stretch or content.speaker == target.speaker:
        return "content and target must be one stretch by two instruments"
    if style.speaker != target.speaker or style.stretch == target.stretch:
        return "style and target must be two stretches by one instrument"
    return ""
