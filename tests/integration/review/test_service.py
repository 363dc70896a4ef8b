# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout review serve` as a process of its own beside an aggregator."""

import signal
import subprocess
import sys

import yaml

from tests.unit.cart.events import WATER
from tests.unit.review.shop import ANNA, BEN, Shop
from tests.waiting import until


def test_what_is_held_becomes_a_case_in_another_process(tmp_path):
    shop = Shop(tmp_path)
    shop.intake.close()  # the process does it
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump(shop.prices.catalogue.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "settings.yaml").write_text("review: {held_promise_hours: 1, rules: {small_minor: 101}}\n")
    log = ["--log", f"sqlite:///{tmp_path}/log.sqlite", "--state", shop.url, "--catalogue", str(catalogue)]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "review", "serve", *log], stderr=subprocess.PIPE, text=True
    )
    try:
        shop.log.append([*ANNA, *BEN])

        def told():
            assert process.poll() is None, process.stderr.read()
            shop.aggregator.step(timeout_s=0.2)
            return shop.told()

        until(told, "no case was told of", timeout_s=240)
        (case,) = shop.held()
        assert case.gtin == WATER and case.promise_ns == case.opened_ns + 3600 * 10**9
        (opened,) = shop.told()
        assert opened.case_id == case.case_id
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    for part in (shop.payments, shop.aggregator, shop.bank, shop.database, shop.log):
        part.close()
