"""Content of the report on singing: rows, settings, counts and losses."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vctool.evaluation.board import Board
from vctool.evaluation.page.journal import read_journal
from vctool.evaluation.page.report import MODEL, Findings, Losses
from vctool.evaluation.page.table import COPY, Scores
from vctool.evaluation.scoring import FEW_RECORDINGS, Outputs, Scoring
from vctool.evaluation.singing.baselines import CODED, DRONE, RANDOM, RESYNTHESIS, SNAP, build
from vctool.evaluation.singing.board import OTHERS, REAL, SingingBoard, SingingTask
from vctool.evaluation.singing.figures import draw_histograms, histograms
from vctool.evaluation.singing.neighbours import FAMILY, TOLD
from vctool.evaluation.vocoders.copies import copy_waves
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig
from vctool.metrics import distribution, notes, pitch
from vctool.metrics.base import Each

SHUFFLED = "model, shuffled"
"""The row of the model under other utterances' accompaniments."""
PUBLISHED = {
    "cycle_singing": 1.17,
    "cycle_speech": 1.32,
    "identity_singing": 2.05,
    "identity_speech": 2.72,
}
"""Training-set losses that VocalCycleGAN's authors logged [dB], at 44.1 kHz and 128 mel bins."""
AGAINST = (COPY, RESYNTHESIS, SNAP, FAMILY, DRONE, RANDOM, SHUFFLED, REAL)
"""Systems that the model is compared with, pair by pair."""
SYSTEMS = {
    COPY: "the speech as it is",
    RESYNTHESIS: "the speech through the recipe's features and vocoder, unconverted",
    SNAP: "the speech with its F0 held on the nearest of the accompaniment's three strongest "
    "pitch classes (of all semitones without one), WORLD: the formula to beat",
    DRONE: "the speech with its F0 on the accompaniment's strongest pitch class throughout: "
    "games the chroma",
    FAMILY: TOLD,
    RANDOM: "a real recording of other words for each source: games the distributions",
    CODED: "those recordings through WORLD's analysis and synthesis: what a vocoder costs",
    SHUFFLED: "the same, but made under other utterances' accompaniments",
    REAL: "held-out recordings of singing, as they are",
    OTHERS: "each held-out singer against the others, the mean: how far somebody who sings is from "
    "these singers",
}
"""What every row of the table but the model's is."""
LOSSES = (
    "Mean distance of the spectral bands in dB of power, both sides floored at the clip's maximum "
    "less the features' top_db; at the last validation. Never ranked: an unconverted copy has 0."
)
"""What the held-out losses are."""


