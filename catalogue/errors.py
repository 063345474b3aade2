"""What can go wrong with the catalogue; imports nothing."""


class CatalogueError(Exception):
    """Base of this package's errors; the message is one sentence a user reads."""


class UnknownProduct(CatalogueError):
    """No product has this SKU."""


class UnknownReference(CatalogueError):
    """No reference has this id."""


class CatalogueVersionError(CatalogueError):
    """The catalogue file was written by a newer version, or is no catalogue."""


class ImportFileError(CatalogueError):
    """An import file cannot be read at all; single bad rows are reported, not raised."""
