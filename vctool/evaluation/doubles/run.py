"""Scores of takes beside their leads, for `vctool evaluate TAKES --task doubles`.

OUT/RESULTS.md  results.json  utterances.tsv  report.html  plots/
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vctool.config import build, find, read_yaml
from vctool.errors import ConfigError, DataError
from vctool.evaluation.board import JUDGED, markdown
from vctool.evaluation.doubles.report import DoublesScoring, few_leads
from vctool.evaluation.folders import RESAMPLES, SEED, owners, plain_names, read, recordings
from vctool.evaluation.outputs import digest
from vctool.evaluation.page.report import MODEL
from vctool.evaluation.parallel import workers
from vctool.evaluation.scoring import score
from vctool.experiment.recipe import Recipe
from vctool.features.settings import FeatureConfig
from vctool.metrics.pitch import HOP
from vctool.metrics.take_movement import levels

FEATURES = Path("conf/features/16k_mel128.yaml")
"""What the resynthesis reads."""
LONGEST_OFF = 0.5
"""A take may be longer or shorter than its lead by this [s]: what is left of its last word."""
QUIETEST_DB = 40.0
"""Levels are compared down to this below the loudest [dB]."""


def run(recipe: Recipe, nj: int = 1) -> None:
    """Refuse: no recipe makes doubles.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"{recipe.name}: evaluate.task doubles scores folders of takes, not experiments; see "
        "vctool evaluate TAKES --task doubles --reference LEADS"
    )


def run_folder(
    converted: Path,
    out: Path,
    nj: int = 1,
    *,
    reference: Path,
    second_takes: Path | None = None,
) -> str:
    """Score takes that anything made of leads.

    Args:
        converted: the takes, each called like its lead.
        out: folder that gets the results.
        nj: processes.
        reference: the leads.
        second_takes: real second takes, each called like its lead.

    Returns:
        The table, with what must be known of it.

    Raises:
        DataError: too few recordings, silent ones, or a take is not as long as its lead.
        AudioError: a recording cannot be used.
    """
    config = build(FeatureConfig, read_yaml(find(FEATURES)), str(FEATURES))
    others = tuple(one for one in (out, converted, reference, second_takes) if one is not None)
    made = recordings(converted, "takes", others)
    true = recordings(reference, "leads", others)
    notes: list[str] = []
    owner = owners(converted, list(made), reference, list(true), "lead", notes)
    real: Mapping[str, Path] = {}
    lead_of: Mapping[str, str] = {}
    if second_takes is not None:
        real = recordings(second_takes, "second takes", others)
        lead_of = owners(second_takes, list(real), reference, list(true), "lead", notes)
        known = set(lead_of.values())
        if lost := len([lead for lead in owner.values() if lead not in known]):
            notes.append(f"{lost} take(s) whose lead has no second take are left out")
        owner = {name: lead for name, lead in owner.items() if lead in known}
        if len(owner) < 2:
            raise DataError(f"{second_takes}: holds second takes of {len(owner)} lead(s); 2 needed")
    leads = read([true[lead] for lead in owner.values()], config.rate)
    takes = []
    for name, lead, wave in zip(owner, leads, read([made[one] for one in owner]), strict=True):
        if not np.any(lead):
            raise DataError(f"{true[owner[name]]}: silent; leave it out")
        if abs(len(wave) - len(lead)) > LONGEST_OFF * config.rate:
            raise DataError(
                f"{made[name]}: {len(wave) / config.rate:.2f} s long, its lead {true[owner[name]]} "
                f"{len(lead) / config.rate:.2f} s; cut or pad it, so that both begin together"
            )
        takes.append(_beside(wave, 0, len(lead)))
    second = None
    if second_takes is not None:
        of_lead = {lead: real[name] for name, lead in lead_of.items()}
        waves = read([of_lead[lead] for lead in owner.values()], config.rate)
        second = [
            _beside(wave, lag(lead, wave), len(lead))
            for lead, wave in zip(leads, waves, strict=True)
        ]
    names = plain_names(list(owner.values()))
    job = DoublesScoring(
        folder=out,
        name=str(converted),
        utterances=names,
        config_hash=digest([config.model_dump(mode="json"), SEED, RESAMPLES], ()),
        data_hash=digest(names, [*leads, *(second or [])]),
        seed=SEED,
        resamples=RESAMPLES,
        notes=notes,
        cache=out / JUDGED,
        leads=leads,
        takes=takes,
        second=second,
        features=config,
        told={MODEL: f"the takes in {converted}"},
    )
    with workers(nj) as each:
        scored = score(job, each)
    return "\n".join([markdown(scored.findings.scores), *notes, *few_leads(leads)])


def lag(lead: np.ndarray, take: np.ndarray) -> int:
    """Find how many samples later a take is to sound so that its levels are most like the lead's.

    Args:
        lead: (T,) at the scoring rate.
        take: (T',).

    Returns:
        A multiple of 10 ms; negative where the take is to sound earlier.
    """
    one, other = (levels(wave) for wave in (lead, take))
    one, other = (np.maximum(level - level.max() + QUIETEST_DB, 0.0) for level in (one, other))
    return int(np.argmax(np.correlate(one, other, "full")) - (len(other) - 1)) * HOP


def _beside(wave: np.ndarray, late: int, samples: int) -> np.ndarray:
    """Move a wave (T,) later by some samples, and cut or pad it: (samples,)."""
    moved = np.pad(wave, (max(late, 0), 0))[max(-late, 0) :][:samples]
    return np.pad(moved, (0, samples - len(moved)))
