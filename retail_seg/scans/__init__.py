"""Kept scans: what was seen, what people corrected, and how it would be answered today."""
