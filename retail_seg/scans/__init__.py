"""Scans that are kept, with what people corrected and today's answers; and a folder whose photos are scanned."""
