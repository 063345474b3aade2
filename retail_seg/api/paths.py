"""An SKU in an address: all that stands before what is asked of the product, for SKUs may hold slashes."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class SkuConvertor(Convertor[str]):
    """What is left of a path, but for `/references…` and `/undelete` at its end, which are asked of a product."""

    regex = r"(?:(?!/references(?:/|$)|/undelete$).)+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def register_skus() -> None:
    """Let routes say `{sku:sku}`; Starlette keeps its kinds of path for the whole process."""
    register_url_convertor("sku", SkuConvertor())
