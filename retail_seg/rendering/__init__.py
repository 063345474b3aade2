"""Rendered groceries and photos of them whose truth is known, for the demo, for tests and for training."""
