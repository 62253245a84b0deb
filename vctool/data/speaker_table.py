"""The F0 statistics of a split's voices: one entry per speaker and domain, in one JSON file.

A speaker who both speaks and sings has two entries, since the two have different ranges.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from vctool.config import Config
from vctool.data.atomic import write_text
from vctool.errors import DataError
from vctool.features.stats import SpeakerStats, pool


class Voice(Config):
    """One speaker in one domain."""

    speaker: str
    """Who."""
    domain: str
    """`speech`, `singing` or an instrument."""
    stats: SpeakerStats
    """How high."""


class SpeakerTable(Config):
    """The voices of a split that have at least one voiced frame."""

    voices: tuple[Voice, ...] = ()
    """Sorted by speaker and domain."""

    def of(self, speaker: str, domain: str) -> SpeakerStats | None:
        """Return the statistics of a speaker in a domain, or None where there are none."""
        for voice in self.voices:
            if (voice.speaker, voice.domain) == (speaker, domain):
                return voice.stats
        return None

    def restricted(self, speakers: Iterable[str], domains: Iterable[str]) -> "SpeakerTable":
        """Keep the voices whose speaker and domain are named."""
        kept_speakers, kept_domains = set(speakers), set(domains)
        kept = (v for v in self.voices if v.speaker in kept_speakers and v.domain in kept_domains)
        return SpeakerTable(voices=tuple(kept))

    @property
    def speakers(self) -> dict[str, SpeakerStats]:
        """Statistics of every speaker over all their domains."""
        names = sorted({voice.speaker for voice in self.voices}, key=str.encode)
        return {name: pool([v.stats for v in self.voices if v.speaker == name]) for name in names}

    @property
    def domains(self) -> dict[str, SpeakerStats]:
        """Statistics of every domain over all its speakers."""
        names = sorted({voice.domain for voice in self.voices}, key=str.encode)
        return {name: pool([v.stats for v in self.voices if v.domain == name]) for name in names}

    @classmethod
    def read(cls, path: Path) -> "SpeakerTable":
        """Read a table.

        Raises:
            DataError: it is missing or not such a table.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"{path}: no F0 statistics; run stage 2 (features)") from None
        except (ValidationError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: not F0 statistics: {reason}; rerun stage 2") from None

    def write(self, path: Path) -> None:
        """Write the table atomically."""
        write_text(path, json.dumps(self.model_dump(), indent=2, sort_keys=True) + "\n")
