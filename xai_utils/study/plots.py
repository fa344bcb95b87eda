"""The figures. Each function returns one; nothing else in the package knows matplotlib."""

import textwrap
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import Normalize, TwoSlopeNorm
from sklearn.metrics import auc, confusion_matrix, roc_curve

from xai_utils.study.statistics import LEVEL

COLUMN, PAGE = 3.5, 7.16  # inches: the widths of an IEEE column and page
ALWAYS_SHOWN = ("grad_cam", "integrated_gradients")  # have the same colours in every figure
TEMPLATE_LIMITS = (-0.6, 1.0)  # leaves room for a legend above
POSITIVE_MAP, SIGNED_MAP = "viridis", "RdBu_r"
OVERLAID_MAP = "Reds"  # of positive maps over a grey tile: what is salient is dark

plt.rcParams.update(
    {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "lines.linewidth": 1.2,
        "figure.dpi": 120,
        "savefig.dpi": 200,
        "figure.constrained_layout.use": True,
        "text.parse_math": False,  # names are text, whatever stands between two dollar signs
        "svg.hashsalt": "xai_utils",  # the same figure gives the same file
        "pdf.fonttype": 42,
    }
)


def _subplots(*shape, **options):
    """``plt.subplots`` for a figure that a notebook shows once: when it is a cell's result."""
    figure, axes = plt.subplots(*shape, **options)
    plt.close(figure)
    return figure, axes


def training_curves(histories):
    """Loss and accuracy by epoch, on the training part (solid) and the held-out part (dashed).

    ``histories`` is ``{name: history}``, one colour each.
    """
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 1.6))
    colours = sns.color_palette("colorblind", len(histories))
    for axis, curve in zip(axes, ("loss", "accuracy")):
        for colour, (name, history) in zip(colours, histories.items()):
            epochs = np.arange(1, len(history[curve]) + 1)
            axis.plot(epochs, history[curve], color=colour, label=f"{name}, training")
            axis.plot(epochs, history[f"val_{curve}"], "--", color=colour, label=f"{name}, held out")
        axis.set(xlabel="epoch", ylabel=curve)
    axes[0].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def training_beside(history, others):
    """Loss and accuracy by epoch of one training (black) beside those of others (grey), ended as they were.

    Solid on the training part, dashed on the held-out part.
    """
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 1.7))
    for axis, curve in zip(axes, ("loss", "accuracy")):
        for name, style in ((curve, "-"), (f"val_{curve}", "--")):
            for other in others:
                axis.plot(
                    np.arange(1, len(other[name]) + 1), other[name], style, color="0.7", linewidth=0.6
                )
            axis.plot(np.arange(1, len(history[name]) + 1), history[name], style, color="black")
        axis.set(xlabel="epoch", ylabel=curve)
    axes[0].set_ylim(bottom=0)
    return figure


def reliability(table):
    """Accuracy by confidence, as :func:`classification.calibration` gives it."""
    figure, axes = _subplots(2, 1, figsize=(COLUMN, 2.6), sharex=True, height_ratios=(3, 1))
    axes[0].plot([0, 1], [0, 1], color="0.7", linewidth=0.7)
    axes[0].plot(table.confidence, table.accuracy, "o-", markersize=3)
    axes[0].set(ylabel="accuracy", ylim=(0, 1.02))
    axes[1].bar(table.confidence, table["count"], width=0.03)
    axes[1].set(xlabel="confidence", ylabel="samples", xlim=(0, 1.02))
    axes[1].set_yscale("log")
    axes[1].set_ylim(bottom=0.5)
    plt.setp(axes[1].get_yticklabels(which="both"), parse_math=True)  # powers of ten
    return figure


def variants(signals, augmented):
    """Signals ``(n, 40)`` in black, and what augmentation makes of each, ``(n, variants, 40)``."""
    figure, axes = _subplots(1, len(signals), figsize=(PAGE, 1.5), squeeze=False, sharey=True)
    for axis, signal, lines in zip(axes[0], signals, augmented):
        axis.plot(np.transpose(lines), color=sns.color_palette("colorblind")[0], alpha=0.45)
        axis.plot(signal, color="black")
        axis.set_xlabel("position")
    axes[0, 0].set_ylabel("signal")
    return figure


