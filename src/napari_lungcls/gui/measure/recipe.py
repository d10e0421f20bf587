"""How to measure as the window Measure does: a line for the shell, and Python. No Qt."""

from collections.abc import Sequence
from pathlib import Path

from napari_lungcls.annotation import Points
from napari_lungcls.annotation.columns import IMAGE_COLUMN, LINE_LENGTH_COLUMN
from napari_lungcls.errors import InputError
from napari_lungcls.gui.measure.images import maps_for_table
from napari_lungcls.gui.recipes.files import check_map, map_not_saved
from napari_lungcls.gui.recipes.lines import (
    MakeRecipe,
    Recipe,
    Variable,
    call,
    command_line,
    script,
)
from napari_lungcls.inference.painted import PaintedMap


def measuring_recipe(
    maps: Sequence[tuple[str, PaintedMap, Path | None]],
    table: Path | None,
    points: Points | None,
    sections: Path | None,
) -> MakeRecipe:
    """Say how to measure what is chosen in the window Measure.

    Parameters
    ----------
    maps
        Name, map and file of each that has a tick.
    table, points
        The answered test points, and their file; None without.
    sections
        Table of sections, or None.

    Raises
    ------
    InputError
        If a map is in no file, or is told from its image in a way that a command does not know.
    """
    if not maps:
        raise InputError("no map is chosen", suggestion="paint one, or add one from a file")
    files: list[Path] = []
    for name, _, path in maps:
        if path is None:
            raise map_not_saved(name)
        files.append(path)
    _check_names(maps, points)
    lined = points is not None and points.column(LINE_LENGTH_COLUMN) is not None

    def make() -> Recipe:
        for name, painted, path in maps:
            assert path is not None
            check_map(name, painted, path)
        tables = {} if table is None else {"audit": table, "lines": table if lined else None}
        read = [f"points = {call('lc.read_points', table)}"] if table is not None else []
        answers = [Variable("points")] if table is not None else None
        known = None if sections is None else Variable(call("lc.read_sections", sections))
        return Recipe(
            command_line("measure", *files, out="measures", **tables, sections=sections),
            script(
                f"maps = [{', '.join(call('lc.read_map', path) for path in files)}]",
                *read,
                "found = "
                + call(
                    "lc.measure",
                    Variable("maps"),
                    audit=answers,
                    lines=answers if lined else None,
                    sections=known,
                ),
                call("lc.write_measures", "measures", Variable("found")),
            ),
        )

    return make


def _check_names(
    maps: Sequence[tuple[str, PaintedMap, Path | None]], points: Points | None
) -> None:
    """Refuse test points that only the window finds on the maps, by the names of layers."""
    column = None if points is None else points.column(IMAGE_COLUMN)
    if column is None:
        return
    plain = [painted for _, painted, _ in maps]
    told = maps_for_table(plain, list(dict.fromkeys(map(str, column))))
    for (name, _, _), one, two in zip(maps, plain, told, strict=True):
        if one is not two:
            raise InputError(
                f"the map {name!r} and the test points call their image differently",
                suggestion="make test points of the image while its map is open, or measure in "
                "the window",
            )
