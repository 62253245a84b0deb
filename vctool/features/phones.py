"""Phone posteriors from the Gaussians that pocketsphinx ships: matrix products, no decoding.

The front end is pocketsphinx's own, to rounding: 16 kHz, a Hamming window every 10 ms, 25 mel
bands from 130 Hz to 6.8 kHz, its noise reduction, 13 cepstra without their mean over the recording,
and two orders of differences. Each phone's likelihood is that of its states without context, each a
product over the three streams. All of it is differentiable; the gains of the noise reduction count
as constant.

Three things are our own, chosen on aligned read speech. Frames are centred on their moments. Log
likelihoods are averaged over `SPREAD` frames, which raises the share of frames whose likeliest
phone is that of a forced alignment from 0.55 to 0.62 and makes the posteriors calibrated as they
are. And a dither of one step of 16 bits is added: without it digital silence, whose differences
are exactly 0, is taken for ZH.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vctool.features import sphinx
from vctool.features.settings import FeatureConfig
from vctool.nn.resampling import resample

RATE = 16000
"""Sampling rate of the front end [Hz]."""
HOP = 160
"""Step between its frames [samples]: 100 a second."""
CEPSTRA = 13
"""Number of cepstra, c0 among them."""
SPREAD = 7
"""Frames that log likelihoods are averaged over."""
DITHER = 1.0
"""Standard deviation of the dither, in steps of 16 bits."""
SILENCE = "SIL"
"""The phone that stands for silence, breath and noises."""
PHONES = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH"),
    *("IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH"),
    *("UH", "UW", "V", "W", "Y", "Z", "ZH", SILENCE),
)
"""Names of the columns of the posteriors: ARPAbet, and silence last."""

_FILLERS = ("+NSN+", "+SPN+", SILENCE)
_WINDOW = 410
_FFT = 512
_EMPHASIS = 0.97
_LOG_FLOOR = 1e-4
_VARIANCE_FLOOR = 1e-4
_NEGLIGIBLE = -60.0
"""Log likelihood below a codebook's best that no sum needs; further below, floats lose speed."""
_CHUNK = 128
"""Frames at a time, so that what they need stays in the processor's cache."""
_EXPECTED = {
    "transform": "dct",
    "feat": "1s_c_d_dd",
    "svspec": "0-12/13-25/26-38",
    "agc": "none",
    "cmn": "batch",
    "varnorm": "no",
    "model": "ptm",
    "remove_noise": "yes",
}


