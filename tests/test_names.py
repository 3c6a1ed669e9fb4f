"""The field's words on every door: identifiers, help texts and docs keep to docs/decisions/0012-names.md."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggan.cli.main import VERBS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "aggan"
WORDS = {
    "picture": "image",
    "pictures": "images",
    "judge": "classifier, or discriminator_loss",
    "judges": "classifiers",
    "judged": "classified",
    "verdict": "score",
    "verdicts": "scores",
    "looking": "pipeline, or session",
    "translators": "inference_networks",
    "few": "small_output",
    "heap": "malloc",
    "held": "test_set",
}
"""A word that no identifier has, whatever stands around it, and what the field says."""
IDENTIFIERS = {
    "made": "outputs, or fakes",
    "asked": "args",
    "said": "prediction",
    "told": "the thing itself",
    "found": "the thing itself",
    "some": "subset, or the thing itself",
    "wanted": "target, or the thing itself",
    "why": "error",
    "system": "method",
    "systems": "methods",
    "whole": "whole_image",
    "same": "broadcast",
    "agree": "any_rank",
    "begin_with": "init_from",
    "recompute": "activation_checkpointing",
    "save_memory": "enable_checkpointing",
    "fool": "generator_loss",
    "attend": "concat_mask",
}
"""What no identifier is called, and what the field says."""
PHRASES = (
    r"\bpictures?\b",
    r"\bjudged?\b",
    r"\bwhoever\b",
    r"\bso-manieth\b",
    r"\bso long\b",
    r"\bso many\b",
    r"\blooked through\b",
    r"\bpull of the\b",
    r"\btwo looks\b",
    r"\blet in\b",
    r"\btake over\b",
    r"\bsays what torch says\b",
    r"\basks nothing\b",
    r"\bwhere to\?",
    r"\bends it\b",
    r"\btrue answers?\b",
    r"\bcopy the input\b",
    r"\bwhere nothing should\b",
    r"\bwhere still\b",
    r"\bis told\b",
    r"\bunless given\b",
    r"\bidentity kept\b",
)
"""What no help text and no page of the docs says."""
SYSTEM = re.compile(r"(?<!operating )(?<!file )(?<!Operating )(?<!Coding )\bsystems?\b", re.IGNORECASE)
ACTIONS = {
    "data": (
        "faces",
        "sort",
        "draw",
        "prepare",
        "prepare celeba",
        "prepare rafd",
        "prepare arface",
        "prepare bu3dfe",
        "prepare london",
        "prepare portraits",
    ),
    "classifier": ("train",),
    "study": ("create", "serve", "results", "simulate", "power"),
}
HELP = [*VERBS, *(f"{verb} {action}" for verb, actions in ACTIONS.items() for action in actions)]


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def words(identifier: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_identifiers_are_the_fields(path):
    wrong = [f"line {line}: {name}, say {better}" for line, name in identifiers(path) if (better := better_name(name))]
    assert not wrong, "\n".join(wrong)


def better_name(identifier: str) -> str:
    return IDENTIFIERS.get(identifier) or ", ".join(WORDS[word] for word in words(identifier) & WORDS.keys())


def test_modules_are_named_in_the_fields_words():
    modules = {word for path in PACKAGE.rglob("*.py") for word in words(path.stem)}
    assert not modules & (WORDS.keys() | {"utils", "looking", "processor", "narrow", "filters", "shares", "deep"})


def test_the_package_hardly_says_picture():
    lines = [line for path in PACKAGE.rglob("*") if path.suffix in (".py", ".j2", ".yaml", ".md", ".js", ".css")
             for line in path.read_text(encoding="utf-8").splitlines() if "picture" in line.lower()]  # fmt: skip
    assert len(lines) < 60, f"{len(lines)} lines"


@pytest.mark.parametrize("command", HELP)
def test_help_says_it_in_the_fields_words_and_needs_no_torch(command):
    program = f"""
import sys
from aggan.cli.main import run
try:
    code = run({[*command.split(), "--help"]!r})
except SystemExit as end:
    code = end.code or 0
heavy = {{"torch", "lightning_fabric", "onnxruntime", "openvino", "gradio", "matplotlib"}} & sys.modules.keys()
sys.exit(f"imported {{heavy}}" if heavy else code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert f"aggan {command.split()[0]}" in text
    assert not stumbles(text)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_say_it_in_the_fields_words(page):
    if page.name == "0012-names.md":  # it lists the old names
        return
    text = page.read_text(encoding="utf-8")
    assert not stumbles(re.sub(r"`[^`]*`|\]\([^)]*\)", "", text))


def stumbles(text: str) -> list[str]:
    found = [match.group() for phrase in PHRASES for match in re.finditer(phrase, text, re.IGNORECASE)]
    return found + SYSTEM.findall(text)
