"""Annotated photos ► a trained model: samples, loss, thresholds, validation, card."""