def roc_curves(y, probabilities, classes):
    """One curve a class against the rest, with its area."""
    figure, axis = _subplots(figsize=(COLUMN, 2.25))
    colours = sns.color_palette("colorblind", len(classes))
    for label, name in enumerate(classes):
        false, true, _ = roc_curve(y == label, probabilities[:, label])
        style = ("-", "--", ":")[label % 3]  # like colours get unlike styles
        text = f"{name} ({auc(false, true):.4f})"
        axis.plot(false, true, style, color=colours[label], label=text)
    chance = np.r_[0, np.geomspace(1e-3, 1, 100)]  # bent by the axis
    axis.plot(chance, chance, color="0.7", linewidth=0.7)
    axis.set(xlabel="false positive rate", ylabel="true positive rate")
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set(xlim=(0, 1), ylim=(0, 1.01), xticks=[0, 0.01, 0.1, 1], xticklabels=["0", ".01", ".1", "1"])
    figure.legend(title="class (area)", loc="outside right center")
    return figure


def confusion(y, predicted, classes):
    """The confusion matrix, each row divided by its sum."""
    rates = confusion_matrix(y, predicted, labels=range(len(classes)), normalize="true")
    figure, axis = _subplots(figsize=(COLUMN, 2.3))
    sns.heatmap(
        rates,
        annot=_short_shares(rates),
        fmt="",
        annot_kws={"size": 6},
        cmap="Blues",
        vmin=0,
        vmax=1,
        square=True,
        cbar=False,
        linewidths=0.4,
        xticklabels=classes,
        yticklabels=classes,
        ax=axis,
    )
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.tick_params(axis="y", rotation=0)
    if max(map(len, classes)) > 2:
        plt.setp(axis.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    return figure


def _short_shares(shares):
    """Shares as they fit into small cells: ``.05``, ``1`` for all and nothing for none."""
    printed = np.char.lstrip(np.char.mod("%.2f", shares), "0")
    return np.select([shares == 0, shares == 1], ["", "1"], printed)


def signals_with_templates(signals, titles, templates, intervals=()):
    """Signals ``(n, 40)`` above the templates of the classes: ``templates`` holds, for each signal,
    a list of ``(label, template)``. The places of ``intervals``, bool ``(n, 40)``, are shaded."""
    figure, axes = _subplots(2, len(signals), figsize=(PAGE, 2.1), squeeze=False, sharey="row")
    for column, (signal, title) in enumerate(zip(signals, titles)):
        axes[0, column].plot(signal, color="black")
        axes[0, column].set(title=title, xlabel="position")
        _draw_templates(axes[1, column], templates[column])
        axes[1, column].set(xlabel="template position")
    for axis, inside in zip(axes[0], intervals):
        _shade(axis, inside)
    axes[0, 0].set_ylabel("signal")
    axes[1, 0].set_ylabel("template")
    return figure


def signal_maps(signals, row_titles, maps, templates):
    """One row a sample: the signal on each method's map as background, then the templates.

    ``maps`` is ``{title: (n, 40)}``; ``templates`` as in :func:`signals_with_templates`.
    """
    rows, columns = len(signals), len(maps) + 1
    size = (max(PAGE, 1.1 * columns), 0.85 * rows + 0.5)
    figure, axes = _subplots(rows, columns, figsize=size, squeeze=False)
    for row, signal in enumerate(signals):
        for axis, (title, values) in zip(axes[row], maps.items()):
            colours, norm = _colours(values[row], signed=values.min() < 0)
            axis.imshow(
                values[row][np.newaxis],
                aspect="auto",
                cmap=colours,
                norm=norm,
                alpha=0.75,
                extent=(-0.5, len(signal) - 0.5, signal.min() - 0.3, signal.max() + 0.3),
            )
            axis.plot(signal, color="black")
            axis.set(yticks=[], title=_wrapped(title, 17) if row == 0 else "")
        axes[row, 0].set_ylabel(row_titles[row], fontsize=7)
        _draw_templates(axes[row, -1], templates[row])
    axes[0, -1].set_title("templates")
    for axis in axes[-1]:
        axis.set_xlabel("position")
    return figure


def tiles(images, titles):
    """Tiles in one row, in the width of a column if there are four or fewer."""
    width = COLUMN if len(images) <= 4 else PAGE
    size = min(width / len(images), 1.1)
    figure, axes = _subplots(1, len(images), figsize=(width, size + 0.35), squeeze=False)
    for axis, image, title in zip(axes[0], images, titles):
        axis.imshow(image)
        axis.set_title(title, fontsize=6)
        _bare(axis)
    return figure


def tile_pairs(above, below, titles, names):
    """Two rows of tiles, to be compared one above the other; ``names`` are those of the rows."""
    width = len(titles) * 1.02
    figure, axes = _subplots(2, len(titles), figsize=(min(width, PAGE), 2.5), squeeze=False)
    for row, images in zip(axes, (above, below)):
        for axis, image in zip(row, images):
            axis.imshow(image)
            _bare(axis)
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize=6)
    for axis, name in zip(axes[:, 0], names):
        axis.set_ylabel(name, fontsize=7)
    return figure


