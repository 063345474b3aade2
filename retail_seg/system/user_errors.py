"""Everything a person can cause or mend, in any of the packages: shown as one sentence, never as a traceback."""

from catalogue.errors import CatalogueError
from index.errors import IndexingError
from retail_seg.errors import RetailSegError

USER_ERRORS = (RetailSegError, IndexingError, CatalogueError)
