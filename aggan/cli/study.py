"""`aggan study {create,serve,results,simulate,power}`: ask people which image is real."""

import importlib

from aggan.errors import UserError
from aggan.extras import import_failure, require_module

USAGE = """usage: aggan study create --real DIR --fake NAME=DIR ... --out STUDY      plan which pairs participants see
       aggan study serve STUDY [--host H] [--port P]                      serve the study to participants' browsers
       aggan study results STUDY [--json] [--csv] [--participants]        fooling rates of the methods, with tests
       aggan study simulate STUDY --rates NAME=RATE ...                   try it with simulated participants
       aggan study power --rates A B                                      participants needed for a difference

aggan study ACTION --help shows all options. Requires the extra `study`: pip install '.[study]'"""
MODULES = {
    "create": "study_create",
    "serve": "study_serve",
    "results": "study_results",
    "simulate": "study_simulate",
    "power": "study_power",
}
"""The module in `aggan.cli` of each action."""
SERVER = ("sqlmodel", "fastapi", "uvicorn")
LIBRARIES = {"serve": SERVER, "results": ("sqlmodel",), "simulate": SERVER}
"""What an action imports of the extra."""


def main(argv: list[str]) -> int:
    """Run an action. Returns the exit code."""
    if argv[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    action, options = argv[0], argv[1:]
    if action not in MODULES:
        raise UserError(f"unknown action {action!r}; choose from {', '.join(MODULES)}")
    for library in LIBRARIES.get(action, ()) if not {"-h", "--help"} & set(options) else ():
        require_module(library, "study", action)
    try:
        return importlib.import_module(f"aggan.cli.{MODULES[action]}").main(options)
    except ImportError as error:
        package = (error.name or "the extra study").split(".")[0]
        if package == "aggan":
            raise
        raise import_failure(error, package, "study", action) from error


def parse_pairs(values: list[str], option: str) -> dict[str, str]:
    """Parse NAME=VALUE words of an option. Raises `UserError` if one is malformed or repeated."""
    pairs: dict[str, str] = {}
    for pair in values:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {pair}: expected NAME=VALUE")
        if name in pairs:
            raise UserError(f"{option} {pair}: {name} is given twice")
        pairs[name] = value
    return pairs
