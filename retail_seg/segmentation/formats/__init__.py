"""Annotation formats, one a module: each has TITLE, recognises(path), read(path) and write(photos, out)."""
