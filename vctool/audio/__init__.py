"""Audio input and output: files of any format, waves of any length, and loudness."""

from vctool.audio.decoding import LARGEST, RATES
from vctool.audio.files import (
    END_SLACK,
    SUFFIXES,
    UNREAD,
    AudioInfo,
    info,
    list_audio,
    measure,
    read,
    read_blocks,
)
from vctool.audio.loudness import SILENCE_DB, LevelMeter, level_db, match_level, rms_db
from vctool.audio.resampling import resample, resampled_length
from vctool.audio.wav_writer import AudioWriter, write

__all__ = [
    "END_SLACK",
    "LARGEST",
    "RATES",
    "SILENCE_DB",
    "SUFFIXES",
    "UNREAD",
    "AudioInfo",
    "AudioWriter",
    "LevelMeter",
    "info",
    "level_db",
    "list_audio",
    "match_level",
    "measure",
    "read",
    "read_blocks",
    "resample",
    "resampled_length",
    "rms_db",
    "write",
]
