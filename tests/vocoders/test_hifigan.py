import numpy as np
import pytest
import torch

from tests.sounds import sine
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.errors import ConfigError
from vctool.export import checks, parity
from vctool.export import onnx as exporting
from vctool.export.runtime import Exported
from vctool.features.mel import level, log_mel
from vctool.features.settings import FeatureConfig
from vctool.models.hifigan.live import Live
from vctool.nn.streaming import whole
from vctool.vocoders.hifigan import HifiganConfig, HifiganNetwork, Vocoder

CONFIG = FeatureConfig(rate=16000, n_fft=512, hop_length=100, n_mels=40, mel_power=1)
SMALL = {
    "upsample_rates": [5, 5, 4],
    "upsample_kernel_sizes": [11, 11, 8],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
}


def network(features: FeatureConfig = CONFIG, **changes: object) -> HifiganNetwork:
    torch.manual_seed(0)
    return HifiganNetwork(build(HifiganConfig, SMALL | changes, "test"), features).eval()


@pytest.mark.parametrize(("conf", "millions"), [("default", 13.92), ("v2", 0.92), ("v3", 1.46)])
def test_shipped_variants_have_the_size_that_the_paper_tells(conf: str, millions: float) -> None:
    """Kong, Kim and Bae (2020), table 1: parameters of V1, V2 and V3 [millions]."""
    tree = read_yaml(PROJECT_ROOT / "conf" / "hifigan" / f"{conf}.yaml").get("model", {})
    features = FeatureConfig(rate=22050, n_fft=1024, hop_length=256, n_mels=80)
    made = HifiganNetwork(build(HifiganConfig, tree, conf), features)
    assert sum(p.numel() for p in made.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


@pytest.mark.parametrize("resblock", ["1", "2"])
def test_in_real_time_it_is_the_network_to_the_sample(resblock: str) -> None:
    """Streamed with its declared latency taken off, exported and in every cut."""
    one = network(resblock=resblock)
    stream = Live(one)
    wave = parity.sounds(CONFIG.rate, 0.6)["voice"]
    heard = level(wave, CONFIG)
    offline = Vocoder(one).synthesise({"mel": heard}, CONFIG, len(wave))
    made = whole(stream, torch.from_numpy(wave)).numpy()
    kept = len(wave) - 40 * CONFIG.hop_length  # where no layer sees beyond the end
    peak = np.abs(offline).max()
    np.testing.assert_allclose(made[:kept], offline[:kept], rtol=0, atol=1e-4 * peak)
    assert np.abs(made[:kept] - np.roll(offline, 1)[:kept]).max() > 1e-3 * peak
    exported = Exported(checks.require(exporting.graph(stream), stream), "hifigan")
    found = parity.measure(stream, lambda: exported.run({}), {}, 0.3)
    assert found.latency == stream.latency


@pytest.mark.parametrize("resblock", ["1", "2"])
def test_frames_become_hops_in_their_places(resblock: str) -> None:
    """What changes in one frame is heard around its hop, as far as the layers reach."""
    one = network(resblock=resblock)
    mel = torch.full((1, 40, 60), -40.0)
    changed = mel.clone()
    changed[..., 30] = -20.0
    with torch.no_grad():
        apart = (one(changed) - one(mel)).abs()[0]
    assert apart.shape == (6000,)
    heard = torch.nonzero(apart > 1e-6)[:, 0]
    centre = float((apart * torch.arange(6000)).sum() / apart.sum())
    assert centre == pytest.approx(3050, abs=60)
    assert heard.min() > 2000
    assert heard.max() < 4100


def test_sound_is_of_any_length_and_the_same_each_time() -> None:
    vocoder = Vocoder(network())
    level = log_mel(0.1 * np.random.default_rng(0).standard_normal(5000), CONFIG)
    whole = vocoder.synthesise({"mel": level}, CONFIG, 5000)
    for samples in (1, 49, 50, 4999, 5049, 6000):
        made = vocoder.synthesise({"mel": level}, CONFIG, samples)
        assert made.shape == (samples,)
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made[:4000], whole[:samples][:4000])


def test_it_can_learn_a_sound_by_heart() -> None:
    """A tone whose period is a hop has the same phase in every frame."""
    one = network().train()
    wave = sine(3000 / CONFIG.rate, 160, CONFIG.rate, 0.3).astype(np.float32)
    level = torch.from_numpy(log_mel(wave, CONFIG)[5:25]).T[None]
    true = torch.from_numpy(wave[450:2450])[None]
    adam = torch.optim.Adam(one.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        adam.zero_grad()
        loss = (one(level) - true).square().mean() / true.square().mean()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 < losses[0]


def test_settings_that_make_no_network_are_told_in_one_line() -> None:
    with pytest.raises(ConfigError, match="make 100 samples of a frame"):
        network(CONFIG.model_copy(update={"hop_length": 160}))
    for changes, told in (
        ({"upsample_kernel_sizes": [11, 11]}, "of one length"),
        ({"upsample_kernel_sizes": [10, 11, 8]}, "by an even number"),
        ({"upsample_kernel_sizes": [3, 11, 8]}, "by an even number"),
        ({"resblock_kernel_sizes": [3, 5]}, "one list for each"),
        ({"upsample_initial_channel": 36}, "halve evenly"),
    ):
        with pytest.raises(ConfigError, match=told):
            network(**changes)
