"""The causal iSTFT vocoder as it runs: mels to sound, and sound to mels to sound."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.live_mel import LiveMel
from vctool.nn import hash_noise
from vctool.nn.streaming import Stream
from vctool.vocoders.istft.causal import CausalNetwork
from vctool.vocoders.istft.causal_convnext import Memory

SAMPLES = 4096
"""Mels are made sound at least so many samples at a time."""


class LiveSynthesis(nn.Module):
    """A causal network in real time: mels to sound, which any stream of mels can end in.

    Args:
        network: the network, with its weights.
    """

    def __init__(self, network: CausalNetwork) -> None:
        super().__init__()
        self.network = network.live()
        self.hop, self.late = network.hop, network.hops
        """Frame k completes hop k - `late`, which begins at the centre of frame k - `late`."""

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered before the first frame."""
        return self.network.memory()

    def forward(
        self, mel: Tensor, f0: Tensor | None, place: Tensor, memory: Memory
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Synthesise a chunk.

        Args:
            mel: (1, M, F) float32 [dB].
            f0: (1, F) [Hz], 0 where the mel is to tell; None where it always is.
            place: (F,) int64, numbers of the frames; there is silence before frame 0.
            memory: what was remembered, by name.

        Returns:
            (1, F * hop) float32, and what to remember.
        """
        at = place[:, None] * self.hop + torch.arange(self.hop, device=place.device)
        noise = hash_noise.normal(at.clamp_min(0), 0, 0)[None]
        made, after = self.network.run(mel, f0, noise, place, memory)
        return made.wave, after


class Live(Stream):
    """Sound to mel to sound."""

    def __init__(self, network: CausalNetwork) -> None:
        features = network.features
        analysis, synthesis = LiveMel(features), LiveSynthesis(network)
        late = analysis.delay + synthesis.late - 1
        memory = analysis.memory | synthesis.memory()
        super().__init__(features.rate, features.hop_length, late * features.hop_length, memory)
        self.grain = features.hop_length
        self.analysis, self.synthesis = analysis.to(network.mean.device), synthesis

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Analyse and synthesise a chunk; see `Stream`."""
        mel, heard = self.analysis(wave[:, 0], memory)
        place = self.analysis.places(start, wave.shape[-1])
        made, after = self.synthesis(mel.transpose(1, 2), None, place, memory)
        return made[:, None], heard | after


@torch.no_grad()
def synthesise(network: CausalNetwork, mel: Tensor, f0: Tensor | None = None) -> np.ndarray:
    """Synthesise one utterance as a stream of its frames does.

    Args:
        network: the network.
        mel: (1, M, F) [dB].
        f0: (1, F) [Hz], or None.

    Returns:
        ((F + 1) * hop_length,) float32, which begins half a hop before the first frame's centre.
    """
    live: Any = LiveSynthesis(network)
    device, count = network.mean.device, mel.shape[-1]
    more = live.late
    mel = torch.cat([mel, mel[..., -1:].expand(-1, -1, more)], dim=-1).to(device)
    if f0 is not None:
        f0 = torch.cat([f0, f0[:, -1:].expand(-1, more)], dim=-1).to(device)
    memory, parts, size = live.memory(), [], -(-SAMPLES // network.hop)
    for first in range(0, count + more, size):
        cut = slice(first, min(first + size, count + more))
        place = torch.arange(cut.start, cut.stop, device=device)
        told = None if f0 is None else f0[:, cut]
        made, memory = live(mel[..., cut], told, place, memory)
        parts.append(made)
    wave = torch.cat(parts, dim=1)[0, more * network.hop :]
    sound: np.ndarray = nn.functional.pad(wave, (network.hop // 2, 0)).cpu().numpy()
    return np.pad(sound, (0, max(0, (count + 1) * network.hop - len(sound))))
