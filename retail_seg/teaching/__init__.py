"""The photos that people annotate in the app, and the segmenters that are trained on them, kept in the store.

`annotation_set` (with `files`) keeps photos, ids and edits; `edits` are pure functions of ids, `editor` the tools that
make them, `view` what is seen of a photo, `imports` takes in annotations made elsewhere; `trainings` runs
`retail-seg train` behind the page, `judging` asks models about the photos.
"""

from retail_seg.teaching.annotation_set import DONE, DRAFT, NEW, TaughtPhoto, Teaching, TeachingError

__all__ = ["DONE", "DRAFT", "NEW", "TaughtPhoto", "Teaching", "TeachingError"]
