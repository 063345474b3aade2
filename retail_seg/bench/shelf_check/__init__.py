"""Made shelves with known faults, checked: precision and recall of each status."""
