"""Plots of a retrieval evaluation: reliability of the probabilities, and recall against references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retail_seg.evaluation.charts import Axis, Series, draw_chart, share_axis
from retail_seg.evaluation.retrieval import Answers, RetrievalResult

_BINS = 10
_FROM, _POINTS = 0.05, 60  # share answered from which on the share right is no chance, and points of a curve
_FEWEST = 5  # answers in a bin below which its share right is chance


def plot_reliability(result: RetrievalResult, path: Path) -> None:
    """Share of answers that are right against the probability they were given, as PNG."""
    at = np.minimum((result.probability * _BINS).astype(int), _BINS - 1)
    points = [
        (float(result.probability[at == one].mean()), float(result.right[at == one].mean()))
        for one in range(_BINS)
        if (at == one).sum() >= _FEWEST
    ]
    ece = result.rows[-1].ece
    draw_chart(
        path,
        f"Reliability of {result.embedder}, {result.rows[-1].references} references a product (ECE {ece:.3f})",
        share_axis("probability given"),
        share_axis("share of answers that are right"),
        [Series("as it should be", [(0, 0), (1, 1)], dashed=True), Series(result.embedder, points)],
    )


def plot_risk_coverage(result: RetrievalResult, path: Path) -> None:
    """How many of the answers are right when only the surest share of the crops is answered, as PNG."""
    within = Answers(result.probability, result.right, np.ones(len(result.right)))
    shown = {"every product in the catalogue": within}
    if result.mixed is not None:
        shown[f"{result.policy.strangers:.0%} strangers"] = result.mixed
    plot_risk_coverage_of(shown, result.embedder, result.policy.precision, path)


def plot_risk_coverage_of(shown: Mapping[str, Answers], embedder: str, precision: float, path: Path) -> None:
    """The same of answers by what they are called, beside the precision that is stated."""
    series = [Series("stated", [(0, precision), (1, precision)], dashed=True)]
    for name, answers in shown.items():
        answered, right = answers.coverage()
        at = np.unique(np.searchsorted(answered, np.linspace(_FROM, 1, _POINTS)).clip(max=len(answered) - 1))
        series.append(Series(name, list(zip(answered[at].tolist(), right[at].tolist(), strict=True))))
    draw_chart(
        path,
        f"{embedder}: what is answered, and how much of it is right",
        share_axis("share of the crops answered, the surest first"),
        share_axis("share of these answers that are right"),
        series,
    )


def plot_recall(results: Sequence[RetrievalResult], path: Path) -> None:
    """Top-1, as a store answers and plain, against the number of references a product, as PNG."""
    counts = sorted({row.references for result in results for row in result.rows})
    place = {count: float(at) for at, count in enumerate(counts)}
    series = []
    for result in results:
        store = [(place[row.references], row.top1) for row in result.rows]
        plain = [(place[row.references], row.plain_top1) for row in result.rows]
        series += [Series(f"{result.embedder}, as a store", store), Series(f"{result.embedder}, plain cosine", plain)]
    ticks = [(place[count], str(count)) for count in counts]
    across = Axis("references a product", -0.2, len(counts) - 0.8, ticks)
    draw_chart(path, "First answer right", across, share_axis("top-1"), series)