def tile_maps(images, row_titles, maps, boxes=()):
    """One row a tile: the tile, then each method's map. ``maps`` is ``{title: (n, h, w)}``.

    Each map has its own scale: a method's values mean nothing beside another's. ``boxes`` are masks
    ``(k, h, w)`` for each tile, whose outlines are drawn in every column.
    """
    rows, columns = len(images), len(maps) + 1
    width = max(COLUMN, 1.1 * columns if columns > 4 else 0)
    height = 0.95 * width / columns * rows + 0.4
    figure, axes = _subplots(rows, columns, figsize=(width, height), squeeze=False)
    for row, image in enumerate(images):
        axes[row, 0].imshow(image)
        axes[row, 0].set_ylabel(row_titles[row], fontsize=6)
        for axis, (title, values) in zip(axes[row, 1:], maps.items()):
            colours, norm = _colours(values[row], signed=values.min() < 0)
            axis.imshow(values[row], cmap=colours, norm=norm)
            axis.set_title(_wrapped(title, 12) if row == 0 else "", fontsize=6)
    for row, masks in zip(axes, boxes):
        for axis, mask in product(row, masks):
            _outline(axis, mask)
    for axis in axes.flat:
        _bare(axis)
    return figure


def tiles_overlaid(images, row_titles, maps, corners, size):
    """One row a tile: the tile, the tile in grey under each method's map, and a crop of each of these.

    ``maps`` is ``{title: (n, h, w)}``. A crop begins at its row and column of ``corners``, int ``(n, 2)``,
    and has ``size`` pixels a side; its outline is drawn on the tile. The larger a value the less of
    the tile is seen through it.
    """
    rows, half = len(images), len(maps) + 1
    size_of_figure = (PAGE, (PAGE - 0.45) / (2 * half) * rows + 0.45)
    figure, axes = _subplots(rows, 2 * half, figsize=size_of_figure, squeeze=False)
    figure.get_layout_engine().set(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    for row, (image, corner) in enumerate(zip(images, corners)):
        crop = tuple(slice(start, start + size) for start in corner)
        axes[row, 0].imshow(image)
        axes[row, half].imshow(image[crop])
        inside = np.zeros(image.shape[:2], bool)
        inside[crop] = True
        _outline(axes[row, 0], inside)
        for column, values in enumerate(maps.values(), start=1):
            colours, norm = _colours(values[row], signed=values.min() < 0)
            look = OVERLAID_MAP if colours == POSITIVE_MAP else colours, norm
            _overlay(axes[row, column], image, values[row], *look)
            _overlay(axes[row, half + column], image[crop], values[row][crop], *look)
        axes[row, 0].set_ylabel(_wrapped(row_titles[row], 14), fontsize=6)
    for axis, title in zip(axes[0], ["tile", *maps, "crop", *(f"crop, {title}" for title in maps)]):
        axis.set_title(_wrapped(title, 10), fontsize=6)
    for axis in axes.flat:
        _bare(axis)
    return figure


def rates(summary):
    """Mean drop and increase rates with their intervals, one dot a method and fill.

    ``summary`` has title, metric ("drop_rate" or "increase_rate"), fill, mean, low and high; its first
    method is at the top.
    """
    names = list(dict.fromkeys(summary.title))
    looks = ({"mfc": "black"}, {"mfc": "white"})
    fills = dict.fromkeys(summary.fill)
    styles = {fill: {"color": "black", "marker": "o", **look} for fill, look in zip(fills, looks)}
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 0.17 * len(names) + 0.9), sharey=True)
    _name_rows(axes, names)
    for axis, metric in zip(axes, ("drop_rate", "increase_rate")):
        for shift, (fill, style) in zip((-0.15, 0.15), styles.items()):
            own = summary[(summary.metric == metric) & (summary.fill == fill)]
            _draw_dots(axis, own, [names.index(title) + shift for title in own.title], style, fill)
        axis.set(xlabel=metric.replace("_", " "), xlim=(0, None))
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, title="removed points become")
    return figure


