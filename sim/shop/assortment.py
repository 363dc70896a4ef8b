# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the simulated nanostore sells, as a table: sizes, prices and how the labels look.

Brands are invented. GTINs start with 20, the range that GS1 keeps for use inside a shop, so that none of them is a real
article's. Colours are sRGB hexadecimal. Three groups are alike on purpose: the red and the green Frisk bottle (same
form and weight), the two sizes of Quell water with Brunna beside them, and the two red bags of Knack chips.
"""

from __future__ import annotations

from dataclasses import dataclass

from calibration.catalogue import Catalogue, Product, gtin_check_digit

CURRENCY = "EUR"
TAX_CLASSES = {"standard": 200, "intermediate": 100, "reduced": 55}


@dataclass(frozen=True)
class Row:
    """One line of the table; lengths in centimetres, `patterns` and `motifs` as in `sim.shop.labels`."""

    key: str
    brand: str
    kind: str
    shape: str
    size_cm: tuple[float, float, float]
    weight_g: int
    price_minor: int
    tax_class: str
    primary: str
    secondary: str
    accent: str
    pattern: str
    motif: str
    glass: str | None = None
    """Colour of what is seen through a bottle's wall above and below the label; None for an opaque body."""
    cap: str | None = None


_T, _I, _R = "standard", "intermediate", "reduced"
_SMALL, _TALL, _FOOD = (6.6, 6.6, 11.5), (6.6, 6.6, 16.8), (7.5, 7.5, 11.0)
_PINT, _CARTON = (6.8, 6.8, 21.0), (7.4, 7.4, 19.8)

