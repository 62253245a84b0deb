"""The network that tells instruments apart, as the evaluation of timbre transfer has it.

After Cífka et al. (2021): 13 MFCCs without the first one, four convolutions over time of 64
channels, each with batch normalisation, ReLU and pooling, and the mean over time; trained so that
two recordings of one instrument are nearer than two of one tune. `vctool.tools.timbre_judge` trains
it, and `weights/timbre.md` says on what.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vctool import audio
from vctool.metrics.base import Group, Row
from vctool.numba_cache import ensure_writable

RATE, N_FFT, HOP, COEFFICIENTS = 16000, 2048, 500, 12
WIDTH = 64
KERNELS = (4, 4, 4, 2)
LEAST_FRAMES = 256
"""Shorter recordings, of less than eight seconds, are repeated: each pooling divides the frames."""
RMS = 0.1
"""Level of every recording; the floor of log-mel lies below it."""
WEIGHTS = Path(__file__).with_name("weights") / "timbre.safetensors"
SETTINGS = (
    f"{COEFFICIENTS} MFCCs at {RATE} Hz, hop {HOP}, without c0; four convolutions of {WIDTH} "
    "channels; 1 - cosine of the means over time; weights/timbre.md"
)


class TimbreNetwork(nn.Module):
    """Maps MFCCs (B, COEFFICIENTS, F) to embeddings (B, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = COEFFICIENTS
        for kernel in KERNELS:
            layers += [
                nn.Conv1d(width, WIDTH, kernel),
                nn.BatchNorm1d(WIDTH),
                nn.ReLU(),
                nn.MaxPool1d(kernel),
            ]
            width = WIDTH
        self.layers = nn.Sequential(*layers)

    def forward(self, mfcc: Tensor) -> Tensor:
        """Return the mean over time of what the last layer finds."""
        made: Tensor = self.layers(mfcc).mean(dim=2)
        return made


def mfcc(wave: np.ndarray) -> np.ndarray:
    """Return the MFCCs of a wave (T,) at `RATE`, whatever its level: (COEFFICIENTS, F) float32."""
    ensure_writable()
    import librosa

    rms = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if len(wave) else 0.0
    levelled = wave * (RMS / rms) if rms > 0 else wave
    short = LEAST_FRAMES * HOP
    if 0 < len(levelled) < short:
        levelled = np.resize(levelled, short)
    found = librosa.feature.mfcc(
        y=levelled.astype(np.float32),
        sr=RATE,
        n_mfcc=COEFFICIENTS + 1,
        n_fft=N_FFT,
        hop_length=HOP,
    )
    return np.asarray(found[1:], np.float32)


def embed(waves: Sequence[np.ndarray], rate: int) -> np.ndarray:
    """Return the embeddings of waves (T,) at a rate [Hz]: (N, WIDTH), of length 1 each."""
    network = trained()
    made = []
    with torch.no_grad():
        for wave in waves:
            values = mfcc(audio.resample(wave, rate, RATE))
            made.append(network(torch.from_numpy(values)[None])[0].numpy())
    found = np.stack(made)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))


@lru_cache(maxsize=1)
def trained() -> TimbreNetwork:
    """Return the network with the weights that ship with vctool."""
    network = TimbreNetwork()
    network.load_state_dict(
        {name: one.float() for name, one in load_file(WEIGHTS).items()}, strict=False
    )
    return network.eval()


@lru_cache(maxsize=1)
def judge() -> str:
    """Name everything that an embedding depends on besides the wave."""
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:16]
    return f"timbre {digest}: {SETTINGS}"


def of(group: Group, row: Row) -> np.ndarray:
    """Return the embeddings of a group of waves, (N, WIDTH); those remembered are not made anew."""
    return row.recall(judge(), group.waves, group.rate, embed)