def signals_with_truth(signals, titles, intervals, maps, templates=()):
    """Signals ``(n, 40)`` with the true interval, bool ``(n, 40)``, shaded, a strip for each of ``maps``,
    ``{title: (n, 40)}``, below, and last the templates, as in :func:`signals_with_templates`."""
    last = [0.7] if len(templates) else []
    heights = (0.78, *[0.16] * len(maps), *last)
    size = (PAGE, 1.3 + 0.28 * len(maps) + 1.5 * sum(last))
    figure, axes = _subplots(
        len(heights), len(signals), figsize=size, height_ratios=heights, squeeze=False
    )
    for column, title in enumerate(titles):
        own = axes[: len(maps) + 1, column]
        _signal_above_strips(own, signals[column], intervals[column], maps, column)
        own[0].set_title(title, fontsize=7 if len(signals) < 5 else 6)
    _name_strips(axes[1:, 0], maps)
    for axis, pair in zip(axes[-1], templates):
        _draw_templates(axis, pair)
        axis.set(xlabel="template position", yticks=[])
    return figure


def steps(table, titles):
    """Drop and increase after each change of the published comparison, from the top to the bottom.

    ``table`` as :func:`published.table_of_steps` gives it. A line a method goes down through the steps; it
    has a dot, with its interval, where a step concerns the method.
    """
    order, methods = (list(dict.fromkeys(table[column])) for column in ("step", "method"))
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 0.17 * len(order) + 0.9), sharey=True)
    _name_rows(axes, [f"{number} {step}" for number, step in enumerate(order)])
    styles = _styles(methods, ["random"])
    for axis, (metric, rows) in zip(axes, table.groupby("metric", sort=False)):
        means = rows.pivot(index="step", columns="method", values="mean").reindex(order).ffill()
        edges = np.arange(len(order))[:, np.newaxis] + (-0.499, 0.499)  # each end within its own row
        for shift, (method, style) in enumerate(styles.items()):
            own = rows[rows.method == method]
            line = {"linewidth": 1, "label": f"{titles[method]} carried on"} | style | {"marker": ""}
            axis.plot(np.repeat(means[method], 2), edges.ravel(), **line)
            heights = [order.index(step) + 0.24 * (shift - 1) for step in own.step]
            _draw_dots(axis, own, heights, style, titles[method])
        axis.set(xlabel=metric.replace("_", " "), xlim=(0, None))
    handles = [plt.Line2D([], [], markersize=3, label=titles[name], **styles[name]) for name in methods]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def drops_by_share(table, titles, controls):
    """The mean drop rate by the share of points kept, a panel a fill and a line a method.

    ``table`` has fill, fraction, method, mean, low and high; the methods named in ``controls`` are grey.
    """
    fills = table.groupby("fill", sort=False)
    figure, axes = _subplots(1, len(fills), figsize=(COLUMN, 1.9), sharey=True, squeeze=False)
    shares = sorted(set(table.fraction))
    styles = _styles(dict.fromkeys(table.method), controls)
    for axis, (fill, rows) in zip(axes[0], fills):
        for method, own in rows.sort_values("fraction").groupby("method", sort=False):
            look = styles[method] | {"markersize": 3, "elinewidth": 0.8, "clip_on": False}
            axis.errorbar(own.fraction, own["mean"], _reach(own), label=titles[method], **look)
        axis.set_xscale("log")  # or the smallest two have no room for their names
        axis.minorticks_off()
        axis.set(title=fill, xlabel="share kept (%)", ylim=(0, 1), xticks=shares)
        axis.set_xticklabels([f"{100 * share:g}" for share in shares])
    axes[0, 0].set_ylabel("drop rate")
    handles = axes[0, 0].get_legend_handles_labels()
    look = {"ncols": 3, "fontsize": 6.5, "handlelength": 1.8, "columnspacing": 1}
    figure.legend(*handles, loc="outside upper center", **look)
    return figure


