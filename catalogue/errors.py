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


class UnknownColumns(ImportFileError):
    """A table's columns are of no known format; the person can say which is which.

    `columns` are the table's, `proposed` ours ► its own, `samples` some values of each column.
    """

    def __init__(
        self, message: str, columns: list[str], proposed: dict[str, str], samples: dict[str, list[str]]
    ) -> None:
        super().__init__(message)
        self.columns, self.proposed, self.samples = columns, proposed, samples


class GtinError(CatalogueError):
    """A number is not a trade item number: wrong length, characters or check digit."""


class UndoError(CatalogueError):
    """A change is not known, cannot be undone, or later changes rest on it."""


class EditConflict(CatalogueError):
    """A product cannot be changed like that: its SKU is taken, or somebody has changed it meanwhile."""


class PictureRefused(CatalogueError):
    """A picture named in an import cannot be used; the message says why, without naming the picture."""


class UnknownScan(CatalogueError):
    """No scan has this number, or it has no such instance."""


class UnknownGroup(CatalogueError):
    """A group of facings is not there any more: somebody has named, merged or changed it."""


class PlanConflict(CatalogueError):
    """A plan cannot be kept: its fixture has another one at that time."""


class UnknownPlan(CatalogueError):
    """No plan has this name or version."""


class UnknownCheck(CatalogueError):
    """No check of a shelf, finding or task has this number."""


class BackupError(CatalogueError):
    """A backup cannot be written or restored there."""


class FollowedError(CatalogueError):
    """The store follows a centre, and what was to be changed is the centre's."""
