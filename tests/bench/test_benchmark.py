"""`benchmark index` on few vectors: what it measures, its table and its JSON line."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from click.testing import CliRunner

from retail_seg.bench.benchmark.search import benchmark_index, clustered_vectors
from retail_seg.cli.benchmark import benchmark


def test_the_command_ends_with_one_json_line(tmp_path: Path) -> None:
    arguments = ["index", "--labels", "200", "--references", "3", "--dim", "32", "--folder", str(tmp_path)]
    done = CliRunner().invoke(benchmark, arguments, standalone_mode=False)
    assert done.exception is None
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert (found["labels"], found["references"], found["dim"], found["recall"]) == (200, 3, 32, 1.0)
    for name in ("alone", "batch"):
        fastest = min(found[name]["faiss_ms"], found[name]["faiss_tuned_ms"])
        assert found[name]["ratio"] == pytest.approx(found[name]["index_ms"] / fastest, rel=0.05)
    assert found["batch"]["queries"] == 64
    assert {"open_ms", "resident_mb", "not_mapped_mb"} <= set(found["opening"])
    assert {"cpu", "flags", "cores", "versions"} <= set(found["machine"])
    assert "600 vectors" in done.stderr and "recall@10" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_approximate_kinds_report_their_recall(tmp_path: Path) -> None:
    result = benchmark_index(tmp_path, labels=5_200, references=4, dim=32, kind="ivf-sq8")
    assert 0.5 < result.recall < 1
    assert result.file_mb < 20_800 * 32 * 4 / 2**20


def test_the_peer_is_measured_under_faiss_own_setting_and_ours_comes_back(tmp_path: Path) -> None:
    before = faiss.cvar.distance_compute_blas_threshold
    benchmark_index(tmp_path, labels=20, references=2, dim=8)
    assert faiss.cvar.distance_compute_blas_threshold == before


def test_vectors_are_clustered_and_of_unit_length() -> None:
    vectors, queries = clustered_vectors(120, 3, 64)
    again, _ = clustered_vectors(120, 3, 64)
    np.testing.assert_array_equal(vectors, again)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    scores = vectors @ vectors.T
    label, family = np.repeat(np.arange(120), 3), np.repeat(np.arange(120) // 50, 3)
    same_label = (label[:, None] == label) & ~np.eye(360, dtype=bool)
    same_family = (family[:, None] == family) & (label[:, None] != label)
    strangers = family[:, None] != family
    assert scores[same_label].mean() > scores[same_family].mean() + 0.1 > scores[strangers].mean() + 0.2
    assert (queries @ vectors.T).max(axis=1).min() > 0.5
