"""Runtime: a compiled network answers as PyTorch does, at any free size, and is compiled once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from index import runtime
from index.errors import IndexingError

pytestmark = pytest.mark.skipif(not runtime.available(), reason="OpenVINO is not installed")


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 3, 1, 1)).eval()


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def answer(module: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return module(torch.from_numpy(x)).numpy()


def test_answers_agree_at_sizes_that_were_never_seen(tmp_path: Path) -> None:
    call = runtime.compiled(lambda: net(), [picture(1, 3, 32, 32)], "a", dynamic=[[0, 2, 3]], folder=tmp_path)
    for shape in ((1, 3, 32, 32), (3, 3, 64, 48), (2, 3, 16, 80)):
        found, exact = call(picture(*shape)), answer(net(), picture(*shape))
        assert found.shape == exact.shape and found.dtype == np.float32
        assert abs(found - exact).max() < 0.03 * abs(exact).max()


def test_float32_is_exact(tmp_path: Path) -> None:
    x = picture(2, 3, 32, 32)
    call = runtime.compiled(lambda: net(), [x], "a", dynamic=[[0]], precision="f32", folder=tmp_path)
    np.testing.assert_allclose(call(x), answer(net(), x), atol=1e-5)


def test_compiled_once_and_anew_for_other_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = runtime._build

    def counted(*arguments: object) -> None:
        built.append(str(arguments[-1]))
        build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime, "_build", counted)
    x = picture(1, 3, 16, 16)
    first = runtime.compiled(lambda: net(0), [x], "weights 0", dynamic=[[0]], folder=tmp_path)
    again = runtime.compiled(lambda: net(1), [x], "weights 0", dynamic=[[0]], folder=tmp_path)
    other = runtime.compiled(lambda: net(1), [x], "weights 1", dynamic=[[0]], folder=tmp_path)
    assert len(set(built)) == len(built) == 2
    np.testing.assert_array_equal(first(x), again(x))
    assert abs(first(x) - other(x)).max() > 0.01


def test_an_unfinished_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("power cut")

    x = picture(1, 3, 16, 16)
    with monkeypatch.context() as patched:
        patched.setattr(runtime, "_choose", broken)
        with pytest.raises(RuntimeError, match="power cut"):
            runtime.compiled(lambda: net(), [x], "a", dynamic=[[0]], folder=tmp_path)
    assert not list(tmp_path.iterdir())
    assert runtime.compiled(lambda: net(), [x], "a", dynamic=[[0]], folder=tmp_path)(x).shape == (1, 8, 8, 8)


def test_a_precision_that_loses_too_much_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MIN_COSINE", 2.0)
    x = picture(1, 3, 16, 16)
    call = runtime.compiled(lambda: net(), [x], "a", dynamic=[[0]], folder=tmp_path)
    np.testing.assert_allclose(call(x), answer(net(), x), atol=1e-5)
    with pytest.raises(IndexingError, match="bf16 keeps a cosine"):
        runtime.compiled(lambda: net(), [x], "a", dynamic=[[0]], precision="bf16", folder=tmp_path)


def test_int8_is_near_and_has_to_be_asked_for(tmp_path: Path) -> None:
    x = np.abs(picture(8, 3, 32, 32))
    call, chosen = runtime.compiled_as(lambda: net(), [x], "a", dynamic=[[0]], precision="int8", folder=tmp_path)
    assert chosen == "int8" and 0.99 <= runtime.worst_cosine(answer(net(), x), call(x)) < 0.999999
    assert "FakeQuantize" in next(tmp_path.glob("*/network.xml")).read_text()
    _, chosen = runtime.compiled_as(lambda: net(), [x], "a", dynamic=[[0]], folder=tmp_path)
    assert chosen in ("bf16", "f32")


def test_int8_that_loses_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "MIN_COSINE_INT8", 2.0)
    with pytest.raises(IndexingError, match="int8 keeps a cosine"):
        runtime.compiled(lambda: net(), [picture(2, 3, 16, 16)], "a", dynamic=[[0]], precision="int8", folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_a_driver_there_is_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_DRIVER", tmp_path / "nothing")
    assert runtime.has_cuda() is False


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexingError, match="int4"):
        runtime.compiled(lambda: net(), [picture(1, 3, 16, 16)], "a", dynamic=[[0]], precision="int4", folder=tmp_path)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_batch_is_divided_and_answered_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("RETAIL_SEG_THREADS", threads)
    x = picture(67, 3, 16, 16)
    call = runtime.compiled(lambda: net(), [x[:2]], "a", dynamic=[[0]], precision="f32", folder=tmp_path)
    whole = call(x)
    np.testing.assert_allclose(whole, answer(net(), x), atol=1e-5)
    for count in (1, 2, 10, 31):
        np.testing.assert_array_equal(call(x[:count]), whole[:count])


def test_threads_that_ask_at_once_get_their_own_answers(tmp_path: Path) -> None:
    x = picture(24, 3, 16, 16)
    call = runtime.compiled(lambda: net(), [x[:1]], "a", dynamic=[[0]], folder=tmp_path)
    alone = [call(x[at : at + 2]) for at in range(0, 24, 2)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda at: call(x[at : at + 2]), range(0, 24, 2)))
    np.testing.assert_array_equal(together, alone)


def test_pooling_keeps_its_values_and_loses_its_indices(tmp_path: Path) -> None:
    pools = nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(2, 2)
    for number, pool in enumerate(pools):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), pool).eval()
        x = picture(2, 3, 18, 21)
        call = runtime.compiled(
            lambda module=module: module, [x], str(number), dynamic=[[0]], precision="f32", folder=tmp_path
        )
        np.testing.assert_allclose(call(x), answer(module, x), atol=1e-5)
    kept = [path.read_text() for path in tmp_path.glob("*/network.xml")]
    assert len(kept) == 3 and all('type="MaxPool" version="opset1"' in text for text in kept)
