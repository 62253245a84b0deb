"""Reads and writes MIDI files: tracks of notes in seconds, through pretty_midi.

What pretty_midi cannot read, and what it reads as more than `LONGEST`, is a `DataError` in one
line. Notes of a piece are told from another's by `fingerprint`, so that the same piece under two
names does not end up in two splits.
"""

import hashlib
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from vctool.errors import DataError

LONGEST = 3600.0
"""Files that claim to last longer are damaged [s]."""

_ONE_AT_A_TIME = threading.Lock()  # which warnings are shown is told to all threads at once


class Note(NamedTuple):
    """One note."""

    start: float
    """Onset [s]."""
    end: float
    """Offset [s]."""
    pitch: int
    """MIDI note number, 0 to 127; 69 is A4."""
    velocity: int
    """1 to 127."""


class Control(NamedTuple):
    """A turn of a controller, such as the sustain pedal (64)."""

    time: float
    """When [s]."""
    number: int
    """Which controller, 0 to 127."""
    value: int
    """0 to 127."""


@dataclass(frozen=True)
class Track:
    """One instrument's part."""

    name: str
    """What the file calls it; may be empty."""
    program: int
    """General MIDI program, 0 to 127."""
    drums: bool
    """Whether it is on the channel of percussion."""
    notes: tuple[Note, ...]
    """Its notes by onset."""
    controls: tuple[Control, ...] = ()
    """Its controller changes in order."""

    @property
    def end(self) -> float:
        """End of the last note [s]; 0 where there is none."""
        return max((note.end for note in self.notes), default=0.0)

    def transposed(self, semitones: int) -> "Track":
        """Return the part moved in pitch; notes that leave the range of MIDI are left out."""
        moved = (note._replace(pitch=note.pitch + semitones) for note in self.notes)
        return replace(self, notes=tuple(note for note in moved if 0 <= note.pitch <= 127))

    def between(self, start: float, end: float) -> "Track":
        """Return what begins within a stretch of time, which then begins at 0.

        Notes are cut at its end, and controllers are left as they stood at its beginning.
        """
        notes = tuple(
            note._replace(start=note.start - start, end=min(note.end, end) - start)
            for note in self.notes
            if start <= note.start < end
        )
        before = {one.number: one for one in self.controls if one.time < start}
        controls = [one._replace(time=0.0) for one in before.values()]
        controls += [
            one._replace(time=one.time - start) for one in self.controls if start <= one.time < end
        ]
        return replace(self, notes=notes, controls=tuple(controls))


def read(path: Path) -> tuple[Track, ...]:
    """Read the tracks of a MIDI file that hold notes.

    Raises:
        DataError: the file cannot be read, is no MIDI, or holds no note or too long a time.
    """
    import pretty_midi

    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            # files with tempo changes on other tracks than the first are common, and read well
            warnings.simplefilter("ignore", RuntimeWarning)
            song = pretty_midi.PrettyMIDI(str(path))
    # mido raises these, and plain ValueErrors, for bytes that are no MIDI
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
    ) as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not MIDI that can be read ({reason})") from None
    tracks = []
    for part in song.instruments:
        notes = sorted(
            Note(float(one.start), float(one.end), int(one.pitch), int(one.velocity))
            for one in part.notes
            if one.end > one.start
        )
        controls = tuple(
            Control(float(one.time), int(one.number), int(one.value))
            for one in sorted(part.control_changes, key=lambda one: float(one.time))
        )
        if notes:
            tracks.append(Track(part.name, int(part.program), part.is_drum, tuple(notes), controls))
    if not tracks:
        raise DataError(f"{path}: holds no notes")
    if (end := max(track.end for track in tracks)) > LONGEST:
        raise DataError(f"{path}: claims to last {end:.0f} s, damaged")
    return tuple(tracks)


def write(path: Path, tracks: Sequence[Track]) -> None:
    """Write tracks as a MIDI file, in 960 ticks of a quarter at 120 beats a minute."""
    import pretty_midi

    song = pretty_midi.PrettyMIDI(resolution=960, initial_tempo=120.0)
    for track in tracks:
        part = pretty_midi.Instrument(track.program, track.drums, track.name)
        part.notes = [pretty_midi.Note(n.velocity, n.pitch, n.start, n.end) for n in track.notes]
        part.control_changes = [
            pretty_midi.ControlChange(one.number, one.value, one.time) for one in track.controls
        ]
        song.instruments.append(part)
    song.write(str(path))


def fingerprint(track: Track) -> str:
    """Return what a part shares with itself in another key and tempo: its intervals and rhythm.

    Rhythm is told in eighths of the median time between onsets.

    Returns:
        32 hexadecimal digits.
    """
    starts = [note.start for note in track.notes]
    steps = [after - before for before, after in pairwise(starts)]
    sounding = sorted(step for step in steps if step > 0)
    unit = sounding[len(sounding) // 2] / 8 if sounding else 1.0
    intervals = (
        f"{after.pitch - before.pitch}@{round(step / unit)}"
        for (before, after), step in zip(pairwise(track.notes), steps, strict=True)
    )
    return hashlib.sha256(" ".join(intervals).encode()).hexdigest()[:32]


def program_name(program: int) -> str:
    """Return a General MIDI program's name as a word.

    >>> program_name(40), program_name(0)
    ('violin', 'acoustic_grand_piano')
    """
    import pretty_midi

    name = pretty_midi.program_to_instrument_name(program)
    return "".join(sign if sign.isalnum() else "_" for sign in name.lower()).strip("_")
