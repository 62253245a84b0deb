"""MiniRocket: equal to the published method, and gradients that move its input."""

import copy
import importlib
from itertools import combinations

import numba
import numpy as np
import pytest
import torch
from torch.nn import functional

from vctool.models.vocal_cyclegan import ppv
from vctool.models.vocal_cyclegan.minirocket import MiniRocket, choose_dilations


@pytest.fixture(scope="module")
def sktime():
    """The reference, run as the Python that it is: numba takes half a minute to compile it."""
    found = pytest.importorskip("sktime.transformations.rocket", reason="sktime not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        importlib.import_module("sktime.transformations.rocket._minirocket_multi_numba")
    return found


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def whole_numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Data on which float32 convolutions are exact, in whatever order they are summed."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


def fitted(channels: int = 5, length: int = 40, features: int = 500, **options) -> MiniRocket:
    module = MiniRocket(channels, length, features, **options)
    module.fit(torch.from_numpy(whole_numbers(6, channels, length)))
    return module


def naive(module: MiniRocket, x: torch.Tensor, *, hard: bool) -> torch.Tensor:
    """The definition, one convolution at a time, for autograd to differentiate."""
    biases, features = module.biases.to(x), []
    row = place = 0
    per_dilation = zip(module.dilations, module.features_per_dilation, strict=True)
    for index, (d, n) in enumerate((int(d), int(n)) for d, n in per_dilation):
        for number, taps in enumerate(combinations(range(9), 3)):
            weight = -torch.ones(9, dtype=x.dtype)
            weight[list(taps)] = 2
            channels = x[:, module.combinations[row]].sum(1, keepdim=True)
            padding = 4 * d if (index + number) % 2 == 0 else 0
            c = functional.conv1d(channels, weight[None, None], dilation=d, padding=padding)
            for bias in biases[place : place + n]:
                u = (c[:, 0] - bias) / (module.temperature * module.scales[row].to(x))
                soft = (1 + u / (1 + u * u).sqrt()) / 2
                features.append(((u > 0).to(x) if hard else soft).mean(-1))
            row, place = row + 1, place + n
    return torch.stack(features, 1)


@pytest.mark.parametrize(
    ("channels", "length", "features"), [(1, 9, 84), (3, 50, 1000), (20, 256, 5000)]
)
def test_hard_counts_equal_sktime_exactly_on_whole_numbers(sktime, channels, length, features):
    data = whole_numbers(7, channels, length)
    reference = sktime.MiniRocketMultivariate(features, random_state=3).fit(data[:3])
    ours = MiniRocket.from_sktime(reference, channels)
    expected = torch.tensor(reference.transform(data).to_numpy())
    got = ours(torch.from_numpy(data), hard=True)
    assert got.shape == expected.shape
    assert torch.allclose(got, expected, atol=1e-6, rtol=0)


def test_hard_counts_equal_sktime_on_real_numbers_but_for_rounded_ties(sktime):
    data = np.random.default_rng(1).standard_normal((8, 128, 256)).astype(np.float32)
    reference = sktime.MiniRocketMultivariate(10_000, random_state=0).fit(data[:2])
    expected = torch.tensor(reference.transform(data).to_numpy())
    got = MiniRocket.from_sktime(reference, 128)(torch.from_numpy(data), hard=True)
    different = (got - expected).abs() > 1e-6
    # A sample within rounding of a bias may fall on either side: one count of at least 8 frames.
    assert different.float().mean() < 1e-3
    assert (got - expected).abs().max() <= 1 / 8 + 1e-6


def test_fit_takes_the_quantiles_that_sktime_takes(sktime):
    # With one example nothing is left to chance once the channels are the same.
    data = np.random.default_rng(2).standard_normal((1, 6, 120)).astype(np.float32)
    reference = sktime.MiniRocketMultivariate(2000, random_state=5).fit(data)
    ours = MiniRocket.from_sktime(reference, 6)
    theirs = ours.biases.clone()
    ours.biases.zero_()
    ours.fit(torch.from_numpy(data))
    assert torch.allclose(ours.biases, theirs, atol=1e-4)


@pytest.mark.parametrize("length", [9, 40, 64, 256, 1000])
@pytest.mark.parametrize("features", [1, 84, 500, 10_000])
def test_dilations_are_those_of_sktime(sktime, length, features):
    from sktime.transformations.rocket import _minirocket_multi_numba as reference

    dilations, counts = reference._fit_dilations(length, features, 32)
    assert choose_dilations(length, features) == (tuple(dilations), tuple(counts))


def test_published_size_has_9996_features():
    assert MiniRocket(128, 256).out_features == 9996


def test_channel_combinations_have_one_to_nine_distinct_channels():
    counts = MiniRocket(128, 256).combinations.sum(1)
    assert counts.min() == 1 and counts.max() == 9
    # 2 ** U(0, log2(10)) rounded down has mean 3.5: few channels are more likely than many.
    assert 3.2 < counts.float().mean() < 3.8
    assert (MiniRocket(128, 256).combinations == MiniRocket(128, 256).combinations).all()
    assert (MiniRocket(128, 256).combinations != MiniRocket(128, 256, seed=1).combinations).any()


@pytest.mark.parametrize("hard", [False, True])
def test_features_equal_their_definition(hard):
    module = fitted()
    x = torch.from_numpy(whole_numbers(4, 5, 40, seed=1)).double()
    assert torch.allclose(module(x, hard=hard), naive(module, x, hard=hard), atol=1e-12)


@pytest.mark.parametrize(("columns", "piece"), [(4096, 1 << 20), (80, 1)])
def test_gradient_equals_autograd_through_the_definition(monkeypatch, columns, piece):
    monkeypatch.setattr(ppv, "COLUMNS", columns)
    monkeypatch.setattr(ppv, "PIECE", piece)
    module = fitted(channels=5)
    x = torch.randn(5, 5, 44, dtype=torch.float64) * 5
    direction = torch.randn(5, module.out_features, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    (module(ours) * direction).sum().backward()
    (naive(module, theirs, hard=False) * direction).sum().backward()
    assert theirs.grad.abs().max() > 0
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)


def test_gradcheck():
    module = fitted(channels=2, length=17, features=168, temperature=1.0)
    x = (torch.randn(2, 2, 17, dtype=torch.float64) * 5).requires_grad_()
    assert torch.autograd.gradcheck(module, (x,), atol=1e-8, rtol=1e-4, fast_mode=True)


def test_every_channel_and_frame_hears_a_critic():
    torch.manual_seed(0)
    module = MiniRocket(32, 64)
    module.fit(torch.randn(8, 32, 64))
    x = torch.randn(3, 32, 64, requires_grad=True)
    (module(x) * torch.randn(module.out_features)).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert (x.grad != 0).all()


def test_gradient_descent_moves_the_input_to_the_features_of_real_data():
    torch.manual_seed(0)
    real = torch.randn(16, 4, 64).cumsum(2)
    module = MiniRocket(4, 64, 1000)
    module.fit(real)
    target = module(real, hard=True).mean(0)
    fake = torch.randn(4, 4, 64, requires_grad=True)
    optimizer = torch.optim.Adam([fake], lr=0.1)

    def distance() -> float:
        return float((module(fake.detach(), hard=True).mean(0) - target).abs().mean())

    before = distance()
    for _ in range(60):
        optimizer.zero_grad()
        (module(fake).mean(0) - target).square().sum().backward()
        optimizer.step()
    # Judged by the published count, which the gradient never saw.
    assert distance() < 0.4 * before


def test_soft_count_tends_to_the_hard_count_as_temperature_falls():
    x = torch.randn(8, 5, 40)
    module = MiniRocket(5, 40, 500)
    module.fit(x)
    errors = []
    for temperature in (0.5, 0.1, 0.01, 1e-4):
        module.temperature = temperature
        errors.append(float((module(x) - module(x, hard=True)).abs().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.02 and errors[3] < 1e-3


def test_soft_count_does_not_depend_on_the_unit_of_the_data():
    x = torch.randn(6, 3, 40)
    one, other = MiniRocket(3, 40, 500), MiniRocket(3, 40, 500)
    one.fit(x)
    other.fit(x * 1000)
    assert torch.allclose(one(x), other(x * 1000), atol=1e-5)


def test_batch_equals_stacked_singles():
    module = fitted(length=256, features=1000)
    x = torch.randn(40, 5, 256) * 5  # more than one piece
    stacked = torch.cat([module(single) for single in x.split(1)])
    assert torch.allclose(module(x), stacked, atol=1e-6)
    assert module(x[:0]).shape == (0, module.out_features)


def test_threads_change_neither_features_nor_gradients():
    module = fitted(length=256, features=1000)
    x = torch.randn(9, 5, 256) * 5
    direction = torch.randn(9, module.out_features)
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        leaf = x.clone().requires_grad_()
        features = module(leaf)
        (features * direction).sum().backward()
        with torch.inference_mode():
            assert torch.equal(module(x), features)
        results.append((features, leaf.grad))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-6)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-6, rtol=1e-4)


def test_state_rebuilds_the_features_even_over_another_seed_and_after_use():
    module, other = fitted(seed=1), fitted(seed=2)
    x = torch.randn(3, 5, 40) * 5
    assert not torch.equal(module(x), other(x))
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(x), other(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))
    assert set(module.state_dict()) == {
        "dilations",
        "features_per_dilation",
        "combinations",
        "biases",
        "scales",
        "is_fitted",
    }


