# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from calibration.catalogue import gtin_check_digit, load_catalogue, load_planogram
from calibration.layout import load_layout
from pipeline.errors import LayoutError

STORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


@pytest.fixture
def written(tmp_path):
    """Writes a changed copy of one of the store's files and returns its path."""

    def write(name: str, change) -> Path:
        data = yaml.safe_load((STORE / f"{name}.yaml").read_text("utf-8"))
        change(data)
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data), "utf-8")
        return path

    return write


@pytest.mark.parametrize("gtin", ["4006381333931", "96385074", "036000291452", "10012345678902"])
def test_check_digits_of_published_examples(gtin):
    assert gtin_check_digit(gtin[:-1]) == int(gtin[-1])


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_changes_the_check_digit(digits, place, change):
    wrong = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    assert gtin_check_digit(wrong) != gtin_check_digit(digits)


def test_a_wrong_check_digit_is_named(written):
    def change(data):
        gtin = data["products"][3]["gtin"]
        data["products"][3]["gtin"] = gtin[:-1] + str((int(gtin[-1]) + 1) % 10)

    path = written("catalogue", change)
    good = yaml.safe_load((STORE / "catalogue.yaml").read_text("utf-8"))["products"][3]["gtin"]
    with pytest.raises(
        LayoutError, match=rf"products\.3\.gtin.*{good[:-1]}\d has check digit \d, expected {good[-1]}"
    ) as raised:
        load_catalogue(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_product_listed_twice_is_named(written):
    path = written("catalogue", lambda data: data["products"].append(data["products"][0]))
    gtin = yaml.safe_load(path.read_text("utf-8"))["products"][0]["gtin"]
    with pytest.raises(LayoutError, match=f"GTIN {gtin}.*listed twice"):
        load_catalogue(path)


def test_an_unknown_tax_class_is_named(written):
    path = written("catalogue", lambda data: data["products"][0].update(tax_class="luxury"))
    with pytest.raises(LayoutError, match="luxury"):
        load_catalogue(path)


@pytest.mark.parametrize(
    ("slot", "gtin", "says"),
    [
        ("g1.1.1", "4006381333931", "slots.g1.1.1: product 4006381333931 is not in the catalogue"),
        ("g9.1.1", None, "slots.g9.1.1: no such slot in the layout of store nanostore"),
    ],
)
def test_a_planogram_that_does_not_fit_names_the_slot(written, slot, gtin, says):
    layout, catalogue = load_layout(STORE / "layout.yaml"), load_catalogue(STORE / "catalogue.yaml")
    path = written("planogram", lambda data: data["slots"].update({slot: gtin or catalogue.gtins[0]}))
    with pytest.raises(LayoutError, match=says):
        load_planogram(path, layout, catalogue)


@pytest.mark.parametrize(
    ("text", "says"), [("products: [", "not readable as YAML"), ("- 1", "expected a mapping"), ("{}", "Field required")]
)
def test_a_file_that_is_no_catalogue_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(LayoutError, match=says) as raised:
        load_catalogue(path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LayoutError, match=r"nowhere\.yaml: no such file"):
        load_catalogue(tmp_path / "nowhere.yaml")
