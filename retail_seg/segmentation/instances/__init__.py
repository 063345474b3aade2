"""Maps ► instances: grouping, zoom, splitting, merging, sizes."""
