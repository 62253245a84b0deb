"""Notes as content and an instrument as style: how loud every pitch is, and what plays it.

Content is how active every pitch is at every frame, and how much it begins there, each rounded to a
few levels: a bottleneck that holds notes and hardly a timbre. Style is pooled over time. A decoder
makes power spectra as a sum of harmonic series, one for every pitch, of noise, and of a smooth
correction; its harmonic amplitudes begin at those that are measured in the reference itself.
"""

from torch import Tensor, nn

from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae.content import Content, Finder
from vctool.models.timbre_vqvae.decoder import Decoder
from vctool.models.timbre_vqvae.spectra import Spectra
from vctool.models.timbre_vqvae.style import Instrument, Listener, Profiler


class Structured(nn.Module):
    """The whole network.

    Args:
        config: the feature settings.
        spectra: their transforms.
        channels: per pitch.
        style: length of the style.
        levels: that activity is rounded to.
        measured: whether harmonic amplitudes begin at the measured ones.
    """

    def __init__(
        self,
        config: FeatureConfig,
        spectra: Spectra,
        channels: int,
        style: int,
        levels: int | None,
        measured: bool,
    ) -> None:
        super().__init__()
        self.levels = levels
        self.finder = Finder(spectra.log_bins, channels)
        self.profiler = Profiler(spectra.log_bins)
        self.listener = Listener(spectra.log_bins, style)
        self.decoder = Decoder(config, channels, style, measured)

    def find(self, logs: Tensor, energy: Tensor) -> Content:
        """Find the content, rounded; see `Finder`."""
        content: Content = self.finder(logs, energy)
        return content.rounded(self.levels)

    def listen(self, logs: Tensor, energy: Tensor, content: Content) -> Instrument:
        """Describe an instrument by what it plays."""
        profile = self.profiler(logs, content)
        return Instrument(self.listener(logs, energy, content, profile), profile)
