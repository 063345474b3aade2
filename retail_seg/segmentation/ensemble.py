"""Several models as one segmenter: the mean of what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retail_seg.errors import ModelError
from retail_seg.segmentation.network.architectures import joined
from retail_seg.segmentation.segmenter import Segmenter


def ensemble_of(models: Sequence[Segmenter], name: str = "ensemble") -> Segmenter:
    """One segmenter that averages several; its thresholds are the first one's until they are tuned.

    It works at the first one's size. Raises ModelError for fewer than two, or for models that see colours differently
    (mean, spread).
    """
    if len(models) < 2:
        raise ModelError(f"{len(models)} models make no ensemble; give at least two")
    first = models[0].config
    for model in models[1:]:
        if (model.config.mean, model.config.std) != (first.mean, first.std):
            raise ModelError(f"{model.name}: works with other colours than {models[0].name}")
    members = tuple(model.config for model in models)
    config = replace(first, architecture="ensemble", members=members)
    net = joined([model.net for model in models], config)
    return Segmenter(config, models[0].thresholds, net, name, models[0].wholeness)
