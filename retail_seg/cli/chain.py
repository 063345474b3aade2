"""Commands of a chain of shops: `key`, `publish`, `follow`, `contributions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retail_seg.cli.common import each, json_option, output, say, store_option, write_json_line
from retail_seg.cli.rows import by_option

if TYPE_CHECKING:
    from retail_seg.chain.contributions import Contribution
    from retail_seg.chain.following import Step
    from retail_seg.store.following import Followed

key_file = click.Path(path_type=Path, dir_okay=False)


@click.group()
def key() -> None:
    """Make the key that signs what `publish` publishes, and show its public half."""


@key.command("new")
@click.argument("file", type=key_file, required=False)
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase, without which the key cannot be used.")
def new_key(file: Path | None, passphrase: bool) -> None:
    """Make a key in FILE, which only you can read, and print its public half.

    Keep a copy in a safe place: shops that trust this key take snapshots that it signed, and no others.
    """
    from retail_seg.chain.keys import make_key

    file = file or _default_key()
    asked = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True) if passphrase else ""
    public = make_key(file, str(asked))
    click.echo(str(public))
    say(f"{file}: key {public.fingerprint}; keep a copy of it in a safe place")


@key.command("show")
@click.argument("file", type=key_file, required=False)
def show_key(file: Path | None) -> None:
    """Print the public half of the key in FILE, for `follow --key`."""
    from retail_seg.chain.keys import read_key

    public = read_key(file or _default_key(), _passphrase).public
    click.echo(str(public))
    say(f"key {public.fingerprint}")


@key.command("list")
@store_option
def list_keys(store: Path) -> None:
    """Print the keys that the store trusts as a shop, or tells of as a centre, and those that were retired."""
    from retail_seg.chain.rotation import keys_of

    found = keys_of(store)
    for what, lines in (("trusted", found.trusted), ("retired", found.retired)):
        for line in lines:
            click.echo(f"{line} {what}")


@key.command("add")
@click.argument("public")
@store_option
@by_option
def add_key(public: str, store: Path, by: str) -> None:
    """Trust one more key, PUBLIC or its file: shops hear of it with the next snapshot, which the old key signs.

    In a shop it is trusted there at once: for one that was without a line while the centre had both.
    """
    from retail_seg.chain.keys import PublicKey
    from retail_seg.chain.rotation import add_key as run

    found = PublicKey.read(public)
    run(store, found, by=by)
    say(f"{store}: key {found.fingerprint} is one of its keys now")


@key.command("retire")
@click.argument("public")
@store_option
@by_option
def retire_key(public: str, store: Path, by: str) -> None:
    """Trust the key PUBLIC, or that of its file, no more: shops refuse it from the next snapshot on."""
    from retail_seg.chain.keys import PublicKey
    from retail_seg.chain.rotation import retire_key as run

    found = PublicKey.read(public)
    run(store, found, by=by)
    say(f"{store}: key {found.fingerprint} is retired")


@click.command()
@click.argument("dest")
@store_option
@click.option(
    "--key", "key_path", type=key_file, help="Key that signs; the one that `retail-seg key new` makes without."
)
@click.option("--again", is_flag=True, help="Send every chunk anew, after damage at DEST.")
@click.option("--take-over", is_flag=True, help="Go on from what another store has published at DEST with this key.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Take away what none of the last N snapshots needs.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Time for shops to go on fetching what --keep is to take away.",
)
@by_option
def publish(
    dest: str, store: Path, key_path: Path | None, again: bool, take_over: bool, keep: int | None, grace: float, by: str
) -> None:
    """Publish the store at DEST, a folder or an address of S3, as a signed snapshot that shops follow.

    Products, references, what was learned from them, and the segmenter go; scans, users and the log stay. Only what
    is new is sent. Shops see it when all of it is there.
    """
    from retail_seg.chain.keys import read_key
    from retail_seg.chain.publishing import publish as run

    signing = read_key(key_path or _default_key(), _passphrase)
    done = run(store, dest, signing, again=again, take_over=take_over, keep=keep, grace=grace * 3600, by=by)
    if done.fresh:
        say(
            f"{dest}: snapshot {done.number} ({done.name[:12]}) by key {signing.public.fingerprint}; "
            f"{done.chunks} chunks, {_size(done.sent)} of {_size(done.total)} sent"
        )
    else:
        say(f"{dest}: nothing is new since snapshot {done.number} ({done.name[:12]})")
    if swept := done.swept:
        say(
            f"{dest}: {swept.removed} chunks ({_size(swept.freed)}) of old snapshots taken away, {swept.waiting} wait "
            f"until they were not needed for {grace:g} hours"
        )


@click.command()
@click.argument("source", default="")
@store_option
@click.option("--key", "trusted", help="Public key of the centre, or its file; without it the first one seen is kept.")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of the embedder, for closed networks.")
@click.option("--back", is_flag=True, help="Take the snapshot before this one again, until a newer one comes.")
@click.option("--again", is_flag=True, help="Take also the snapshot that --back has left.")
@click.option("--status", is_flag=True, help="Only say where the store stands.")
@click.option("--stop", is_flag=True, help="Follow nobody any more, and keep what is there.")
@by_option
def follow(
    source: str,
    store: Path,
    trusted: str | None,
    weights: Path | None,
    back: bool,
    again: bool,
    status: bool,
    stop: bool,
    by: str,
) -> None:
    """Bring the store to the latest snapshot at SOURCE: a folder, or an address of S3 or http.

    A new store is made of it. SOURCE is kept, so later calls, by cron for instance, need none. What is new is fetched,
    checked against the centre's key, and switched to in one step; without a line the store goes on as it is. Its
    products and segmenter are then changed at the centre; references that the shop adds stay its own.
    """
    from retail_seg.chain import following
    from retail_seg.chain.keys import PublicKey

    if sum((back, status, stop)) + bool(source) > 1:
        raise click.UsageError("SOURCE, --back, --status and --stop are each a call of its own; give one of them")
    if status:
        _say_where(store)
    elif stop:
        following.stop(store, by=by)
        say(f"{store}: follows nobody any more")
    elif back:
        _say_step(store, following.go_back(store, by=by))
    else:
        key_ = PublicKey.read(trusted) if trusted else None
        with _Bar() as bar:
            step = following.follow(store, source, key=key_, weights=weights, again=again, by=by, on_chunk=bar.show)
        _say_step(store, step)


class _Bar:
    """A bar of bytes on stderr where a person watches it."""

    def __enter__(self) -> _Bar:
        from tqdm import tqdm

        self._bar = tqdm(unit="B", unit_scale=True, disable=None, leave=False)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        """So many bytes of so many are here."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _say_step(store: Path, step: Step) -> None:
    stands, taken = step.stands, step.taken
    if step.trusted:
        from retail_seg.chain.keys import PublicKey

        fingerprint = PublicKey.read(stands.key).fingerprint
        say(f"{stands.source}: key {fingerprint} is trusted from now on; compare it with the centre's")
    if step.waits:
        say(f"{store}: stays on snapshot {stands.label}; {step.waits} was left with --back, --again takes it")
    elif taken is None:
        say(f"{store}: stands on the latest snapshot, {stands.label}")
    else:
        own = f", {taken.absorbed} of the store's own are the centre's now" if taken.absorbed else ""
        say(
            f"{store}: stands on snapshot {stands.label} of {stands.made[:16]}; {taken.products} products and "
            f"{taken.references} references new or changed, {taken.removed} references gone{own}; "
            f"{_size(step.fetched)} fetched"
        )


