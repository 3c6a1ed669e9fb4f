"""`aggan study {create,serve,results,simulate,power}`: ask people which picture is real."""

import importlib

from aggan.errors import UserError

USAGE = """usage: aggan study create --real DIR --fake NAME=DIR ... --out STUDY      plan who sees which pairs
       aggan study serve STUDY [--host H] [--port P]                      ask people, in their browsers
       aggan study results STUDY [--json] [--csv] [--people]              who was fooled by what, how often
       aggan study simulate STUDY --rates NAME=SHARE ...                  try it with participants of known answers
       aggan study power --rates A B                                      how many participants a difference needs

--help after an action says more. Needs the extra `study`: pip install 'aggan[study]'."""
MODULES = {
    "create": "study_create",
    "serve": "study_serve",
    "results": "study_results",
    "simulate": "study_simulate",
    "power": "study_power",
}
"""Action, and the module of `aggan.cli` that does it."""
EXTRA = {"fastapi", "sqlmodel", "sqlalchemy", "uvicorn", "starlette", "psycopg"}
"""What the extra `study` installs."""


def main(arguments: list[str]) -> int:
    """Run the verb and give its exit code."""
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(USAGE)
        return 0
    action, rest = arguments[0], arguments[1:]
    if action not in MODULES:
        raise UserError(f"no action {action!r}; there are {', '.join(MODULES)}")
    try:
        return importlib.import_module(f"aggan.cli.{MODULES[action]}").main(rest)
    except ModuleNotFoundError as why:
        if why.name not in EXTRA:
            raise
        raise UserError(f"{action} needs {why.name}: pip install 'aggan[study]'") from why


def named(given: list[str], option: str) -> dict[str, str]:
    """NAME=VALUE, several times; raises `UserError`."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals and value):
            raise UserError(f"{option} {one}: it should be NAME=VALUE")
        if name in found:
            raise UserError(f"{option} {one}: {name} is there twice")
        found[name] = value
    return found
