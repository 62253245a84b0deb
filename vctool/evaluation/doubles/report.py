"""Content of the report on doubles: rows, norms and warnings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.doubles.baselines import BASELINES
from vctool.evaluation.doubles.board import LEAD, DoublesBoard
from vctool.evaluation.page.report import MODEL, Findings
from vctool.evaluation.page.table import COPY, Scores
from vctool.evaluation.scoring import FEW_RECORDINGS, Outputs, Scoring
from vctool.evaluation.vocoders.copies import copy_waves
from vctool.features.settings import FeatureConfig
from vctool.metrics.base import Each
from vctool.metrics.take_distance import NORMS, PASSES, PASSES_DB, passes

SECOND = "second take"
"""The row of real second takes."""
RESYNTHESIS = "resynthesis"
"""The row of the leads through WORLD: how natural an unmoved resynthesis is."""
TOLD = {
    LEAD: "the leads themselves",
    SECOND: "real second takes of the same singers, moved by the whole lag at which their levels "
    "are most alike",
    COPY: "the leads beside themselves",
    "delay": "the leads 20 ms late",
    "chorus": "the leads 20 ms late, moved by 3 ms at 0.8 Hz",
    "tape double": "artificial double tracking: 30 ms late, moved as unevenly as a tape runs",
    "detune": "the leads 9 cents up, 18 ms late, by a harmoniser",
    RESYNTHESIS: "the leads through WORLD, nothing moved",
}
"""What every row is."""


@dataclass(frozen=True, kw_only=True)
class DoublesScoring(Scoring):
    """Takes beside their leads, and what is used in place of takes."""

    leads: Sequence[np.ndarray]
    """(N,) each (T,), at the rate of the features."""
    takes: Sequence[np.ndarray]
    """(N,) as long as the leads."""
    second: Sequence[np.ndarray] | None
    """(N,) real second takes, as long as the leads and beside them."""
    features: FeatureConfig
    """What the resynthesis reads; its rate is that of all waves."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What the takes are."""

    real_words = "a real second take"
    real_leads = True

    @property
    def real(self) -> Sequence[np.ndarray]:
        """The leads."""
        return self.leads

    @property
    def count(self) -> int:
        """All rows but the leads'."""
        return len(BASELINES) + 3 + (self.second is not None)

    def board(self, each: Each) -> DoublesBoard:
        """Open the board."""
        return DoublesBoard(self.leads, self.features.rate, each, self.recall)

    def systems(self, each: Each) -> Iterator[Outputs]:
        """Yield real second takes, what stands for them, and the takes that are scored."""
        if self.second is not None:
            yield Outputs(SECOND, self.second)
        yield Outputs(COPY, self.leads)
        for name, make in BASELINES.items():
            yield Outputs(name, [make(lead, self.features.rate) for lead in self.leads])
        made = copy_waves(self.leads, "world", self.features, each)
        yield Outputs(RESYNTHESIS, [one.wave for one in made])
        yield Outputs(MODEL, self.takes)

    def findings(self, board: Board, scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says."""
        rows = {name: TOLD[name] for name in board.rows if name in TOLD} | dict(self.told)
        measures = board.measures
        norms = [
            f"{measures[name].title}: {norm.median:.3g} ({norm.low:.3g} to {norm.high:.3g}) "
            f"{measures[name].unit}".rstrip()
            for name, norm in NORMS.items()
        ]
        return replace(
            super().findings(board, scores, plots),
            systems=rows,
            against=[row for row in rows if row not in (MODEL, LEAD)],
            counts={"leads": len(self.leads)},
            cautions=[*self.cautions, *few_leads(self.leads)],
            intervals=True,
            baseline=MODEL,
            sections={
                "What may stand for a second take": _verdicts(scores),
                "What second takes measure": [
                    "Median and quartiles of six singers, from which the distance is measured:",
                    "",
                    *[f"- {norm}" for norm in norms],
                ],
            },
        )


def _verdicts(scores: Scores) -> list[str]:
    """Say of every row whether it may stand for second takes."""
    low, high = PASSES_DB
    found = [
        f"Distance at most {PASSES:g}, and a sum of {low:g} to {high:g} dB:",
        "",
    ]
    for row, distance in scores["take_distance"].items():
        total = scores["take_sum"][row]
        told = "passes" if passes(distance.value, total.value) else "fails"
        found.append(f"- {row}: {told}, distance {distance.value:.2f}, sum {total.value:.2f} dB")
    return found


def few_leads(leads: Sequence[np.ndarray]) -> list[str]:
    """Warn if there are too few leads for more than a smoke test."""
    if len(leads) >= FEW_RECORDINGS:
        return []
    return [f"{len(leads)} leads are scored: the intervals are narrower than they should be"]
