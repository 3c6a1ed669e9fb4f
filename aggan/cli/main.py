"""`aggan VERB ...`: each verb is a module of `aggan.cli`, imported only when it is used."""

import errno
import importlib
import os
import sys
import time
from collections.abc import Sequence
from io import TextIOWrapper

from aggan import __version__
from aggan.cli.renamed import require_new_names
from aggan.errors import AlreadyReported, UserError

VERBS = {
    "quickstart": ("quickstart", "train, translate and evaluate on the faces that ship, with a report"),
    "train": ("train", "train a method on two folders of images"),
    "translate": ("translate", "translate images with a trained model"),
    "evaluate": ("evaluate", "evaluate a trained model on test images"),
    "export": ("export", "export a model to ONNX or OpenVINO, with a parity check"),
    "benchmark": ("benchmark", "compare methods under one budget, with tables and a page"),
    "report": ("report", "make the same tables and page from existing runs"),
    "demo": ("demo", "serve a web page that translates images"),
    "serve": ("serve", "serve models to programs over HTTP"),
    "methods": ("methods", "list the methods and their numbers of parameters"),
    "data": ("data", "unpack the faces that ship, sort photographs, draw, render or prepare data sets"),
    "classifier": ("classifier", "train a classifier of your own domains, for evaluate"),
    "study": ("study", "run a perceptual study: people choose the real image of each pair"),
    "import": ("import_", "import weights that the AGGAN authors' code saved"),
}
"""Verb: its module in `aggan.cli`, and what it does."""

BROKEN_PIPE = 141
"""The exit code of programs whose reader is gone, as in `aggan methods | head -1`."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

USAGE = "\n".join(
    (
        "usage: aggan VERB [options]      (aggan VERB --help explains the options)",
        "",
        "AGGAN translates images from one domain to another and learns from unpaired examples.",
        "",
        *(f"  {verb:<12}{summary}" for verb, (_, summary) in VERBS.items()),
    )
)


def main() -> None:
    """Entry point of the `aggan` command. Exits with 2 if the user has something to correct."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be in any encoding
    try:
        try:
            code = run(sys.argv[1:])
        finally:
            print(end="", flush=True)
    except OSError as error:
        code = _output_failure(error)
    except SystemExit as exit_:
        if not isinstance(exit_.__context__, BrokenPipeError):  # from which rich makes a SystemExit(1)
            raise
        code = BROKEN_PIPE
    sys.exit(code)


def _output_failure(error: OSError) -> int:
    """The exit code if what the command prints cannot be written. Raises other errors again."""
    if not isinstance(error, BrokenPipeError) and error.errno not in DISK_ERRORS:
        raise error
    try:
        print(end="", flush=True)
    except OSError:  # Python would try it again when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    print(f"aggan: cannot write {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
    return 1


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    verb, rest = (argv[0], list(argv[1:])) if argv else ("--help", [])
    if verb in ("-h", "--help"):
        print(USAGE)
        return 0
    if verb == "--version":
        print(f"aggan {__version__}")
        return 0
    try:
        require_new_names(verb, rest)
        if verb not in VERBS:
            print(f"aggan: no verb {verb!r}; there are {', '.join(VERBS)}", file=sys.stderr)
            return 2
        return importlib.import_module(f"aggan.cli.{VERBS[verb][0]}").main(rest)
    except AlreadyReported:
        time.sleep(1)  # a launcher ends all processes when one ends, and another one is about to report
        return 2
    except UserError as error:
        print(f"aggan {verb}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None or isinstance(error, BrokenPipeError) or error.errno in DISK_ERRORS:
            raise  # `main` reports it
        print(f"aggan {verb}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
