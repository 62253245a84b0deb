"""Check that an audio file is complete, by the lengths that its container states.

libsndfile takes what there is of a WAV, Ogg or MP3 file that breaks off, and says nothing.
"""

import io
import os
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from vctool.errors import AudioError

_OGG_PAGE = 27 + 255 + 255 * 255  # the longest page: header, lengths, content
_SLACK = 64  # bytes by which writers are known to misstate a length
_UNKNOWN = 0x7FFFF000  # WAV lengths from here on mean "until the end", from streaming writers


def refuse_truncated(path: Path) -> None:
    """Compare what a file's container promises with its size.

    WAV states the length of its data, Ogg that of every page, MP3 with a Xing header its bytes.
    FLAC and the rest are told by decoding.

    Raises:
        AudioError: the file is shorter than promised.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        promised: int | None = None
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            promised = _wav_data_end(file)
        elif head[:4] == b"OggS":
            promised = _ogg_end(file, size)
        elif head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0):
            promised = _mp3_end(file)
    if promised is not None and promised > size + _SLACK:
        raise AudioError(f"{path}: truncated: it breaks off after {size} bytes; copy it again")


def opened(path: Path) -> soundfile.SoundFile:
    """Open a file with libsndfile, which is shown two kinds of files as if they had been completed.

    A WAV that states no length, as a recorder leaves it that crashed, reaches to its end. An Ogg
    stream whose last page is not marked as such, as Android's writer leaves it, gets the mark.
    """
    with path.open("rb") as file:
        head = file.read(12)
        repair: tuple[int, bytes] | None = None
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            repair = _stated_length(file, path.stat().st_size)
        elif head[:4] == b"OggS":
            repair = _marked_page(file, path.stat().st_size)
    return soundfile.SoundFile(os.fsencode(path) if repair is None else _Repaired(path, *repair))


def _stated_length(file: BinaryIO, size: int) -> tuple[int, bytes] | None:
    """Return where the length of a WAV's samples belongs, and what it is, if it is not stated."""
    found = _wav_data(file)
    if found is None or found[1] or found[0] == size:
        return None
    return found[0] - 4, (size - found[0]).to_bytes(4, "little")


def _marked_page(file: BinaryIO, size: int) -> tuple[int, bytes] | None:
    """Return where the last page of an Ogg stream begins, and it with its mark, if it has none."""
    found = _last_page(file, size)
    if found is None or found[1][5] & 4:
        return None
    page = bytearray(found[1])
    page[5] |= 4
    page[22:26] = bytes(4)
    page[22:26] = _ogg_checksum(page).to_bytes(4, "little")
    return found[0], bytes(page)


def _ogg_checksum(page: bytes | bytearray) -> int:
    """Compute the checksum of an Ogg page (RFC 3533): CRC-32, most significant bit first."""
    crc = 0
    for byte in page:
        crc = crc << 8 & 0xFFFFFFFF ^ _crc_of(crc >> 24 ^ byte)
    return crc


@cache
def _crc_of(byte: int) -> int:
    crc = byte << 24
    for _ in range(8):
        crc = crc << 1 ^ (0x104C11DB7 if crc & 1 << 31 else 0)
    return crc


def _wav_data_end(file: BinaryIO) -> int | None:
    """Return the byte after a WAV's samples, or None where it is unknown."""
    found = _wav_data(file)
    return None if found is None or found[1] >= _UNKNOWN else sum(found)


def _wav_data(file: BinaryIO) -> tuple[int, int] | None:
    """Walk the RIFF chunks to `data`; return where its samples begin and their length [bytes]."""
    position = 12
    file.seek(position)
    while len(header := file.read(8)) == 8:
        length = int.from_bytes(header[4:], "little")
        position += 8
        if header[:4] == b"data":
            return position, length
        position += length + length % 2
        file.seek(position)
    return None


def _ogg_end(file: BinaryIO, size: int) -> int | None:
    """Return the byte after the last page; one too many where that page breaks off.

    A file that breaks off between two pages looks like one whose writer marks no last page.
    """
    found = _last_page(file, size)
    if found is None:
        return None
    place, page = found
    # byte 26 counts the lengths that follow the header
    if len(page) < 27 or len(page) < 27 + page[26]:
        return size + _SLACK + 1
    end = place + 27 + page[26] + sum(page[27 : 27 + page[26]])
    return size + _SLACK + 1 if end > size else end


def _last_page(file: BinaryIO, size: int) -> tuple[int, bytes] | None:
    """Return where an Ogg file's last page begins, and what there is of it."""
    start = max(0, size - _OGG_PAGE)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"OggS")
    return None if at < 0 else (start + at, tail[at:])


def _mp3_end(file: BinaryIO) -> int | None:
    """Return the byte after what a Xing or Info header promises; None without such a header.

    The header stands at a fixed place of the first frame, which follows the ID3 tag; the word
    `Info` elsewhere means nothing.
    """
    file.seek(0)
    head = file.read(10)
    begin = 0
    if head[:3] == b"ID3" and len(head) == 10:
        length = sum(
            (byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
        begin = 10 + length + (10 if head[5] & 16 else 0)  # a footer is as long as the header
    file.seek(begin)
    frame = file.read(64)
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    newest, mono = frame[1] & 24 == 24, frame[3] >> 6 == 3
    at = 4 + ((17 if mono else 32) if newest else (9 if mono else 17))
    if frame[at : at + 4] not in (b"Xing", b"Info") or not frame[at + 7] & 2:
        return None
    field = at + 12 if frame[at + 7] & 1 else at + 8
    return begin + int.from_bytes(frame[field : field + 4], "big")


class _Repaired(io.RawIOBase):
    """A file with some of its bytes replaced by others, without a change on the disk."""

    def __init__(self, path: Path, at: int, instead: bytes) -> None:
        self._file = path.open("rb")
        self._at = at
        self._instead = instead

    def readinto(self, buffer: Any) -> int:
        """Read the file's bytes, or those that take their place."""
        place = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        begin = max(self._at, place)
        end = min(self._at + len(self._instead), place + len(data))
        if begin < end:
            data[begin - place : end - place] = self._instead[begin - self._at : end - self._at]
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; as files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
