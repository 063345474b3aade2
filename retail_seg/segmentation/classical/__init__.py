"""The methods of the field's introductions, each a small function photo ► mask or instances, and their tuning.

Photos are upright RGB uint8 (h, w, 3), masks bool (h, w), instances int32 (h, w) with 0 = background. None of these
methods knows which side of a threshold is the ground: what fills most of the rim is. scikit-image and OpenCV do the
work; a random forest on pixels also wants scikit-learn (`pip install "retail-seg[compare]"`).
"""

from retail_seg.segmentation.classical.methods import METHODS, Method, TunedMethod
from retail_seg.segmentation.classical.tuning import tune_method

__all__ = ["METHODS", "Method", "TunedMethod", "tune_method"]