def saturation(places, probability, slope, title):
    """The way from the baseline (0) to the sample (1): the probability of the explained class, and how
    fast the score that is explained rises there; a grey line a sample, the mean in black.

    ``places`` are the positions ``(k,)``; ``probability`` and ``slope`` are ``(n, k)``. The few steepest
    slopes leave the picture.
    """
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 1.55))
    for axis, values in zip(axes, (probability, slope)):
        look = {"color": "0.7", "linewidth": 0.4, "alpha": 0.6, "label": "samples"}
        axis.plot(places, np.transpose(values), **look)
        axis.plot(places, np.mean(values, axis=0), color="black", linewidth=1.8, label="mean")
        axis.set(xlabel="position on the path", xlim=(0, 1))
    axes[0].set(title=title, ylabel="probability", ylim=(0, 1.02))
    shown = [*np.percentile(slope, (1, 99)), *np.mean(slope, axis=0)]
    axes[1].set(ylabel="slope of the score", ylim=(min(shown), max(shown)))
    return figure


def score_grid(table, marked, width=PAGE):
    """Means in a heat map: methods in rows, settings in columns; in the width of a page with a colour bar.

    ``marked`` are the settings in which no method beats every control, crossed out at their names.
    """
    figure, axis = _subplots(figsize=(width, 0.13 * len(table) + 1.1))
    names = [f"{name} ✕" if name in marked else name for name in table.columns]
    sns.heatmap(
        table.set_axis(names, axis=1), annot=True, fmt=".2f", annot_kws={"fontsize": 6},
        cmap="viridis", vmin=0, vmax=1, cbar=width == PAGE, cbar_kws={"shrink": 0.6}, ax=axis,
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")
    axis.tick_params(labelsize=6.5, length=0)
    axis.tick_params(axis="x", rotation=40)
    plt.setp(axis.get_xticklabels(), ha="right")
    return figure


def beaten(counts):
    """In how many questions each method beats every control (filled) and the random map (open).

    ``counts`` has a row a data set and method: data, title, every, random, and questions, how many there
    are. The method that beats every control most often is at the top.
    """
    sums = counts.groupby("title", sort=False)[["every", "random"]].sum()
    names = list(sums.sort_values(["every", "random"], ascending=False).index)
    groups = counts.groupby("data", sort=False)
    figure, axes = _subplots(1, len(groups), figsize=(COLUMN, 0.135 * len(names) + 0.9), sharey=True)
    axes = np.atleast_1d(axes)
    _name_rows(axes, names)
    for axis, (data, own) in zip(axes, groups):
        places = [names.index(title) for title in own.title]
        axis.hlines(places, own.every, own.random, color="0.5", linewidth=0.8)
        look = {"linestyle": "", "marker": "o", "color": "black"}
        wide, narrow = {"ms": 5, "mew": 0.8, "mfc": "white"}, {"ms": 3.2, "mew": 0}
        axis.plot(own.random, places, label="beats the random map", **look, **wide)
        axis.plot(own.every, places, label="beats every control", **look, **narrow)
        axis.set(title=data, xlabel="questions", xlim=(-0.6, own.questions.max() + 0.6))
        axis.locator_params(axis="x", integer=True, nbins=4)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2)
    return figure


def located(table, chance):
    """The share of each map inside the true place, a panel a data set; dotted where chance is.

    ``table`` has data, title, metric ("energy" or "bounding_box"), mean, low and high; ``chance`` is
    ``{data: share}``. The method with the most energy inside on the first data set is at the top.
    """
    energy = table[table.metric == "energy"].pivot(index="title", columns="data", values="mean")
    groups = table.groupby("data", sort=False)
    names = list(energy.sort_values(table.data.iloc[0], ascending=False).index)
    figure, axes = _subplots(1, len(groups), figsize=(COLUMN, 0.135 * len(names) + 0.9), sharey=True)
    axes = np.atleast_1d(axes)
    _name_rows(axes, names)
    looks = {"energy": ("energy", "black", -0.15), "bounding_box": ("Bbox", "white", 0.15)}
    for axis, (data, rows) in zip(axes, groups):
        for metric, own in rows.groupby("metric", sort=False):
            label, face, shift = looks[metric]
            heights = [names.index(title) + shift for title in own.title]
            _draw_dots(axis, own, heights, {"marker": "o", "color": "black", "mfc": face}, label)
        axis.axvline(chance[data], color="0.4", linewidth=0.8, linestyle=":", label="chance")
        axis.set(title=data, xlabel="share inside", xlim=(0, None))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def seeds(drops, likeness, titles):
    """What depends on the seed: the mean drop rate of every seed, and how alike the maps of two are.

    ``drops`` has a row a seed and question and a column a method; the mean over the questions is drawn, a
    dot a seed. ``likeness`` has a row a method and pair of seeds; a dot a pair.
    """
    means = drops.groupby("seed", sort=False).mean()
    order = means.mean().sort_values(ascending=False).index
    figure, axes = _subplots(1, 2, figsize=(PAGE, 0.15 * len(order) + 0.8), sharey=True)
    colours = sns.color_palette("colorblind", len(means))
    for colour, (seed, row) in zip(colours, means.iterrows()):
        axes[0].plot(row[order], range(len(order)), "o", color=colour, markersize=3.5, label=seed)
    own = likeness.set_index("method").correlation
    for place, method in enumerate(order):
        found = own.loc[[method]]
        axes[1].plot(found, [place] * len(found), "o", color="black", markersize=3, alpha=0.6)
    axes[0].set(yticks=range(len(order)), yticklabels=[titles[name] for name in order])
    axes[0].set(xlabel="mean drop rate over the questions")
    axes[1].set(xlabel="rank correlation of the maps of two seeds", xlim=(-0.3, 1.02))
    for axis in axes:
        axis.grid(axis="y", color="0.9")
        axis.tick_params(labelsize=6.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(means))
    return figure


