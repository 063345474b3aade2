"""Model cards: what a model folder says about itself in its README.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from retail_seg.segmentation.network.architectures import ARCHITECTURES
from retail_seg.segmentation.segmenter import SegmenterConfig


def training_card(result: Mapping[str, Any], config: SegmenterConfig) -> str:
    """Markdown card of a model trained on annotated photos; `result` is TrainingResult.to_json()."""
    held = ", ".join(result["held_back"]) or "none (fewer than five photos): no score on unseen photos"
    lines = [
        "# Segmenter",
        "",
        "Finds the things in a photo and tells touching ones apart. Load it with `--model` or `Segmenter.load`.",
        "",
        "| | |",
        "| --- | --- |",
        f"| Photos | {len(result['photos'])} with {result['instances']} instances: {', '.join(result['photos'])} |",
        f"| Held back for the scores | {held} |",
        f"| Network | {ARCHITECTURES[config.architecture].title} |",
        f"| Started from | {result['start']} |",
        f"| Training | {result['steps']} steps in {result['seconds']} s, seed {result['seed']}"
        f"{', stopped early' if result['stopped_early'] else ''} |",
        f"| Working size | longer side {config.side} pixels |",
        f"| Versions | {versions()} |",
        "",
        "## Scores",
        "",
        "At working size, on what the network had not seen when it was scored; it saw the held-back photos afterwards.",
        "",
        "| | " + " | ".join(result["scene_scores"]) + " |",
        "| --- |" + " --- |" * len(result["scene_scores"]),
        _row("held-back photos", result["scores"], result["scene_scores"]),
        _row("composed scenes", result["scene_scores"], result["scene_scores"]),
        "",
        "## Thresholds",
        "",
        *(f"- {key}: {value}" for key, value in result["thresholds"].items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, values: Mapping[str, float], keys: Mapping[str, float]) -> str:
    return f"| {name} | " + " | ".join(f"{values[k]:.3f}" if k in values else "–" for k in keys) + " |"


def versions() -> str:
    """Versions that the result depends on."""
    from importlib.metadata import version

    parts = [f"{name} {version(name)}" for name in ("torch", "numpy", "opencv-python-headless")]
    return ", ".join([f"Python {platform.python_version()}", *parts])