def _say_where(store: Path) -> None:
    """Where a store stands, as JSON on stdout and a line on stderr."""
    import json

    from retail_seg.errors import ChainError
    from retail_seg.store.following import followed_by
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        stands = followed_by(catalogue)
    if stands is None:
        raise ChainError(f"{store}: follows nobody; `retail-seg follow SOURCE` begins")
    click.echo(json.dumps(stands.to_json(), ensure_ascii=False))
    say(_told(store, stands))


def _told(store: Path, stands: Followed) -> str:
    left = f"; {stands.held} was left with --back" if stands.held else ""
    return (
        f"{store}: stands on snapshot {stands.label}, made {stands.made[:16]}, taken {stands.taken[:16]}; "
        f"{stands.source} was last heard {stands.heard[:16]}{left}"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def _default_key() -> Path:
    from retail_seg.system.settings import settings

    return settings().key


def _passphrase() -> str:
    from retail_seg.system.settings import settings

    return settings().passphrase or str(click.prompt("Passphrase of the key", hide_input=True, err=True))


@click.group()
def contributions() -> None:
    """Send what a shop has added back to the centre, and decide about it there.

    References that people add in a shop, by corrections of scans or by hand, help there at once. Sent, and taken by
    a manager, they help everywhere with the centre's next snapshot.
    """


@contributions.command()
@click.argument("dest", default="")
@store_option
@click.option("--shop", default="", help="What the centre is to call this shop.")
def send(dest: str, store: Path, shop: str) -> None:
    """Send the references that this shop has added; to DEST where snapshots come from an address of http."""
    from retail_seg.chain.contributions import contribute
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        say(f"{contribute(catalogue, dest, shop=shop)} contributions sent")


@contributions.command("list")
@click.argument("source")
@store_option
@click.option("--left", is_flag=True, help="Those that were left.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write the pictures into this folder.")
@json_option
def list_(source: str, store: Path, left: bool, out: Path | None, json_file: Path | None) -> int:
    """List what shops have sent to SOURCE: one JSON line each."""
    from retail_seg.chain.contributions import Contribution, open_contributions
    from retail_seg.store.opening import open_catalogue

    failed = 0
    with open_catalogue(store) as catalogue, output(json_file) as file:
        for one in open_contributions(catalogue, source, left=left):
            if isinstance(one, Contribution):
                write_json_line(file, one.to_dict())
                _write_pictures(out, one)
            else:
                say(f"Error: {one}")
                failed += 1
    return int(failed > 0)


def _write_pictures(out: Path | None, one: Contribution) -> None:
    from retail_seg.system.files import replace_file

    for number, picture in enumerate(one.pictures if out else (), 1):
        assert out is not None and isinstance(picture.source, bytes)
        replace_file(out / f"{one.name[:12]}-{number}.jpg", picture.source)


@contributions.command()
@click.argument("source")
@click.argument("names", metavar="CONTRIBUTION...", nargs=-1, required=True)
@store_option
@by_option
def take(source: str, names: tuple[str, ...], store: Path, by: str) -> int:
    """Add what was sent to the centre's store; shops get it with the next snapshot."""
    from retail_seg.chain.contributions import find
    from retail_seg.chain.contributions import take as run
    from retail_seg.errors import ChainError
    from retail_seg.matcher import Matcher
    from retail_seg.store.opening import open_catalogue

    def one(name: str) -> None:
        with open_catalogue(store) as catalogue:
            found = find(catalogue, source, name)
        for refused in run(matcher, found, by=by):
            say(f"{found.product.sku}: {refused.name}: {refused.reason}")
        say(f"{found.product.sku}: {len(found.pictures)} pictures of {found.shop} taken")

    with Matcher.open(store) as matcher:
        return int(each(names, one, (ChainError,)) > 0)


@contributions.command()
@click.argument("source")
@click.argument("names", metavar="CONTRIBUTION...", nargs=-1, required=True)
@store_option
@by_option
def leave(source: str, names: tuple[str, ...], store: Path, by: str) -> int:
    """Decide that these are not wanted; `take` can still take them."""
    from retail_seg.chain import contributions as rooms
    from retail_seg.errors import ChainError
    from retail_seg.store.opening import open_catalogue

    with open_catalogue(store) as catalogue:
        return int(
            each(names, lambda name: rooms.leave(catalogue, rooms.find(catalogue, source, name), by=by), (ChainError,))
            > 0
        )
