# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout pass ...`: keys, passes, and attacks on them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What shoppers show at the gate: passes and the keys that sign them.", no_args_is_help=True)
keys_app = typer.Typer(help="The ring of keys that sign passes.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

Ring = Annotated[Path, typer.Argument(metavar="RING", help="The key ring's file.")]
Keys = Annotated[Path, typer.Option("--keys", help="The key ring's file; its public half is enough to check.")]
StoreId = Annotated[str, typer.Option("--store", help="The store's id, as in its layout.")]


@keys_app.command("new")
def keys_new(ring: Ring) -> None:
    """Make a ring with one key. It is the chain's secret: only its owner can read the file."""
    from pipeline.errors import PassKeyError
    from pipeline.passes.keys import KeyRing

    if ring.exists():
        raise PassKeyError(f"{ring}: is there already; `walkout pass keys rotate` puts a new key on it")
    made = KeyRing.new(time.time())
    made.save(ring)
    print(f"{ring}: key {made.keys[0].kid}")


@keys_app.command("rotate")
def keys_rotate(
    ring: Ring,
    ahead_s: Annotated[float, typer.Option("--ahead-s", min=0, help="The new key signs after so long.")] = 3600,
    overlap_s: Annotated[
        float, typer.Option("--overlap-s", min=0, help="Old ones are believed so much longer.")
    ] = 3600,
) -> None:
    """Put a new key on the ring: gates learn it `ahead` of its use, and believe the old one for `overlap` after."""
    from pipeline.passes.keys import KeyRing

    made = KeyRing.load(ring).rotated(time.time(), ahead_s, overlap_s)
    made.save(ring)
    _print_ring(made)


@keys_app.command("drop")
def keys_drop(ring: Ring, kid: Annotated[str, typer.Argument(help="The key that was stolen.")]) -> None:
    """Take a key off the ring: what it signed is refused from now on."""
    from pipeline.passes.keys import KeyRing

    made = KeyRing.load(ring).without([kid])
    made.save(ring)
    _print_ring(made)


@keys_app.command("public")
def keys_public(ring: Ring, out: Annotated[Path, typer.Argument(metavar="FILE", help="For gates.")]) -> None:
    """Write the public half, a JSON Web Key Set: it checks passes and cannot make any."""
    from pipeline.passes.keys import KeyRing

    KeyRing.load(ring).save(out, private=False)
    print(out)


@keys_app.command("list")
def keys_list(ring: Ring) -> None:
    """Which keys are on the ring, and from when to when."""
    from pipeline.passes.keys import KeyRing

    _print_ring(KeyRing.load(ring))


@app.command()
def issue(
    shopper: Annotated[str, typer.Argument(metavar="SHOPPER", help="The shopper's id.")],
    keys: Keys,
    store: StoreId,
    admits: Annotated[int, typer.Option("--admits", min=1, max=20, help="How many people it lets in.")] = 1,
    brings: Annotated[bool, typer.Option("--brings", help="Lets one more in while the shopper is inside.")] = False,
    picture: Annotated[Path | None, typer.Option("--picture", help="Draw it as a QR code: .png or .svg.")] = None,
) -> None:
    """Make a pass that is good for some twenty seconds."""
    from pipeline.passes.keys import KeyRing
    from pipeline.passes.picture import save_picture
    from pipeline.passes.token import PassIssuer

    token = PassIssuer(KeyRing.load(keys)).issue(shopper, store, time.time(), admits=admits, brings=brings)
    if picture is not None:
        save_picture(token, picture)
    print(token)


@app.command()
def check(
    token: Annotated[str, typer.Argument(metavar="PASS", help="The pass, or a picture of its code.")],
    keys: Keys,
    store: StoreId,
) -> None:
    """Say whose pass it is; one line with the reason and exit code 2 when a gate would refuse it.

    Whether it was used before only the gates' database knows.
    """
    from pipeline.passes.keys import KeyRing
    from pipeline.passes.token import PassChecker

    if Path(token[:200]).suffix.lower() in (".png", ".jpg", ".jpeg"):
        token = _read(Path(token))
    ring = KeyRing.load(keys)
    believed = PassChecker(lambda: ring, store).check(token, time.time())
    more = ", brings one in" if believed.brings else f", lets {believed.admits} in" if believed.admits > 1 else ""
    print(f"{believed.shopper_id}: good for {believed.expires_s - time.time():.0f} s{more}")


@app.command()
def attack(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store's folder, for its layout.")],
    random_strings: Annotated[int, typer.Option("--random", min=1, help="How many random strings.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the random strings.")] = 0,
) -> None:
    """Try to get past a gate without a pass, on a database of its own; exit code 1 if anything opens or blocks it."""
    from rich.console import Console
    from rich.table import Table

    from calibration.layout import load_layout
    from pipeline.passes.attack import attack as run

    results, still_opens = run(load_layout(store / "layout.yaml"), random_strings, seed)
    table = Table(title="Attacks on a gate", title_justify="left")
    for column in ("attack", "tries", "opened", "unanswered", "slowest ms", "reasons given"):
        table.add_column(column, justify="left" if column in ("attack", "reasons given") else "right")
    for r in results:
        reasons = ", ".join(f"{reason} {count}" for reason, count in r.reasons.most_common())
        table.add_row(r.name, str(r.tries), str(r.opened), str(r.failed), f"{r.slowest_ms:.0f}", reasons)
    console = Console()
    console.print(table)
    console.print(f"a good pass after each of them: {'opens' if still_opens else 'DOES NOT OPEN'}", highlight=False)
    if not still_opens or any(r.opened or r.failed for r in results):
        raise typer.Exit(1)


def _print_ring(ring) -> None:
    for key in ring.keys:
        until = "as long as it is here" if key.believed_until_s is None else f"until {_time(key.believed_until_s)}"
        print(f"{key.kid}  signs from {_time(key.signs_from_s)}, believed {until}")


def _time(at_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_s))


def _read(path: Path) -> str:
    import cv2

    from pipeline.errors import CaptureError
    from pipeline.gate.codes import read_codes

    image = cv2.imread(str(path))
    codes = [] if image is None else read_codes(image)
    if not codes:
        raise CaptureError(f"{path}: no QR code was found in it" if image is not None else f"{path}: no picture")
    return codes[0]
