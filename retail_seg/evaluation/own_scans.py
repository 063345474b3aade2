"""A store's own kept scans, as people corrected them ► how right its answers to them are.

Every facing that a person confirmed or corrected is asked as the store would answer it today, by what it learned from
its references and the other half of the checked facings: no answer is scored by weights that saw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from index.calibration import expected_calibration_error
from index.precision import Measured, measured
from retail_seg.errors import LabelledCropsError
from retail_seg.evaluation.retrieval import Answers, within_reach

if TYPE_CHECKING:
    from index.calibration import Calibration, Policy
    from retail_seg.matcher import Matcher


@dataclass(frozen=True)
class OwnScans:
    """Answers to checked facings: `probability` float, `right` bool, `unlisted` bool (n,), the last where a person said
    that it is no product of the catalogue. From `threshold` on an answer is sure.
    """

    embedder: str
    policy: Policy
    threshold: float
    probability: np.ndarray
    right: np.ndarray
    unlisted: np.ndarray

    @property
    def sure(self) -> np.ndarray:
        """Which are called sure, bool (n,)."""
        return self.probability >= self.threshold

    @property
    def precision(self) -> Measured:
        """How right sure answers were, with its bounds."""
        return measured(self.right[self.sure])

    @property
    def answers(self) -> Answers:
        """For the plot of risk and coverage."""
        return Answers(self.probability, self.right, np.ones(len(self.right)))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a JSON line."""
        sure, found, strange = self.sure, self.precision, self.unlisted
        values = {
            "embedder": self.embedder,
            "checked": len(self.right),
            "unlisted": int(strange.sum()),
            "threshold": self.threshold,
            "top1": _share(self.right[~strange]),
            "ece": expected_calibration_error(self.probability, self.right),
            "sure": _share(sure),
            "sure_right": _share(sure & self.right),
            "precision": found.share,
            "precision_from": found.low,
            "precision_to": found.high,
            "likely": _share((self.probability >= self.policy.likely) & ~sure),
            "within_reach": within_reach(self.probability, self.right, self.policy.precision),
            "unlisted_sure": _share(sure[strange]),
        }
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}

    def table(self) -> str:
        """The same for people."""
        one, stated = self.to_dict(), self.policy.precision
        precision = "nothing is sure" if one["precision"] is None else f"{one['precision']:.1%} of them right"
        lines = [
            f"{one['checked']} checked facings of kept scans, {one['unlisted']} of them no product of the catalogue",
            f"first answer right: {_said(one['top1'])} of those in the catalogue; ECE {one['ece']:.3f}",
            f"sure from probability {self.threshold:.2f} on: {one['sure']:.1%}, {precision}"
            f" (stated {stated:.0%}; true share {one['precision_from']:.0%} to {one['precision_to']:.0%})",
            f"likely: {one['likely']:.1%}; within reach at {stated:.0%}: {one['within_reach']:.1%}",
            f"called sure of what is no product of the catalogue: {_said(one['unlisted_sure'])}",
        ]
        return "\n".join(lines)


def evaluate_own_scans(matcher: Matcher) -> OwnScans:
    """Score a store's answers to what people checked in its kept scans; nothing is kept.

    Raises LabelledCropsError where nothing has been checked.
    """
    calibration: Calibration = matcher.learned().calibration
    if not calibration.checked:
        raise LabelledCropsError(
            f"{matcher.folder}: nobody has checked a facing of a kept scan yet; confirm or correct some in the app."
        )
    probability, right = np.array(calibration.checked, float).T
    return OwnScans(
        matcher.embedder.name,
        calibration.policy,
        calibration.threshold,
        probability,
        right.astype(bool),
        np.array(calibration.unlisted, bool),
    )


def _share(which: np.ndarray) -> float | None:
    return float(which.mean()) if len(which) else None


def _said(share: float | None) -> str:
    return "none there" if share is None else f"{share:.1%}"
