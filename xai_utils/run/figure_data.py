"""The numbers that a figure draws, read back from its axes, so that they cannot differ from it."""

import numpy as np
import pandas as pd

PANEL = ["panel", "title", "x_label", "y_label"]
POINTS = [*PANEL, "series", "x", "y", "value"]


def drawn(figure):
    """What a matplotlib figure shows: its maps and its points; panels count from 1, as one reads.

    The maps are ``{name: 2-D array}``, named by panel, title and labels; NaN where nothing is drawn.
    Pictures in colour are no data and are left out. Of anything else, a map of one row too, the
    points are a table with a row for each: the panel, series, x, y, and the value of a coloured cell.
    An interval is two points, its ends.
    """
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    arrays, points = {}, []
    for panel, axis in enumerate(panels, start=1):
        labels = _labels(axis, panels)
        about = {"panel": panel, **labels}
        for place, image in enumerate(axis.images, start=1):
            if image.get_array().ndim == 3:
                continue
            values = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
            if _is_strip(image):
                series = {"series": "map", "x": np.arange(values.size), "value": values[0]}
                points.append(pd.DataFrame(about | series))
            else:
                name = ", ".join([f"panel {panel}", *filter(None, labels.values())])
                arrays[f"{name}, image {place}" if name in arrays else name] = values
        points += [pd.DataFrame(about | series) for series in _series(axis)]
    table = pd.concat(points) if points else pd.DataFrame()
    return arrays, table.reindex(columns=POINTS)


def shows_pictures(figure):
    """Whether a matplotlib figure shows a picture in colour or a map of more than one row."""
    return any(not _is_strip(image) for axis in figure.axes for image in axis.images)


def _is_strip(image):
    """Whether an image is a map of one row."""
    shape = image.get_array().shape
    return len(shape) == 2 and shape[0] == 1


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
