"""Pictures ► maps: the networks, as values and as PyTorch modules."""