def test_has_nothing_to_train_and_fit_is_repeatable():
    assert not list(fitted().parameters())
    assert torch.equal(fitted().biases, fitted().biases)


def test_bf16_autocast_changes_nothing():
    module = fitted()
    x = torch.randn(3, 5, 40) * 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(x), module(x.clone()))
        assert module(x.bfloat16()).dtype == torch.float32
        inside = fitted()
        cast = module(x)
    assert torch.equal(cast, module(x))
    assert torch.equal(inside.biases, module.biases)


@pytest.mark.filterwarnings("ignore:.*CUDA initialization.*:UserWarning")
def test_cuda_equals_cpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    module = fitted(channels=20, length=256, features=10_000)
    x = torch.randn(20, 20, 256) * 5
    direction = torch.randn(20, module.out_features)
    results = []
    for device in ("cpu", "cuda"):
        leaf = x.to(device).requires_grad_()
        features = module.to(device)(leaf)
        (features * direction.to(device)).sum().backward()
        results.append((features.detach().cpu(), leaf.grad.cpu()))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5, rtol=1e-3)


def test_constant_data_gives_finite_features_and_gradients():
    module = MiniRocket(3, 40, 500)
    module.fit(torch.zeros(2, 3, 40))
    x = torch.zeros(2, 3, 40, requires_grad=True)
    features = module(x)
    features.sum().backward()
    assert torch.isfinite(features).all() and torch.isfinite(x.grad).all()


def test_refuses_unfitted_wrong_channels_and_too_short():
    x = torch.randn(2, 5, 40)
    with pytest.raises(AssertionError, match="call fit"):
        MiniRocket(5, 40, 500)(x)
    with pytest.raises(AssertionError, match=r"\(B, 5, T\), not \(2, 3, 40\)"):
        fitted()(x[:, :3])
    with pytest.raises(AssertionError, match="8 frames are fewer"):
        fitted()(x[:, :, :8])
    with pytest.raises(AssertionError, match="finite"):
        fitted().fit(x.fill_(torch.nan))


def test_second_derivatives_are_refused_not_wrong():
    x = torch.randn(2, 5, 40, requires_grad=True)
    (grad,) = torch.autograd.grad(fitted()(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.square().sum().backward()
