"""What was read on packs against the names of a list: letters read wrong, equal evidence, strangers, barcodes."""

from __future__ import annotations

from catalogue import Product
from retail_seg.products.printed import MOST, NameList, NameOffer, Printed, assigned

NAMES = NameList(
    [
        Product("1", "Kneipp brød 750 g", gtin="07038010001185"),
        Product("2", "Kneipp rundstykker 6 pk"),
        Product("3", "Coca-Cola 2 L"),
        Product("4", "Coca-Cola 0,33 L"),
        Product("5", "Bama wokgrønnsaker klassisk"),
        Product("6", "Salt 500 g"),
        *(Product(f"7{n}", f"Toro suppe {kind}") for n, kind in enumerate(("tomat", "blomkål", "løk", "asparges"))),
    ]
)  # fmt: skip


def read(text: str, score: float = 0.9) -> Printed:
    return Printed(tuple((word, score) for word in text.split()))


def skus(offers: list[NameOffer]) -> list[str]:
    return [one.product.sku for one in offers]


def test_words_find_the_name_that_has_most_of_them() -> None:
    found = NAMES.fitting(read("KNEIPP BRØD mmm"))
    assert skus(found) == ["1"] and found[0].words == ("KNEIPP", "BRØD") and found[0].text == "reads: KNEIPP BRØD"
    assert skus(NAMES.fitting(read("Kneipp Rundstykker"))) == ["2"]


def test_letters_read_wrong_and_lost_accents_are_forgiven() -> None:
    assert skus(NAMES.fitting(read("KNEPP BROD"))) == ["1"]
    assert skus(NAMES.fitting(read("OKGRONNSAKER LASSISK"))) == ["5"]


def test_equal_evidence_proposes_all_of_a_few_and_none_of_many() -> None:
    assert skus(NAMES.fitting(read("Coca-Cola"))) == ["3", "4"]
    assert MOST < 4 and NAMES.fitting(read("TORO suppe")) == []
    assert skus(NAMES.fitting(read("TORO asparges"))) == ["73"]


def test_sizes_and_strangers_are_no_evidence() -> None:
    for text in ("500 g", "750", "Freia Melkesjokolade", "", "a b c"):
        assert NAMES.fitting(read(text)) == []


def test_a_barcode_leads_whatever_is_read() -> None:
    found = NAMES.fitting(Printed((("Salt", 0.9),), ("07038010001185",)))
    assert skus(found) == ["1"] and found[0].text == "barcode 7038010001185"
    assert NAMES.fitting(Printed((), ("05000112637922",))) == []


def test_what_was_read_on_several_facings_is_put_together() -> None:
    both = Printed.together([read("KNEIPP x", 0.6), Printed((("KNEIPP", 0.8), ("BRØD", 0.7)), ("07038010001185",))])
    assert both.words == (("KNEIPP", 0.8), ("x", 0.6), ("BRØD", 0.7))
    assert both.text == "reads: KNEIPP BRØD · barcode 7038010001185"
    assert Printed().text == ""


def test_a_name_goes_to_the_group_with_the_best_evidence_or_to_equal_ones() -> None:
    best, less = NAMES.fitting(read("KNEIPP BRØD")), NAMES.fitting(read("KNEIPP BRØD", 0.55))
    assert assigned([less, best]) == [[], best]
    assert assigned([best, best]) == [best, best]
