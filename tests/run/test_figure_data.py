"""The numbers behind a figure, read back from what it draws."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xai_utils.run.figure_data import POINTS, drawn, shows_pictures
from xai_utils.study import plots


def points_of(figure):
    """The table of a figure that draws no maps."""
    arrays, points = drawn(figure)
    assert not arrays
    return points


def test_lines_keep_their_names_and_points():
    history = {
        "loss": [2.0, 1.0],
        "val_loss": [3.0, 2.5],
        "accuracy": [0.1, 0.5],
        "val_accuracy": [0, 1],
    }
    table = points_of(plots.training_curves({"course": history}))
    held_out = table[(table.panel == 1) & (table.series == "course, held out")]
    assert held_out.x.tolist() == [1, 2] and held_out.y.tolist() == [3.0, 2.5]


def test_dots_are_named_by_their_ticks_and_have_their_intervals():
    summary = pd.DataFrame(
        {
            "title": ["A", "B"],
            "fill": "black",
            "metric": "drop_rate",
            "mean": [0.25, 0.5],
            "low": [0.2, 0.4],
            "high": [0.3, 0.7],
        }
    )
    _, table = drawn(plots.rates(summary))
    dots = table[table.series == "black"].set_index("y").x
    assert dots.to_dict() == {"A": 0.25, "B": 0.5}
    ends = table[table.series.str.endswith("interval")].groupby("y").x.agg(["min", "max"])
    assert ends.round(9).to_numpy().tolist() == [[0.2, 0.3], [0.4, 0.7]]


def test_vertical_bars_have_their_height():
    table = pd.DataFrame({"confidence": [0.55, 0.95], "accuracy": [0.5, 1.0], "count": [4, 960]})
    bars = points_of(plots.reliability(table)).query("panel == 2")
    assert bars.y.tolist() == [4, 960] and np.allclose(bars.x, [0.55, 0.95])
    assert set(bars.x_label) == {"confidence"} and set(bars.y_label) == {"samples"}


def test_a_shaded_interval_has_its_ends():
    inside = np.array([[False, True, True, False]])
    table = points_of(
        plots.signals_with_truth(np.zeros((1, 4)), ["one"], inside, {"A": np.ones((1, 4))})
    )
    assert table[table.series == "shaded"].x.tolist() == [0.5, 2.5]
    assert set(table.title) == {"one"} and set(table[table.panel == 2].y_label) == {"A"}


def test_cells_are_named_by_both_their_ticks():
    table = pd.DataFrame([[0.1, 0.2], [0.3, 0.4]], ["A", "B"], ["black", "mean"])
    cells = points_of(plots.score_grid(table, {"mean"})).query("series == 'cells'")
    assert cells.set_index(["y", "x"]).value.to_dict() == {
        ("A", "black"): 0.1, ("A", "mean ✕"): 0.2, ("B", "black"): 0.3, ("B", "mean ✕"): 0.4,
    }  # fmt: skip


def test_numbers_at_ticks_stay_numbers():
    figure, axis = plt.subplots()
    axis.plot([0.2, 0.7], [1.0, 2.0], label="curve")
    axis.set(xticks=[0, 0.1, 1], xticklabels=["0", ".1", "1"])
    assert points_of(figure).x.tolist() == [0.2, 0.7]


def test_maps_are_arrays_named_by_panel_and_labels_and_pictures_are_left_out():
    maps = {"Grad-CAM of the class": np.arange(8.0).reshape(2, 2, 2)}
    rows = ["TUMOR → TUMOR 0.98", "second"]
    arrays, points = drawn(plots.tile_maps(np.zeros((2, 2, 2, 3)), rows, maps))
    assert list(arrays) == [
        "panel 2, Grad-CAM of the class, TUMOR → TUMOR 0.98",
        "panel 4, Grad-CAM of the class, second",
    ]
    for found, values in zip(arrays.values(), maps["Grad-CAM of the class"]):
        np.testing.assert_array_equal(found, values)
    assert points.empty and points.columns.tolist() == POINTS


def test_maps_over_one_another_have_names_of_their_own_and_nan_where_they_are_masked():
    figure, axis = plt.subplots()
    below, above = np.ones((2, 3)), np.ma.masked_less(np.arange(6.0).reshape(2, 3), 2)
    for image in (below, np.zeros((2, 3, 4)), above):
        axis.imshow(image)
    arrays, _ = drawn(figure)
    assert list(arrays) == ["panel 1", "panel 1, image 3"]
    np.testing.assert_array_equal(arrays["panel 1"], below)
    np.testing.assert_array_equal(arrays["panel 1, image 3"], [[np.nan, np.nan, 2], [3, 4, 5]])


def test_a_strip_and_its_signal_stand_in_one_panel():
    signals, maps = np.zeros((1, 3)), {"Grad-CAM": np.array([[0.5, 0.0, 1.0]])}
    table = points_of(plots.signal_maps(signals, ["one"], maps, [[("7", np.zeros(12))]]))
    strip = table[table.series == "map"]
    assert strip.value.tolist() == [0.5, 0.0, 1.0] and set(strip.panel) == {1}
    assert (table.series == "7").sum() == 12


def test_maps_beside_lines_are_kept_apart():
    figure, axes = plt.subplots(1, 3)
    figure.colorbar(axes[0].imshow(np.eye(2)))
    axes[1].plot([3, 4])
    axes[2].imshow(np.zeros((2, 2, 3)))
    arrays, points = drawn(figure)
    assert arrays.keys() == {"panel 1"} and np.array_equal(arrays["panel 1"], np.eye(2))
    assert points.y.tolist() == [3, 4] and set(points.panel) == {2}


@pytest.mark.parametrize(
    "shape, shown", [((2, 3), True), ((2, 3, 3), True), ((1, 3, 4), True), ((1, 3), False)]
)
def test_pictures_and_maps_are_told_from_strips(shape, shown):
    figure, axes = plt.subplots(1, 2)
    axes[0].plot([0, 1])
    axes[1].imshow(np.zeros(shape))
    assert shows_pictures(figure) == shown


def test_a_figure_of_nothing_has_no_maps_and_an_empty_table():
    points = points_of(plt.figure())
    assert points.empty and points.columns.tolist() == POINTS


def test_how_far_methods_are_ahead_is_read_back_with_intervals_and_names():
    table = pd.DataFrame(
        {"method": ["rise", "lime"], "gain": [0.3, -0.1], "low": [0.2, -0.3], "high": [0.4, 0.1],
         "p": [0.001, 0.4], "control": "edge"}
    )  # fmt: skip
    titles = {"rise": "RISE*", "lime": "LIME*", "edge": "Edges"}
    points = points_of(plots.gains(table, titles))
    assert set(points.x_label) == {"ahead of the control Edges by"}
    ends = points[points.series == "interval"]
    assert ends.y.tolist() == ["RISE*", "RISE*", "LIME*", "LIME*"]
    assert ends.x.tolist() == pytest.approx([0.2, 0.4, -0.3, 0.1])
    means = points[points.series == ""]
    assert {("RISE*", 0.3), ("LIME*", -0.1)} <= set(zip(means.y, means.x))
