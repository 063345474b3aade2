"""Every error a person can cause or mend: the message says what is wrong, where, and what to do."""


class RetailSegError(Exception):
    """Something that the caller can mend; the message is one sentence a user reads."""


class PhotoError(RetailSegError):
    """A picture cannot be used: not an image, damaged, empty or too large."""


class AnnotationError(RetailSegError):
    """Annotations are missing, damaged or do not fit their photo."""


class ModelError(RetailSegError):
    """A model folder is missing, incomplete or does not fit this program."""


class TrainingError(RetailSegError):
    """The photos given cannot train a model."""


class StoreError(RetailSegError):
    """A store is missing, of another version or pinned to another embedder."""


class LabelledCropsError(RetailSegError):
    """A list of labelled pictures is missing, damaged or empty."""


class MissingExtraError(RetailSegError):
    """Something asked for needs a package that is not installed; the message says how to get it."""


class ManifestError(RetailSegError):
    """A manifest is damaged, or a photo or annotation that it names is missing or has changed."""


class RecordError(RetailSegError):
    """The record of the trainings cannot be reached, or holds no such run."""


class ChainError(RetailSegError):
    """A snapshot cannot be published or followed: out of reach, damaged, signed by another, or older than ours."""


class PlanError(RetailSegError):
    """A plan of a fixture is missing, cannot be read, or does not go with the plans that are kept."""


class AlertError(RetailSegError):
    """An alert cannot be sent, or where it is to be sent cannot be used."""


class FleetError(RetailSegError):
    """Work on several machines cannot go on: nothing listens, no worker comes up, or their stores differ."""
