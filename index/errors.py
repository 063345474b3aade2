"""What can go wrong between a crop and its nearest references."""


class IndexingError(Exception):
    """Base of this package's errors; the message is one sentence a user reads."""


class WeightsError(IndexingError):
    """Weights are missing, damaged, of another network, or cannot be fetched."""


class EmbedderError(IndexingError):
    """An embedder is unknown or was given something that it cannot embed."""


class VectorIndexError(IndexingError):
    """Vectors do not fit the index, or its file cannot be read."""


class IndexUnreachableError(VectorIndexError):
    """The server that holds the vectors does not answer."""
