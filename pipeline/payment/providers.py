# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which payment provider, by name."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PaymentError
from pipeline.payment.port import PaymentProvider

EXPECTED = "expected test, test:FILE, test+http://HOST:PORT, stripe or stripe+http://HOST:PORT"
BANK_FILE = "bank.sqlite"
SECRET = "WALKOUT_TEST_PAYMENT_SECRET"
"""Environment variable: what the test provider signs its webhooks with."""


def file_beside(state_url: str) -> Path | None:
    """Where the test provider's own file lies beside a state in a file; None for a state elsewhere."""
    kind, _, path = state_url.partition(":///")
    return Path(path).parent / BANK_FILE if kind == "sqlite" and path else None


def open_provider(name: str, default_file: Path | str | None = None) -> PaymentProvider:
    """The provider that `name` names.

    `test`: the built-in one in `default_file`, where there is one; `test:FILE`: in another file;
    `test+http://HOST:PORT`: one that runs as `walkout pay provider`. `stripe`: with STRIPE_API_KEY and
    STRIPE_WEBHOOK_SECRET from the environment; `stripe+http://HOST:PORT`: at another address, such as stripe-mock's.
    Raises `PaymentError`.
    """
    secret = os.environ.get(SECRET, "test-webhook-secret")
    kind, _, rest = name.partition(":")
    if name == "test" and default_file is None:
        raise PaymentError(
            "payment provider test keeps its payments in a file, and the state is not one beside which that could be: "
            "name it, test:FILE, or run one (walkout pay provider) and name it, test+http://HOST:PORT"
        )
    if kind == "test" and not name.endswith(":"):
        from pipeline.payment.bank import Bank

        return Bank(rest or default_file, secret)
    if kind in ("test+http", "test+https") and rest.strip("/"):
        try:
            from pipeline.payment.bank_http import BankOverHttp
        except ModuleNotFoundError as error:
            raise PaymentError(f"payment provider {name} needs {error.name}: pip install 'walkout[web]'") from None
        return BankOverHttp(name.removeprefix("test+"), secret)
    if name == "stripe" or (kind in ("stripe+http", "stripe+https") and rest.strip("/")):
        key = os.environ.get("STRIPE_API_KEY")
        if not key:
            raise PaymentError("payment provider stripe: set STRIPE_API_KEY to the account's secret key (sk_...)")
        try:
            from pipeline.payment.stripe_provider import StripeProvider
        except ModuleNotFoundError as error:
            raise PaymentError(f"payment provider stripe needs {error.name}: pip install 'walkout[stripe]'") from None
        base = name.removeprefix("stripe+") if name != "stripe" else None
        return StripeProvider(key, os.environ.get("STRIPE_WEBHOOK_SECRET"), base)
    raise PaymentError(f"payment provider {name!r}: {EXPECTED}")
