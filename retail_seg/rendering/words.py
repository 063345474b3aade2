"""The vocabulary of the rendered shop: product lines, flavours with their colour and picture, brands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retail_seg.rendering.drawing import Colour

#: flavour ► the colour that stands for it on a pack, and the motif that is printed beside it
FLAVOURS: dict[str, tuple[Colour, str]] = {
    "Lemon": (( 244, 208, 32), "citrus"), "Orange": ((242, 134, 24), "citrus"), "Lime": ((132, 190, 40), "citrus"),
    "Grapefruit": ((238, 96, 96), "citrus"), "Strawberry": ((222, 38, 60), "strawberry"),
    "Cherry": ((168, 16, 46), "cherry"), "Raspberry": ((214, 30, 98), "berries"),
    "Blueberry": ((58, 64, 150), "berries"), "Blackcurrant": ((74, 30, 92), "berries"),
    "Apple": ((120, 178, 46), "fruit"), "Peach": ((250, 164, 96), "fruit"), "Mango": ((250, 160, 20), "fruit"),
    "Tomato": ((206, 40, 28), "fruit"), "Pear": ((180, 190, 60), "fruit"), "Plum": ((110, 40, 110), "fruit"),
    "Vanilla": ((240, 218, 140), "flower"), "Hibiscus": ((190, 30, 110), "flower"),
    "Lavender": ((150, 120, 200), "flower"),
    "Camomile": ((246, 226, 90), "flower"), "Mint": ((40, 168, 120), "leaves"), "Basil": ((50, 128, 50), "leaves"),
    "Green Tea": ((106, 150, 50), "leaves"), "Aloe": ((96, 180, 110), "leaves"), "Rosemary": ((70, 110, 80), "leaves"),
    "Chocolate": ((92, 50, 28), "squares"), "Dark": ((48, 28, 26), "squares"), "Caramel": ((200, 128, 40), "squares"),
    "Hazelnut": ((150, 92, 40), "nuts"), "Almond": ((196, 146, 88), "nuts"), "Peanut": ((206, 150, 60), "nuts"),
    "Original": ((30, 80, 160), "star"), "Classic": ((180, 24, 32), "star"), "Zero": ((30, 30, 34), "drop"),
    "Light": ((120, 180, 226), "drop"), "Whole": ((24, 70, 160), "drop"), "Semi-Skimmed": ((70, 150, 220), "drop"),
    "Sparkling": ((40, 150, 200), "drop"), "Still": ((110, 200, 230), "drop"), "Ocean": ((20, 110, 180), "drop"),
    "Spring": ((90, 190, 100), "flower"), "Sport": ((230, 90, 20), "star"), "Sensitive": ((150, 190, 220), "leaves"),
    "Paprika": ((208, 60, 20), "chilli"), "Hot Chilli": ((190, 20, 20), "chilli"), "Curry": ((220, 160, 30), "chilli"),
    "Sea Salt": ((40, 110, 170), "star"), "Sour Cream": ((110, 170, 90), "leaves"),
    "Cheese": ((244, 180, 40), "cheese"),
    "Onion": ((150, 120, 60), "fruit"), "Mushroom": ((150, 120, 96), "mushroom"), "Garlic": ((220, 214, 196), "bulb"),
    "Olive": ((110, 120, 40), "olives"), "In Oil": ((226, 180, 40), "olives"), "In Brine": ((60, 130, 190), "drop"),
    "Spicy": ((200, 40, 20), "chilli"), "Smoked": ((120, 60, 40), "fish"), "Sweetcorn": ((248, 204, 40), "grain"),
    "Honey": ((232, 160, 20), "comb"), "Wholegrain": ((170, 120, 60), "grain"), "Oat": ((214, 186, 130), "grain"),
    "Rice": ((224, 214, 190), "grain"), "Wild Flower": ((240, 190, 60), "flower"), "Acacia": ((246, 210, 90), "comb"),
    "Arabica": ((120, 70, 40), "beans"), "Espresso": ((60, 34, 26), "beans"), "Decaf": ((50, 120, 90), "beans"),
    "Red Kidney": ((140, 30, 36), "beans"), "Chickpea": ((220, 180, 110), "beans"), "Lentil": ((170, 100, 40), "beans"),
    "Beef": ((140, 40, 30), "steak"), "Chicken": ((240, 180, 60), "steak"), "Tuna": ((40, 110, 170), "fish"),
    "Mackerel": ((30, 90, 120), "fish"), "Salmon": ((240, 120, 90), "fish"), "Plain": ((120, 150, 200), "star"),
}  # fmt: skip

_FRUIT = ("Lemon", "Orange", "Lime", "Grapefruit", "Strawberry", "Cherry", "Raspberry", "Blueberry", "Apple", "Peach",
          "Mango", "Blackcurrant", "Pear", "Plum")  # fmt: skip


@dataclass(frozen=True)
class Goods:
    """What one shelf holds: the kinds of pack, what is printed on them, the weights, the colour of the content."""

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    flavours: tuple[str, ...]
    weights: tuple[str, ...]
    content: Colour | None = None


LINES: dict[str, Goods] = {
    "soda": Goods(("drink can", "bottle"), ("Cola", "Soda", "Lemonade", "Tonic", "Fizz"),
                 (*_FRUIT[:8], "Zero", "Classic", "Light"), ("330 ml", "500 ml", "0.5 L"), (70, 28, 16)),
    "energy": Goods(("drink can",), ("Energy", "Boost", "Power Drink"), ("Original", "Zero", "Mango", "Lime", "Sport"),
                   ("250 ml", "500 ml")),
    "beer": Goods(("drink can", "bottle"), ("Lager", "Pils", "Pale Ale", "Stout", "Cider"),
                 ("Original", "Classic", "Light", "Apple", "Zero", "Dark"), ("330 ml", "500 ml"), (120, 62, 18)),
    "water": Goods(("bottle",), ("Water", "Mineral Water", "Spring Water"),
                  ("Sparkling", "Still", "Lemon", "Mint"), ("500 ml", "1.5 L"), (206, 226, 232)),
    "juice": Goods(("carton", "gable carton", "bottle"), ("Juice", "Nectar", "Smoothie", "Fruit Drink"), _FRUIT,
                  ("1 L", "250 ml", "750 ml"), (240, 150, 40)),
    "milk": Goods(("gable carton", "carton", "bottle"), ("Milk", "Oat Drink", "Kefir", "Buttermilk", "Cream"),
                 ("Whole", "Semi-Skimmed", "Light", "Vanilla", "Chocolate", "Oat", "Almond"), ("1 L", "500 ml"),
                 (244, 240, 228)),
    "yoghurt": Goods(("cup",), ("Yoghurt", "Skyr", "Pudding", "Quark"),
                    (*_FRUIT, "Vanilla", "Chocolate", "Plain", "Honey", "Caramel"), ("150 g", "400 g", "500 g")),
    "tinned": Goods(("food can",), ("Soup", "Stew", "Beans", "Peeled Tomato", "Ravioli", "Corned Beef"),
                   ("Tomato", "Mushroom", "Chicken", "Beef", "Onion", "Red Kidney", "Chickpea", "Lentil", "Sweetcorn",
                    "Spicy", "Basil"), ("400 g", "425 ml", "800 g")),
    "fish": Goods(("flat can",), ("Tuna Chunks", "Sardines", "Fish Fillets"),
                 ("In Oil", "In Brine", "Tomato", "Spicy", "Lemon", "Smoked", "Olive"), ("160 g", "125 g")),
    "spread": Goods(("jar",), ("Jam", "Marmalade", "Preserve"), _FRUIT, ("340 g", "450 g"), (150, 20, 40)),
    "honey": Goods(("jar", "squeeze bottle"), ("Honey", "Syrup"), ("Wild Flower", "Acacia", "Honey", "Caramel"),
                  ("500 g", "250 g"), (226, 150, 20)),
    "pickles": Goods(("jar",), ("Olives", "Gherkins", "Pesto", "Salsa", "Antipasti"),
                    ("Olive", "Garlic", "Hot Chilli", "Basil", "Tomato", "Mushroom"),
                    ("350 g", "290 g"), (112, 120, 44)),
    "nut butter": Goods(("jar",), ("Nut Butter", "Choco Spread", "Crunchy Spread"),
                       ("Peanut", "Almond", "Hazelnut", "Chocolate", "Sea Salt"), ("350 g", "500 g"), (170, 110, 50)),
    "sauce": Goods(("squeeze bottle", "bottle"), ("Ketchup", "Mustard", "Mayo", "BBQ Sauce", "Dressing"),
                  ("Classic", "Spicy", "Light", "Curry", "Garlic", "Honey", "Smoked", "Tomato"), ("500 ml", "300 g"),
                  (180, 30, 20)),
    "oil": Goods(("bottle",), ("Olive Oil", "Sunflower Oil", "Vinegar"),
                ("Olive", "Classic", "Lemon", "Garlic", "Basil"),
                ("750 ml", "500 ml"), (196, 166, 30)),
    "cereal": Goods(("carton",), ("Muesli", "Corn Flakes", "Granola", "Crispies", "Oat Bites"),
                   ("Chocolate", "Honey", "Strawberry", "Wholegrain", "Almond", "Original", "Vanilla", "Blueberry"),
                   ("375 g", "500 g", "750 g")),
    "tea": Goods(("carton",), ("Tea", "Herbal Tea", "Infusion"),
                ("Green Tea", "Mint", "Camomile", "Lemon", "Hibiscus", "Vanilla", "Rosemary", "Cherry", "Classic"),
                ("20 bags", "25 x 2 g", "50 g")),
    "biscuit": Goods(("carton", "pillow bag", "bar"), ("Biscuits", "Cookies", "Wafers", "Crackers"),
                    ("Chocolate", "Vanilla", "Hazelnut", "Lemon", "Sea Salt", "Oat", "Caramel", "Cheese", "Rosemary"),
                    ("250 g", "175 g", "300 g")),
    "pasta": Goods(("pillow bag", "carton"), ("Penne", "Fusilli", "Spaghetti", "Farfalle", "Rigatoni"),
                  ("Classic", "Wholegrain", "Lentil", "Basil", "Tomato"), ("500 g", "1 kg")),
    "rice": Goods(("pillow bag", "pouch", "carton"), ("Rice", "Basmati", "Couscous", "Quinoa", "Flour", "Sugar"),
                 ("Classic", "Wholegrain", "Curry", "Rice", "Light"), ("500 g", "1 kg")),
    "crisps": Goods(("pillow bag",), ("Crisps", "Tortilla Chips", "Puffs", "Popcorn"),
                   ("Paprika", "Sea Salt", "Sour Cream", "Cheese", "Onion", "Hot Chilli", "Sweetcorn"),
                   ("150 g", "200 g", "90 g")),
    "coffee": Goods(("pouch", "pillow bag", "jar"), ("Coffee", "Roast Coffee", "Crema", "Cocoa"),
                   ("Arabica", "Espresso", "Decaf", "Classic", "Dark", "Caramel"), ("250 g", "500 g"), (54, 30, 20)),
    "nuts": Goods(("pouch", "pillow bag"), ("Nut Mix", "Trail Mix", "Dried Fruit", "Gummies", "Seeds"),
                 ("Almond", "Peanut", "Hazelnut", "Honey", "Sea Salt", "Mango", "Cherry", "Apple"), ("200 g", "150 g")),
    "bar": Goods(("bar",), ("Choco Bar", "Muesli Bar", "Protein Bar", "Chocolate"),
                ("Dark", "Hazelnut", "Caramel", "Almond", "Strawberry", "Peanut", "Mint", "Sea Salt", "Orange"),
                ("100 g", "45 g", "40 g")),
    "pet food": Goods(("food can", "pouch", "flat can"), ("Cat Dinner", "Dog Menu", "Kitten Bites"),
                     ("Beef", "Chicken", "Tuna", "Salmon", "Mackerel"), ("85 g", "400 g")),
    "shampoo": Goods(("squeeze bottle", "tube"), ("Shampoo", "Shower Gel", "Lotion", "Hand Soap"),
                    ("Aloe", "Lavender", "Mango", "Sensitive", "Sport", "Vanilla", "Ocean"), ("250 ml", "400 ml"),
                    (230, 120, 170)),
    "paste": Goods(("tube",), ("Toothpaste", "Tomato Paste", "Hand Cream", "Mustard"),
                  ("Mint", "Sensitive", "Tomato", "Classic", "Camomile", "Spicy"), ("75 ml", "200 g")),
    "cleaning": Goods(("squeeze bottle", "bottle", "pouch", "carton"),
                      ("Detergent", "Dish Soap", "Softener", "Cleaner"),
                     ("Lemon", "Ocean", "Spring", "Lavender", "Apple", "Sensitive"), ("500 ml", "1 L", "1.3 kg"),
                     (60, 150, 210)),
}  # fmt: skip

_START = ("Bel", "Cor", "Dal", "El", "Fen", "Gran", "Hel", "Kal", "Lu", "Mar", "Nor", "Or", "Pal", "Qui", "Ros", "San",
          "Tel", "Ur", "Val", "Wel", "Yo", "Zan", "Bri", "Cre", "Fra", "Mon", "Sol", "Vi", "Al", "Ter")  # fmt: skip
_MIDDLE = ("", "", "", "a", "e", "i", "o", "an", "er", "in", "ol", "et", "av", "is")
_END = ("da", "la", "ra", "no", "co", "vio", "ta", "ba", "lis", "ney", "dor", "ma", "go", "tti", "x", "sson", "well",
        "mor", "by", "zo", "li", "na", "vita", "fresh")  # fmt: skip
_AROUND = ("{}", "{}", "{}", "{}", "{}", "{}", "{}'s", "Casa {}", "{} & Co", "{} Farm", "Don {}", "La {}", "Dr. {}",
           "{} 1898", "{} Bio", "Old {}")  # fmt: skip
SLOGANS = ("since 1898", "the good taste", "from our fields", "family recipe", "fresh every day", "100 % natural",
           "rich in taste", "made with care", "no added sugar", "the original", "new recipe", "source of fibre",
           "ready in 5 min", "naturally good", "for the whole family", "premium quality")  # fmt: skip
BADGES = ("NEW", "BIO", "-30%", "0%", "+20%", "XL", "TOP", "VEGAN", "No.1", "2 in 1")


def random_brand(rng: np.random.Generator) -> str:
    """A made-up brand name in plain ASCII (the built-in faces hold no other letters)."""
    word = f"{rng.choice(_START)}{rng.choice(_MIDDLE)}{rng.choice(_END)}"
    return str(rng.choice(_AROUND)).format(word)