ROWS: tuple[Row, ...] = (
    Row("cola", "KESTA", "Cola", "can", _SMALL, 350, 119, _T, "#c8102e", "#ffffff", "#7a0a1c", "wave", "none"),
    Row("cola-zero", "KESTA", "Cola Zero", "can", _SMALL, 347, 119, _T, "#17171b", "#c8102e", "#e8e8e8", "wave",
        "none"),
    Row("lemon", "ZITRA", "Lemon", "can", _SMALL, 351, 109, _T, "#f6e018", "#2b8a3e", "#ffffff", "split", "fruit"),
    Row("orangeade", "ORANKA", "Orange", "can", _SMALL, 352, 109, _T, "#f47b12", "#ffffff", "#1d4fa0", "burst",
        "fruit"),
    Row("energy", "VOLTIK", "Energy", "can", (6.0, 6.0, 16.6), 270, 179, _T, "#b9c3cf", "#1747c0", "#e4002b", "diag",
        "bolt"),
    Row("beer", "HOPFEN", "Pils", "can", _TALL, 520, 139, _T, "#14532d", "#d8b24a", "#f3ead0", "bands", "shield"),
    Row("malt", "DORNER", "Malt", "can", _TALL, 525, 149, _T, "#6b3a1e", "#f3d27a", "#2a130a", "bands", "leaf"),
    Row("water-half", "QUELL", "Still Water 0.5 l", "bottle", _PINT, 520, 89, _R, "#1f7fd1", "#ffffff", "#0b3f7a",
        "wave", "drop", "#bfe2f2", "#1f5fb4"),
    Row("water-litre", "QUELL", "Still Water 1 l", "bottle", (8.4, 8.4, 26.0), 1035, 129, _R, "#1f7fd1", "#ffffff",
        "#0b3f7a", "wave", "drop", "#bfe2f2", "#1f5fb4"),
    Row("sparkling-half", "BRUNNA", "Sparkling Water 0.5 l", "bottle", _PINT, 522, 95, _R, "#0e9c8a", "#ffffff",
        "#04564c", "split", "drop", "#cdeee6", "#0b7a6c"),
    Row("frisk-green", "FRISK", "Apple", "bottle", (7.0, 7.0, 20.0), 540, 159, _R, "#3fae29", "#ffffff", "#1c6b12",
        "diag", "fruit", "#6fbf4a", "#ffffff"),
    Row("frisk-red", "FRISK", "Cherry", "bottle", (7.0, 7.0, 20.0), 540, 159, _R, "#d01f2e", "#ffffff", "#7f0f1a",
        "diag", "fruit", "#b3202c", "#ffffff"),
    Row("iced-tea", "TEALO", "Iced Tea Peach", "bottle", (7.2, 7.2, 22.5), 560, 149, _T, "#f2b277", "#8c3b12",
        "#fff3e0", "burst", "leaf", "#a5551f", "#f28c28"),
    Row("ketchup", "ROTA", "Ketchup", "bottle", (7.2, 5.6, 19.5), 480, 229, _I, "#a3121b", "#fff6dc", "#1d6b2e",
        "plain", "fruit", "#a3121b", "#ffffff"),
    Row("mustard", "SENFO", "Mustard", "bottle", (7.0, 5.4, 17.0), 310, 179, _I, "#e9b80c", "#5a2a0a", "#fff6dc",
        "bands", "shield", "#d8a40a", "#7a3a10"),
    Row("shampoo", "LUMA", "Shampoo", "bottle", (7.0, 4.8, 19.0), 320, 349, _T, "#12b5c9", "#f4f4f4", "#0a5f74",
        "wave", "drop", "#12b5c9", "#f4f4f4"),
    Row("dish-soap", "SPULO", "Dish Soap", "bottle", (7.4, 5.2, 21.5), 520, 199, _T, "#b7e021", "#0d47a1", "#ffffff",
        "burst", "star", "#b7e021", "#0d47a1"),
    Row("milk", "MILDA", "Whole Milk", "box", _CARTON, 1030, 125, _R, "#ffffff", "#1c57b8", "#8fc7ff", "split",
        "cow"),
    Row("oat", "HAVRA", "Oat Drink", "box", _CARTON, 1032, 189, _R, "#e9dcc0", "#4a7a3a", "#7a5a30", "bands",
        "wheat"),
    Row("juice", "SUNNEA", "Multivitamin", "box", _CARTON, 1050, 199, _R, "#ff9a1f", "#e0218a", "#ffe14d", "burst",
        "fruit"),
    Row("chips-salt", "KNACK", "Chips Salt", "bag", (12.4, 6.0, 19.0), 165, 219, _I, "#ffd400", "#d01020", "#ffffff",
        "split", "chip"),
    Row("chips-paprika", "KNACK", "Chips Paprika", "bag", (12.4, 6.0, 19.0), 165, 219, _I, "#d81e1e", "#ffd400",
        "#ffffff", "split", "chip"),
    Row("chips-hot", "KNACK", "Chips Hot Paprika", "bag", (12.4, 6.0, 19.0), 165, 219, _I, "#d81e1e", "#151515",
        "#ffd400", "split", "chip"),
    Row("tortilla", "NACHITA", "Tortilla", "bag", (12.4, 6.0, 19.5), 190, 199, _I, "#5b2a86", "#ff8a1f", "#ffe9a8",
        "diag", "chip"),
    Row("popcorn", "POPSI", "Popcorn", "bag", (12.0, 6.0, 19.0), 110, 179, _I, "#ffffff", "#e83e8c", "#ffd447",
        "stripes", "star"),
    Row("gummi", "BARLI", "Gummi Bears", "bag", (10.5, 4.5, 16.0), 210, 149, _I, "#1fa84a", "#ffe14d", "#e3262e",
        "dots", "star"),
    Row("peanuts", "NUSSL", "Peanuts", "bag", (10.0, 5.0, 15.0), 205, 189, _I, "#123f9e", "#e8b04a", "#ffffff",
        "bands", "nut"),
    Row("trail-mix", "MANDRA", "Trail Mix", "bag", (10.0, 5.0, 16.0), 180, 279, _I, "#7b4a2a", "#35c0b0", "#fff0d0",
        "split", "nut"),
    Row("coffee", "KAFFA", "Coffee Beans", "bag", (9.0, 6.5, 18.5), 515, 649, _I, "#1b1310", "#c99a3a", "#f2e6d0",
        "bands", "bean"),
    Row("pasta", "GRANO", "Fusilli", "bag", (10.5, 6.5, 19.0), 510, 139, _R, "#0b2f6b", "#f1cf63", "#e3262e",
        "window", "wheat"),
    Row("rice", "ORIZA", "Rice", "bag", (10.5, 6.5, 17.0), 505, 189, _R, "#f4f4ee", "#c1121f", "#1f6f4a", "dots",
        "wheat"),
    Row("cereal", "KRONO", "Corn Flakes", "box", (12.5, 6.0, 19.8), 410, 299, _I, "#ffcf33", "#1f8f3f", "#e3262e",
        "plain", "bowl"),
    Row("choco-pops", "KRONO", "Choco Pops", "box", (12.5, 6.0, 19.8), 405, 329, _I, "#5a2c14", "#ffb000", "#ffffff",
        "burst", "bowl"),
    Row("muesli-bar", "RIEGLO", "Muesli Bars", "box", (12.0, 5.0, 14.5), 180, 249, _I, "#8ccf3f", "#f47b12",
        "#5b3a1a", "diag", "wheat"),
    Row("biscuit", "KEKSA", "Butter Biscuits", "box", (8.0, 5.5, 16.0), 230, 159, _I, "#f5e6c4", "#1c3f94", "#c98f3a",
        "checks", "biscuit"),
    Row("cracker", "SALTO", "Crackers", "box", (9.0, 6.0, 17.5), 240, 169, _I, "#0f9aa8", "#fff0c9", "#e2571f",
        "bands", "biscuit"),
    Row("tea-green", "TASSO", "Green Tea", "box", (8.5, 6.5, 11.5), 70, 229, _I, "#cfe6b0", "#2f6b2a", "#f7f7e8",
        "plain", "leaf"),
    Row("tea-berry", "TASSO", "Berry Tea", "box", (8.5, 6.5, 11.5), 72, 229, _I, "#a3195b", "#f3b8d0", "#ffffff",
        "dots", "leaf"),
    Row("choco-milk", "ALMA", "Milk Chocolate", "box", (8.5, 3.2, 16.5), 210, 199, _I, "#6f3fa0", "#ffffff",
        "#f2d9a0", "wave", "cow"),
    Row("choco-dark", "NOCTA", "Dark Chocolate", "box", (8.5, 3.2, 16.5), 208, 229, _I, "#101820", "#d4af37",
        "#b5651d", "frame", "bean"),
    Row("toothpaste", "DENTIS", "Toothpaste", "box", (6.2, 5.0, 17.5), 120, 199, _T, "#ffffff", "#e3262e", "#1f6fd1",
        "diag", "drop"),
    Row("tissues", "SOFTY", "Tissues", "box", (11.5, 10.0, 11.5), 190, 179, _T, "#a8d8f0", "#ffffff", "#f7a1c4",
        "dots", "flower"),
    Row("detergent", "WEISSA", "Detergent", "box", (12.5, 7.5, 19.5), 980, 499, _T, "#1547b8", "#ffffff", "#ff7a00",
        "burst", "star"),
    Row("tomatoes", "POMO", "Tomatoes", "can", _FOOD, 480, 99, _R, "#c41e1e", "#f5f0dc", "#1e6b34", "window",
        "fruit"),
    Row("corn", "MAISO", "Sweetcorn", "can", _FOOD, 420, 109, _R, "#1e8a3c", "#ffd21f", "#ffffff", "bands", "nut"),
    Row("beans", "BONNA", "White Beans", "can", _FOOD, 485, 119, _R, "#2fb3c9", "#7b4a2a", "#ffffff", "split",
        "bean"),
    Row("lentils", "LINSA", "Lentil Soup", "can", (10.0, 10.0, 11.8), 870, 249, _R, "#f3efe4", "#3a2a20", "#b5452a",
        "frame", "bowl"),
    Row("peaches", "PESCA", "Peaches", "can", (10.0, 10.0, 11.8), 850, 199, _R, "#ff9e6d", "#b03a2e", "#fff0d8",
        "dots", "fruit"),
    Row("yoghurt-berry", "ALPIN", "Strawberry Yoghurt", "tub", (9.5, 9.5, 10.5), 515, 149, _R, "#ffffff", "#e8467c",
        "#c01030", "split", "fruit"),
    Row("yoghurt-blue", "ALPIN", "Blueberry Yoghurt", "tub", (9.5, 9.5, 10.5), 515, 149, _R, "#ffffff", "#3b3fa0",
        "#23276f", "split", "fruit"),
    Row("margarine", "SONNA", "Margarine", "tub", (11.0, 9.0, 7.5), 515, 169, _R, "#ffe14d", "#2f8f3f", "#ffffff",
        "burst", "flower"),
    Row("hummus", "KICHER", "Hummus", "tub", (10.0, 10.0, 6.8), 220, 219, _R, "#d9c08a", "#5a7a2a", "#b5452a",
        "bands", "leaf"),
    Row("peanut-butter", "NUSSL", "Peanut Butter", "tub", (8.0, 8.0, 11.0), 375, 329, _I, "#b9772e", "#c1121f",
        "#fff0d0", "bands", "nut", None, "#c1121f"),
)  # fmt: skip


