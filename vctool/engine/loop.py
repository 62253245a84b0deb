"""The training loop of all families: step, validate, save, resume, recover."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vctool.engine import checkpoint, distributed, manifest, resuming
from vctool.engine.averaging import Average
from vctool.engine.distributed import Flags, Processes, any_process, broadcast
from vctool.engine.interrupt import Interrupt
from vctool.engine.log import Averages, Journal, progress_line
from vctool.engine.optim import GroupOptimizers
from vctool.engine.prefetch import Prefetcher, to_device
from vctool.engine.settings import TrainConfig
from vctool.engine.step import (
    SETUP,
    VALIDATION,
    QueuedStep,
    evaluate_objectives,
    failure,
    score,
    seed_step,
    train_step,
    undisturbed,
)
from vctool.errors import TrainingError
from vctool.models.base import Dataset, System
from vctool.processes import mean_over_processes
from vctool.progress import PACE_SECONDS, busy

logger = logging.getLogger(__name__)

Sample = Callable[[System, int], None]
"""Writes conversions of held-out recordings at a step; called in eval mode."""


class Trainer:
    """Trains one system to its number of steps, or resumes it.

    Batches, weights and noise are functions of (seed, step), so a run that was stopped and
    resumed ends with the weights of an uninterrupted one, bit for bit on a CPU with the same
    number of threads.
    """

    def __init__(
        self,
        system: System,
        data: Dataset | None,
        valid: Dataset | None,
        config: TrainConfig,
        out: Path,
        *,
        family: str,
        recipe: Mapping[str, Any] | None = None,
        recordings: Mapping[str, Mapping[str, Any]] | None = None,
        processes: Processes | None = None,
        sample: Sample | None = None,
        fitted: bool = False,
    ) -> None:
        """Prepare to train; nothing is read or written before `run`.

        Args:
            system: freshly built, the same in all processes up to its random weights.
            data: training batches; with a method `setup_batch()` where `setup` needs another
                batch than the first. None only for a system with neither training nor setup.
            valid: held-out batches, of which the first `validate_batches` are used.
            config: the training settings.
            out: the experiment's folder; checkpoints, logs and TensorBoard go below it.
            family: name of the system's folder below `vctool/models/`.
            recipe: the resolved recipe as plain values, to store in checkpoints.
            recordings: of each role, how many `utterances` are trained on and a digest of their
                `content`, to store likewise.
            processes: which process this is and its device; default: a single process on the CPU.
            sample: writes conversions of held-out recordings, after each validation.
            fitted: whether the system is set up already, as with pretrained weights.

        Raises:
            TrainingError: the batch cannot be shared evenly by the processes.
            ConfigError: settings for a group that the system does not have.
        """
        self.processes = processes or Processes()
        distributed.require_equal_shares(config.batch_size, self.processes.size)
        self.system = system.to(self.processes.device)
        self.data, self.valid, self.sample = data, valid, sample
        self.fitted = fitted
        self.config, self.out = config, out
        self.family, self.recipe = family, dict(recipe or {})
        self.recordings = dict(recordings or {})
        self.optimizers = GroupOptimizers(self.system, config)
        self.average = Average(self.system, config.average)
        self.steps = config.steps if self.optimizers.parameters else 0
        """The last step; 0 for a system without training."""
        assert data is not None or not self.steps, f"{family}: learns without batches"
        self.checkpoints = out / "checkpoints"
        self._journal = Journal(out, config)
        self._progress: dict[str, Any] = {"scale": 1.0, "rollbacks": 0, "seconds": 0.0}
        self._score: float | None = None

    def run(self, fresh: bool = False) -> Path:
        """Train to the last step, resuming from the latest checkpoint if there is one.

        A system without training is set up and saved, as step 0.

        Args:
            fresh: delete the experiment's checkpoints and start over.

        Returns:
            The folder of the last checkpoint.

        Raises:
            CheckpointError: the latest checkpoint has other settings (the message lists them), or
                there is no room for the next one.
            TrainingError: losses stay non-finite after `retries` rollbacks.
            KeyboardInterrupt: Ctrl-C, after the state was saved.
        """
        step = self._begin(fresh)
        if self.processes.writes:
            manifest.choose(self.checkpoints, self.config.converts)
        try:
            if step < self.steps:
                self._train(step)
        finally:
            self._journal.close()
        found = manifest.latest(self.checkpoints)
        assert found is not None, f"{self.checkpoints}: the loop ended without a checkpoint"
        return found

    def _begin(self, fresh: bool) -> int:
        """Load the latest checkpoint, or set up and save step 0; return the steps done."""
        if self.processes.writes:
            if fresh:
                manifest.clear(self.checkpoints)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            manifest.sweep(self.checkpoints)
        self._meet()
        found = manifest.latest(self.checkpoints)
        # all processes must look before the first one begins to write
        self._meet()
        if found is not None:
            step = self._resume(found)
        else:
            step = 0
            self._set_up()
            self.average.load({})
        if self.processes.writes:
            self._journal.rewind(step)
            if found is None:
                self._save(0)
        return step

    def _resume(self, folder: Path) -> int:
        state = checkpoint.read_state(folder)
        own = checkpoint.describe(
            self.system,
            self.family,
            0,
            recipe=self.recipe,
            train=self._train_settings(),
            data=self.recordings,
        )
        resuming.require_same(folder, state, own, self.system)
        stored = checkpoint.completed(self.config, state["train"])
        changes = checkpoint.changed_fields(stored, own["train"], "train.")
        resuming.require_work(folder, int(state["step"]), self.steps, changes)
        if changes:
            self._say(logging.WARNING, "going on with changed settings: %s", "; ".join(changes))
        if changed := resuming.changed_data(state, own):
            self._say(logging.WARNING, "going on with changed data: %s", "; ".join(changed))
        step = self._restore(folder)
        self._progress |= state.get("progress", {})
        if step < self.steps:
            self._say(logging.INFO, "going on from step %d (%s)", step, folder)
        else:
            self._say(logging.INFO, "%s: already trained to step %d", folder, step)
        return step

    def _restore(self, folder: Path) -> int:
        checkpoint.load_weights(folder, self.system)
        self.average.load(checkpoint.read_training(folder))
        self.optimizers.load_moments(checkpoint.read_tensors(folder / checkpoint.OPTIMIZER))
        return int(checkpoint.read_state(folder)["step"])

    def _set_up(self) -> None:
        """Initialise from the global batch, then broadcast the first process's result."""
        if self.data is not None and not self.fitted:
            seed_step(self.config.seed, 0, purpose=SETUP)
            own = getattr(self.data, "setup_batch", None)
            with busy("reading the first recordings"):
                batch = self.data.batch(0) if own is None else own()
            with torch.no_grad(), busy(f"setting up {self.family} from the recordings"):
                self.system.setup(to_device(batch, self.processes.device))
        broadcast(self.system, self.processes.size)

    def _train(self, step: int) -> None:
        """Train from a step to the last; on Ctrl-C save a checkpoint and stop."""
        assert self.data is not None
        batches = Prefetcher(self.data, self.processes, self.steps)
        try:
            with Interrupt() as interrupt:
                self._loop(step, batches, interrupt)
                if interrupt.requested is not None:
                    interrupt.leave()
        finally:
            batches.close()

    def _loop(self, step: int, batches: Prefetcher, interrupt: Interrupt) -> None:
        """Train, and roll back where a step was not finite.

        Whether it was is read after the next step is queued, so that a GPU never waits for the
        host in between. Before anything is reported or saved, the last step is checked too.
        """
        config, averages, seconds = self.config, Averages(), list[float]()
        told = float("-inf")
        self.system.train()
        unread: QueuedStep | None = None
        while step < config.steps:
            began = time.monotonic()
            done = self._step(step, batches, interrupt, unread)
            known = done if self._is_due(step + 1) else unread
            if self.processes.size == 1:
                stop = interrupt.requested is not None
            else:
                stop = known is not None and known.stops()
            unread, read = (None, [unread, done]) if known is done or stop else (done, [unread])
            failed = next((s for s in read if s is not None and s.is_bad()), None)
            if failed is not None:
                step = self._roll_back(failed.before, failed.values)
                averages, seconds, unread = Averages(), list[float](), None
                continue
            step += 1
            self.average.update(step)
            averages.add(done.values)
            seconds.append(time.monotonic() - began)
            self._progress["seconds"] += seconds[-1]
            if step % config.log_every == 0 or step == config.steps:
                self._report(step, averages.take(), sum(seconds) / len(seconds))
                seconds, told = [], time.monotonic()
            elif time.monotonic() - told >= PACE_SECONDS:
                self._tell_pace(step, seconds)
                told = time.monotonic()
            improved = self._validate_if_due(step)
            if step % config.save_every == 0 or step == config.steps or improved or stop:
                self._save(step)
            if stop:
                return

    def _step(
        self, step: int, batches: Prefetcher, interrupt: Interrupt, unread: QueuedStep | None
    ) -> QueuedStep:
        """Queue a step; return the one before it if that one is the cause of an error in this."""
        scale, processes = self._progress["scale"], self.processes
        try:
            batch = batches.batch(step)
            result = train_step(self.system, batch, step, self.optimizers, processes, scale)
        except (ArithmeticError, AssertionError, RuntimeError, ValueError):
            # an operation may refuse the weights that a step left which was not finite
            if unread is None or not unread.is_bad():
                raise
            return unread
        stop = interrupt.requested is not None
        return QueuedStep(step, result.values, Flags([result.bad, stop], processes))

    def _is_due(self, step: int) -> bool:
        """Tell whether a step is followed by a report, a validation or a checkpoint."""
        paces = (self.config.log_every, self.config.validate_every, self.config.save_every)
        return step == self.config.steps or any(step % pace == 0 for pace in paces)

    def _tell_pace(self, step: int, seconds: list[float]) -> None:
        """Log the time of a step, at the first step and where reports are far apart."""
        if self.processes.device.type == "cuda" and len(seconds) == 1:
            began = time.monotonic()
            torch.cuda.synchronize(self.processes.device)  # the first step is only queued so far
            seconds = [seconds[0] + time.monotonic() - began]
        pace = sum(seconds) / len(seconds)
        self._say(logging.INFO, "%s", progress_line(step, self.config.steps, {}, pace))

    def _report(self, step: int, means: dict[str, float], seconds: float) -> None:
        """Log the means since the last report, over all processes."""
        means = self._mean(means)
        if not self.processes.writes:
            return
        totals = {n.removeprefix("total/"): v for n, v in means.items() if n.startswith("total/")}
        logger.info(progress_line(step, self.config.steps, totals, seconds))
        scale = self._progress["scale"]
        rates = {
            f"learning_rate/{group}": self.optimizers.learning_rate(group, step - 1, scale)
            for group in self.optimizers.parameters
        }
        self._journal.write(step, "train", {**means, **rates, "seconds_per_step": seconds})

    def _validate_if_due(self, step: int) -> bool:
        """Validate every `validate_every` steps and at the last; tell whether it is the best."""
        self._score = None
        if self.valid is None or (step % self.config.validate_every and step != self.config.steps):
            return False
        with self.average.used(), busy("validating"):
            values = self.validate(step)
        self._score = score(self.system, values, self.config)
        if not self.processes.writes:
            return False
        self._journal.write(step, "dev", {**values, "score": self._score})
        if self.sample is not None:
            with self.average.used(), undisturbed(self.system), busy("writing samples"):
                self.sample(self.system, step)
        best = manifest.read_manifest(self.checkpoints).get("best_score", float("inf"))
        return self._score < best

    def validate(self, step: int) -> dict[str, float]:
        """Return the mean of every term over the held-out batches; the system is left unchanged.

        Args:
            step: steps done, as the system's objectives see it.
        """
        assert self.valid is not None, "validation needs held-out batches"
        processes, averages = self.processes, Averages()
        with undisturbed(self.system):
            for index in range(self.config.validate_batches):
                seed_step(self.config.seed, index, processes.rank, VALIDATION)
                share = self.valid.batch(index, processes.rank, processes.size)
                batch = to_device(share, processes.device)
                averages.add(
                    evaluate_objectives(self.system, batch, step, self.config, processes.device)
                )
        return self._mean(averages.take())

    def _save(self, step: int) -> None:
        if not self.processes.writes:
            return
        for name, parameter in self.system.named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"step {step}: the weights {name} are not finite, nothing was saved; go on "
                    "from the last checkpoint with a lower train.learning_rate"
                )
        training = self.average.training()
        with self.average.used():
            checkpoint.save(
                self.checkpoints,
                self.system,
                family=self.family,
                step=step,
                recipe=self.recipe,
                train=self._train_settings(),
                data=self.recordings,
                moments=self.optimizers.moments(),
                training=training,
                score=self._score,
                progress=self._progress,
            )
        manifest.prune(self.checkpoints, self.config.keep, self.config.save_every)

    def _roll_back(self, step: int, values: Mapping[str, Tensor]) -> int:
        """Return to the last regular checkpoint with half the learning rate; return its step.

        Regular means a multiple of `save_every`: a checkpoint that an interruption left in between
        is skipped, so that an interrupted run recovers as an uninterrupted one does.
        """
        assert self.data is not None
        what = failure(step, self.data.names(step), values)
        rollbacks = self._progress["rollbacks"] + 1
        if rollbacks > self.config.retries:
            raise TrainingError(
                f"{what}; gave up after {self.config.retries} rollbacks: look at these recordings, "
                "or lower train.learning_rate or set train.clip_grad"
            )
        steps = manifest.step_folders(self.checkpoints)
        regular = [s for s in steps if s <= step and s % self.config.save_every == 0]
        target = max(regular or steps)
        self._restore(steps[target])
        self._progress |= {"rollbacks": rollbacks, "scale": self._progress["scale"] / 2}
        if self.processes.writes:
            self._journal.rewind(target)
        scale = self._progress["scale"]
        self._say(
            logging.WARNING, "%s; back to step %d with %g of the learning rate", what, target, scale
        )
        return target

    def _mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Average named numbers over the processes, whose shares are equal."""
        device = self.processes.device
        own = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
        return dict(zip(values, mean_over_processes(own).tolist(), strict=True))

    def _say(self, level: int, text: str, *values: object) -> None:
        """Log in the first process only."""
        if self.processes.writes:
            logger.log(level, text, *values)

    def _meet(self) -> None:
        """Wait for all processes (barrier)."""
        any_process([False], self.processes)

    def _train_settings(self) -> dict[str, Any]:
        return self.config.model_dump(mode="json", by_alias=True)
