"""Content of the report on vocoders: rows, counts and warnings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.data.utterance import Utterance
from vctool.evaluation.board import Board
from vctool.evaluation.page.report import Findings
from vctool.evaluation.page.table import Scores
from vctool.evaluation.scoring import FEW_RECORDINGS, Outputs, Scoring
from vctool.evaluation.vocoders.board import REAL, VocoderBoard
from vctool.evaluation.vocoders.copies import copy_waves, features_for, load
from vctool.features.settings import FeatureConfig
from vctool.metrics.base import Each

BASELINE = "griffin_lim"
"""The vocoder that the others are compared with, where it is among them: it needs no training."""
BASELINES = (BASELINE, "world")
"""Vocoders beside which a trained one stands."""


@dataclass(frozen=True, kw_only=True)
class VocoderScoring(Scoring):
    """Recordings through vocoders.

    A vocoder that has weights reads the features that these were trained on, the others those that
    are asked for. Creating this checks that all of them are available.

    Raises:
        ConfigError, CheckpointError: a vocoder cannot be had.
    """

    recordings: Sequence[Utterance]
    waves: Sequence[np.ndarray]
    """(N,) their sound (T,), at the rate of the features."""
    rows: Mapping[str, str]
    """Vocoders, names or paths, by their rows of the table."""
    features: FeatureConfig
    """What vocoders without weights read."""
    given: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    """(N,) waves that stand for what the vocoder of a row makes, at the rate of its features; or of
    rows that no vocoder here can make, at that of the recordings."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What these latter are, in a few words each."""

    real_words = "the recording"
    real_leads = True

    def __post_init__(self) -> None:
        assert len(self.configs) == len(self.rows)  # made now: before the work

    @cached_property
    def configs(self) -> dict[str, FeatureConfig]:
        """What the vocoder of every row reads."""
        return {row: features_for(name, self.features) for row, name in self.rows.items()}

    @property
    def real(self) -> Sequence[np.ndarray]:
        """The recordings."""
        return self.waves

    @property
    def count(self) -> int:
        """All rows but the recordings'."""
        return len({*self.rows, *self.given})

    def board(self, each: Each) -> VocoderBoard:
        """Open the board, with the recordings measured."""
        known = [one.text for one in self.recordings if one.text is not None]
        texts = known if len(known) == len(self.recordings) else None
        return VocoderBoard(self.waves, self.features.rate, each, self.recall, texts)

    def systems(self, each: Each) -> Iterator[Outputs]:
        """Send the recordings through every vocoder; one whose waves are given is only timed."""
        for row, name in self.rows.items():
            config = self.configs[row]
            same = config.rate == self.features.rate
            own = self.waves if same else load(self.recordings, config.rate)
            made = copy_waves(own, name, config, each)
            waves = self.given.get(row, [one.wave for one in made])
            if row not in self.given:
                self._write(row, waves, config.rate)
            yield Outputs(row, waves, config.rate, np.array([one.seconds for one in made]))
        for row, waves in self.given.items():
            if row not in self.rows:
                yield Outputs(row, waves)

    def _write(self, row: str, waves: Sequence[np.ndarray], rate: int) -> None:
        """Write what a vocoder made, to be listened to."""
        folder = self.folder / "wav" / re.sub(r"[^\w.+-]+", "_", row).strip("_")
        for one, wave in zip(self.recordings, waves, strict=True):
            audio.write(folder / f"{one.id}.wav", np.clip(wave, -1.0, 1.0), rate)

    def findings(self, board: Board, scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says."""
        rows = {REAL: "the recordings themselves"}
        rows |= {row: _describe(name, self.configs[row]) for row, name in self.rows.items()}
        rows |= self.told
        baseline = BASELINE if BASELINE in self.rows else next(iter(self.rows))
        speakers = {one.speaker for one in self.recordings} - {""}
        return replace(
            super().findings(board, scores, plots),
            systems=rows,
            against=[row for row in rows if row != baseline],
            counts={"recordings": len(self.recordings), "speakers": len(speakers)},
            cautions=[*self.cautions, *few_recordings(self.recordings)],
            intervals=True,
            baseline=baseline,
        )


def few_recordings(recordings: Sequence[Utterance]) -> list[str]:
    """Warn if there are too few recordings for more than a smoke test."""
    if len(recordings) >= FEW_RECORDINGS:
        return []
    return [
        f"{len(recordings)} recordings are scored: the intervals are narrower than they should be"
    ]


def _describe(name: str, config: FeatureConfig) -> str:
    """Say which features a vocoder was given."""
    return (
        f"{name}, from features at {config.rate} Hz, hop {config.hop_length}, {config.n_mels} mel "
        f"bins of FFT {config.n_fft}"
    )