def cepstra(wave: Tensor, rate: int) -> Tensor:
    """Return pocketsphinx's mel-cepstra, their mean not yet removed; differentiable.

    Args:
        wave: (..., T) float32 in [-1, 1], T >= 1.
        rate: its sampling rate [Hz].

    Returns:
        (..., F, CEPSTRA), 100 frames a second, F = 1 + seconds * 100; frame k is centred on the
        moment k / 100 s, with zeros beyond both ends.
    """
    wave = resample(wave, rate, RATE)
    samples = wave.shape[-1]
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    scaled = 32768.0 * wave + DITHER * noise.to(wave.device)
    frames = 1 + samples // HOP
    after = HOP * (frames - 1) + _WINDOW // 2 - samples
    padded = torch.nn.functional.pad(scaled, (_WINDOW // 2 + 1, after))
    emphasised = padded[..., 1:] - _EMPHASIS * padded[..., :-1]
    front = _front_end(wave.device)
    spectrum = torch.fft.rfft(emphasised.unfold(-1, _WINDOW, HOP) * front.window, _FFT)
    power = (spectrum.real.square() + spectrum.imag.square()) @ front.filters
    power = power * _noise_gains(power.detach())
    return torch.log(power + _LOG_FLOOR) @ front.cosines


def cepstra_of_bands(frequencies: Sequence[float]) -> Tensor:
    """Find the matrix that turns bands of an envelope into cepstra, but for a constant.

    Each filter of the front end takes the mean, by its own weights, of the bands' dB at its
    frequencies. Of an envelope, which is smooth, that is the log of its power but for a constant,
    and a constant goes with the mean that `log_posteriors` takes away. There is no dither, and no
    noise is reduced.

    Args:
        frequencies: centres of the bands, rising [Hz].

    Returns:
        (bands, CEPSTRA) float32: `bands_db @ matrix` are cepstra.
    """
    front = _front_end(torch.device("cpu"))
    points = np.arange(1 + _FFT // 2) * (RATE / _FFT)
    order = np.eye(len(frequencies))
    read = np.stack([np.interp(points, frequencies, band) for band in order])
    weights = (front.filters / front.filters.sum(dim=0)).double()
    neper = np.log(10.0) / 10.0
    return (neper * torch.from_numpy(read) @ weights @ front.cosines.double()).float()


def log_posteriors(cepstra: Tensor, mean: Tensor | None = None, every: int = 1) -> Tensor:
    """Return log posteriors of the phones, all equally likely beforehand; differentiable.

    Args:
        cepstra: (..., F, CEPSTRA), as the function of that name returns.
        mean: (..., 1, CEPSTRA) of the recording or the voice; that of these frames where None.
        every: only every n-th frame is heard, from the first, for an n-th of the time; likelihoods
            are averaged over about as long.

    Returns:
        (..., ceil(F / every), len(PHONES)), columns in the order of `PHONES`.
    """
    if mean is None:
        mean = cepstra.mean(dim=-2, keepdim=True)
    streams = _streams(cepstra - mean)[..., ::every, :, :]
    flat = streams.reshape(-1, *streams.shape[-2:])
    model = _model(cepstra.device)
    scores = torch.cat([_log_likelihoods(part, model) for part in flat.split(_CHUNK)])
    scores = _averaged(scores.reshape(*streams.shape[:-2], -1), SPREAD // 2 // every)
    silence = torch.logsumexp(scores[..., model.fillers], dim=-1, keepdim=True)
    return torch.cat([scores[..., model.spoken], silence], dim=-1).log_softmax(dim=-1)


def posteriors(cepstra: Tensor, mean: Tensor | None = None) -> Tensor:
    """Return posteriors of the phones: (..., F, len(PHONES)), each frame summing to 1.

    >>> posteriors(cepstra(torch.zeros(16000), 16000)).shape
    torch.Size([101, 40])
    """
    return log_posteriors(cepstra, mean).exp()


def of_wave(wave: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Return the cepstra (F, CEPSTRA) float32 of a wave (T,) at the config's rate."""
    with torch.no_grad():
        found = cepstra(torch.from_numpy(np.array(wave, np.float32)), config.rate)
    result: np.ndarray = found.numpy()
    return result


def at_frames(values: np.ndarray, config: FeatureConfig, frames: int) -> np.ndarray:
    """Interpolate from 100 frames a second to those of the settings.

    Args:
        values: (F, D), as the functions here return.
        config: the settings.
        frames: how many are wanted.

    Returns:
        (frames, D) float32; frame k at the moment `k * hop_length / rate`, the last value held.
    """
    from vctool.features.interpolation import at_positions

    moments = np.arange(frames) * (config.hop_length * RATE) / (config.rate * HOP)
    return at_positions(values, np.minimum(moments, len(values) - 1.0))


class _FrontEnd(NamedTuple):
    window: Tensor
    """(_WINDOW,)."""
    filters: Tensor
    """(1 + _FFT // 2, bands)."""
    cosines: Tensor
    """(bands, CEPSTRA), with the liftering."""


class _Model(NamedTuple):
    forms: Tensor
    """(S, P * K, 2 D): what a frame's squares and values are multiplied by."""
    constants: Tensor
    """(S, P * K)."""
    weights: Tensor
    """(S * P, N, K)."""
    states: tuple[int, int]
    """P and N."""
    spoken: Tensor
    """Indices of the phones in the order of `PHONES`, without silence."""
    fillers: Tensor
    """Indices of what counts as silence."""


@lru_cache(maxsize=4)
def _front_end(device: torch.device) -> _FrontEnd:
    """Build the front end that the model asks for."""
    told = sphinx.shipped().settings
    differing = {name for name, value in _EXPECTED.items() if told.get(name) != value}
    assert not differing, f"pocketsphinx's front end has changed: {differing}"
    bands, lifter = int(told["nfilt"]), int(told["lifter"])
    low, high = (2595 * np.log10(1 + float(told[edge]) / 700) for edge in ("lowerf", "upperf"))
    edges = 700 * (10 ** (np.linspace(low, high, bands + 2) / 2595) - 1)
    step = RATE / _FFT
    edges = np.floor(edges / step + 0.5) * step
    ramps = edges[:, None] - np.arange(1 + _FFT // 2) * step
    widths = np.diff(edges)[:, None]
    filters = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
    filters *= (2 / (edges[2:] - edges[:-2]))[:, None]
    order = np.arange(CEPSTRA)
    cosines = np.cos(np.pi / bands * order * (np.arange(bands)[:, None] + 0.5))
    cosines *= np.sqrt(np.where(order == 0, 1, 2) / bands)
    cosines *= 1 + lifter // 2 * np.sin(order * np.pi / lifter)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(_WINDOW) / (_WINDOW - 1))
    built = (torch.from_numpy(one).float().to(device) for one in (window, filters.T, cosines))
    return _FrontEnd(*built)


@lru_cache(maxsize=4)
def _model(device: torch.device) -> _Model:
    """Prepare the Gaussians for matrix products, with `log N = -x^2 / 2v + x m / v + constant`."""
    model = sphinx.shipped()
    means = torch.from_numpy(model.means.astype(np.float64))
    variances = torch.from_numpy(np.maximum(model.variances, _VARIANCE_FLOOR).astype(np.float64))
    phones, streams, size, width = means.shape
    forms = torch.cat([-0.5 / variances, means / variances], dim=-1)
    constants = -0.5 * ((2 * math.pi * variances).log() + means.square() / variances).sum(dim=-1)
    weights = torch.from_numpy(model.weights).permute(2, 0, 1, 3)
    named = {name: index for index, name in enumerate(model.phones)}
    assert set(named) == {*PHONES, *_FILLERS}, f"pocketsphinx's phones have changed: {named}"
    return _Model(
        forms=forms.transpose(0, 1).reshape(streams, -1, 2 * width).float().to(device),
        constants=constants.transpose(0, 1).reshape(streams, -1).float().to(device),
        weights=weights.reshape(streams * phones, -1, size).to(device),
        states=(phones, weights.shape[2]),
        spoken=torch.tensor([named[name] for name in PHONES[:-1]], device=device),
        fillers=torch.tensor([named[name] for name in _FILLERS], device=device),
    )


def _streams(cepstra: Tensor) -> Tensor:
    """Add differences over 4 frames, and the differences of those: (..., F, 3, CEPSTRA)."""
    frames = cepstra.shape[-2]
    first, last = cepstra[..., :1, :], cepstra[..., -1:, :]
    held = torch.cat([first, first, first, cepstra, last, last, last], dim=-2)

    def shifted(by: int) -> Tensor:
        return held[..., 3 + by : 3 + by + frames, :]

    slope = shifted(2) - shifted(-2)
    bend = (shifted(3) - shifted(-1)) - (shifted(1) - shifted(-3))
    return torch.stack([cepstra, slope, bend], dim=-2)


def _log_likelihoods(streams: Tensor, model: _Model) -> Tensor:
    """Return the log likelihoods (F, P) of frames (F, S, D) under every phone."""
    frames = streams.shape[0]
    phones, states = model.states
    values = torch.cat([streams.square(), streams], dim=-1).permute(1, 2, 0)
    gaussians = torch.baddbmm(model.constants[..., None], model.forms, values)
    gaussians = gaussians.reshape(model.weights.shape[0], -1, frames)  # (S * P, K, F)
    highest = gaussians.detach().amax(dim=1, keepdim=True)
    shares = gaussians.sub_(highest).clamp_(min=_NEGLIGIBLE).exp_()
    mixtures = torch.bmm(model.weights, shares).log_() + highest
    summed = mixtures.reshape(-1, phones, states, frames).sum(dim=0)
    return torch.logsumexp(summed, dim=1).T


def _averaged(scores: Tensor, half: int) -> Tensor:
    """Average (..., F, P) over 1 + 2 * half frames; the first and the last are held."""
    first, last = scores[..., :1, :], scores[..., -1:, :]
    held = torch.cat([*[first] * half, scores, *[last] * half], dim=-2)
    return held.unfold(-2, 1 + 2 * half, 1).mean(dim=-1)


def _noise_gains(power: Tensor) -> Tensor:
    """Return the gains of pocketsphinx's noise reduction, (..., F, bands).

    Doblinger's (1995) tracking of spectral minima and the temporal masking of PNCC (Kim and Stern,
    2016), smoothed over neighbouring bands; each frame depends on those before it.
    """
    bands = power.shape[-1]
    series = power.cpu().double().numpy().reshape(-1, *power.shape[-2:]).swapaxes(0, 1)
    smooth = series[0].copy()
    noise, floor, peak = smooth / 20, smooth / 20, np.zeros_like(smooth)
    gains = np.empty_like(series)
    for frame, heard in enumerate(series):
        smooth = 0.7 * smooth + 0.3 * heard
        noise = _lower_envelope(noise, smooth)
        signal = np.maximum(smooth - noise, 1.0)
        floor = _lower_envelope(floor, signal)
        peak = 0.85 * peak
        masked = np.where(signal < 0.85 * peak, 0.2 * peak, signal)
        peak = np.maximum(peak, signal)
        gains[frame] = np.maximum(masked, floor) / np.maximum(smooth, np.finfo(float).tiny)
    gains = np.clip(gains, 1 / 20, 20)
    distance = np.abs(np.arange(bands)[:, None] - np.arange(bands))
    near = (distance <= 4).astype(np.float64)
    gains = gains @ (near / near.sum(axis=0))
    return torch.from_numpy(gains.swapaxes(0, 1).reshape(power.shape)).to(power)


def _lower_envelope(envelope: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Follow a level slowly upwards and fast downwards."""
    share = np.where(level >= envelope, 0.995, 0.5)
    return share * envelope + (1 - share) * level
