"""Whether an audio file is all there, by what its container promises.

libsndfile takes what there is of a WAV, Ogg or MP3 file that breaks off, and says nothing.
"""

from pathlib import Path
from typing import BinaryIO

from vctool.errors import AudioError

_OGG_PAGE = 27 + 255 + 255 * 255  # the longest page: header, lengths, content
_SLACK = 64  # bytes by which writers are known to misstate a length
_UNKNOWN = 0x7FFFF000  # WAV lengths from here on mean "until the end", from streaming writers


def refuse_truncated(path: Path) -> None:
    """Compare what a file's container promises with its size.

    WAV states the length of its data, Ogg marks its last page, MP3 with a Xing header states its
    bytes. FLAC and the rest are told by decoding.

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
            promised = _mp3_end(head + file.read(1 << 16))
    if promised is not None and promised > size + _SLACK:
        raise AudioError(f"{path}: truncated: it breaks off after {size} bytes; copy it again")


def _wav_data_end(file: BinaryIO) -> int | None:
    """Walk the RIFF chunks to `data`; return the byte after it, or None where it is unknown."""
    position = 12
    while len(header := file.read(8)) == 8:
        length = int.from_bytes(header[4:], "little")
        position += 8
        if header[:4] == b"data":
            return None if length >= _UNKNOWN else position + length
        position += length + length % 2
        file.seek(position)
    return None


def _ogg_end(file: BinaryIO, size: int) -> int | None:
    """Return the byte after the last page; one too many where that is not the stream's last."""
    start = max(0, size - _OGG_PAGE)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0:
        return None
    page = tail[at:]
    # bit 2 of the flags marks the last page; byte 26 counts the lengths that follow the header
    if len(page) < 27 or not page[5] & 4 or len(page) < 27 + page[26]:
        return size + _SLACK + 1
    return start + at + 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mp3_end(head: bytes) -> int | None:
    """Return the number of bytes that a Xing header promises; None without such a header."""
    at = max(head.find(b"Xing"), head.find(b"Info"))
    if at < 0 or len(head) < at + 16 or not head[at + 7] & 2:
        return None
    field = at + 12 if head[at + 7] & 1 else at + 8
    return int.from_bytes(head[field : field + 4], "big")
