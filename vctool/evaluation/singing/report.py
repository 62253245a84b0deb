"""What is said of a singing recipe's scores: its rows, settings, counts and losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vctool.evaluation.page.journal import read_journal
from vctool.evaluation.page.report import Findings, Losses, config_hash
from vctool.evaluation.page.table import Scores
from vctool.evaluation.singing.board import REAL, SingingBoard
from vctool.evaluation.singing.figures import histograms
from vctool.experiment import plan
from vctool.experiment.recipe import Recipe
from vctool.metrics import distribution, notes, pitch

PUBLISHED = {
    "cycle_singing": 1.17,
    "cycle_speech": 1.32,
    "identity_singing": 2.05,
    "identity_speech": 2.72,
}
"""Training-set losses that VocalCycleGAN's authors logged [dB], at 44.1 kHz and 128 mel bins."""
AGAINST = ("copy", "resynthesis", "F0 snap", "drone", "random singing", "model, shuffled", REAL)
"""Systems that the model is compared with, pair by pair."""
SYSTEMS = {
    "copy": "the speech as it is",
    "resynthesis": "the speech through the recipe's features and vocoder, unconverted",
    "F0 snap": "the speech with its F0 held on the nearest of the accompaniment's three strongest "
    "pitch classes (of all semitones without one), WORLD: the formula to beat",
    "drone": "the speech with its F0 on the accompaniment's strongest pitch class throughout: "
    "games the chroma",
    "random singing": "a real recording of other words for each source: games the distributions",
    "model": "the system of this experiment",
    "model, shuffled": "the same, but made under other utterances' accompaniments",
    REAL: "held-out recordings of singing, as they are",
}
"""What every row of the table is."""
LOSSES = (
    "Mean distance of the spectral bands in dB of power, both sides floored at the clip's maximum "
    "less the features' top_db; at the last validation. Never ranked: an unconverted copy has 0."
)
"""What the held-out losses are."""
FEW_RECORDINGS = 8
"""With fewer recordings of real singing in either half, its intervals mean little."""


def findings(
    recipe: Recipe,
    board: SingingBoard,
    scores: Scores,
    not_run: Mapping[str, str],
    plots: Sequence[Path],
    data_digest: str,
) -> Findings:
    """Gather everything that the report of a singing recipe says."""
    losses = held_out_losses(recipe)
    return Findings(
        folder=recipe.exp,
        name=recipe.name,
        scores=scores,
        layout=board.layout,
        real_words=REAL,
        pairing="Real singing is not paired.",
        systems={name: SYSTEMS[name] for name in board.analyses},
        against=AGAINST,
        config_hash=config_hash(recipe),
        data_hash=data_digest,
        seed=recipe.train.seed,
        counts=counts(board),
        cautions=cautions(board),
        settings=settings(recipe, board),
        losses=Losses(losses, "dB", LOSSES),
        not_run=not_run,
        plots=plots,
        details={
            "histograms": {name: histograms(board, name) for name in board.analyses},
            "histogram_edges": {
                "lengths_s": notes.LENGTH_EDGES[:-1].tolist(),
                "intervals_st": notes.INTERVAL_EDGES.tolist(),
            },
        },
    )


def counts(board: SingingBoard) -> dict[str, int]:
    """Say on how much the numbers rest."""
    windows = {
        f"windows of {name}": sum(len(distribution.windows(one)) for one in analyses)
        for name, analyses in board.analyses.items()
    }
    return {
        "sources": len(board.task.sources),
        "real singing, half A (reference)": len(board.task.real_a),
        "real singing, half B": len(board.task.real_b),
        "windows of the reference": distribution.reference_of(board.row).count,
        **windows,
    }


def cautions(board: SingingBoard) -> list[str]:
    """Say where there is too little held out for the numbers to be more than a smoke test."""
    found = []
    fewest = min(len(board.task.real_a), len(board.task.real_b))
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


def settings(recipe: Recipe, board: SingingBoard) -> dict[str, str]:
    """Spell out how every measure is taken, and the baselines and intervals."""
    return board.settings() | {
        "F0": f"DIO and StoneMask, {pitch.F0_FLOOR:g}-{pitch.F0_CEIL:g} Hz, every 10 ms at 16 kHz, "
        "the same for every system",
        "real singing": "every second held-out recording (half B) against the others (half A)",
        "formulas": "F0 snap and drone are lengthened as the model's outputs are",
        "note lengths, intervals": "histograms in plots/notes.png and results.json: voiced frames "
        "by the length of their segment (50 ms bins), steps between successive notes of "
        f"{notes.MIN_SECONDS * 1000:.0f} ms or more (1 semitone bins)",
        "95 % intervals": f"percentile bootstrap over utterances, {recipe.evaluate.bootstrap} "
        "resamples, centred on the value; systems share their draws, real singing is drawn apart",
    }


def held_out_losses(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return the cycle and identity losses of the last validation [dB], and the published ones.

    Published values stand beside ours only where the features are the published ones: log-mel of
    44.1 kHz in 128 bins.
    """
    journal = read_journal(recipe.exp / "log" / "metrics.jsonl")
    held = [line for line in journal if line["split"] == "dev"]
    if not held:
        return {}
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
    return losses