def curves(table, titles):
    """Mean confidence while salient points are put in or taken away, one line a method.

    ``table`` has a row a curve, method and fraction: curve, method, fraction, confidence.
    """
    figure, axes = _subplots(1, 2, figsize=(PAGE, 2.2), sharey=True)
    methods = list(dict.fromkeys(table.method))
    colours = sns.color_palette("colorblind", len(methods))
    for axis, (name, own) in zip(axes, table.groupby("curve", sort=False)):
        for place, (colour, method) in enumerate(zip(colours, methods)):
            rows = own[own.method == method]
            style = ("-", "--", ":")[place % 3]
            axis.plot(rows.fraction, rows.confidence, style, color=colour, label=titles[method])
        axis.set(title=name, xlabel="share of the points", xlim=(0, 1), ylim=(0, 1.02))
    axes[0].set_ylabel("confidence")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def gains(table, titles):
    """How far each method is ahead of the best control, with its 95 % interval, the best at the top; filled
    where a test finds a difference.

    ``table`` as :func:`xai_utils.study.statistics.gains` gives it.
    """
    figure, axis = _subplots(figsize=(COLUMN, 0.14 * len(table) + 0.6))
    places = np.arange(len(table))[::-1]
    reach = np.abs(np.stack([table.gain - table.low, table.high - table.gain]))
    axis.errorbar(table.gain, places, xerr=reach, fmt="none", ecolor="0.5", elinewidth=1)
    found = (table.p < LEVEL).to_numpy()
    axis.plot(table.gain[found], places[found], "o", color="black", markersize=4)
    axis.plot(table.gain[~found], places[~found], "o", color="black", markersize=4, mfc="white")
    axis.axvline(0, color="0.5", linewidth=0.8, linestyle=":")
    axis.set(yticks=places, yticklabels=table.method.map(titles))
    axis.set_xlabel(f"ahead of the control {titles[table.control.iloc[0]]} by")
    axis.tick_params(labelsize=6.5)
    return figure


def agreement(table):
    """A square table of correlations, the half below the diagonal."""
    size = min(PAGE, 0.34 * len(table) + 1.2)
    figure, axis = _subplots(figsize=(size, 0.2 * len(table) + 1.0))
    hidden = np.triu(np.ones(table.shape, bool))
    sns.heatmap(
        table, mask=hidden, vmin=-1, vmax=1, cmap=SIGNED_MAP, annot=True, fmt=".2f",
        annot_kws={"fontsize": 6}, cbar_kws={"shrink": 0.6}, ax=axis,
    )  # fmt: skip
    axis.set(xlim=(0, len(table) - 1), ylim=(len(table), 1))
    axis.tick_params(labelsize=7, length=0)
    return figure


def case_pictures(rows):
    """One row a case: ``rows`` holds ``(row_title, [(title, picture), …])``, all as long.

    A picture is in colour, ``(h, w, 3)``, or a map, ``(h, w)``, each with its own scale.
    """
    columns = len(rows[0][1])
    size = (COLUMN, (0.9 * COLUMN / columns + 0.25) * len(rows))
    figure, axes = _subplots(len(rows), columns, figsize=size, squeeze=False)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0)
    for row, (row_title, pictures) in zip(axes, rows):
        for axis, (title, picture) in zip(row, pictures):
            _draw_picture(axis, picture)
            axis.set_title(_wrapped(title, 16), fontsize=6)
            _bare(axis)
        row[0].set_ylabel(row_title, fontsize=6.5)
    return figure


