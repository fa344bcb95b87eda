"""What the figures show, and where."""

import numpy as np
import pandas as pd
import pytest

from xai_utils.run.figure_data import drawn
from xai_utils.study import plots

SIGNALS = np.sin(np.arange(80.0)).reshape(2, 40)
INSIDE = np.zeros((2, 40), bool)
INSIDE[0, 3:17] = INSIDE[1, 20:30] = True
TEMPLATES = [[("4", np.zeros(12)), ("9", np.ones(12))], [("7", np.zeros(12))]]


def measured(**columns):
    """A table of means whose intervals reach 0.1 to both sides."""
    table = pd.DataFrame(columns)
    return table.assign(low=table["mean"] - 0.1, high=table["mean"] + 0.1)


def names_of_rows(axis):
    """The names at the left of an axis, from the top to the bottom."""
    ticks = sorted(axis.yaxis.get_major_ticks(), key=lambda tick: tick.label1.get_position()[1])
    names = [tick.label1.get_text() for tick in ticks]
    return names if axis.yaxis_inverted() else names[::-1]


def points(figure, series, panel):
    """``{y: x}`` of a series in a panel."""
    table = drawn(figure)[1]
    table = table[(table.series == series) & (table.panel == panel)]
    return dict(zip(table.y, table.x))


def fonts(figure):
    """The sizes of all that is written in a figure."""
    figure.canvas.draw()
    return [text.get_fontsize() for text in figure.findobj(plots.plt.Text) if text.get_text()]


def shaded(figure):
    """The ends of what is shaded, by panel."""
    table = drawn(figure)[1]
    return {panel: own.x.tolist() for panel, own in table[table.series == "shaded"].groupby("panel")}


def test_the_place_of_the_template_is_shaded_in_each_signal():
    figure = plots.signals_with_templates(SIGNALS, ["one", "two"], TEMPLATES, INSIDE)
    assert shaded(figure) == {1: [2.5, 16.5], 2: [19.5, 29.5]}
    assert not shaded(plots.signals_with_templates(SIGNALS, ["one", "two"], TEMPLATES))


def test_two_places_are_shaded_apart():
    inside = np.zeros((1, 40), bool)
    inside[0, [0, 1, 39]] = True
    figure = plots.signals_with_templates(SIGNALS[:1], ["one"], TEMPLATES, inside)
    assert shaded(figure) == {1: [-0.5, 1.5, 38.5, 39.5]}


def test_templates_stand_below_the_strips_on_their_own_axis():
    maps = {"Grad-CAM": np.abs(SIGNALS)}
    figure = plots.signals_with_truth(SIGNALS, ["one", "two"], INSIDE, maps, TEMPLATES)
    assert shaded(figure) == {1: [2.5, 16.5], 2: [19.5, 29.5]}
    _, table = drawn(figure)
    assert table[table.series == "9"].panel.unique().tolist() == [5]
    assert table[table.series == "7"].panel.unique().tolist() == [6]
    strip = table[(table.series == "map") & (table.panel == 4)]
    assert strip.value.tolist() == np.abs(SIGNALS[1]).tolist()
    limits = [axis.get_xlim() for axis in figure.axes]
    assert limits[0] == limits[2] == (-0.5, 39.5) and limits[4][1] < 12


def test_without_templates_the_strips_are_last():
    figure = plots.signals_with_truth(SIGNALS, ["one", "two"], INSIDE, {"A": SIGNALS})
    assert len(figure.axes) == 4 and figure.axes[2].get_xlabel() == "position"


def test_saturation_shows_the_mean_and_is_not_stretched_by_one_steep_sample():
    places, slope = np.linspace(0, 1, 11), np.ones((400, 11))
    slope[0, 5] = 1e4
    figure = plots.saturation(places, np.tile(places, (400, 1)), slope, "1-D CNN")
    left, right = figure.axes
    assert left.get_title() == "1-D CNN" and left.get_ylim() == (0, 1.02)
    mean = next(line for line in right.lines if line.get_label() == "mean")
    assert np.allclose(mean.get_ydata(), slope.mean(axis=0))
    assert 25 < right.get_ylim()[1] < 27 and len(right.lines) == 401


