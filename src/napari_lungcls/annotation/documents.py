"""Small YAML and JSON files, read without trust and written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from napari_lungcls.annotation.texts import decoded, read_limited
from napari_lungcls.annotation.validation import shown
from napari_lungcls.errors import InputError
from napari_lungcls.utils.atomic_write import atomic_write

_MAX_BYTES = 1_000_000

DEEPEST = 16
"""Lists and mappings inside each other."""

MOST_VALUES = 200_000
"""Values that a document may stand for, with all aliases written out."""

PlainLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What reads YAML of plain values, written in C where that is there."""


def read_document(path: str | os.PathLike[str], what: str) -> object:
    """Read the one document of a `.yaml`, `.yml` or `.json` file.

    Parameters
    ----------
    path
        The file.
    what
        What the file should hold, for messages, such as ``class scheme``.

    Raises
    ------
    InputError
        When the file is missing, too large, not text, or not what its suffix says.
    """
    file = Path(path)
    parse = _parse_json if _is_json(file, what) else _parse_yaml
    text = decoded(read_limited(file, what, _MAX_BYTES), file)
    try:
        return parse(file, text)
    except (RecursionError, ValueError) as error:
        raise (
            error
            if isinstance(error, InputError)
            else InputError(f"{file}: not a {what} ({error}); correct the file")
        ) from error


def write_document(path: str | os.PathLike[str], data: object, what: str) -> Path:
    """Write `data` (of mappings, lists and plain values) as YAML or JSON, by the suffix.

    Raises
    ------
    InputError
        When the suffix is another one or the file cannot be written.
    """
    target = Path(path)
    if _is_json(target, what):
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    with atomic_write(target) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
    return target


def _is_json(path: Path, what: str) -> bool:
    suffix = path.suffix.lower()
    if suffix not in {".json", ".yaml", ".yml"}:
        raise InputError(f"{path}: a {what} is kept in a .yaml or .json file; use such a name")
    return suffix == ".json"


def _once(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a mapping in which no key stands twice, or the later would win in silence."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{shown(key)} stands twice")
        found[key] = value
    return found


def check_yaml(text: str, source: object, *, deepest: int, remedy: str, plain: bool) -> None:
    """Refuse YAML that stands for more than it is, before anything is made of it.

    Parameters
    ----------
    text
        The document.
    source
        Its name, for messages.
    deepest
        Lists and mappings that may stand inside each other.
    remedy
        What to do.
    plain
        Whether there may be no anchors, aliases and tags at all; else aliases may stand for
        `MOST_VALUES` values together.

    Raises
    ------
    InputError
        When it is too deep, has what it may not have, or its aliases stand for too much.
    YAMLError
        When it is no YAML.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, list[int]]] = []
    for event in yaml.parse(text, PlainLoader):
        anchor, tag, values = getattr(event, "anchor", None), getattr(event, "tag", None), 1
        if plain and anchor is not None:
            raise InputError(f"{source}: has anchors or aliases; {remedy}")
        if plain and tag not in (None, "!"):
            raise InputError(f"{source}: has the tag {shown(tag)}; {remedy}")
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((anchor, [1]))
            if len(opened) > deepest:
                raise InputError(
                    f"{source}: is too deep, with more than {deepest} lists and mappings inside "
                    f"each other; {remedy}"
                )
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, counts = opened.pop()
            values = sum(counts)
        elif isinstance(event, yaml.AliasEvent):
            # What is not closed yet would hold itself.
            values = sizes.get(str(anchor), MOST_VALUES + 1)
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        if values > MOST_VALUES:
            raise InputError(
                f"{source}: its aliases stand for more than {MOST_VALUES} values, or for "
                f"themselves; {remedy}"
            )
        if anchor is not None:
            sizes[anchor] = values
        if opened:
            opened[-1][1].append(values)


class _Dumper(yaml.SafeDumper):
    """Writes a list that stands twice twice, without the alias that readers refuse."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(PlainLoader):  # type: ignore[misc]
    """YAML of plain values, in which no key may stand twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        _once([(key.value, None) for key in scalars if not key.tag.endswith(":merge")])
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _parse_json(path: Path, text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.msg}; correct the JSON") from error


def _parse_yaml(path: Path, text: str) -> object:
    try:
        check_yaml(text, path, deepest=DEEPEST, remedy="write it out plainly", plain=False)
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "this is no YAML"
        raise InputError(f"{path}{line}: {problem}; correct the YAML") from error
    except (LookupError, AttributeError, TypeError) as error:  # as of !!int ''
        raise InputError(
            f"{path}: a value does not fit the tag before it; correct the YAML, or leave tags out"
        ) from error