def opening(signal, inside, signal_maps, mosaic, cell, mosaic_maps, dots):
    """The study at a glance: at the left a signal and a mosaic with maps of them, at the right the scores.

    ``signal`` is ``(40,)``, shaded where ``inside``, bool ``(40,)``; ``signal_maps`` is ``{title: (40,)}``.
    ``mosaic`` is a picture ``(h, w, 3)`` and ``mosaic_maps`` ``{title: (h, w)}``; ``cell``, bool ``(h, w)``,
    is outlined. ``dots`` has a row a dot: data, panel, name, mean, low, high and samples; it is drawn in a
    row of panels for each of its two data sets.
    """
    top, left = 1 + len(signal_maps), 1 + len(mosaic_maps)
    figure = plt.figure(figsize=(PAGE, 3.0))
    plt.close(figure)
    heights, widths = [3, *[0.7] * len(signal_maps), 5.4], [1.08] * left + [1] * 4
    grid = figure.add_gridspec(top + 1, left + 4, height_ratios=heights, width_ratios=widths)
    figure.get_layout_engine().set(w_pad=0.025, wspace=0)
    axes = [figure.add_subplot(grid[row, :left]) for row in range(top)]
    maps = {title: values[np.newaxis] for title, values in signal_maps.items()}
    _signal_above_strips(axes, signal, inside, maps, 0)
    _name_strips(axes[1:], maps)
    pictures = {"mosaic": mosaic, **mosaic_maps}
    below = grid[top, :left].subgridspec(1, left)
    for place, (title, picture) in zip(below, pictures.items()):
        axis = figure.add_subplot(place)
        _draw_picture(axis, picture)
        _outline(axis, cell)
        _bare(axis)
        axis.set_title(title, fontsize=6.5)
    names, panels = (list(dict.fromkeys(dots[column])) for column in ("data", "panel"))
    for data, place in zip(names, (np.s_[:top], top)):
        for column, panel in enumerate(panels):
            own = dots[(dots.data == data) & (dots.panel == panel)]
            axis = figure.add_subplot(grid[place, left + column])
            _draw_upright_dots(axis, own)
            axis.set_xlabel(f"n = {own.samples.iloc[0]:,}", fontsize=6, labelpad=1)
            axis.set_title(panel if data == names[0] else "", fontsize=7)
            axis.set_ylabel({0: f"{data}\ndrop rate", 3: "share inside"}.get(column, ""), fontsize=7)
            axis.tick_params(labelleft=column in (0, 3))
    return figure


def _draw_templates(axis, templates):
    """The templates of one signal, ``(label, template)``, the first solid and the second dashed."""
    for style, (label, template) in zip(("-", "--"), templates):
        axis.plot(template, style, label=label)
    axis.set_ylim(TEMPLATE_LIMITS)
    axis.legend(loc="upper center", ncols=2, columnspacing=1, handlelength=1.4, borderaxespad=0)


