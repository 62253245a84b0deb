"""Many recordings of one instrument by one run of FluidSynth, each as if it were rendered alone.

Most of what a recording of seconds costs is the start of the program. Here they are played one
after another, and what one leaves behind is taken out before the next begins:

- Their notes are laid on FluidSynth's own grid: the time between the beginnings of two recordings
  is a whole number of its blocks of 64 samples, of its milliseconds, and of the file's ticks.
- Between them controller 120 ends every note at once.
- FluidSynth keeps the loudness of a voice's place for the next note there, and fades from it over a
  block. So before every recording short notes of every key are played, unheard, after which all
  places have the same history.

A recording so has the same samples whatever stands beside it. Those of `rendering.render`, where no
note came before, differ within four milliseconds of some onsets.
"""

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from math import gcd, lcm
from pathlib import Path

import numpy as np
import soundfile

from vctool.corpora.midi import rendering
from vctool.corpora.midi.rendering import NoSound, Rendering

TICKS = 1920
"""Ticks of a second, as `score.write` has them."""

BLOCK = 64
"""Samples that FluidSynth makes at once, and between which notes begin."""

AT_ONCE = 64
"""Recordings of one run: ten minutes of eight seconds each."""

PERIOD = 256
"""Samples that FluidSynth writes at once; from 8192 on it gives other samples."""

_KEYS = range(24, 104)  # of the notes before every recording: more than the places that one takes
_TOUCHED = TICKS // 200  # their length
_ALL_SOUND_OFF = 120
_HALVES = np.array([0.5, 0.5], np.float32)  # of left and right
_OFF, _ON = 0, 1  # the order of what happens at once
VERSION = 1
"""Raised whenever the same job gives other samples."""


def render(jobs: Sequence[Rendering]) -> Iterator[np.ndarray | NoSound]:
    """Render recordings of one instrument, in order; `AT_ONCE` by every run of FluidSynth.

    Args:
        jobs: of one font, rate, length and program, without drums and controllers; notes begin
            before their end.

    Yields:
        As `rendering.render` returns, or raises where a font has no sound of the notes.

    Raises:
        DataError: FluidSynth is not installed or fails, or the font is damaged.
    """
    rest = iter(jobs)
    while some := list(islice(rest, AT_ONCE)):
        yield from _together(some)


def _together(jobs: Sequence[Rendering]) -> Iterator[np.ndarray | NoSound]:
    first = jobs[0]
    program = first.tracks[0].program
    for job in jobs:
        assert (job.font, job.rate, job.seconds) == (first.font, first.rate, first.seconds)
        for track in job.tracks:
            assert track.program == program and not track.drums and not track.controls
    grid = period(first.rate)
    lead = grid * -(-Fraction(1, 50) // grid)  # of the notes before
    step = grid * -(-(lead + Fraction(first.seconds) + Fraction(1, 50)) // grid)
    events: list[list[tuple[int, int, bytes]]] = [[] for _ in range(_channels(jobs))]
    for place, job in enumerate(jobs):
        begin = round(step * place * TICKS)
        start, stop = (begin + round(one * TICKS) for one in (lead, lead + Fraction(job.seconds)))
        events[0] += [(begin, _ON, bytes([0x90, key, 1])) for key in _KEYS]
        for channel, own in enumerate(events):
            quiet = bytes([0xB0 + channel, _ALL_SOUND_OFF, 0])
            own += [(begin + _TOUCHED, _OFF, quiet), (stop, _OFF, quiet)]
        for own, channel, track in zip(events, range(len(events)), job.tracks, strict=False):
            for note in track.notes:
                on, off = (start + round(when * TICKS) for when in (note.start, note.end))
                assert on < stop, note
                own.append((on, _ON, bytes([0x90 + channel, note.pitch, note.velocity])))
                own.append(
                    (min(max(off, on + 1), stop), _OFF, bytes([0x80 + channel, note.pitch, 0]))
                )
    with tempfile.TemporaryDirectory(prefix="vctool-midi-") as temporary:
        midi, wav = Path(temporary) / "score.mid", Path(temporary) / "score.wav"
        midi.write_bytes(_file(events, program))
        reason = rendering.play(midi, wav, first.font, first.rate, PERIOD)
        both, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    samples = round(first.seconds * first.rate)
    both = np.pad(both, ((0, round(step * first.rate)), (0, 0)))  # it ends with its notes
    for place, job in enumerate(jobs):
        begin = int((step * place + lead) * first.rate)
        try:
            yield rendering.checked(both[begin : begin + samples] @ _HALVES, job, reason)
        except NoSound as error:
            yield error


def _channels(jobs: Sequence[Rendering]) -> int:
    """Count the channels that are needed; the tenth is percussion's."""
    count = max(len(job.tracks) for job in jobs)
    assert 1 <= count <= 9, f"{count} parts"
    return count


def _file(channels: Sequence[list[tuple[int, int, bytes]]], program: int) -> bytes:
    """Lay events (tick, order, message) out as a MIDI file with a track for each channel."""
    tempo = b"\x00\xff\x51\x03" + (500_000).to_bytes(3, "big")  # a quarter is half a second
    tracks = []
    for channel, events in enumerate(channels):
        body = bytearray(tempo if channel == 0 else b"")
        body += bytes([0, 0xC0 + channel, program])
        last = 0
        for tick, _, message in sorted(events):
            body += _length(tick - last) + message
            last = tick
        body += b"\x00\xff\x2f\x00"
        tracks.append(b"MTrk" + len(body).to_bytes(4, "big") + body)
    head = (1, len(tracks), TICKS // 2)
    return (
        b"MThd\x00\x00\x00\x06"
        + b"".join(one.to_bytes(2, "big") for one in head)
        + b"".join(tracks)
    )


def _length(ticks: int) -> bytes:
    """Write a number in groups of seven bits, as MIDI files do."""
    groups = [ticks & 0x7F]
    while ticks := ticks >> 7:
        groups.append(0x80 | ticks & 0x7F)
    return bytes(reversed(groups))


def period(rate: int) -> Fraction:
    """Return the shortest time [s] of whole blocks, milliseconds and ticks.

    >>> period(16000), period(22050)
    (Fraction(1, 10), Fraction(32, 5))
    """
    parts = [Fraction(BLOCK, rate), Fraction(1, 1000), Fraction(1, TICKS)]
    return Fraction(
        lcm(*(one.numerator for one in parts)), gcd(*(one.denominator for one in parts))
    )
