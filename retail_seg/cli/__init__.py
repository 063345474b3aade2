"""The command `retail-seg`. Each command is imported when it is called, so `--help` answers at once."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

import click

from retail_seg import __version__
from retail_seg.system.threads import multiply_in_one_thread
from retail_seg.system.user_errors import USER_ERRORS

#: Command ► (module, attribute, the one line that `--help` shows), in the order of a user's first day.
COMMANDS = {
    "demo": ("demo", "demo", "Build a small store of rendered products and scan photos of it."),
    "init": ("store", "init", "Make an empty store."),
    "import": ("catalogue", "import_", "Add products and reference pictures from a file."),
    "export": ("catalogue", "export", "Write all products and pictures to a folder that imports again."),
    "add": ("store", "add", "Add reference pictures of one product."),
    "scan": ("scan", "scan", "Count the products in photos."),
    "plan": ("shelf", "plan", "Keep plans of fixtures: what should stand where."),
    "check": ("shelf", "check", "Hold photos of a fixture against a plan."),
    "report": ("report", "report", "Write figures over time of the checks that are kept."),
    "alert": ("alert", "alert", "Tell findings by webhook, e-mail or CSV."),
    "match": ("scan", "match", "Name the one product that each picture shows."),
    "read": ("read", "read", "Read the words and barcodes on pictures."),
    "discover": ("discover", "discover", "Group what photos show by looks, for products without pictures."),
    "segment": ("segmentation", "segment", "Write the instances of photos as id pictures."),
    "train": ("segmentation", "train", "Train a segmenter on a few annotated photos."),
    "manifest": ("manifest", "manifest", "Write a training set to a file that notices what changes."),
    "runs": ("runs", "runs", "List the trainings on record, compare them, use a run's model."),
    "suggest": ("segmentation", "suggest", "Say which photo to annotate next."),
    "convert": ("segmentation", "convert", "Convert annotations from one format to another."),
    "measure": ("segmentation", "measure", "Measure the instances of photos."),
    "evaluate": ("evaluate", "evaluate", "Score segmentation or retrieval on labelled photos."),
    "compare": ("compare", "compare", "Compare segmentation methods on your own photos."),
    "benchmark": ("benchmark", "benchmark", "Measure time and memory beside a peer."),
    "embed": ("scan", "embed", "Write the vectors of pictures to a file."),
    "products": ("catalogue", "products", "List the products of a store."),
    "search": ("catalogue", "search", "Find products by words, SKU or GTIN."),
    "show": ("catalogue", "show", "Show one product and its references."),
    "remove": ("catalogue", "remove", "Remove a product, or some of its references."),
    "undelete": ("catalogue", "undelete", "Bring a removed product back."),
    "log": ("maintenance", "log", "Show who changed what and when."),
    "undo": ("maintenance", "undo", "Take a change of the log back."),
    "health": ("maintenance", "health", "Say what weakens the catalogue."),
    "replay": ("maintenance", "replay", "Match kept scans against today's catalogue."),
    "privacy": ("privacy", "privacy", "Say for how long photos are kept, and whether faces are blurred."),
    "backup": ("maintenance", "backup", "Copy the store to a file while it is in use."),
    "restore": ("maintenance", "restore", "Make a store from a backup."),
    "reindex": ("store", "reindex", "Embed every reference again, or with another embedder."),
    "key": ("chain", "key", "Make the key that signs what is published."),
    "publish": ("chain", "publish", "Publish the store as a signed snapshot that shops follow."),
    "follow": ("chain", "follow", "Bring the store to the centre's latest snapshot."),
    "contributions": ("chain", "contributions", "Send what a shop has added to the centre; take it or leave it there."),
    "rollup": ("chain_reports", "rollup", "Sum the reports of many shops up by week."),
    "app": ("app", "app", "Open the web app on a store."),
    "user": ("user", "user", "Say who may log in to the web app, and as what."),
    "serve": ("serve", "serve", "Answer scripts over HTTP."),
    "token": ("token", "token", "Say which scripts may use a store over HTTP, and as what."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called (click's documentation, "Lazily loading subcommands")."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(import_module(f"retail_seg.cli.{module}"), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="retail-seg")
def cli() -> None:
    """Says which products are in a photo of groceries, how many, and where.

    Exit codes: 0 done, 1 some inputs failed (the rest are done and reported), 2 the call was wrong.
    """


def main() -> None:
    """Run the command line; what a person can mend becomes one line on stderr and exit code 2."""
    multiply_in_one_thread()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted; what was finished is kept.", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except USER_ERRORS as error:
        click.echo(f"Error: {error}", err=True)
        code = 2
    except BrokenPipeError:  # the reader of stdout (`| head`) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    gc.freeze()  # Python need not look for what the end frees anyway: a tenth of a scan's time
    sys.exit(code if isinstance(code, int) else 0)