def _shade(axis, inside):
    """Grey from the first to the last place of each run of ``inside``, bool ``(k,)``."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        axis.axvspan(start - 0.5, end - 0.5, color="0.85")


def _signal_above_strips(axes, signal, inside, maps, index):
    """A signal, shaded where ``inside``, above a strip with its map, at ``index``, of each of ``maps``."""
    ends = (-0.5, len(signal) - 0.5)
    _shade(axes[0], inside)
    axes[0].plot(signal, color="black")
    for axis, values in zip(axes[1:], maps.values()):
        colours, norm = _colours(values[index], signed=values.min() < 0)
        strip = values[index][np.newaxis]
        axis.imshow(strip, aspect="auto", cmap=colours, norm=norm, extent=(*ends, 0, 1))
    for axis in axes:
        axis.set(xlim=ends, yticks=[])
        axis.tick_params(bottom=axis is axes[-1], labelbottom=axis is axes[-1])
    axes[-1].set_xlabel("position")


def _name_strips(axes, names):
    """The name of each strip at its left."""
    for axis, name in zip(axes, names):
        axis.set_ylabel(_wrapped(name, 12), rotation=0, ha="right", va="center", fontsize=6.5)


def _draw_picture(axis, picture):
    """A picture in colour, ``(h, w, 3)``, or a map, ``(h, w)``, in colours of its own scale."""
    colours, norm = _colours(picture, signed=picture.min() < 0)
    axis.imshow(picture, cmap=colours, norm=norm)


def _overlay(axis, image, values, colours, norm):
    """A tile in light grey under a map, which hides the more of it the farther a value is from zero."""
    grey = np.clip(0.4 + 0.6 * image @ [0.299, 0.587, 0.114], 0, 1)
    axis.imshow(np.stack([grey] * 3, axis=-1))
    axis.imshow(values, cmap=colours, norm=norm, alpha=np.clip(np.abs(values) / norm.vmax, 0, 0.85))


def _outline(axis, mask):
    """The outline of ``mask``, bool ``(h, w)``, also along the edges of the picture that is there."""
    places = [np.arange(-1, size + 1) for size in mask.shape[::-1]]
    limits = axis.axis()
    for colour, width in (("black", 1.6), ("white", 0.8)):  # seen on any ground
        axis.contour(*places, np.pad(mask, 1), levels=[0.5], colors=colour, linewidths=width)
    axis.axis(limits)


def _styles(names, greys):
    """How the line of each of ``names`` looks: coloured and solid, but those of ``greys`` grey and broken."""
    fixed = list(ALWAYS_SHOWN)
    coloured = [*fixed, *(name for name in names if name not in (*greys, *fixed))]
    looks = zip(coloured, sns.color_palette("colorblind"), "os^Dvp<>*h")
    styles = {name: {"color": c, "marker": m, "linestyle": "-"} for name, c, m in looks}
    grey = [name for name in names if name in greys]
    looks = zip(grey, ("0.4", "0.6", "0.3", "0.7", "0.5"), "dXP|_", ("--", ":", "-.", "--", ":"))
    styles |= {name: {"color": c, "marker": m, "linestyle": s} for name, c, m, s in looks}
    return {name: styles[name] for name in names}


def _reach(table):
    """How far the intervals of a table reach below and above its means, ``(2, n)``."""
    return np.abs(table[["low", "high"]].to_numpy().T - table["mean"].to_numpy())


def _draw_dots(axis, table, heights, style, label):
    """A dot at each mean of a table, with its interval, at its height."""
    style = style | {"linestyle": "", "markersize": 3, "elinewidth": 0.8, "clip_on": False}
    axis.errorbar(table["mean"], heights, xerr=_reach(table), label=label, **style)


def _name_rows(axes, names):
    """Name the rows that panels share, from the top to the bottom, with a light line each."""
    for axis in axes:
        axis.grid(axis="y", color="0.9")
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=6.5)
    axes[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))


def _draw_upright_dots(axis, table):
    """A dot a row of the table, with its interval, and its name below."""
    blue, orange = sns.color_palette("colorblind", 2)
    looks = {"Grad-CAM": (blue, "o"), "Integrated Gradients": (orange, "s")}
    for place, (name, mean, reach) in enumerate(zip(table["name"], table["mean"], _reach(table).T)):
        colour, marker = looks.get(name, ("0.5", "D"))
        style = {"color": colour, "marker": marker, "markersize": 3.5, "clip_on": False}
        axis.errorbar(place, mean, reach[:, np.newaxis], label=name, **style)
    names = table["name"].replace("Integrated Gradients", "IG").str.replace(", ", ",\n")
    axis.set(xlim=(-0.6, len(table) - 0.4), xticks=range(len(table)), xticklabels=names)
    axis.set(ylim=(0, 1), yticks=(0, 0.5, 1))
    axis.tick_params(labelsize=6)
    for tick in axis.xaxis.get_major_ticks()[1::2]:
        tick.set_pad(10)  # a line lower, beside its neighbours
    axis.grid(axis="y", color="0.9")


def _wrapped(title, width):
    """The title in lines of about ``width`` letters, words left whole and given lines kept apart."""
    options = {"break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, width, **options) for line in title.splitlines())


def _bare(axis):
    """Leave only the picture."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _colours(values, signed):
    """A diverging map centred at zero for signed methods, else a sequential one."""
    if signed:
        limit = np.quantile(np.abs(values), 0.995) or 1.0
        return SIGNED_MAP, TwoSlopeNorm(0, -limit, limit)
    return POSITIVE_MAP, Normalize(0, np.quantile(values, 0.995) or np.max(values) or 1.0)