def gtin_of(row: Row) -> str:
    """GTIN-13 in the in-store range: 20, four digits for the brand, six for the article, check digit."""
    brands = list(dict.fromkeys(r.brand for r in ROWS))
    digits = f"20{brands.index(row.brand) * 137 + 1011:04d}{ROWS.index(row) * 4099 + 10007:06d}"
    return f"{digits}{gtin_check_digit(digits)}"


def catalogue() -> Catalogue:
    """The table as a catalogue."""
    return Catalogue(
        currency=CURRENCY,
        tax_classes=TAX_CLASSES,
        products=tuple(
            Product(
                gtin=gtin_of(row),
                name=f"{row.brand.title()} {row.kind}",
                price_minor=row.price_minor,
                tax_class=row.tax_class,
                shape=row.shape,
                size_m=tuple(round(s / 100, 3) for s in row.size_cm),
                weight_g=row.weight_g,
                label={
                    "brand": row.brand,
                    "kind": row.kind,
                    "primary": row.primary,
                    "secondary": row.secondary,
                    "accent": row.accent,
                    "pattern": row.pattern,
                    "motif": row.motif,
                    **({"glass": row.glass} if row.glass else {}),
                    **({"cap": row.cap} if row.cap else {}),
                },
            )
            for row in ROWS
        ),
    )
