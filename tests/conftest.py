# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mesa's software GL and Triton (which PyTorch imports when it trains) each bring an LLVM. Triton first works; Mesa
first crashes the process at Triton's import. A walkout command never has both in one process, the tests do."""

import contextlib
import os

from hypothesis import settings

with contextlib.suppress(ImportError):  # PyTorch for CPUs comes without
    import triton  # noqa: F401

settings.register_profile("ci", derandomize=True)  # a change is judged by the change, not by luck
if os.environ.get("CI"):
    settings.load_profile("ci")
