"""The numbers that a figure draws, read back from its axes, so that they cannot differ from it."""

import numpy as np
import pandas as pd

PANEL = ["panel", "title", "x_label", "y_label"]
POINTS = [*PANEL, "series", "x", "y", "value"]


def drawn(figure):
    """What a matplotlib figure shows, as a table; panels count from 1, as one reads.

    Of maps a row for each of their rows of pixels: the panel, row, and a column a pixel; a picture
    in colour is only named. Of anything else a row for each point: the panel, series, x, y, and the
    value of a coloured cell. An interval is two points, its ends. Raises ValueError for a figure
    with both.
    """
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    maps, points = [], []
    for panel, axis in enumerate(panels, start=1):
        about = {"panel": panel, **_labels(axis, panels)}
        for image in axis.images:
            values = np.ma.getdata(image.get_array())
            if values.ndim == 3:
                maps.append(pd.DataFrame([about | {"row": "picture"}]))
            elif len(values) > 1:
                rows = pd.DataFrame(values).rename_axis("row").reset_index()
                maps.append(pd.DataFrame(about, index=rows.index).join(rows))
            else:
                series = {"series": "map", "x": np.arange(values.size), "value": values[0]}
                points.append(pd.DataFrame(about | series))
        points += [pd.DataFrame(about | series) for series in _series(axis)]
    if maps and points:
        raise ValueError("a figure of maps and of points has no one table")
    if maps:
        return pd.concat(maps)
    return pd.concat(points).reindex(columns=POINTS) if points else pd.DataFrame(columns=POINTS)


def _labels(axis, panels):
    """The title and labels of a panel; where it has none, those at the edge of its row or column."""
    place = axis.get_subplotspec()
    column = [other for other in panels if other.get_subplotspec().colspan == place.colspan]
    row = [other for other in panels if other.get_subplotspec().rowspan == place.rowspan]
    found = {
        "title": [other.get_title() for other in (axis, column[0])],
        "x_label": [other.get_xlabel() for other in (axis, column[-1])],
        "y_label": [other.get_ylabel() for other in (axis, row[0])],
    }
    return {name: " ".join((own or edge).split()) for name, (own, edge) in found.items()}


def _series(axis):
    """The lines, bars, intervals, cells and marks of an axis, each with its columns."""
    names = _names(axis)
    for line in axis.lines:
        x, y = (np.asarray(places, float) for places in line.get_data())
        yield {"series": names[line], "x": _labelled(axis.xaxis, x), "y": _labelled(axis.yaxis, y)}
    for bars in axis.containers:
        for bar in getattr(bars, "patches", []):
            if bars.orientation == "vertical":
                x, y = bar.get_x() + bar.get_width() / 2, bar.get_height()
            else:
                x, y = bar.get_width(), bar.get_y() + bar.get_height() / 2
            y = _labelled(axis.yaxis, np.array([y]))
            yield {"series": names[bar], "x": _labelled(axis.xaxis, np.array([x])), "y": y}
    for shade in axis.patches:
        if shade not in names:
            yield {"series": "shaded", "x": [shade.get_x(), shade.get_x() + shade.get_width()]}
    for made in axis.collections:
        kind = type(made).__name__
        if kind == "LineCollection" and made.get_segments():
            x, y = np.concatenate([np.reshape(ends, (-1, 2)) for ends in made.get_segments()]).T
            interval = {"series": f"{names.get(made, '')} interval".strip()}
            yield interval | {"x": _labelled(axis.xaxis, x), "y": _labelled(axis.yaxis, y)}
        elif kind == "PathCollection":
            x, y = np.ma.getdata(made.get_offsets()).T
            yield {"series": "marks", "x": x, "y": y}
        elif kind == "QuadMesh":  # a heat map
            values = np.ma.filled(np.ma.asarray(made.get_array(), float), np.nan)
            x, y = np.meshgrid(*(np.arange(size) + 0.5 for size in values.shape[::-1]))
            x, y = _labelled(axis.xaxis, x.ravel(), True), _labelled(axis.yaxis, y.ravel(), True)
            yield {"series": "cells", "x": x, "y": y, "value": values.ravel()}


def _names(axis):
    """What each artist is called: by its own label, or that of the group it was drawn with."""
    names = {line: line.get_label() for line in axis.lines}
    for group in axis.containers:
        parts = group.patches if hasattr(group, "patches") else [group.lines[0], *group.lines[2]]
        names |= {part: group.get_label() for part in parts if part is not None}
    return {part: "" if name.startswith("_") else name for part, name in names.items()}


def _labelled(axis, places, always=False):
    """The words at the ticks nearest to ``places``, where the ticks are words; else the places."""
    ticks, formatter = axis.get_majorticklocs(), axis.get_major_formatter()
    words = formatter.format_ticks(ticks) if type(formatter).__name__ == "FuncFormatter" else []
    if not words or not (always or any(map(str.isalpha, "".join(words)))):
        return places
    return np.array(words)[np.abs(places[:, np.newaxis] - ticks).argmin(axis=1)]
