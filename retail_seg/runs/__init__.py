"""Trainings and comparisons on record: where it is kept, what is written, what is read."""
