"""How cost grows: curves measured on little, points kept and gone on with, slopes in words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from retail_seg.bench.benchmark import growth, synthetic
from retail_seg.bench.benchmark.curves import Curve, GrowthPoint, verdict
from retail_seg.bench.benchmark.growth import Points, Sizes, benchmark_growth
from retail_seg.errors import LabelledCropsError

CURVES = ["instances", "labels", "many-labels", "photo-size", "scan"]


def curve(*points: tuple[float, float, float]) -> Curve:
    """A curve of (amount, seconds, MB)."""
    return Curve("things", "things", "thing", "Work", [GrowthPoint(*point) for point in points])


def test_growth_is_measured_drawn_said_in_words_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "DESIGNS", 2)  # stores are made with few different packs
    vectors = tmp_path / "real.npz"
    np.savez(vectors, vectors=np.random.default_rng(2).normal(size=(60, 512)).astype(np.float32))
    sizes = Sizes(
        labels=[20, 30], many=[300, 900], instances=[1, 4], megapixels=[0.1, 0.2], references=2, size=0.3, rounds=1,
        memory=(20, 2, 0.3),
    )  # fmt: skip
    out, work, told = tmp_path / "out", tmp_path / "work", list[str]()
    found = benchmark_growth(out, work, sizes, vectors=vectors, tell=told.append)
    assert {path.name for path in out.iterdir()} == {"growth.md", *(f"growth-{name}.png" for name in CURVES)}
    text = (out / "growth.md").read_text()
    assert all(f"for each {unit}" in text for unit in ("label", "instance", "pack", "megapixel"))
    assert all(f"](growth-{name}.png)" in text for name in CURVES) and "linear" in text
    assert "40 references and scans a photo of 0.3 megapixels with 2 packs" in text
    assert 50 < found.data["memory"]["own"] <= found.data["memory"]["resident"] < 3000
    assert len(told) == 11

    monkeypatch.setattr(growth, "_measured", None)
    monkeypatch.setattr(growth, "most_held", None)
    assert benchmark_growth(out, work, sizes, vectors=vectors, tell=told.append).data == found.data
    assert len(told) == 11, "what is kept is not measured again"


def test_a_point_is_kept_as_soon_as_it_is_measured_and_again_measures_anew(tmp_path: Path) -> None:
    path, asked = tmp_path / "growth.json", []
    with pytest.raises(KeyboardInterrupt):
        points = Points(path)
        points.point("a", 1, lambda: lambda: asked.append("a"), 1)
        points.point("a", 2, lambda: lambda: (_ for _ in ()).throw(KeyboardInterrupt), 1)
    assert list(json.loads(path.read_text())) == ["a, 1"] and len(asked) == 2
    assert Points(path).point("a", 1, lambda: lambda: asked.append("b"), 1).amount == 1 and len(asked) == 2
    Points(path, again=True).point("a", 1, lambda: lambda: asked.append("c"), 1)
    assert asked[2:] == ["c", "c"]


def test_the_slope_in_words() -> None:
    steep = curve((1, 0.1, 0), (2, 0.2, 10), (10, 1.0, 90)).words()
    assert "0 ms and 100 ms more for each thing; 10 times the things take 10.0 times as long" in steep
    assert "to the power of 1.00, 1.00 from 2 to 10" in steep
    assert "from 100,000 to 1,000,000" in curve((100_000, 1, 0), (1_000_000, 2, 0)).words()
    flat = curve((1, 0.1, 5.1), (10, 0.101, 5)).words()
    assert "to the power of 0.00" in flat and "Memory: no kB more for each thing, 5 MB at 10" in flat


def test_above_linear_is_said_also_where_only_the_end_is_steep() -> None:
    line, late = curve((1, 1, 0), (10, 10, 0)), curve((1, 1, 0), (10, 1, 0), (20, 2.4, 0))
    assert verdict([line]) == "None grows above linear: the steepest is *Work*, as the things to the power of 1.00."
    assert late.powers()[0] < 1 and late.powers()[1] > 1.2
    assert verdict([line, late]).startswith("Above linear: *Work* (the steepest is *Work*")


def test_a_file_without_vectors_is_one_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", crops=np.zeros(3))
    for name in ("other.npz", "missing.npz"):
        with pytest.raises(LabelledCropsError, match=f"{name}: holds no vectors"):
            synthetic.real_vectors(tmp_path / name, None)  # type: ignore[arg-type]
