"""STFT of waves whose length is a whole number of hops, and its inverse.

Frame j is centred on sample `j * hop + hop // 2`, the middle of the j-th hop, so F frames make F
hops of sound and nothing is lost or added at the ends ("same" padding, as in Vocos; Siuzdak, 2023).
"""

import torch
from torch import Tensor, nn


class Spectra(nn.Module):
    """STFT and inverse STFT with one periodic Hann window.

    Args:
        hop: step between frames [samples].
        window: length of the window [samples], at least two hops.
        n_fft: length of the FFT [samples]; the window is centred in it.
    """

    window: Tensor
    padded: Tensor

    def __init__(self, hop: int, window: int, n_fft: int) -> None:
        super().__init__()
        assert 2 * hop <= window <= n_fft, (hop, window, n_fft)
        self.hop, self.n_fft = hop, n_fft
        self.bins = 1 + n_fft // 2
        shape = torch.hann_window(window, periodic=True)
        before = (n_fft - window) // 2
        padded = nn.functional.pad(shape, (before, n_fft - window - before))
        self.register_buffer("window", shape, persistent=False)
        self.register_buffer("padded", padded, persistent=False)
        self.energy = float(shape.square().sum())
        """Sum of the squared window: white noise of variance 1 has this mean power in each bin."""
        # The first sample of a wave of F hops is this far into the first frame.
        self._lead = n_fft // 2 - hop // 2

    def analyse(self, wave: Tensor) -> Tensor:
        """Return the spectra (B, K, F) complex of waves (B, F * hop), K = 1 + n_fft // 2."""
        frames = wave.shape[-1] // self.hop
        assert wave.shape[-1] == frames * self.hop, (wave.shape, self.hop)
        total = (frames - 1) * self.hop + self.n_fft
        padded = nn.functional.pad(wave, (self._lead, total - self._lead - wave.shape[-1]))
        return torch.stft(
            padded, self.n_fft, self.hop, window=self.padded, center=False, return_complex=True
        )

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Return the waves (B, F * hop) of spectra (B, K, F), by least-squares overlap-add.

        Griffin and Lim (1984), eq. 6: frames are windowed again, added, and divided by the sum of
        the squared windows.
        """
        frames = spectrum.shape[-1]
        pieces = torch.fft.irfft(spectrum, self.n_fft, dim=1) * self.padded[:, None]
        wave = self._overlap_add(pieces)
        weight = self._overlap_add(self.padded.square()[None, :, None].expand(1, -1, frames))
        return wave / weight

    def _overlap_add(self, pieces: Tensor) -> Tensor:
        """Add (B, n_fft, F) at every hop and keep the middle: (B, F * hop)."""
        frames = pieces.shape[-1]
        spans = -(-self.n_fft // self.hop)
        whole = nn.functional.pad(pieces, (0, 0, 0, spans * self.hop - self.n_fft))
        blocks = whole.unflatten(1, (spans, self.hop))
        added = pieces.new_zeros(len(pieces), self.hop, frames + spans - 1)
        for place in range(spans):  # takes a sixth of the time of `nn.functional.fold`
            added[..., place : place + frames] += blocks[:, place]
        wave = added.transpose(1, 2).flatten(1)
        return wave[:, self._lead : self._lead + frames * self.hop]


def minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Return the minimum-phase spectra of a given magnitude.

    The cepstrum of a minimum-phase sequence is causal (Oppenheim and Schafer, Discrete-Time Signal
    Processing, ch. 13): the even cepstrum of the log magnitude is folded onto positive quefrencies.

    Args:
        log_magnitude: (B, K, F) natural log, K = 1 + n / 2 bins of an FFT of even length n.

    Returns:
        (B, K, F) complex.
    """
    size = 2 * (log_magnitude.shape[1] - 1)
    cepstrum = torch.fft.irfft(log_magnitude, size, dim=1)
    fold = torch.zeros(size, device=log_magnitude.device)
    fold[0] = fold[size // 2] = 1.0
    fold[1 : size // 2] = 2.0
    return torch.exp(torch.fft.rfft(cepstrum * fold[:, None], dim=1))
