"""Annotations made elsewhere come into the annotation set, in every format."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from teaching_helpers import iou, jpeg, masks_zip, scene

from retail_seg.errors import AnnotationError
from retail_seg.teaching import DONE, Teaching
from retail_seg.teaching.editor import Editor
from retail_seg.teaching.imports import import_annotations


class TestImport:
    def test_a_zip_of_photos_and_masks(self, teaching: Teaching) -> None:
        reports: list[float] = []
        found = import_annotations(teaching, masks_zip(range(3)), lambda share, text: reports.append(share))
        assert found.format == "instance-id PNG" and len(found.photos) == 3 and found.instances == 6
        assert found.problems == () and len(reports) == 3
        for photo, seed in zip(sorted(teaching.photos(), key=lambda p: p.name), range(3), strict=True):
            assert photo.state == DONE and np.array_equal(teaching.labels(photo), scene(seed)[1])

    def test_annotations_of_photos_that_are_here_already_can_be_undone(
        self, teaching: Teaching, editor: Editor
    ) -> None:
        id_ = teaching.add([("p0.jpg", jpeg(0))]).ids[0]
        editor.stroke(id_, np.array([[5.0, 5.0]]), 6, None)
        before = teaching.labels(teaching.photo(id_)).copy()
        found = import_annotations(teaching, masks_zip(range(2), photos=False))
        assert found.photos == (id_,) and len(found.problems) == 1 and "p1" in found.problems[0]
        assert np.array_equal(teaching.labels(teaching.photo(id_)), scene(0)[1])
        teaching.undo(id_)
        assert np.array_equal(teaching.labels(teaching.photo(id_)), before)

    @pytest.mark.parametrize("format_", ["coco", "labelme", "yolo", "voc", "groundtruth", "png"])
    def test_every_format(self, teaching: Teaching, tmp_path: Path, format_: str) -> None:
        from retail_seg.segmentation.annotations import convert

        for folder in ("photos", "masks"):
            (tmp_path / folder).mkdir()
        for seed in range(2):
            (tmp_path / "photos" / f"p{seed}.jpg").write_bytes(jpeg(seed))
            cv2.imwrite(str(tmp_path / "masks" / f"p{seed}.png"), scene(seed)[1].astype(np.uint16))
        convert(sorted((tmp_path / "photos").iterdir()), tmp_path / "masks", format_, tmp_path / "out")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for path in (*(tmp_path / "photos").iterdir(), *(p for p in (tmp_path / "out").rglob("*") if p.is_file())):
                file.write(path, path.relative_to(tmp_path))
        found = import_annotations(teaching, buffer.getvalue())
        assert len(found.photos) == 2 and found.instances == 4, found
        for photo, seed in zip(sorted(teaching.photos(), key=lambda p: p.name), range(2), strict=True):
            assert iou(teaching.labels(photo) > 0, scene(seed)[1] > 0) > 0.99

    def test_what_cannot_be_imported_is_said(self, teaching: Teaching) -> None:
        with pytest.raises(AnnotationError, match="no zip"):
            import_annotations(teaching, b"nothing")
        for members in ({"a.txt": b"hello"}, {"../../evil.png": b"x"}):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as file:
                for name, data in members.items():
                    file.writestr(name, data)
            with pytest.raises(AnnotationError):
                import_annotations(teaching, buffer.getvalue())
        assert teaching.photos() == []
