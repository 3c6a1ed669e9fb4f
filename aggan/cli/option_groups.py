"""Options of the command line made from settings (pydantic models), in groups: each is a box of the help text."""

from collections.abc import Iterable, Mapping
from dataclasses import field, make_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import tyro
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from aggan.errors import UserError


class OptionGroup(NamedTuple):
    """Some of the settings of a model."""

    title: str
    section: str
    """Their options are `--SECTION.NAME`."""
    settings: BaseModel
    """The defaults."""
    names: tuple[str, ...]
    description: str


def group_of(section: str, settings: BaseModel) -> list[OptionGroup]:
    """All settings of a model as one group, and one group for each model inside it; constants are left out."""
    names, inner = [], []
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            inner += group_of(f"{section}.{name}", value)
        elif not _is_constant(info):
            names.append(name)
    return [OptionGroup(section, section, settings, tuple(names), type(settings).__doc__ or ""), *inner]


def _is_constant(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is Literal and len(get_args(info.annotation)) == 1


def add_options(options: type, groups: Iterable[OptionGroup]) -> type:
    """A dataclass for tyro: `options`, with the options of all groups."""
    fields = [
        (f"group_{number}", Annotated[cls, tyro.conf.arg(name=group.title)], field(default_factory=cls))
        for number, group in enumerate(groups)
        if (cls := _class_of(group))
    ]
    return make_dataclass(options.__name__, fields, bases=(options,), namespace={"__doc__": options.__doc__})


def _class_of(group: OptionGroup) -> type:
    fields = [
        (name, Annotated[info.annotation, _argument(group.section, name, info, value)], field(default=value))
        for name in group.names
        for info, value in [(type(group.settings).model_fields[name], getattr(group.settings, name))]
    ]
    return make_dataclass("Group", fields, namespace={"__doc__": group.description})


def _argument(section: str, name: str, info: FieldInfo, default: object) -> Any:
    """Name and help of an option. One that is not set by default has neither `None` nor a default in its help."""
    optional = type(None) in get_args(info.annotation)
    return tyro.conf.arg(
        name=f"{section}.{name}",
        prefix_name=False,
        help=info.description,
        metavar=_metavar(info.annotation) if optional else None,
        help_behavior_hint="" if default is None else None,
    )


def _metavar(annotation: Any) -> str:
    """The word for a value, without the `None` of an optional one."""
    if get_origin(annotation) in (Union, UnionType):
        return "|".join(_metavar(kind) for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Annotated:
        return _metavar(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return "{" + ",".join(map(str, get_args(annotation))) + "}"
    if get_origin(annotation) is tuple:
        return "NAME NAME ..."
    return "PATH" if annotation is Path else annotation.__name__.upper()


def settings_of(args: object, groups: Iterable[OptionGroup]) -> dict[str, dict[str, Any]]:
    """The parsed values by section; a section inside another one is a value of it."""
    sections: dict[str, dict[str, Any]] = {}
    for number, group in enumerate(groups):
        first, *inner = group.section.split(".")
        values = sections.setdefault(first, {})
        for name in inner:
            values = values.setdefault(name, {})
        values |= {name: getattr(getattr(args, f"group_{number}"), name) for name in group.names}
    return sections


def option_errors(error: ValidationError, tags: Mapping[str, str]) -> UserError:
    """The values that a model refuses, as one sentence about options.

    `tags` are the names that pydantic inserts after a section (the chosen member of a union).
    """
    sentences = []
    for problem in error.errors():
        section, *rest = problem["loc"]
        names = [str(part) for part in rest if part != tags.get(str(section)) and not isinstance(part, int)]
        if not names:  # the message names the options that do not fit together
            sentences.append(problem["msg"])
            continue
        option = f"--{section}." + ".".join(names).replace("_", "-")
        value = problem["input"]
        words = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        sentences.append(f"{option} {words}: {problem['msg']}")
    return UserError("; ".join(sentences))
