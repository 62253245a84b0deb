"""The 1-D networks in real time: by cached padding, and with frozen statistics.

Instance normalisation looks at a whole utterance. In real time its means and deviations are those
of all recordings of the voice that speaks, measured once (`statistics`); then every layer sees a
few frames on either side and no more. Utterances begin after silence in place of a reflection.

All is computed in float64 of frames in float32, so that a frame is the same however sound is cut.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.vae_gan import streams
from vctool.models.vae_gan.networks1d import Decoder, DecoderBlock, Encoder, EncoderBlock, Shared
from vctool.nn.cached_padding import (
    Cached,
    Chain,
    Conv,
    ConvTranspose,
    Delay,
    Pointwise,
    Sum,
    from_zero,
)

OWN = ("voice.", "range.")
"""What the names of a decoder's own tensors in a `Path` begin with."""


class Frozen(nn.Module):
    """Normalisation of (B, C, F) by what was measured: the mean, and 1 over the deviation."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("scale", torch.ones(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return (x.double() - self.mean) * self.scale


class _Gelu(nn.Module):
    """The exact GELU, whose error function has no float64 kernel in ONNX Runtime.

    By Abramowitz and Stegun, "Handbook of mathematical functions" (1964), 7.1.26: to 1.5e-7.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()
        z = x.abs() * 0.5**0.5
        t = 1.0 / (1.0 + 0.3275911 * z)
        series = 1.421413741 + t * (-1.453152027 + t * 1.061405429)
        series = t * (0.254829592 + t * (-0.284496736 + t * series))
        return 0.5 * (x + x.abs() * (1.0 - series * torch.exp(-z * z)))


class _Exact(nn.Module):
    """A layer in float64 of what may have been remembered in float32."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x.double())
        return made


class _Cepstra(nn.Module):
    """What the encoder sees of a mel (B, n_mels, F)."""

    basis: Tensor

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("basis", basis.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.basis @ x.double()


class _Mixed(nn.Module):
    """A convolution that sees one frame at a time, in float64."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        assert conv.kernel_size == (1,) and conv.bias is not None, conv
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        assert self.conv.bias is not None
        return self.conv.weight[..., 0] @ x.double() + self.conv.bias[:, None]


class _Mean(nn.Module):
    """The first half of the channels: the posterior's mean."""

    def forward(self, x: Tensor) -> Tensor:
        return x.chunk(2, dim=1)[0]


class Spoken(NamedTuple):
    """What another voice says, `Path.delay` late."""

    mel: Tensor
    """(1, n_mels, F) float32, normalised."""
    f0: Tensor
    """(1, F) float32 [Hz], as was given."""


