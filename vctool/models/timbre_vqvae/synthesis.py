"""Sound from the magnitudes of a conversion, with the phases of its source where it has any.

Griffin and Lim's iterations, in their fast form (Perraudin, Balazs and Sondergaard, 2013), begin at
the phases of the source's own spectrum: where a partial of the source stays, its phase is right
from the start.
"""

import torch
from torch import Tensor

from vctool.models.timbre_vqvae.spectra import Spectra

MOMENTUM = 0.9


def synthesise(magnitude: Tensor, phases: Tensor, spectra: Spectra, iterations: int) -> Tensor:
    """Find a wave whose spectrum has given magnitudes.

    Args:
        magnitude: (B, K, F), normalised as `Spectra` does; F > 1.
        phases: (B, K, F) complex, whose phases are the first.
        spectra: the transforms.
        iterations: how often the phases are made those of a wave.

    Returns:
        (B, (F - 1) * hop) float32: up to the centre of the last frame.
    """
    spectrum = magnitude * direction(phases)
    before: Tensor | None = None
    for _ in range(iterations):
        rebuilt = spectra.stft(spectra.inverse(spectrum))
        ahead = rebuilt if before is None else rebuilt + MOMENTUM * (rebuilt - before)
        spectrum = magnitude * direction(ahead)
        before = rebuilt
    return spectra.inverse(spectrum)


def direction(spectrum: Tensor) -> Tensor:
    """Return complex numbers of the same phases and of magnitude 1; 1 where there is no phase."""
    size = spectrum.abs()
    sounding = size > 1e-20
    return torch.where(sounding, spectrum / size.clamp(min=1e-20), torch.ones_like(spectrum))
