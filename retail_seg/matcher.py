"""The join of segmenter, embedder, index and catalogue: a photo in, counted products out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from catalogue import Catalogue, NewReference, Product, history
from index import Embedder, Ranker
from index.views import upright
from retail_seg import __version__
from retail_seg.errors import PhotoError, StoreError
from retail_seg.people.roles import require, sign
from retail_seg.photos.load import PhotoSource
from retail_seg.report import Identification, Report
from retail_seg.store.active_model import load_in_use, stamp
from retail_seg.store.among import Among, among_of
from retail_seg.store.answering import Answering
from retail_seg.store.asked import checked_facings, photographed
from retail_seg.store.enrolment import (
    Enrolled,
    OnPicture,
    Prepared,
    Refused,
    Upload,
    as_upload,
    prepare,
    references_of,
    unwatched,
)
from retail_seg.store.following import followed_by
from retail_seg.store.gallery import Gallery
from retail_seg.store.index_server import INDEX_URI
from retail_seg.store.networks import load_embedder, load_segmenter
from retail_seg.store.opening import (
    CATALOGUE,
    embed_pending,
    move_to_embedder,
    open_catalogue,
    own_references,
    remember_embedder,
    stored_embedder,
)
from retail_seg.store.scanning import OnStage, Scanned, Seen, outline, scan_each, take_apart, unheard

if TYPE_CHECKING:
    from catalogue.health import Tracked
    from retail_seg.segmentation.instances.instances import Instances
    from retail_seg.segmentation.segmenter import Segmenter
    from retail_seg.store.opening import EmbedBatches


class Matcher:
    """An open store. Safe to use from several threads, and beside other processes that use the same store.

    >>> report = Matcher.open("store").scan("shelf.jpg")
    """

    def __init__(
        self, folder: Path, catalogue: Catalogue, embedder: Embedder, segmenter: Segmenter | None = None
    ) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self.embedder = embedder
        self._segmenter = segmenter
        self._loaded: tuple[tuple[int, int], Segmenter] | None = None
        self._gallery = Gallery(
            folder,
            catalogue,
            embedder.name,
            lambda ids: photographed(catalogue, embedder, folder, ids),
            lambda: checked_facings(catalogue, embedder),
        )
        self._answering = Answering(embedder, self._gallery, catalogue)
        #: Learns anew where much has changed; a server puts its own in this place, that does so beside its answers.
        self.on_changed: Callable[[], object] = self._gallery.refit

    @classmethod
    def create(
        cls, store: str | Path, embedder: str = "retail-vgg", *, weights: Path | None = None, index: str = "flat",
        uri: str = "",
    ) -> Matcher:  # fmt: skip
        """Make an empty store in a new or empty folder, pinned to an embedder, and open it.

        Raises StoreError where the folder holds something, WeightsError where the embedder cannot be had.
        """
        require("manager")
        folder = Path(store)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            known = "a store already; use it" if (folder / CATALOGUE).exists() else "not empty; give a new folder"
            raise StoreError(f"{folder}: is {known}")
        found = load_embedder(embedder, weights)
        catalogue = Catalogue.create(folder / CATALOGUE, embedder=found.fingerprint, dim=found.dim)
        remember_embedder(catalogue, found, weights)
        catalogue.set_settings({"index": index, INDEX_URI: uri})
        return cls(folder, catalogue, found)

    @classmethod
    def open(cls, store: str | Path, *, segmenter: Segmenter | str | Path | None = None) -> Matcher:
        """Open a store. `segmenter` (an object or a model folder) takes the place of the store's own.

        Raises StoreError where there is no store, or its embedder's weights are no longer those of its vectors,
        and ModelError where `segmenter` is no model folder.
        """
        folder = Path(store)
        catalogue = open_catalogue(folder)
        try:
            found = stored_embedder(catalogue)
            if found.fingerprint != catalogue.embedder:
                raise StoreError(
                    f"{folder}: its vectors are of other weights than the {found.name} installed now; "
                    f"run `retail-seg reindex --store {folder}`"
                )
            model = load_segmenter(Path(segmenter)) if isinstance(segmenter, (str, Path)) else segmenter
            return cls(folder, catalogue, found, model)
        except BaseException:
            catalogue.close()
            raise

    def close(self) -> None:
        """Save what shortens the next start, and close the catalogue."""
        self._gallery.save()
        self.catalogue.close()

    def __enter__(self) -> Matcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def revision(self) -> int:
        """The catalogue's revision; grows with each change that can change an answer."""
        return self.catalogue.revision

    @property
    def identity(self) -> str:
        """Differs between any two stores."""
        return self.catalogue.identity

    @property
    def outdated(self) -> bool:
        """Whether the store was reindexed with another embedder since it was opened: open it again."""
        return self.catalogue.embedder != self.embedder.fingerprint

    @property
    def segmenter(self) -> Segmenter:
        """The segmenter given, else the store's: loaded when it is first needed, and again after a switch of model."""
        if self._segmenter is not None:
            return self._segmenter
        loaded = self._loaded
        if loaded is None or loaded[0] != stamp(self.folder):
            loaded = self._loaded = load_in_use(self.folder, load_segmenter)
        return loaded[1]

    # -- answers

    def scan(
        self,
        photo: PhotoSource,
        *,
        name: str | None = None,
        top: int = 5,
        side: int | None = None,
        among: Among | None = None,
    ) -> Report:
        """Which products a photo shows, how many and where. Raises PhotoError for a photo that cannot be read.

        `side`, in pixels, is how closely the segmenter looks, see `Segmenter.segment`; it chooses without it. `among`
        names the SKUs that can be there, see `match`.
        """
        return self.look(photo, name=name, top=top, side=side, among=among).report

    def scan_many(
        self,
        photos: Iterable[PhotoSource],
        *,
        workers: int | None = None,
        top: int = 5,
        side: int | None = None,
        among: Among | None = None,
    ) -> Iterator[Report | PhotoError]:
        """The reports of many photos, in their order; one that fails is a PhotoError in its place and stops nothing.

        `workers` threads (one a core without it) decode and segment while the photos before are matched; memory
        does not grow with the number of photos.
        """
        for found in self.scan_each(photos, workers=workers, top=top, side=side, among=among):
            yield found if isinstance(found, PhotoError) else found.report

    def scan_each(
        self,
        photos: Iterable[PhotoSource],
        *,
        workers: int | None = None,
        top: int = 5,
        side: int | None = None,
        among: Among | None = None,
        on_stage: OnStage = unheard,
    ) -> Iterator[Scanned | PhotoError]:
        """As `scan_many`, with the photo, its instances and their vectors beside each report.

        `on_stage` hears of stages in the thread that they begin in, and of `scanning.WAIT` behind the last of them.
        """
        require("staff")
        segmenter = self.segmenter
        take = partial(take_apart, segmenter, side=side, on_stage=on_stage)
        return scan_each(photos, take, lambda seen: self._answer(seen, top, among, on_stage), workers, on_stage)

    def look(
        self,
        photo: PhotoSource,
        *,
        name: str | None = None,
        top: int = 5,
        side: int | None = None,
        among: Among | None = None,
        on_stage: OnStage = unheard,
    ) -> Scanned:
        """As `scan`, with the photo, its instances and their vectors beside the report.

        `on_stage` hears the name of each stage (`scanning.STAGES`) when it begins. Raises NotAllowed for a viewer.
        """
        require("staff")
        return self._answer([take_apart(self.segmenter, photo, name, side, on_stage)], top, among, on_stage)[0]

    def report(
        self, photo: np.ndarray, instances: Instances, name: str, *, top: int = 5, among: Among | None = None
    ) -> Report:
        """The report on a photo (H, W, 3) uint8 whose instances are known."""
        return self._answer([outline(photo, instances, name)], top, among)[0].report

    def match(
        self,
        crops: Sequence[np.ndarray],
        *,
        masks: Sequence[np.ndarray | None] | None = None,
        top: int = 5,
        among: Among | None = None,
        on_stage: OnStage = unheard,
    ) -> list[Identification]:
        """What each crop (RGB uint8 (h, w, 3)) is; `masks` ((h, w) bool or None) say what of it is the product.

        `among` names the SKUs that can be there, each with its weight (1 where all are as likely): no other takes part,
        and what is none of these is none of them.
        """
        views = [upright(*pair) for pair in zip(crops, masks or [None] * len(crops), strict=True)]
        return self._answering.name(views, top, among, on_stage)

    def _answer(
        self, seen: Sequence[Seen], top: int, among: Among | None = None, on_stage: OnStage = unheard
    ) -> list[Scanned]:
        return self._answering.answer(seen, self.versions, top, among, on_stage)

    def only(self, wanted: Sequence[str], *, files: bool = True) -> Among | None:
        """What can be there, for `among`: of categories, brands, SKUs and (`files`) lists, see `among.among_of`."""
        return among_of(self.catalogue, wanted, files=files)

    def nearest(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The references nearest to raw vectors (n, dim): cosines float32 (n, count) and ids int64, -1 for no more."""
        state = self._gallery.current()
        return state.index.search(state.ranker.project(vectors), count)

    def versions(self, *, segmented: bool = True) -> dict[str, str | int]:
        """What made an answer: program, segmenter (if `segmented`), embedder, revision, a centre's snapshot."""
        segmenter = {"segmenter": f"{self.segmenter.name}:{self.segmenter.fingerprint}"} if segmented else {}
        embedder = f"{self.embedder.name}:{self.embedder.fingerprint}"
        snapshot = {} if (followed := followed_by(self.catalogue)) is None else {"snapshot": followed.label}
        return {"version": __version__, **segmenter, "embedder": embedder, "revision": self.revision, **snapshot}

    # -- changes

    def enrol(
        self, product: Product, pictures: Sequence[PhotoSource | Upload | Prepared], *, by: str = ""
    ) -> list[int]:
        """Add or update a product with reference pictures; they are found by the next search of every process.

        All pictures are checked before anything is written: PhotoError for one that cannot be used leaves the store as
        it was. A picture that the product already has is not embedded again. Returns the references' ids.
        Only a manager may (NotAllowed), as with every change of products.
        """
        ids = self._enrol(product, pictures, sign("manager", by))
        self.refresh()
        return ids

    def enrol_all(
        self, products: Iterable[tuple[Product, Sequence[PhotoSource | Upload | Prepared]]], *, by: str = ""
    ) -> list[list[int]]:
        """`enrol` for many products: each is one transaction, and what they teach is learned once, at the end."""
        by = sign("manager", by)
        try:
            return [self._enrol(product, pictures, by) for product, pictures in products]
        finally:
            self.refresh()

    def learn(self, sku: str, pictures: Sequence[PhotoSource | Upload | Prepared], *, by: str = "") -> list[int]:
        """Keep corrected crops as references of a product that exists; its fields stay as they are.

        The one change of products that staff may make. Returns the references' ids; raises UnknownProduct.
        """
        by = sign("staff", by)
        ids = self._enrol(self.catalogue.product(sku).sku, pictures, by)
        self.refresh()
        return ids

    def enrol_readable(
        self, sku: str, pictures: Sequence[Upload], *, by: str = "", on_picture: OnPicture = unwatched
    ) -> list[Enrolled | Refused]:
        """Give a product that exists those of the pictures that can be used, all in one change.

        Each picture's reference in its place, or why there is none. What `on_picture` raises ends the work before
        anything is written. Raises UnknownProduct; only a manager may.
        """
        by = sign("manager", by)
        product = self.catalogue.product(sku).sku
        known = self.catalogue.known_hashes(product)
        found = references_of(self.embedder, pictures, known=known, on_picture=on_picture)
        fresh = [one for one in found if not isinstance(one, Refused)]
        ids = iter(self.catalogue.enrol(product, fresh, by=by) if fresh else [])
        self.refresh()
        return [one if isinstance(one, Refused) else Enrolled(next(ids), one.gtins) for one in found]

    def _enrol(self, product: Product | str, pictures: Sequence[PhotoSource | Upload | Prepared], by: str) -> list[int]:
        sku = product if isinstance(product, str) else product.sku
        return self.catalogue.enrol(product, self.embedded(sku, pictures), by=by)

    def embedded(self, sku: str, pictures: Sequence[PhotoSource | Upload | Prepared]) -> list[NewReference]:
        """Pictures as references that `catalogue.enrol` takes, less those that the product has; nothing is written.

        For a change that enrols and does something else in one transaction: embedding takes too long to be part of it.
        """
        prepared = [one if isinstance(one, Prepared) else prepare(as_upload(one)) for one in pictures]
        found = references_of(self.embedder, prepared, known=self.catalogue.known_hashes(sku))
        return [one for one in found if not isinstance(one, Refused)]

    def remove(self, sku: str, references: Iterable[int] | None = None, *, by: str = "") -> list[int]:
        """Take a product out, or only some of its references; returns the ids that are no longer found.

        Raises UnknownProduct and UnknownReference; a reference of another product is unknown here.
        """
        by, catalogue = sign("manager", by), self.catalogue
        own = None if references is None else own_references(catalogue, sku, references)
        gone = catalogue.remove_product(sku, by=by) if own is None else catalogue.remove_references(own, by=by)
        self.refresh()
        return gone

    def undo(self, number: int, *, by: str = "") -> history.Change:
        """Take back the change `number` of the log; returns the change that does. Raises UndoError."""
        change = history.undo(self.catalogue, number, by=sign("manager", by))
        self.refresh()
        return change

    def undelete(self, sku: str, *, by: str = "") -> history.Change:
        """Bring a removed product back, with the references that went with it; raises UndoError, UnknownProduct."""
        change = history.restore_product(self.catalogue, sku, by=sign("manager", by))
        self.refresh()
        return change

    def refresh(self) -> None:
        """Bring the index level with the catalogue, and learn from the references anew when they changed much."""
        self._gallery.current()
        self.on_changed()

    def restate(self) -> None:
        """Answer by what the store's settings state now; nothing is learned anew."""
        self._gallery.restate()

    def learned(self) -> Ranker:
        """What would be learned from references and checked facings today; nothing is kept."""
        return self._gallery.learned()

    def reindex(self, *, progress: Tracked | None = None) -> int:
        """Embed the references that lack vectors, learn from all of them, write the index; returns how many."""
        require("manager")
        count = embed_pending(self.catalogue, self.embedder, progress)
        self._gallery.refit(force=True)
        self._gallery.write()
        return count

    @classmethod
    def reindex_store(
        cls, store: str | Path, embedder: str | None = None, *, weights: Path | None = None,
        progress: Tracked | None = None, embed: EmbedBatches | None = None,
    ) -> int:  # fmt: skip
        """Bring a store to an embedder, its own or another, with the weights installed now; returns how many.

        Resumable: interrupted, the store answers as before; the next run embeds the rest. `embed` does it elsewhere.
        """
        require("manager")
        folder = Path(store)
        count = move_to_embedder(folder, embedder, weights, progress, embed)
        with cls.open(folder) as matcher:
            matcher.reindex()
        return count
