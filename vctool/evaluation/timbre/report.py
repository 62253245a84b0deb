"""Content of the report on the transfer of timbre: rows, groups, the pitch gate and the ranking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vctool import audio
from vctool.config import build, find, read_yaml
from vctool.evaluation.board import Board
from vctool.evaluation.page.report import MODEL, Findings, with_interval
from vctool.evaluation.page.table import COPY, Layout, Scores, cell, tabulate
from vctool.evaluation.scoring import FEW_RECORDINGS, Outputs, Scoring
from vctool.evaluation.timbre import baselines
from vctool.evaluation.timbre.baselines import REAL, RESYNTHESIS, STYLE, SWAP, SYSTEMS
from vctool.evaluation.timbre.board import GATE, TimbreBoard, TimbreTask, failing, measured
from vctool.evaluation.vocoders.copies import copy_waves
from vctool.features.settings import FeatureConfig
from vctool.markdown import table
from vctool.metrics.base import Each
from vctool.metrics.bootstrap import Pooled

FEATURES = Path("conf/features/16k_timbre.yaml")
"""What the target is resynthesised from, by `VOCODER`."""
VOCODER = "griffin_lim"
SHOWN = ("music_lsd", "timbre_target", "nearer_style", "midi_pitch", "heard_pitch", "midi_onsets")
"""Columns of the tables of single groups."""
RANKED = ("timbre_target", "music_lsd")
"""Measures whose gaps closed decide the order of rows."""


@dataclass(frozen=True, kw_only=True)
class TimbreScoring(Scoring):
    """Recordings that were to sound as others do."""

    task: TimbreTask
    outputs: Sequence[np.ndarray]
    """(N,) waves (T,) of the system."""
    model: str
    """What the system is, in a few words."""
    groups: Sequence[str]
    """(N,) the group that every triplet belongs to, such as `seen, mono`."""
    others: Mapping[str, Sequence[np.ndarray]] = field(default_factory=dict)
    """Waves (N,) of systems that stand in the table besides."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What those are, in a few words each."""

    real_words = "the target"
    drawn = {COPY: "content", STYLE: "style", MODEL: "converted", REAL: "target"}

    @property
    def real(self) -> Sequence[np.ndarray]:
        """The targets."""
        return self.task.targets

    @property
    def count(self) -> int:
        """Baselines, other systems and the model."""
        return len(SYSTEMS) - 1 + len(self.others) + 1

    def board(self, each: Each) -> TimbreBoard:
        """Open the board, with the targets measured."""
        return TimbreBoard(self.task, each, self.recall)

    def systems(self, each: Each) -> Iterator[Outputs]:
        """Make the baselines; the other systems and the model are there."""
        task = self.task
        formulas = baselines.build(task.contents, task.styles, task.rate, self.seed, each)
        for name in formulas:
            yield Outputs(name, formulas[name])
        config = build(FeatureConfig, read_yaml(find(FEATURES)), str(FEATURES))
        own = [audio.resample(wave, task.rate, config.rate) for wave in task.targets]
        made = copy_waves(own, VOCODER, config, each)
        yield Outputs(RESYNTHESIS, [one.wave for one in made], config.rate)
        for name, waves in [*self.others.items(), (MODEL, self.outputs)]:
            yield Outputs(name, waves)

    def remarks(self, board: Board) -> dict[str, str]:
        """Say what the gate is, and how the baselines are made."""
        return {
            "pitch gate": f"a row whose pitch lies more than {GATE:g} above the copy's has lost "
            "the notes; it is marked and in no ranking",
            "anchors": f"window {baselines.WINDOW}, hop {baselines.HOP}; envelopes smoothed by "
            f"{baselines.SMOOTHED_HZ:g} Hz; musaicing with {baselines.ITERATIONS} updates and "
            f"{baselines.POLYPHONY} frames at once; grains of {baselines.GRAIN_SECONDS:g} s",
        }

    def findings(self, board: Board, scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says."""
        known = SYSTEMS | {MODEL: self.model}
        known |= {name: self.told.get(name, "given by the caller") for name in self.others}
        out = failing(scores)
        rows = {
            name: f"**fails the pitch gate (+{out[name]:.3f})**: {known[name]}"
            if name in out
            else known[name]
            for name in board.rows
        }
        found = super().findings(board, scores, plots)
        layout = board.layout
        parts = {
            group: tabulate(
                _part(board.pooled, np.array([one == group for one in self.groups])),
                layout,
                self.resamples,
                self.seed,
            )
            for group in dict.fromkeys(self.groups)
        }
        sections = {"Ranking": ranking(scores, layout)}
        if len(parts) > 1:
            for group, own in parts.items():
                sections[f"{group}, {self.groups.count(group)} triplets"] = of_group(own, layout)
        return replace(
            found,
            systems=rows,
            against=[name for name in rows if name != MODEL],
            counts={"triplets": len(self.outputs), "groups": len(parts)},
            cautions=[*self.cautions, *self._cautions(scores)],
            notes=[*self.notes, *gate_notes(scores)],
            sections=sections,
            details={
                "pitch_gate": {"most_above_copy": GATE, "measured": measured(scores), "fails": out},
                "groups": {
                    group: {
                        measure: {
                            name: {"value": one.value, "low": one.low, "high": one.high}
                            for name, one in row.items()
                            if np.isfinite([one.value, one.low, one.high]).all()
                        }
                        for measure, row in own.items()
                    }
                    for group, own in parts.items()
                },
            },
            intervals=True,
        )

    def _cautions(self, scores: Scores) -> list[str]:
        few = len(self.outputs)
        told = []
        if few < FEW_RECORDINGS:
            told.append(
                f"{few} triplets are scored: the intervals are narrower than they should be"
            )
        return told


def ranking(scores: Scores, layout: Layout) -> list[str]:
    """Order rows by the mean of the gaps closed; rows that fail the gate stand below, unranked."""
    if not measured(scores):
        return ["No ranking: without the notes heard, nothing tells whether a row kept them."]
    out = failing(scores)
    gaps = {
        name: float(np.mean([scores[measure][name].gap for measure in RANKED if measure in scores]))
        for name in scores["timbre_target"]
        if name not in (COPY, layout.real)
    }
    able = sorted((name for name in gaps if name not in out), key=lambda name: -gaps[name])
    rows = [[f"{place}", name, f"{gaps[name]:.2f}"] for place, name in enumerate(able, 1)]
    rows += [["-", f"{name} (fails the pitch gate)", "-"] for name in gaps if name in out]
    return [
        "By the mean of the gaps closed in timbre and LSD, of rows that pass the pitch gate.",
        "",
        *table(["rank", "system", "gap closed"], rows),
    ]


def of_group(scores: Scores, layout: Layout) -> list[str]:
    """Lay out one group: values, the gap closed in timbre, and the differences from the swap."""
    columns = [name for name in SHOWN if name in scores]
    out = failing(scores)
    rows = []
    for name in scores["timbre_target"]:
        values = [cell(scores[one][name].value) if name in scores[one] else "-" for one in columns]
        gap = scores["timbre_target"][name]
        less = [
            with_interval(*scores[one][name].versus[SWAP])
            if SWAP in scores[one][name].versus
            else "-"
            for one in RANKED
            if one in scores
        ]
        mark = " (fails the pitch gate)" if name in out else ""
        rows.append(
            [
                f"{name}{mark}",
                *values,
                with_interval(gap.gap, gap.gap_low, gap.gap_high, 2),
                *less,
            ]
        )
    titles = [layout.measures[name].title for name in columns]
    less = [f"{layout.measures[name].title} less {SWAP}" for name in RANKED if name in scores]
    return table(["system", *titles, "timbre gap closed", *less], rows)


def _part(
    pooled: Mapping[str, Mapping[str, Pooled]], kept: np.ndarray
) -> dict[str, dict[str, Pooled]]:
    """Keep the utterances of one group."""
    return {
        system: {name: replace(one, sums=one.sums[kept]) for name, one in own.items()}
        for system, own in pooled.items()
    }


def gate_notes(scores: Scores) -> list[str]:
    """Say that the model fails the pitch gate, or that nothing was there to take it by."""
    out = failing(scores)
    if not measured(scores):
        return ["The pitch gate was not taken: basic-pitch is not installed, so no row is ranked"]
    if MODEL in out:
        return [
            f"The model fails the pitch gate: its notes are {out[MODEL]:.3f} further from the "
            f"right ones than the content's own, and {GATE:g} is allowed. Its LSD and timbre do "
            "not count"
        ]
    return []
