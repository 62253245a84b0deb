"""Training settings of a recipe, the same for every family."""

from typing import Literal

from pydantic import Field

from vctool.config import Config


class Ramp(Config):
    """A loss weight that changes linearly and then stays constant."""

    from_: float = Field(alias="from")
    """Weight at step 0."""
    to: float
    """Weight from `until_step` on."""
    until_step: int = Field(gt=0)
    """Step at which the ramp ends."""

    def at(self, step: int) -> float:
        """Return the weight at a step."""
        share = min(step / self.until_step, 1.0)
        return self.from_ + (self.to - self.from_) * share


class TrainConfig(Config):
    """How a system is trained; loss weights are named like the loss terms of the family."""

    steps: int = Field(1000, ge=1)
    """Number of training steps."""
    batch_size: int = Field(16, ge=1)
    """Clips in one batch, over all processes together."""
    seed: int = Field(0, ge=0)
    """Seed of the weights, the batches and the noise."""
    learning_rate: float = Field(2e-4, gt=0)
    """Adam's learning rate for every group without its own."""
    learning_rates: dict[str, float] = {}
    """Adam's learning rate by group name."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates of the first and second moment."""
    decay_from: float = Field(0.5, ge=0, le=1)
    """Share of the steps after which the learning rate falls linearly to zero; 1 never decays."""
    clip_grad: float | None = Field(None, gt=0)
    """Largest norm of one group's gradient; none where not given."""
    weights: dict[str, dict[str, float | Ramp]] = {}
    """Weight of every loss term, by group: `weights[group][term]`."""
    average: float | None = Field(None, ge=0, lt=1)
    """Decay of a running mean of the weights, such as 0.999, which is then what is validated, saved
    and converted with; without it the weights of the last step are."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """Precision of the forward pass (autocast); weights stay float32. `auto` uses bf16 where the
    device supports it natively."""
    log_every: int = Field(50, ge=1)
    """Steps between progress lines and TensorBoard points."""
    validate_every: int = Field(500, ge=1)
    """Steps between held-out validations, each of which writes one sample per direction."""
    validate_batches: int = Field(8, ge=1)
    """Held-out batches in one validation, the same ones each time."""
    save_every: int = Field(500, ge=1)
    """Steps between checkpoints; a new best validation is saved too."""
    keep: int = Field(2, ge=1)
    """Newest checkpoints kept, besides the best."""
    converts: Literal["latest", "best"] = "latest"
    """Which checkpoint converts: the latest, or that of the lowest held-out losses, without those
    that discriminators decide. They are a poor guide to a model that begins near the identity."""
    tracking: Literal["tensorboard", "mlflow"] = "tensorboard"
    """Where scalars go besides `log/metrics.jsonl` and TensorBoard: `mlflow` adds a file store of
    MLflow, `mlruns/` in the experiment."""
    retries: int = Field(3, ge=0)
    """Rollbacks, each halving the learning rate, before a non-finite loss ends the training."""


PACE_FIELDS = (
    "log_every",
    "validate_every",
    "validate_batches",
    "save_every",
    "keep",
    "tracking",
    "retries",
)
"""Fields of `TrainConfig` that affect logging and checkpoints only, not the trained weights."""

CHOICE_FIELDS = ("converts",)
"""Fields of `TrainConfig` that choose among weights already trained."""