def overlaid():
    """Two tiles under a signed and a positive map, and crops of 4 pixels."""
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3))
    signed = np.linspace(-1, 1, 128).reshape(2, 8, 8)
    maps = {"Gradient": signed, "Grad-CAM": np.abs(signed)}
    return images, maps, plots.tiles_overlaid(images, ["a", "b"], maps, np.array([[0, 4], [2, 1]]), 4)


def test_the_larger_a_value_the_less_of_the_tile_is_seen():
    _, maps, figure = overlaid()
    _, over = figure.axes[1].images
    size, alpha = np.abs(maps["Gradient"][0]).ravel(), over.get_alpha().ravel()
    order = size.argsort()
    assert (np.diff(alpha[order]) >= 0).all() and alpha[order[0]] < alpha[order[-1]]
    assert over.get_cmap().name == plots.SIGNED_MAP and over.norm.vmin == -over.norm.vmax
    assert alpha.max() == 0.85 and alpha.min() == pytest.approx(size.min() / over.norm.vmax)
    assert figure.axes[2].images[1].get_cmap().name == plots.OVERLAID_MAP


def test_crops_are_the_outlined_part_in_the_scale_of_the_whole():
    images, maps, figure = overlaid()
    axes = np.reshape(figure.axes, (2, 6))
    assert np.array_equal(axes[1, 3].images[0].get_array(), images[1, 2:6, 1:5])
    whole, crop = (axis.images[1] for axis in axes[1, [1, 4]])
    assert np.array_equal(crop.get_array(), maps["Gradient"][1, 2:6, 1:5])
    assert crop.norm.vmax == whole.norm.vmax
    outline = axes[1, 0].collections[0].get_paths()[0].vertices
    assert outline.min(axis=0).tolist() == [0.5, 1.5] and outline.max(axis=0).tolist() == [4.5, 5.5]
    titles = [axis.get_title().replace("\n", " ") for axis in axes[0]]
    assert titles == ["tile", "Gradient", "Grad-CAM", "crop", "crop, Gradient", "crop, Grad-CAM"]


def test_rates_name_the_rows_in_the_order_of_the_table():
    table = measured(
        title=["B", "B", "B", "A"],
        metric=["drop_rate", "drop_rate", "increase_rate", "drop_rate"],
        fill=["black", "mean", "black", "black"],
        mean=[0.2, 0.3, 0.4, 0.5],
    )
    figure = plots.rates(table)
    assert names_of_rows(figure.axes[0]) == ["B", "A"]
    assert [axis.get_xlabel() for axis in figure.axes] == ["drop rate", "increase rate"]
    assert points(figure, "black", 1) == {"B": 0.2, "A": 0.5}
    assert points(figure, "mean", 1) == {"B": 0.3} and points(figure, "black", 2) == {"B": 0.4}


def test_a_step_that_does_not_concern_a_method_carries_its_value_on():
    table = measured(
        step=["as published", "as published", "× input", "signed", "signed"],
        method=["cam", "random", "random", "cam", "random"],
        metric="drop_rate",
        mean=[0.3, 0.5, 0.6, 0.4, 0.7],
    )
    table = pd.concat([table, table.assign(metric="increase_rate")])
    figure = plots.steps(table, {"cam": "CAM", "random": "Random"})
    names = ["0 as published", "1 × input", "2 signed"]
    assert names_of_rows(figure.axes[0]) == names
    assert points(figure, "CAM carried on", 1) == dict(zip(names, [0.3, 0.3, 0.4]))
    assert points(figure, "CAM", 1) == {names[0]: 0.3, names[2]: 0.4}
    assert points(figure, "Random", 2) == dict(zip(names, [0.5, 0.6, 0.7]))
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["CAM carried on"].get_ydata()[:2] == pytest.approx([-0.5, 0.5], abs=0.01)
    assert lines["Random carried on"].get_linestyle() == "--"


