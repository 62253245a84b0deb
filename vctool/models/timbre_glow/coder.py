"""What is used of the frozen coder: families import no other family, and ask it by name."""

from collections.abc import Callable, Iterable
from typing import Protocol

from torch import Tensor

from vctool.features.base import Features
from vctool.models.base import Condition, Note, Reference


class Told(Protocol):
    """What notes and an instrument tell of a sound."""

    @property
    def codes(self) -> Tensor:
        """(B, code_size, F) the notes, quantised."""

    @property
    def style(self) -> Tensor:
        """(B, style_size)."""

    @property
    def power(self) -> Tensor:
        """(B, K, F) what the coder's own decoder makes of both, over the level around."""


class Coder(Protocol):
    """A trained `timbre_vqvae`."""

    code_size: int
    style_size: int
    finds_notes: bool

    def tell(self, content: Tensor, style: Tensor) -> Told:
        """Code frames of sound (B, hop, F), and describe what plays others (B, hop, G)."""

    def relative_power(self, frames: Tensor) -> Tensor:
        """Return the power (B, K, F) of frames (B, hop, F), over the level around."""

    def reference(self, recordings: Iterable[Features]) -> Reference:
        """See `base.System.reference`."""

    def play(
        self, source: Features, condition: Condition, shape: Callable[[Told], Tensor]
    ) -> Features:
        """Convert with powers (B, K, F), over the level around, that `shape` makes."""

    def notes(self, source: Features) -> list[Note]:
        """See `base.System.notes`."""

    def octaves(self, sources: Iterable[Features], reference: Reference) -> int:
        """See `base.System.octaves`."""
