# SPDX-License-Identifier: AGPL-3.0-or-later
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from calibration.catalogue import Catalogue
from pipeline.web.pictures import LARGEST_BYTES, ProductPictures
from sim.shop.assortment import catalogue
from sim.shop.pictures import draw_picture, write_pictures
from sim.stage import load_store
from tests.unit.cart.events import COLA, small_catalogue


def test_the_stores_own_picture_goes_first(tmp_path):
    (tmp_path / "pictures").mkdir()
    pictures = ProductPictures(tmp_path, small_catalogue())
    assert pictures.of(COLA).media_type == "image/svg+xml"
    (tmp_path / "pictures" / f"{COLA}.png").write_bytes(b"png")
    assert (pictures.of(COLA).content, pictures.of(COLA).media_type) == (b"png", "image/png")
    (tmp_path / "pictures" / f"{COLA}.png").write_bytes(b"x" * (LARGEST_BYTES + 1))
    assert pictures.of(COLA).media_type == "image/svg+xml"


@pytest.mark.parametrize("gtin", ["../../etc/passwd", "", "..", "4006381333931", "2" * 40, "１２３４５６７８"])
def test_no_other_file_can_be_asked_for(tmp_path, gtin):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    picture = ProductPictures(tmp_path, small_catalogue()).of(gtin)
    assert b"secret" not in picture.content and picture.media_type == "image/svg+xml"


@pytest.mark.parametrize("shape", ["box", "can", "bottle", "bag", "tub"])
def test_every_shape_is_drawn_and_a_label_cannot_break_out(tmp_path, shape):
    given = small_catalogue().products[0].model_dump() | {"shape": shape, "label": {"primary": '"/><script>'}}
    drawing = ProductPictures(
        tmp_path, Catalogue(currency="EUR", tax_classes={"standard": 200}, products=[given])
    ).of(COLA)  # fmt: skip
    assert ElementTree.fromstring(drawing.content) is not None and b"script" not in drawing.content


def test_the_simulator_draws_what_stands_on_its_shelves(tmp_path):
    shop = load_store("nanostore")
    assert write_pictures(tmp_path, shop.catalogue, shop.planogram) == len(set(shop.planogram.slots.values()))
    files = sorted((tmp_path / "pictures").iterdir())
    assert sum(f.stat().st_size for f in files) < 20_000 * len(files)
    for file in files[::9]:
        picture = Image.open(file)
        assert picture.size == (256, 256) and picture.mode == "RGBA"
        assert picture.getchannel("A").getextrema() == (0, 255)


def test_the_same_product_is_the_same_picture():
    product = catalogue().products[0]
    assert (draw_picture(product) == draw_picture(product)).all()