class Path(nn.Module):
    """Frames of any voice to those of one voice.

    Args:
        encoder: the encoder.
        shared: the layers that all decoders share.
        decoder: that of the voice.
        delay: by which the frames are late.
    """

    def __init__(self, encoder: Encoder, shared: Shared, decoder: Decoder, delay: int) -> None:
        super().__init__()
        parts = copy.deepcopy((encoder, shared, decoder))
        for one in parts:
            one.double().eval().requires_grad_(False)
        encoder, shared, decoder = parts
        self.encode = _encoder(encoder, delay)
        self.up = ConvTranspose(shared.up, self.encode.delay)
        begin = self.up.delay
        self.harmonics = shared.harmonics
        self.pitch = None if shared.harmonics is None else _Mixed(shared.pitch)
        self.loudness = _Mixed(shared.loudness) if hasattr(shared, "loudness") else None
        self.blocks = _decoder_blocks(shared.blocks, begin)
        voice = [*_decoder_blocks(decoder.blocks, self.blocks.delay).layers]
        late = voice[-1].delay if voice else self.blocks.delay
        voice += [Pointwise(_Exact(decoder.norm), late), Pointwise(_Gelu(), late)]
        voice.append(Conv(_from_zeros(decoder.last), late))
        self.voice = Chain(voice)
        self.range = decoder.range
        self.waits = nn.ModuleList(
            [Delay(2, begin - delay, delay), Delay(2, self.voice.delay - begin, begin)]
        )
        self.delay = self.voice.delay
        self.frozen = [name for name, layer in self.named_modules() if isinstance(layer, Frozen)]
        """Names of the layers that statistics are frozen of, in the order of `statistics`."""

    @property
    def flat(self) -> Tensor:
        """The statistics that the frozen layers have, (S,), as `statistics` orders them."""
        tensors = dict(self.named_buffers())
        parts = [tensors[f"{name}.{part}"] for name in self.frozen for part in ("mean", "scale")]
        return torch.cat(parts)[:, 0]

    @staticmethod
    def moved(f0: Tensor, how: Tensor) -> Tensor:
        """Move F0; see `moved`."""
        return moved(f0, how)

    def own(self) -> dict[str, Tensor]:
        """Return the tensors of the voice's own decoder by name."""
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: one for name, one in tensors.items() if name.startswith(OWN)}

    def told(self, measured: Tensor) -> dict[str, Tensor]:
        """Cut what `statistics` returns, (S,), into the tensors of the frozen layers by name."""
        found, at = {}, 0
        for name in self.frozen:
            layer = self.get_submodule(name)
            assert isinstance(layer, Frozen)
            for part in ("mean", "scale"):
                count = len(layer.mean)
                found[f"{name}.{part}"] = measured[at : at + count].double()[:, None]
                at += count
        return found

    def memory(self) -> dict[str, Tensor]:
        """Return what is remembered before the first frame."""
        made: dict[str, Tensor] = {}
        for prefix, layer in self._parts():
            made |= layer.memory(prefix)
        return made

    def forward(
        self, values: Tensor, f0: Tensor, memory: Mapping[str, Tensor], start: Tensor
    ) -> tuple[Spoken, dict[str, Tensor]]:
        """Convert a chunk.

        Args:
            values: (1, n_mels, F) float64 normalised log-mel, F even.
            f0: (1, F) [Hz], 0 where unvoiced.
            memory: what was remembered, by name.
            start: (1,) int64, frames before the chunk.
        """
        top_db = self.range.top_db
        after: dict[str, Tensor] = {}

        def run(prefix: str, layer: Cached, x: Tensor, start: Tensor) -> Tensor:
            y, kept = layer.run(x, memory, prefix, start)
            after.update(kept)
            return y

        encode, up, blocks, voice, first, second = (layer for _, layer in self._parts())
        side = torch.stack([f0.double(), streams.loudness(values, top_db)], dim=1)
        x = run("up", up, run("encode", encode, values, start), start // 2)
        side = run("first", first, side, start).double()
        if self.pitch is not None:
            assert self.harmonics is not None
            x = x + self.pitch(self.harmonics(side[:, 0]))
        if self.loudness is not None:
            told = self.range.within(side[:, 1])
            x = x + self.loudness(2.0 * told[:, None] - 1.0)
        x = run("blocks", blocks, from_zero(x, start, self.up.delay), start)
        made = self.range(run("voice", voice, x, start))
        side = run("second", second, side, start).double()
        if self.loudness is not None:
            made = self.range.quieten(made, self.range.within(side[:, 1]))
        return Spoken(made.float(), side[:, 0].float()), after

    def _parts(self) -> Iterator[tuple[str, Cached]]:
        parts = (self.encode, self.up, self.blocks, self.voice, *self.waits)
        for name, layer in zip(
            ("encode", "up", "blocks", "voice", "first", "second"), parts, strict=True
        ):
            assert isinstance(layer, Cached)
            yield name, layer


@torch.no_grad()
def statistics(encoder: Encoder, mels: Iterable[np.ndarray], features: FeatureConfig) -> Tensor:
    """Measure what is frozen of a voice, over all that it says.

    Args:
        encoder: the encoder.
        mels: log-mels (F, n_mels) [dB] of its recordings.
        features: the feature settings.

    Returns:
        (1 + S,) float32: the mean level of the recordings [dB]; then of each normalisation in turn
        the means of its channels and 1 over their deviations, over all recordings joined to one.
    """
    kept = list(mels)
    level = float(np.mean([streams.level(one) for one in kept]))
    values = streams.normalise(np.concatenate(kept), level, features)
    joined = torch.from_numpy(values[: len(values) // 2 * 2].T).to(encoder.first.weight)
    found: list[Tensor] = [joined.new_tensor([level], dtype=torch.float64)]

    def measure(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.InstanceNorm1d)
        variance, mean = torch.var_mean(inputs[0][0].double(), dim=1, correction=0)
        found.extend((mean, (variance + layer.eps).rsqrt()))

    layers = [one for one in encoder.modules() if isinstance(one, nn.InstanceNorm1d)]
    hooks = [layer.register_forward_pre_hook(measure) for layer in layers]
    try:
        encoder(joined[None])
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(found).float()


def moving(source: SpeakerStats, target: SpeakerStats) -> np.ndarray:
    """Return how one voice's F0 becomes another's, (3,) float32, for `moved`.

    As `streams.move_f0` moves it; where all three are 0, F0 stays.
    """
    ratio = target.log_f0_std / max(source.log_f0_std, 1e-3)
    ratio = float(np.clip(ratio, streams.LEAST_SCALE, streams.MOST_SCALE))
    apart = target.log_f0_mean - source.log_f0_mean
    return np.array([source.log_f0_mean, apart, ratio - 1.0], np.float32)


def moved(f0: Tensor, how: Tensor) -> Tensor:
    """Move F0 (1, F) [Hz], 0 where unvoiced, by (1, 3) of `moving`; float32."""
    middle, apart, more = how.double().unbind(dim=1)
    logs = f0.double().clamp_min(1.0).log()
    made = (logs + apart[:, None] + more[:, None] * (logs - middle[:, None])).exp()
    return (made * (f0 > 0)).float()


def _from_zeros(conv: nn.Conv1d) -> nn.Conv1d:
    """Let a layer pad by zeros, which is what cached padding begins with."""
    conv.padding_mode = "zeros"
    return conv


def _encoder(encoder: Encoder, delay: int) -> Chain:
    layers: list[Cached] = []

    def late() -> int:
        return layers[-1].delay if layers else delay

    def then(layer: nn.Module) -> None:
        if isinstance(layer, nn.Conv1d):
            layers.append(Conv(_from_zeros(layer), late()))
        else:
            layers.append(Pointwise(layer, late()))

    width = encoder.down.out_channels
    if encoder.seen:
        then(_Cepstra(encoder.basis))
    for layer in (Frozen(encoder.first.in_channels), encoder.first, _Gelu()):
        then(layer)
    for layer in (encoder.down, Frozen(width), _Gelu()):
        then(layer)
    for block in encoder.blocks:
        assert isinstance(block, EncoderBlock)
        begin = late()
        branch: list[Cached] = [Conv(_from_zeros(block.first), begin)]
        for layer in (Frozen(width), _Gelu()):
            branch.append(Pointwise(layer, branch[-1].delay))
        branch.append(Conv(_from_zeros(block.second), branch[-1].delay))
        branch.append(Pointwise(Frozen(width), branch[-1].delay))
        layers.append(Sum([Pointwise(nn.Identity(), begin), Chain(branch)], width))
    then(encoder.head)
    then(_Mean())
    return Chain(layers)


def _decoder_blocks(blocks: nn.Sequential, delay: int) -> Chain:
    layers: list[Cached] = []
    for block in blocks:
        assert isinstance(block, DecoderBlock)
        begin = layers[-1].delay if layers else delay
        branch: list[Cached] = [Pointwise(_Exact(block.norm), begin)]
        branch += [Conv(_from_zeros(block.first), begin)]
        branch += [Pointwise(nn.GLU(dim=1), branch[-1].delay)]
        branch += [Conv(block.second, branch[-1].delay)]
        same = Pointwise(nn.Identity(), begin)
        layers.append(Sum([same, Chain(branch)], block.second.out_channels))
    return Chain(layers, delay)
