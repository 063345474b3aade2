"""GTINs against numbers of the GS1 specification and of real articles."""

from __future__ import annotations

import pytest

from catalogue.errors import GtinError
from catalogue.gtin import Remark, check_digit, gtins_in, kind, normal_gtin, printed, remark_on, split_gtin
from catalogue.records import Product


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4006381333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("10614141000415", "10614141000415"),
        (" 4006381-333931 ", "04006381333931"),
    ],
)
def test_numbers_become_14_digits(text: str, expected: str) -> None:
    assert normal_gtin(text) == expected
    assert normal_gtin(expected) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4006381333932", "check digit is 1"),
        ("4006381333913", "check digit"),
        ("400638133393", "check digit"),
        ("40063813339", "11 digits"),
        ("4,00638E+12", "rounded by a spreadsheet"),
        ("4.00638E+12", "rounded by a spreadsheet"),
        ("400638133393X", "no digits"),
        ("٤٠٠٦٣٨١٣٣٣٩٣١", "no digits"),
        ("00000000", "all zeros"),
    ],
)
def test_wrong_numbers_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(GtinError, match=message) as refused:
        normal_gtin(text)
    assert text in str(refused.value)


def number(prefix: str, length: int) -> str:
    body = prefix.ljust(length - 1, "7")
    return normal_gtin(body + check_digit(body))


def test_every_single_wrong_digit_is_found() -> None:
    good = "4006381333931"
    for place in range(13):
        for digit in set("0123456789") - {good[place]}:
            with pytest.raises(GtinError):
                normal_gtin(good[:place] + digit + good[place + 1 :])


@pytest.mark.parametrize("prefix", ["20", "21", "25", "29", "02", "04"])
def test_in_store_numbers_of_13_digits(prefix: str) -> None:
    assert kind(number(prefix, 13)) == "in-store"


@pytest.mark.parametrize(
    ("prefix", "length", "expected"),
    [
        ("2", 12, "in-store"),  # UPC-A of number system 2: weighed goods
        ("4", 12, "in-store"),
        ("0", 12, "gtin"),
        ("5", 12, "coupon"),
        ("99", 13, "coupon"),
        ("981", 13, "coupon"),
        ("978", 13, "gtin"),
        ("400", 13, "gtin"),
        ("30", 13, "gtin"),
        ("0", 8, "in-store"),
        ("2", 8, "in-store"),
        ("40", 8, "gtin"),
        ("1400", 14, "gtin"),
        ("121", 14, "in-store"),
    ],
)
def test_kinds(prefix: str, length: int, expected: str) -> None:
    assert kind(number(prefix, length)) == expected


def test_in_store_numbers_are_kept_apart() -> None:
    in_store = number("21", 13)
    assert split_gtin("") == ("", "")
    assert split_gtin(in_store) == ("", in_store)
    assert split_gtin("4006381333931") == ("04006381333931", "")
    product = Product("A", gtin=in_store).cleaned()
    assert (product.gtin, product.attributes) == ("", {"in_store_number": in_store})
    with pytest.raises(GtinError, match="coupon"):
        Product("A", gtin=number("99", 13)).cleaned()


@pytest.mark.parametrize("digits", ["4006381333931", "036000291452", "96385074", "10614141000415"])
def test_a_number_is_printed_with_the_digits_that_stand_under_its_bars(digits: str) -> None:
    assert printed(normal_gtin(digits)) == digits


def test_a_code_holds_a_gtin_alone_behind_01_or_in_a_link() -> None:
    inside = ["4006381333931", "0104006381333931", "(01)04006381333931", "01040063813339313103000100"]
    inside += ["https://id.gs1.org/01/04006381333931", "https://shop.example/de/01/4006381333931?exp=1"]
    for text in inside:
        assert gtins_in([text]) == ("04006381333931",)
    assert gtins_in(inside) == ("04006381333931",), "each once"
    others = ["", "4006381333932", "https://example.org/0/4006381333931", "SKU-7", "9780", number("21", 13)]
    assert gtins_in([*others, number("980", 13)]) == (), "no number, a shop's own, a refund slip's"


OWN, OTHER = "04006381333931", "00036000291452"


def remarked(gtin: str, *read: str, owners: dict[str, list[str]] | None = None) -> Remark | None:
    return remark_on(gtin, [read], lambda number: (owners or {}).get(number, []))


def test_pictures_that_agree_or_show_no_number_say_nothing() -> None:
    assert remarked(OWN) is None and remarked("") is None
    assert remarked(OWN, OTHER, OWN) is None, "a pack may carry another number beside its own"
    case = "1" + OWN[1:13]
    assert remarked(OWN, case + check_digit(case)) is None, "the case of the same article"


def test_a_number_that_contradicts_is_said_and_one_that_is_missing_is_proposed() -> None:
    against = remarked(OWN, OTHER)
    assert against is not None and not against.proposed
    assert "036000291452" in against.text and "4006381333931" in against.text and "wrong" in against.text
    proposal = remarked("", OTHER, OTHER)
    assert proposal is not None and proposal.proposed == OTHER and "no GTIN" in proposal.text
    several = remarked("", OTHER, OWN)
    assert several is not None and not several.proposed and "036000291452 and 4006381333931" in several.text
    taken = remarked("", OTHER, owners={OTHER: ["B"]})
    assert taken is not None and not taken.proposed and "the GTIN of B" in taken.text


def test_each_picture_has_to_agree() -> None:
    one_is_wrong = remark_on(OWN, [(OWN,), (), (OTHER,)], lambda number: [])
    assert (
        one_is_wrong is not None and "036000291452" in one_is_wrong.text and "4006381333931," not in one_is_wrong.text
    )
    two = remark_on("", [(OWN,), (), (OWN, OTHER)], lambda number: [])
    assert two is not None and not two.proposed
    same = remark_on("", [(OWN,), (OWN,)], lambda number: [])
    assert same is not None and same.proposed == OWN
