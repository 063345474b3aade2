"""Photos ► masks ► instances. Imports nothing of `index`, `catalogue` or the join modules."""
