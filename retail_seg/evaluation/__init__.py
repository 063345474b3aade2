"""Labelled photos and crops ► scores, measures and plots."""
