# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several who want something at the same moment."""

import threading

from pipeline.errors import WalkoutError


def at_once(*calls):
    """Run them side by side, in threads that begin together; what each returned, or the `WalkoutError` it raised."""
    outcomes, start = [None] * len(calls), threading.Barrier(len(calls))

    def call(number):
        start.wait()
        try:
            outcomes[number] = calls[number]()
        except WalkoutError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
