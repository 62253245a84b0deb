"""HiFi-GAN in real time: the trained network by cached padding, behind an analysis of sound."""

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from vctool.features.live_mel import LiveMel
from vctool.nn.cached_padding import Cached, Chain, Conv, ConvTranspose, Pointwise, Sum
from vctool.nn.streaming import Stream
from vctool.vocoders.hifigan import (
    FLOOR,
    LAST_SLOPE,
    NEPERS,
    SLOPE,
    HifiganNetwork,
    ResBlock1,
    ResBlock2,
)


class _Floored(nn.Module):
    """Mels [dB] as the network hears them."""

    def forward(self, mel: Tensor) -> Tensor:
        return (mel * NEPERS).clamp_min(FLOOR)


class _Share(nn.Module):
    """Divide by the number of branches that were added."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x / self.count


class Live(Stream):
    """Sound to mel to sound, by a copy of the network in float64."""

    def __init__(self, network: HifiganNetwork) -> None:
        features = network.features
        analysis = LiveMel(features)
        network = copy.deepcopy(network).double().eval().requires_grad_(False)
        layers = _layers(network, analysis.delay - 1)
        # the first frame becomes the hop around the first sample
        late = layers.delay + features.hop_length // 2
        memory = analysis.memory | layers.memory("layer")
        super().__init__(features.rate, features.hop_length, late, memory)
        self.grain = features.hop_length
        self.analysis = analysis.to(network.conv_pre.weight.device)
        self.layers: Cached = layers

    def step(
        self,
        wave: Tensor,
        controls: Mapping[str, Tensor],
        memory: Mapping[str, Tensor],
        start: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Analyse and synthesise a chunk; see `Stream`."""
        mel, heard = self.analysis(wave[:, 0], memory)
        made, after = self.layers.run(mel.transpose(1, 2), memory, "layer", start // self.granule)
        return made.float(), heard | after


def _layers(network: HifiganNetwork, delay: int) -> Chain:
    """Return the network for mels that are some frames late."""
    layers: list[Cached] = [Pointwise(_Floored(), delay), Conv(network.conv_pre, delay)]

    def then(layer: nn.Module) -> None:
        layers.append(Pointwise(layer, layers[-1].delay))

    each = len(network.config.resblock_kernel_sizes)
    for place, up in enumerate(network.ups):
        assert isinstance(up, nn.ConvTranspose1d)
        then(nn.LeakyReLU(SLOPE))
        layers.append(ConvTranspose(up, layers[-1].delay))
        blocks = network.resblocks[place * each : (place + 1) * each]
        late = layers[-1].delay
        layers.append(Sum([_block(block, late) for block in blocks], up.out_channels))
        then(_Share(each))
    then(nn.LeakyReLU(LAST_SLOPE))
    layers.append(Conv(network.conv_post, layers[-1].delay))
    then(nn.Tanh())
    return Chain(layers)


def _block(block: nn.Module, delay: int) -> Chain:
    """Return a residual block for an input that is some samples late."""
    turns: list[tuple[nn.Module, ...]]
    if isinstance(block, ResBlock1):
        turns = list(zip(block.convs1, block.convs2, strict=True))
    else:
        assert isinstance(block, ResBlock2)
        turns = [(conv,) for conv in block.convs]
    layers: list[Cached] = []
    for convs in turns:
        branch: list[Cached] = []
        late = delay
        for conv in convs:
            assert isinstance(conv, nn.Conv1d)
            branch += [Pointwise(nn.LeakyReLU(SLOPE), late), Conv(conv, late)]
            late, channels = branch[-1].delay, conv.out_channels
        layers.append(Sum([Pointwise(nn.Identity(), delay), Chain(branch)], channels))
        delay = layers[-1].delay
    return Chain(layers)
