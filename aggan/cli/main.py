"""`aggan VERB ...`: each verb is a module in `aggan.cli`, imported only when it is asked for."""

import importlib
import sys
import time

from aggan import __version__
from aggan.errors import AlreadySaid, UserError

VERBS = {
    "quickstart": ("quickstart", "train, translate and measure on the faces that ship, with a report"),
    "train": ("train", "train a system on two folders of pictures"),
    "translate": ("translate", "translate pictures with a trained model"),
    "export": ("export", "write a model for ONNX Runtime or OpenVINO, with a report of its parity"),
    "evaluate": ("evaluate", "measure a trained model on held-out pictures"),
    "benchmark": ("benchmark", "compare systems under one budget, with tables and a page"),
    "report": ("report", "the same tables and page from runs that exist"),
    "demo": ("demo", "serve a web page on which pictures are translated"),
    "systems": ("systems", "list the systems and their sizes"),
    "data": ("data", "unpack the faces that ship, render data sets, prepare original ones"),
    "study": ("study", "ask people which picture is real, and count whom they believed"),
    "import": ("import_", "take over weights that the AGGAN authors' code saved"),
}
"""Verb, the module of `aggan.cli` that does it, and what it does."""

USAGE = "\n".join(
    (
        "usage: aggan VERB [options]      (aggan VERB --help says more)",
        "",
        "AGGAN translates pictures from one domain to another, learning from unpaired examples.",
        "",
        *(f"  {verb:<12}{summary}" for verb, (_, summary) in VERBS.items()),
    )
)


def main() -> None:
    """Entry point of the `aggan` command; exits with 2 where the user has something to mend."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help"):
        print(USAGE)
        return 0
    if verb == "--version":
        print(f"aggan {__version__}")
        return 0
    if verb not in VERBS:
        print(f"aggan: no verb {verb!r}; there are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f"aggan.cli.{VERBS[verb][0]}").main(rest)
    except AlreadySaid:
        time.sleep(1)  # launchers end all processes when one ends, and another is about to speak
        return 2
    except UserError as why:
        print(f"aggan {verb}: {why}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
