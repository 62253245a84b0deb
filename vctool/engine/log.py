"""Logs of a training: the progress line, `metrics.jsonl`, TensorBoard and MLflow's store."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from vctool.engine.mlflow_store import MlflowStore
from vctool.engine.settings import TrainConfig
from vctool.progress import duration

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Averages:
    """Means of named scalars, kept on the device until they are read."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one value to each name's mean."""
        for name, value in values.items():
            one = value.detach().float()
            self._sums[name] = self._sums[name] + one if name in self._sums else one
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the means and reset."""
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means


class Journal:
    """Writer of scalars over steps, to `log/metrics.jsonl` and TensorBoard.

    One JSON object a line: `step`, `split` (`train` or `dev`), then `group/term` values, and
    `total/group`, `grad_norm/group`, `learning_rate/group`.

    Args:
        out: the experiment's folder.
        config: where else scalars go (`tracking`), and what a store says that the settings were.
    """

    def __init__(self, out: Path, config: TrainConfig) -> None:
        self._store: MlflowStore | None = None
        if config.tracking == "mlflow":
            settings = config.model_dump(mode="json", by_alias=True)
            self._store = MlflowStore(out / "mlruns", out.name, settings)
        self._path = out / "log" / "metrics.jsonl"
        self._tensorboard = out / "tensorboard"
        self._writer: SummaryWriter | None = None

    def rewind(self, step: int) -> None:
        """Delete the lines of later steps, which are about to be trained again."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in self._lines() if _step_of(line) <= step]
        beside = self._path.with_name(f".{self._path.name}-{os.getpid()}")
        beside.write_text("".join(kept), encoding="utf-8")
        os.replace(beside, self._path)
        # imported here: it takes seconds, and only the process that writes needs it
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._tensorboard), purge_step=step + 1)
        if self._store is not None:
            self._store.rewind(step)

    def write(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Append one line and the same points for TensorBoard."""
        assert self._writer is not None, "rewind() opens the journal"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "split": split, **values}) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)
        self._writer.flush()
        if self._store is not None:
            self._store.write(step, split, values)

    def close(self) -> None:
        """Close TensorBoard's file, and mark MLflow's run as finished."""
        if self._writer is not None:
            if self._store is not None:
                self._store.close()
            self._writer.close()
            self._writer = None

    def _lines(self) -> list[str]:
        if not self._path.is_file():
            return []
        return self._path.read_text(encoding="utf-8").splitlines(keepends=True)


def _step_of(line: str) -> float:
    """Return the step of a line; an incomplete one, of a killed process, counts as last."""
    try:
        return float(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except ValueError:
        return float("inf")


def progress_line(
    step: int, steps: int, totals: Mapping[str, float], seconds_per_step: float
) -> str:
    """Return the progress line.

    Args:
        step: steps done.
        steps: steps to do in all.
        totals: weighted loss by group; none where they are not known yet.
        seconds_per_step: time of one step [s].

    >>> progress_line(1200, 20000, {"generator": 1.234, "discriminator": 0.45}, 0.038)
    'step 1200/20000  G 1.23  D 0.45  38 ms/step  eta 11m54s'
    >>> progress_line(1, 3000, {}, 6.4)
    'step 1/3000  6.4 s/step  eta 5h19m'
    """
    short = _abbreviate(list(totals))
    losses = [f"{short[group]} {value:.3g}" for group, value in totals.items()]
    time = seconds_per_step
    pace = f"{time:.3g} s/step" if time >= 1 else f"{1000 * time:.3g} ms/step"
    left = duration((steps - step) * seconds_per_step)
    return "  ".join([f"step {step}/{steps}", *losses, pace, f"eta {left}"])


def _abbreviate(groups: list[str]) -> dict[str, str]:
    """Shorten group names to initials (`discriminator_speech` to `DS`), unless two would clash."""
    short = {group: "".join(word[0] for word in group.split("_") if word) for group in groups}
    if len(set(short.values())) < len(groups):
        return {group: group for group in groups}
    return {group: initials.upper() for group, initials in short.items()}
