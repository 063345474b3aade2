"""What the tests of imports share: a stand-in for the network that counts, and runs that are planned first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as with_
from pathlib import Path

from catalogue import Catalogue, NewReference
from catalogue.errors import PictureRefused
from catalogue.gtin import gtins_in
from catalogue.importing import Import, ImportFile, LoadedPicture, Outcome, read_file


class Embedding:
    """Stands for the network: counts the pictures, refuses damaged ones."""

    def __init__(self) -> None:
        self.seen: list[LoadedPicture] = []

    def check(self, picture: LoadedPicture) -> tuple[str, ...]:
        if picture.data == b"damaged":
            raise PictureRefused("is damaged")
        return self.gtins(picture)

    def gtins(self, picture: LoadedPicture) -> tuple[str, ...]:
        """A picture whose bytes are a GTIN stands for one that shows it."""
        return gtins_in([picture.data.decode("latin-1")])

    def __call__(self, pictures: Sequence[LoadedPicture]) -> list[NewReference | PictureRefused]:
        self.seen += pictures
        return [self.one(picture) for picture in pictures]

    def one(self, picture: LoadedPicture) -> NewReference | PictureRefused:
        if picture.data == b"damaged":
            return PictureRefused("is damaged")
        vector = b"\0\0\x80\x3f"
        gtins = self.gtins(picture)
        return NewReference(
            picture.data, picture.content_hash, vector, 1, "e", picture.mask, source=picture.name, gtins=gtins
        )


def dry(catalogue: Catalogue, file: ImportFile, *, replace: bool = False) -> list[Outcome]:
    return list(Import(catalogue, file, check=Embedding().check, replace=replace))


def run(catalogue: Catalogue, path: Path, *, replace: bool = False, by: str = "") -> tuple[list[Outcome], Embedding]:
    """The dry run's outcomes, which must be those of the real run too, and what was embedded."""
    file = read_file(path)
    before = (catalogue.revision, catalogue.count_products())
    planned = dry(catalogue, file, replace=replace)
    assert (catalogue.revision, catalogue.count_products()) == before, "a dry run changes nothing"
    embedding = Embedding()
    done = list(Import(catalogue, file, embed=embedding, replace=replace, by=by))
    assert [with_(one, change=None) for one in done] == planned, "only the log's numbers are the real run's own"
    return done, embedding


def table(folder: Path, text: str, name: str = "goods.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def refusals(path: Path) -> list[str]:
    return [str(refusal) for refusal in read_file(path).refused]


def goods_folder(parent: Path) -> Path:
    """A folder with four pictures and a damaged one in pics/, and beside it a picture that no table may reach."""
    folder = parent / "goods"
    (folder / "pics").mkdir(parents=True)
    for name in ("a", "b", "c", "d"):
        (folder / "pics" / f"{name}.jpg").write_bytes(f"picture {name}".encode())
    (folder / "pics" / "bad.jpg").write_bytes(b"damaged")
    (parent / "secret.jpg").write_bytes(b"secret")
    return folder