def test_drops_by_share_has_a_panel_a_fill_and_grey_controls():
    table = measured(
        fill=["black"] * 4 + ["mean"] * 4,
        fraction=[0.9, 0.15] * 4,
        method=["cam", "cam", "random", "random"] * 2,
        mean=np.arange(8) / 10,
    )
    figure = plots.drops_by_share(table, {"cam": "CAM", "random": "Random"}, ["random", "edge"])
    assert [axis.get_title() for axis in figure.axes] == ["black", "mean"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["15", "90"]
    line, control = (group.lines[0] for group in figure.axes[1].containers)
    assert line.get_xdata().tolist() == [0.15, 0.9] and line.get_ydata().tolist() == [0.5, 0.4]
    assert len(set(plots.plt.matplotlib.colors.to_rgb(control.get_color()))) == 1
    assert (line.get_linestyle(), control.get_linestyle()) == ("-", "--")


def test_beaten_is_filled_at_every_control_and_open_at_the_random_map():
    counts = pd.DataFrame(
        {
            "data": ["MNIST-1D", "MNIST-1D", "HMT", "HMT", "HMT"],
            "title": ["RISE", "LIME", "RISE", "LIME", "CAM"],
            "every": [1, 2, 2, 1, 4],
            "random": [3, 5, 4, 4, 5],
            "questions": [6, 6, 8, 8, 8],
        }
    )
    figure = plots.beaten(counts)
    assert names_of_rows(figure.axes[0]) == ["CAM", "LIME", "RISE"]
    assert points(figure, "beats every control", 1) == {"RISE": 1, "LIME": 2}
    assert points(figure, "beats the random map", 2) == {"RISE": 4, "LIME": 4, "CAM": 5}
    faces = {line.get_label(): line.get_markerfacecolor() for line in figure.axes[0].lines}
    assert faces == {"beats every control": "black", "beats the random map": "white"}
    assert figure.axes[1].get_xlim()[1] > 8 > figure.axes[0].get_xlim()[1]


def test_located_is_ordered_by_the_energy_on_the_first_data_set():
    table = measured(
        data=["MNIST-1D"] * 4 + ["HMT"] * 3,
        title=["RISE", "LIME", "RISE", "LIME", "RISE", "LIME", "CAM"],
        metric=["energy", "energy", "bounding_box", "bounding_box", *["energy"] * 3],
        mean=[0.2, 0.5, 0.9, 0.1, 0.8, 0.3, 0.95],
    )
    figure = plots.located(table, {"MNIST-1D": 0.35, "HMT": 0.25})
    assert names_of_rows(figure.axes[0]) == ["LIME", "RISE", "CAM"]
    assert points(figure, "energy", 1) == {"RISE": 0.2, "LIME": 0.5}
    assert points(figure, "Bbox", 1) == {"RISE": 0.9, "LIME": 0.1}
    chance = [line for line in figure.axes[1].lines if line.get_label() == "chance"]
    assert chance[0].get_xdata() == [0.25, 0.25]


def test_a_grid_in_a_column_has_no_colour_bar_and_the_same_cells():
    table = pd.DataFrame([[0.1, 0.2]], ["A"], ["black", "mean"])
    page, column = plots.score_grid(table, set()), plots.score_grid(table, set(), plots.COLUMN)
    assert (len(page.axes), len(column.axes)) == (2, 1) and column.get_figwidth() == plots.COLUMN
    assert drawn(page)[1].value.tolist() == drawn(column)[1].value.tolist() == [0.1, 0.2]
    assert min(fonts(column)) >= 6


def test_case_pictures_are_coloured_by_what_they_are():
    signed = np.linspace(-1, 2, 16).reshape(4, 4)
    pictures = [("tile\nTumor", np.ones((4, 4, 3))), ("Gradient", signed), ("Grad-CAM", np.abs(signed))]
    figure = plots.case_pictures([("best", pictures), ("worst", pictures[::-1])])
    axes = np.reshape(figure.axes, (2, 3))
    assert axes[0, 0].get_title() == "tile\nTumor" and axes[1, 0].get_ylabel() == "worst"
    colours = [axis.images[0].get_cmap().name for axis in axes[0, 1:]]
    assert colours == [plots.SIGNED_MAP, plots.POSITIVE_MAP]
    assert axes[1, 2].images[0].get_array().ndim == 3


def opened():
    """The opening figure of made-up numbers, and the table of its dots."""
    panels = ["as published", "course's network,\nrepaired", "our network", "known truth"]
    rows = [
        {"data": data, "panel": panel, "name": name, "mean": 0.1 + 0.1 * place, "samples": samples}
        for data, samples in (("MNIST-1D", 1000), ("HMT", 50))
        for place, panel in enumerate(panels)
        for name in ("Grad-CAM", "Integrated Gradients", "chance" if place == 3 else "random")
    ]
    dots = measured(**pd.DataFrame(rows))
    cell = np.zeros((6, 6), bool)
    cell[:3, 3:] = True
    maps = {"Grad-CAM": np.ones((6, 6)), "Integrated Gradients": np.linspace(-1, 1, 36).reshape(6, 6)}
    strips = {"Grad-CAM": np.abs(SIGNALS[0]), "Integrated Gradients": SIGNALS[0]}
    return plots.opening(SIGNALS[0], INSIDE[0], strips, np.ones((6, 6, 3)), cell, maps, dots), dots


def test_the_opening_has_every_dot_in_its_panel():
    figure, dots = opened()
    assert shaded(figure) == {1: [2.5, 16.5]}
    _, table = drawn(figure)
    for (panel, data), own in dots.groupby(["panel", "data"]):
        label = "share inside" if panel == "known truth" else f"{data} drop rate"
        count = f"n = {own.samples.iloc[0]:,}"
        there = table[(table.title == panel.replace("\n", " ")) & (table.x_label == count)]
        assert set(there.y_label) == {label}
        means = there[there.series.isin(own["name"])]
        assert dict(zip(means.series, means.y)) == dict(zip(own["name"], own["mean"]))
        assert means.x.tolist() == ["Grad-CAM", "IG", own["name"].iloc[-1]]


def test_the_opening_outlines_the_cell_in_the_mosaic_and_its_maps():
    figure, _ = opened()
    outlined = [axis for axis in figure.axes if axis.images and axis.collections]
    assert [axis.get_title() for axis in outlined] == ["mosaic", "Grad-CAM", "Integrated Gradients"]
    for axis in outlined:
        corners = axis.collections[0].get_paths()[0].vertices
        assert corners.min(axis=0).tolist() == [2.5, -0.5] and corners.max(axis=0).tolist() == [
            5.5,
            2.5,
        ]
        assert axis.get_xlim() == (-0.5, 5.5)


def test_the_opening_can_be_read_in_print():
    assert min(fonts(opened()[0])) >= 6


def test_shares_in_cells_are_short():
    assert plots._short_shares(np.array([0.0, 0.05, 0.987, 1.0])).tolist() == ["", ".05", ".99", "1"]


def test_what_stands_between_dollar_signs_in_a_name_is_text():
    """As a formula the first name could not be drawn, and the second would lose its signs."""
    names = ["$\\no{such$", "$x_1$ and $x_2$", "5 $"]
    y, scores = np.arange(9) % 3, np.random.default_rng(0).random((9, 3))
    for figure in (
        plots.roc_curves(y, scores, names),
        plots.confusion(y, scores.argmax(axis=1), names),
    ):
        figure.canvas.draw()
        written = [text for text in figure.findobj(plots.plt.Text) if "$" in text.get_text()]
        assert len(written) >= 3 and not any(text.get_parse_math() for text in written)


def test_powers_of_ten_are_written_as_such():
    table = pd.DataFrame({"confidence": [0.2, 0.9], "accuracy": [0.3, 0.9], "count": [20, 3000]})
    figure = plots.reliability(table)
    figure.canvas.draw()
    written = [text for text in figure.axes[1].get_yticklabels() if "10^" in text.get_text()]
    assert len(written) > 2 and all(text.get_parse_math() for text in written)
