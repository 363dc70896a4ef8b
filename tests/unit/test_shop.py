# SPDX-License-Identifier: AGPL-3.0-or-later
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import LayoutError, RecordingError
from pipeline.shop import Shop

STORE = Path(__file__).parents[2] / "sim" / "stores" / "nanostore"


def test_a_store_is_opened_whole():
    shop = Shop.open(STORE)
    assert (shop.name, len(shop.layout.cameras), shop.recording) == ("nanostore", 8, None)


def test_a_camera_that_sees_no_floor_is_named_before_anything_runs(tmp_path):
    folder = shutil.copytree(STORE, tmp_path / "store")
    layout = yaml.safe_load((folder / "layout.yaml").read_text())
    camera = layout["cameras"][3]
    camera["look_at_m"] = [camera["position_m"][0] + 1, camera["position_m"][1], 9.0]
    (folder / "layout.yaml").write_text(yaml.safe_dump(layout))
    with pytest.raises(LayoutError, match=rf"layout\.yaml.*{camera['id']}.*floor"):
        Shop.open(folder)


def test_a_folder_that_is_neither_recording_nor_store_says_so(tmp_path):
    with pytest.raises(RecordingError, match="neither a recording"):
        Shop.open(tmp_path)
