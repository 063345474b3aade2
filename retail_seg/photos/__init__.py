"""Any upload ► one upright RGB array or a clear error; its quality, its codes and words; outlines drawn once."""

from retail_seg.photos.load import find_photos, load_photo

__all__ = ["find_photos", "load_photo"]
