"""Sound to the sound of another voice, chunk by chunk.

wave -> mel, F0 -> networks with frozen statistics -> mel of the target -> causal vocoder -> wave
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vctool.features.live_mel import LiveMel
from vctool.features.live_pitch import HOPS, Pitch
from vctool.nn.cached_padding import Delay
from vctool.nn.fourier import framed
from vctool.nn.streaming import Stream
from vctool.vocoders.istft.causal import CausalNetwork
from vctool.vocoders.istft.live import LiveSynthesis

PITCH_LATE = 2
"""Hops from the middle of a frame that F0 is of to its end."""


class Spoken(Protocol):
    """What the networks made."""

    @property
    def mel(self) -> Tensor:
        """(1, n_mels, F) float32, normalised."""

    @property
    def f0(self) -> Tensor:
        """(1, F) [Hz]."""


class Path(Protocol):
    """Frames of any voice to those of one voice; see `vae_gan.live`, which families ask by name."""

    delay: int
    flat: Tensor

    def own(self) -> dict[str, Tensor]:
        """Return the tensors of the voice's own decoder by name."""

    def told(self, measured: Tensor) -> dict[str, Tensor]:
        """Cut statistics (S,) into tensors by name."""

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered before the first frame."""

    def moved(self, f0: Tensor, how: Tensor) -> Tensor:
        """Move F0 (1, F) [Hz] by (1, 3)."""


@contextmanager
def instead(module: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Run a module with other parameters and buffers, by name, and leave it as it was.

    As `torch.func.functional_call` does, which refuses to be traced.
    """
    places: list[tuple[dict[str, Any], str]] = []
    for name in tensors:
        path, _, leaf = name.rpartition(".")
        owner = module.get_submodule(path)
        held: dict[str, Any] = owner._buffers
        if leaf in owner._parameters:
            held = owner._parameters
        places.append((held, leaf))
    before = [held[leaf] for held, leaf in places]
    try:
        for (held, leaf), one in zip(places, tensors.values(), strict=True):
            held[leaf] = one
        yield
    finally:
        for (held, leaf), one in zip(places, before, strict=True):
            held[leaf] = one


class Live(Stream):
    """The networks behind an analysis of sound, and before a vocoder.

    Args:
        paths: makes the paths of all voices, given by how many frames their input is late.
        network: the vocoder's network.
        controls: defaults of `source`, `pitch` and `target`.
    """

    def __init__(
        self,
        paths: Callable[[int], Sequence[Any]],
        network: CausalNetwork,
        controls: Mapping[str, Tensor],
    ) -> None:
        features = network.features
        hop, analysis = features.hop_length, LiveMel(features)
        late = max(analysis.delay, PITCH_LATE)
        waits = {
            "mel_wait": Delay(features.n_mels, late - analysis.delay),
            "f0_wait": Delay(1, late - PITCH_LATE),
        }
        found, synthesis = paths(late - 1), LiveSynthesis(network)
        path = found[0]
        memory = analysis.memory | path.memory() | synthesis.memory()
        memory["hops"] = torch.zeros(1, HOPS - 1, hop)
        for name, wait in waits.items():
            memory |= wait.memory(name)
        hops = path.delay + synthesis.late
        super().__init__(features.rate, 2 * hop, hops * hop, memory, controls)
        self.grain = hop
        self.top_db = features.top_db
        self.analysis, self.synthesis, self.path = analysis, synthesis, path
        self.pitch = Pitch(features.rate, hop, features.f0_floor, features.f0_ceil)
        self.mel_wait, self.f0_wait = waits.values()
        own = [one.own() for one in found]
        self.names = list(own[0])
        self.decoders = nn.ParameterList(
            nn.Parameter(torch.stack([one[name] for one in own]), requires_grad=False)
            for name in self.names
        )
        self.to(network.mean.device)

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Convert a chunk; see `Stream`."""
        hop = self.grain
        frame = start // hop
        mel, after = self.analysis(wave[:, 0], memory)
        hops = torch.cat([memory["hops"], wave.reshape(1, -1, hop)], dim=1)
        after["hops"] = hops[:, 1 - HOPS :]
        f0, voicing = self.pitch(framed(hops, HOPS))
        f0 = f0 * (voicing >= 0.5)  # zeros of its shape would be of the trace's
        mel, kept = self.mel_wait.run(mel.transpose(1, 2), memory, "mel_wait", frame)
        f0, told = self.f0_wait.run(f0[:, None], memory, "f0_wait", frame)
        after |= kept | told

        source = controls["source"][0]
        level, measured = source[0].double(), source[1:]
        values = (1.0 + (mel.double() - level) / self.top_db).clamp_min(0.0)
        chosen = controls["target"][0].double()
        tensors = self.path.told(measured)
        for name, one in zip(self.names, self.decoders, strict=True):
            tensors[name] = (chosen @ one.flatten(1)).view(one.shape[1:])
        moved = self.path.moved(f0[:, 0], controls["pitch"])
        with instead(self.path, tensors):
            spoken, kept = self.path(values, moved, memory, frame)
        after |= kept
        level_db = level + (spoken.mel.double().clamp_min(0.0) - 1.0) * self.top_db
        place = frame + torch.arange(wave.shape[-1], device=wave.device)[::hop] // hop
        made, kept = self.synthesis(level_db.float(), spoken.f0, place - self.path.delay, memory)
        return made[:, None], after | kept
