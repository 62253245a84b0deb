"""A vocoder as one file with a card: the same sound, what the card says, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vctool import vocoders
from vctool.config import build, read_yaml
from vctool.engine import checkpoint
from vctool.errors import ConfigError, DataError
from vctool.features.settings import FeatureConfig
from vctool.models.base import Context
from vctool.models.istft.system import System
from vctool.tools import package_vocoder
from vctool.vocoders.stored import packaged

MEL = FeatureConfig(rate=16000, hop_length=128, n_fft=512, n_mels=40)


def train(exp: Path, corpus: dict[str, Any], **tuned: str) -> Path:
    torch.manual_seed(0)
    conf = read_yaml(Path(__file__).parents[2] / "conf/istft/tiny.yaml")["model"]
    context = Context(features=MEL, vocoder="wave", roles=("voices",))
    system = System(build(System.Config, conf, "tiny"), context)
    recipe = {"name": exp.name, "corpus": corpus, "fine_tune": tuned}
    checkpoint.save(exp / "checkpoints", system, family="istft", step=7, recipe=recipe)
    return exp


def score(folder: Path, row: str = "model") -> None:
    """Leave scores that are better in LSD, worse in DNSMOS, and not told apart in MR-STFT."""

    def values(ours: float, theirs: float, low: float, high: float) -> dict[str, Any]:
        versus = {"griffin_lim": [ours - theirs, low, high]}
        return {
            "recording": {"value": 0.0, "versus": {}},
            "griffin_lim": {"value": theirs, "versus": {}},
            row: {"value": ours, "versus": versus},
        }

    measures = {
        "lsd": values(4.0, 5.5, -1.7, -1.3),
        "mr_stft": values(0.5, 0.51, -0.1, 0.1),
        "distillmos": values(3.5, 3.2, 0.2, 0.4),
        "dnsmos_overall": values(2.5, 3.0, -0.6, -0.4),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"measures": measures}))


def test_the_file_sounds_as_the_experiment_and_the_card_says_what_it_is(workdir: Path) -> None:
    exp = train(Path("exp/mine"), {"name": "vcc2016"})
    score(exp)
    out = Path("kept/istft-16k.safetensors")
    said = package_vocoder.run(exp, out)
    mel = {"mel": np.random.default_rng(0).uniform(-60, 0, (30, 40)).astype(np.float32)}
    sounds = [vocoders.get(str(one)).synthesise(mel, MEL, 3000) for one in (exp, out)]
    np.testing.assert_allclose(*sounds, atol=0.02 * np.abs(sounds[0]).max())
    # The discriminators stay behind: half of the weights' bytes, and nothing else.
    weights = checkpoint.read_tensors(exp / "checkpoints/step-00000007/model.safetensors")
    kept = sum(one.numel() for name, one in weights.items() if name.startswith("generator."))
    assert any(not name.startswith("generator.") for name in weights)
    assert out.stat().st_size < 2 * kept + 10_000
    card = out.with_suffix(".md").read_text()
    for told in (
        "- vcc2016: ", "CC BY 4.0", "7 steps", "16 kHz", "40 bins",
        "| griffin_lim | 5.500 | 0.510 | 3.200 | 3.000 |",
        "| this vocoder | 4.000 | 0.500 | 3.500 | 2.500 |",
    ):  # fmt: skip
        assert told in card, told
    assert "LSD: better than griffin_lim: -1.500 (-1.700..-1.300)" in said
    assert "DistillMOS: better than griffin_lim" in said
    assert "DNSMOS: worse than griffin_lim" in said
    assert "MR-STFT: not told apart from griffin_lim" in said and "MR-STFT" in card


def test_scores_of_a_copy_synthesis_will_do(workdir: Path) -> None:
    exp = train(Path("exp/mine"), {"name": "vcc2016"})
    out = Path("istft.safetensors")
    with pytest.raises(DataError, match=r"exp/mine/results.json: no scores there"):
        package_vocoder.run(exp, out)
    score(Path("exp/copy"), row="exp/mine")
    package_vocoder.run(exp, out, Path("exp/copy"))
    with pytest.raises(DataError, match="no row 'hers'; name one with --row: recording, griffin"):
        package_vocoder.run(exp, out, Path("exp/copy"), "hers")
    (Path("exp/copy") / "results.json").write_text("{}")
    with pytest.raises(DataError, match="not readable"):
        package_vocoder.run(exp, out, Path("exp/copy"))


@pytest.mark.parametrize(
    ("corpus", "terms"),
    [({"speech": "vcc2016", "singing": "mir1k"}, "mir1k, whose terms are 'for research")],
)
def test_weights_of_recordings_that_are_not_for_everybody_are_not_packaged(
    workdir: Path, corpus: dict[str, Any], terms: str
) -> None:
    exp = train(Path("exp/mine"), corpus)
    score(exp)
    with pytest.raises(ConfigError, match=terms):
        package_vocoder.run(exp, Path("istft.safetensors"))
    assert not Path("istft.safetensors").exists()
    with pytest.raises(ConfigError, match="does not say what it was trained on"):
        package_vocoder.run(train(Path("exp/odd"), {}), Path("istft.safetensors"))


@pytest.mark.parametrize("how", ["start", "mels_of"])
def test_what_an_experiment_began_with_counts_as_well(workdir: Path, how: str) -> None:
    """Or else a step on other recordings would wash any terms off."""
    train(Path("exp/first"), {"speech": "vcc2016", "singing": "mir1k"})
    train(Path("exp/second"), {"name": "vcc2016"}, start="first")
    exp = train(Path("exp/third"), {"name": "vcc2016"}, **{how: "second"})
    score(exp)
    with pytest.raises(ConfigError, match="mir1k, whose terms are"):
        package_vocoder.run(exp, Path("istft.safetensors"))
    train(Path("exp/first"), {"name": "cmu_arctic"})
    package_vocoder.run(exp, Path("istft.safetensors"))
    card = Path("istft.md").read_text()
    assert card.count("- vcc2016: ") == card.count("- cmu_arctic: ") == 1


def test_what_comes_with_the_project_is_small(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exp = train(Path("exp/mine"), {"name": "vcc2016"})
    score(exp)
    monkeypatch.setattr(packaged, "FOLDER", workdir / "weights")
    monkeypatch.setattr(package_vocoder, "LARGEST", 1000)
    with pytest.raises(ConfigError, match=r"at most 0\.001 MB come with the project"):
        package_vocoder.run(exp, workdir / "weights" / "istft-16k.safetensors")
    package_vocoder.run(exp, workdir / "elsewhere.safetensors")
    with pytest.raises(ConfigError, match="end the name in"):
        package_vocoder.run(exp, Path("istft.pt"))


def test_everything_that_comes_with_the_project_is_small_and_has_a_card() -> None:
    for path in packaged.FOLDER.glob(f"*{packaged.SUFFIX}"):
        assert path.stat().st_size <= package_vocoder.LARGEST, path
        name = packaged.read_header(path)["vocoder"]
        assert path.name.startswith(f"{name}-"), "bare names find weights by the file's name"
        card = path.with_suffix(".md").read_text()
        assert "## Trained on" in card and "## Scores on held-out recordings" in card
        assert vocoders.get(name, packaged.features_of(path)).features is not None
