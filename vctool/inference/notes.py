"""The notes that a model finds in a recording: its range, and a MIDI file of them."""

import logging
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import BaseModel

from vctool.data.atomic import write_bytes
from vctool.errors import AudioError, ConfigError, DataError
from vctool.features.base import Features
from vctool.inference.blocks import Block
from vctool.inference.request import AUTO, Request
from vctool.models.base import Note, System

logger = logging.getLogger(__name__)

TICKS = 480
"""Of a quarter note in a MIDI file."""
TEMPO = 500_000
"""Microseconds of a quarter: 120 in a minute."""


def wanted(options: BaseModel) -> bool:
    """Tell whether a MIDI file is to be written: the option `midi` of a family that has it."""
    return bool(getattr(options, "midi", False))


def require(system: System, options: BaseModel, into_range: bool, model: Path) -> None:
    """Refuse what needs notes, of a model that finds none.

    Raises:
        ConfigError: it finds none.
    """
    if system.finds_notes:
        return
    for asked, told in ((into_range, f"--transpose {AUTO}"), (wanted(options), "--midi")):
        if asked:
            raise ConfigError(
                f"{told}: {model} finds no notes; take a model that does, such as "
                "nottingham_timbre_vqvae"
            )


def settled(
    system: System, request: Request, blocks: Iterable[tuple[Block, Features]] | None, where: str
) -> Request:
    """Add the octaves that bring a recording into the range of its target.

    Args:
        system: the model; it finds notes.
        request: the conversion.
        blocks: the blocks of the recording with their features; None where nothing is to be added.
        where: its name in messages.

    Raises:
        AudioError: nothing in the recording has a pitch.
    """
    if blocks is None:
        return replace(request, into_range=False)
    assert request.reference is not None, "a family without roles has references alone"
    try:
        with torch.no_grad():
            octaves = system.octaves((features for _, features in blocks), request.reference)
    except DataError as error:
        raise AudioError(f"--transpose {AUTO}: {where}: {error}") from None
    logger.info("%s: %+d octaves into the range of %s", where, octaves, request.name)
    return replace(request, transpose=12.0 * octaves, into_range=False)


def of_blocks(
    system: System, blocks: Iterable[tuple[Block, Features]], request: Request, rate: int
) -> list[Note]:
    """Return the notes of a recording as its conversion plays them.

    Args:
        system: the model; it finds notes.
        blocks: the blocks of the recording with their features.
        request: the conversion, which stretches and transposes.
        rate: the model's [Hz].
    """
    found: list[Note] = []
    move = round(request.transpose)
    for block, features in blocks:
        shift = block.outer_start / rate
        with torch.no_grad():
            for note in system.notes(features):
                inside = block.start / rate <= note.start + shift < block.stop / rate
                if inside and 0 <= note.pitch + move <= 127:
                    begin, end = (request.stretch * (time + shift) for time in note[:2])
                    found.append(Note(begin, end, note.pitch + move, note.velocity))
    return found


def write(path: Path, notes: Sequence[Note]) -> None:
    """Write notes as a MIDI file of one track, at 120 quarters a minute.

    Raises:
        DataError: the file cannot be written.
    """
    per_second = TICKS * 1e6 / TEMPO
    # notes that end come before those that begin at the same time
    events = [(round(one.end * per_second), 0, 0x80, one.pitch, 0) for one in notes]
    events += [(round(one.start * per_second), 1, 0x90, one.pitch, one.velocity) for one in notes]
    data, now = b"\x00\xff\x51\x03" + TEMPO.to_bytes(3, "big"), 0
    for time, _, kind, pitch, velocity in sorted(events):
        data += _length(time - now) + bytes((kind, pitch, velocity))
        now = time
    data += b"\x00\xff\x2f\x00"
    head = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    write_bytes(path, head + b"MTrk" + struct.pack(">I", len(data)) + data, durable=True)


def _length(value: int) -> bytes:
    """Write a number as MIDI files do: seven bits a byte, the last without the eighth."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(0x80 | (value & 0x7F))
    return bytes(reversed(parts))