@dataclass(frozen=True, kw_only=True)
class SingingScoring(Scoring):
    """Speech that was turned into singing."""

    task: SingingTask
    outputs: Sequence[np.ndarray]
    """(N,) waves (T,) of the system."""
    model: str
    """What the system is, in a few words."""
    shuffled: Sequence[np.ndarray] | None = None
    """(N,) the same under other utterances' accompaniments."""
    time_maps: Sequence[np.ndarray] | None = None
    """(N,) each (K, 2), moments of speech and of the outputs [s], where these were lengthened."""
    vocoder: tuple[str, FeatureConfig] | None = None
    """The system's own vocoder, for the row of resynthesis; WORLD where not given."""
    untrained: Callable[[Each], list[np.ndarray]] | None = None
    """Makes the waves of the row `knn_vc`, where it stands in the table."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Rows that there are not, each with the reason."""

    real_words = REAL
    drawn = {COPY: "input", MODEL: "output", RESYNTHESIS: "reconstruction"}

    @property
    def real(self) -> Sequence[np.ndarray] | None:
        """The sentences truly sung."""
        return self.task.truths

    @property
    def count(self) -> None:
        """Not known before: whether there is a drone depends on the accompaniments' sound."""

    def board(self, each: Each) -> SingingBoard:
        """Open the board, with real singing measured."""
        return SingingBoard(self.task, each, self.recall)

    def systems(self, each: Each) -> Iterator[Outputs]:
        """Make the baselines; all that sing are lengthened as the outputs are."""
        task = self.task
        resynthesis = None
        if self.vocoder is not None:
            name, features = self.vocoder
            copies = copy_waves(task.sources, name, features, each)
            resynthesis = [one.wave for one in copies]
        made = build(
            task.sources,
            task.rate,
            task.accomps,
            task.real_b,
            time_maps=self.time_maps,
            resynthesis=resynthesis,
            seed=task.seed,
            each=each,
        )
        if self.untrained is not None:
            made[FAMILY] = self.untrained(each)
        made[MODEL] = list(self.outputs)
        if self.shuffled is not None:
            made[SHUFFLED] = list(self.shuffled)
        lengthened = (SNAP, DRONE, FAMILY, MODEL, SHUFFLED)
        for name, waves in made.items():
            maps = self.time_maps if name in lengthened else None
            yield Outputs(name, waves, time_maps=maps)

    def figures(self, board: Board) -> list[Path]:
        """Draw the histograms of notes and intervals."""
        path = self.folder / "plots" / "notes.png"
        draw_histograms(path, board)
        return [path]

    def remarks(self, board: Board) -> dict[str, str]:
        """Say what all measures have in common, and what the plots show."""
        return {
            "F0": f"DIO and StoneMask, {pitch.F0_FLOOR:g}-{pitch.F0_CEIL:g} Hz, every 10 ms at "
            "16 kHz, the same for every system",
            "real singing": "every second held-out recording (half B) against the others (half A)",
            "formulas": "F0 snap, knn_vc and drone are lengthened as the model's outputs are",
            "note lengths, intervals": "histograms in plots/notes.png and results.json: voiced "
            "frames by the length of their segment (50 ms bins), steps between successive notes of "
            f"{notes.MIN_SECONDS * 1000:.0f} ms or more (1 semitone bins)",
        }

    def findings(self, board: Board, scores: Scores, plots: Sequence[Path]) -> Findings:
        """Gather what the report says."""
        known = SYSTEMS | {MODEL: self.model}
        if self.vocoder is None:
            known[RESYNTHESIS] = "the speech through WORLD, unconverted"
        return replace(
            super().findings(board, scores, plots),
            pairing="Real singing is not paired.",
            systems={name: known[name] for name in board.pooled},
            against=AGAINST,
            counts=counts(self.task, board),
            cautions=[*self.cautions, *cautions(self.task, board)],
            not_run=board.not_run | dict(self.absent),
            details={
                "histograms": {name: histograms(board, name) for name in board.rows},
                "histogram_edges": {
                    "lengths_s": notes.LENGTH_EDGES[:-1].tolist(),
                    "intervals_st": notes.INTERVAL_EDGES.tolist(),
                },
            },
        )


def counts(task: SingingTask, board: Board) -> dict[str, int]:
    """Return the amounts of data behind the numbers."""
    windows = {
        f"windows of {name}": sum(len(distribution.windows(one)) for one in analyses)
        for name, analyses in board.analyses.items()
    }
    return {
        "sources": len(task.sources),
        "real singing, half A (reference)": len(task.real_a),
        "real singing, half B": len(task.real_b),
        "windows of the reference": distribution.reference_of(board.row).count,
        "windows of every row that are used": distribution.reference_of(board.row).quota,
        **windows,
    }


def cautions(task: SingingTask, board: Board) -> list[str]:
    """Warn if too little is held out for more than a smoke test."""
    found = []
    fewest = min(len(task.real_a), len(task.real_b))
    if fewest < FEW_RECORDINGS:
        found.append(
            f"the smaller half of the held-out singing has {fewest} recording(s): the intervals of "
            "real singing, and of every gap closed, are narrower than they should be"
        )
    dimension, count = distribution.EVERYTHING.stop, distribution.reference_of(board.row).count
    if count < 2 * dimension:
        found.append(
            f"the reference of the distances is {count} windows of {dimension} "
            "features: its covariance is hardly more than the shrinkage"
        )
    return found


def held_out_losses(recipe: Recipe) -> Losses:
    """Return the cycle and identity losses of the last validation [dB], and the published ones.

    Published values stand beside ours only where the features are the published ones: log-mel of
    44.1 kHz in 128 bins.
    """
    journal = read_journal(recipe.exp / "log" / "metrics.jsonl")
    held = [line for line in journal if line["split"] == "dev"]
    if not held:
        return Losses()
    last = held[-1]
    kinds = plan.system(recipe).learns(plan.model_config(recipe))
    sizes = (recipe.features.rate, recipe.features.n_mels)
    comparable = "mel" in kinds and sizes == (44100, 128)
    losses: dict[str, dict[str, float]] = {}
    for term, value in last.items():
        name = term.split("/")[-1]
        if name in PUBLISHED and not term.startswith("total"):
            losses[name] = {"value": float(value), "step": float(last["step"])}
            if comparable:
                losses[name]["published (training set)"] = PUBLISHED[name]
    return Losses(losses, "dB", LOSSES)
