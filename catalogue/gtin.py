"""Global Trade Item Numbers: check digit, the 14-digit form, and the numbers that only count inside a shop.

Source: GS1 General Specifications, sections 1.4 (prefixes), 2.1 (restricted circulation) and 7.9 (check digit).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from catalogue.errors import GtinError

#: GTIN-8, GTIN-12 (UPC-A), GTIN-13 (EAN), GTIN-14.
LENGTHS = (8, 12, 13, 14)


def check_digit(body: str) -> str:
    """The digit that completes a number: weights 3 and 1 alternate from the right, the sum fills up to a ten."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def normal_gtin(text: str) -> str:
    """The 14 digits of a GTIN of 8, 12, 13 or 14 digits; blanks and hyphens are passed over.

    Raises GtinError that says whether characters, length, check digit or kind are wrong.
    """
    digits = re.sub(r"[\s\u00a0-]", "", text)
    if re.fullmatch(r"\d+([.,]\d+)?[eE]\+?\d+", digits):
        raise GtinError(f"GTIN {text} was rounded by a spreadsheet; format its column as text and enter it again")
    if not (digits.isascii() and digits.isdigit()):
        raise GtinError(f"GTIN {text} has characters that are no digits; give the digits under the barcode")
    if len(digits) not in LENGTHS:
        raise GtinError(f"GTIN {text} has {len(digits)} digits, not 8, 12, 13 or 14; were leading zeros lost?")
    if not digits.strip("0"):
        raise GtinError(f"GTIN {text} is all zeros; leave it empty where there is none")
    expected = check_digit(digits[:-1])
    if digits[-1] != expected:
        raise GtinError(f"GTIN {text} ends in {digits[-1]} where its check digit is {expected}; read it again")
    return digits.zfill(14)


def kind(gtin14: str) -> str:
    """`gtin` for a number that means one article everywhere, `in-store` for one that a shop or company gives itself,
    `coupon` for vouchers and refund slips, of 14 digits as `normal_gtin` gives them.

    In-store are GS1 prefixes 02, 04 and 20 to 29 (goods weighed or labelled in the shop), and GTIN-8 that start with 0
    or 2. A GTIN-14's own first digit names the packaging level and is not part of the prefix.
    """
    if gtin14.startswith("000000"):
        return "in-store" if gtin14[6] in "02" else "gtin"
    prefix = gtin14[1:4]
    if prefix[:2] in ("02", "04") or prefix[0] == "2":
        return "in-store"
    if prefix[:2] in ("05", "99") or prefix in ("980", "981", "982", "983", "984"):
        return "coupon"
    return "gtin"


def split_gtin(text: str) -> tuple[str, str]:
    """(GTIN, in-store number) of what was written in a GTIN's place: one of both is empty, each has 14 digits.

    Raises GtinError, also for coupons, which are no products.
    """
    if not text.strip():
        return "", ""
    number = normal_gtin(text)
    sort = kind(number)
    if sort == "coupon":
        raise GtinError(f"GTIN {text} is a coupon's or refund slip's number, not a product's; leave it empty")
    return ("", number) if sort == "in-store" else (number, "")


def printed(gtin14: str) -> str:
    """The digits as they stand under the barcode: 8, 12, 13 or 14 of the 14 digits of `normal_gtin`."""
    zeros = len(gtin14) - len(gtin14.lstrip("0"))
    return gtin14[next(start for start in (6, 2, 1, 0) if start <= zeros) :]


def gtins_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The GTINs, 14 digits each and each once, that the texts of codes hold; numbers of shops and coupons are none.

    A code holds a GTIN as its digits alone, behind the application identifier 01, or in a GS1 Digital Link.
    """
    found: dict[str, None] = {}
    for text in texts:
        link = re.match(r"https?://[^?#]*/01/(\d{8,14})(?:[/?#]|$)", text)
        marked = re.match(r"(?:\(01\)|01)(\d{14})", text)
        digits = link[1] if link else marked[1] if marked else text
        try:
            number = normal_gtin(digits)
        except GtinError:  # a code of another kind
            continue
        if kind(number) == "gtin":
            found[number] = None
    return tuple(found)


@dataclass(frozen=True)
class Remark:
    """What a product's pictures say about its GTIN, and the number that is proposed where it has none."""

    text: str
    proposed: str = ""


def remark_on(gtin: str, pictures: Iterable[Sequence[str]], owners: Callable[[str], Iterable[str]]) -> Remark | None:
    """What is to be said of a product whose pictures show these GTINs each; None where they agree, or show none.

    `gtin` is the product's own (14 digits, empty for none). `owners` gives the SKUs of other products that a GTIN
    belongs to. A picture agrees that shows the product's own number among others. Numbers of one article's packaging
    levels are the same: they differ in their first and their check digit.
    """
    read = list(pictures)
    if gtin:
        read = [shown for shown in read if shown and not any(gtin[1:13] == number[1:13] for number in shown)][:1]
    numbers = list(dict.fromkeys(number for shown in read for number in shown))
    if not numbers:
        return None
    shown = " and ".join(map(printed, numbers))
    what = f"shows the barcode {shown}"
    others = [sku for number in numbers for sku in owners(number)]
    if others:
        return Remark(f"{what}, which is the GTIN of {others[0]}; one of both is wrong")
    if gtin:
        return Remark(f"{what}, but the product's GTIN is {printed(gtin)}; one of both is wrong")
    if len(numbers) > 1:
        return Remark(f"{what}, and the product has no GTIN; give it the one that is its own")
    return Remark(f"{what}, and the product has no GTIN; give it this one", numbers[0])
