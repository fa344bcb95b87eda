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
TEMPLATE_LIMITS = (-0.6, 1.0)  # leaves room for a legend above
POSITIVE_MAP, SIGNED_MAP = "viridis", "RdBu_r"

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
    figure, axes = _subplots(1, 2, figsize=(COLUMN, 1.9))
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
    figure, axis = _subplots(figsize=(COLUMN, 2.7))
    colours = sns.color_palette("colorblind", len(classes))
    for label, name in enumerate(classes):
        false, true, _ = roc_curve(y == label, probabilities[:, label])
        style = ("-", "--", ":")[label % 3]  # like colours get unlike styles
        text = f"{name} ({auc(false, true):.3f})"
        axis.plot(false, true, style, color=colours[label], label=text)
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.7)
    axis.set(xlabel="false positive rate", ylabel="true positive rate")
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set(xlim=(0, 1), ylim=(0, 1.01), xticks=[0, 0.01, 0.1, 1], xticklabels=["0", ".01", ".1", "1"])
    axis.legend(title="class (area under the curve)", loc="lower right")
    return figure


def confusion(y, predicted, classes):
    """The confusion matrix, each row divided by its sum."""
    rates = confusion_matrix(y, predicted, labels=range(len(classes)), normalize="true")
    figure, axis = _subplots(figsize=(COLUMN, 2.8))
    sns.heatmap(
        rates,
        annot=np.where(rates > 0, np.char.mod("%.2f", rates), ""),
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
    axis.tick_params(axis="x", rotation=45 if max(map(len, classes)) > 2 else 0)
    axis.tick_params(axis="y", rotation=0)
    return figure


def signals_with_templates(signals, titles, templates):
    """Signals ``(n, 40)`` above the templates of the classes: ``templates`` holds, for each signal,
    a list of ``(label, template)``."""
    figure, axes = _subplots(2, len(signals), figsize=(PAGE, 2.6), squeeze=False, sharey="row")
    for column, (signal, title) in enumerate(zip(signals, titles)):
        axes[0, column].plot(signal, color="black")
        axes[0, column].set(title=title, xlabel="position")
        for style, (label, template) in zip(("-", "--"), templates[column]):
            axes[1, column].plot(template, style, label=label)
        axes[1, column].set(xlabel="template position", ylim=TEMPLATE_LIMITS)
        axes[1, column].legend(loc="upper center", ncols=2, columnspacing=1, handlelength=1.4)
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
        for style, (label, template) in zip(("-", "--"), templates[row]):
            axes[row, -1].plot(template, style, label=label)
        axes[row, -1].set_ylim(TEMPLATE_LIMITS)
        axes[row, -1].legend(loc="upper center", ncols=2, columnspacing=1, handlelength=1.4)
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
            for colour, width in (("black", 1.6), ("white", 0.8)):  # seen on any ground
                axis.contour(mask, levels=[0.5], colors=colour, linewidths=width)
    for axis in axes.flat:
        _bare(axis)
    return figure


def kept_points(image, kept, titles):
    """A tile, and what is left of it under each mask of ``kept`` ``(n, h, w)``; the rest black."""
    pictures = [image, *(np.where(mask[..., np.newaxis], image, 0) for mask in kept)]
    return tiles(pictures, titles)


def bars(summary, hue, label):
    """Means with their intervals, one bar a method and kind.

    ``summary`` has title, mean, low and high; ``hue`` names the column of the kind.
    """
    table = summary.pivot(index="title", columns=hue)
    table = table.loc[list(dict.fromkeys(summary.title))[::-1]]
    figure, axis = _subplots(figsize=(COLUMN, 0.28 * len(table) + 0.8))
    kinds = list(dict.fromkeys(summary[hue]))
    height = 0.8 / len(kinds)
    for place, (kind, colour) in enumerate(zip(kinds, sns.color_palette("colorblind"))):
        own = table.xs(kind, axis=1, level=hue)
        spread = np.stack([own["mean"] - own.low, own.high - own["mean"]])
        y = np.arange(len(own)) + 0.4 - height * (place + 0.5)
        axis.barh(y, own["mean"], height, color=colour, label=kind)
        axis.errorbar(own["mean"], y, xerr=spread, fmt="none", ecolor="black", elinewidth=0.8)
    axis.set(yticks=range(len(table)), yticklabels=table.index, xlabel=label, xlim=(0, None))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, title=hue)
    return figure


def signals_with_truth(signals, titles, intervals, maps):
    """Signals ``(n, 40)`` with the true interval shaded, and a strip for each of ``maps`` below."""
    heights = (3, *[0.5] * len(maps))
    size = (PAGE, 1.3 + 0.28 * len(maps))
    figure, axes = _subplots(
        len(maps) + 1, len(signals), figsize=size, height_ratios=heights, sharex=True, squeeze=False
    )
    for column, (signal, inside) in enumerate(zip(signals, intervals)):
        top, places = axes[0, column], np.flatnonzero(inside)
        top.axvspan(places[0] - 0.5, places[-1] + 0.5, color="0.85")
        top.plot(signal, color="black")
        top.set(xlim=(-0.5, len(signal) - 0.5), yticks=[])
        top.set_title(titles[column], fontsize=7)
        for axis, (title, values) in zip(axes[1:, column], maps.items()):
            colours, norm = _colours(values[column], signed=values.min() < 0)
            axis.imshow(
                values[column][np.newaxis], aspect="auto", cmap=colours, norm=norm,
                extent=(-0.5, len(signal) - 0.5, 0, 1),
            )  # fmt: skip
            axis.set(yticks=[])
            if column == 0:
                axis.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
        axes[-1, column].set_xlabel("position")
    return figure


def steps(table, titles):
    """Drop and increase after each change of the published comparison, one line a method.

    ``table`` as :func:`published.table_of_steps` gives it. Where a step does not concern a
    method its line goes on to the next.
    """
    order = list(dict.fromkeys(table.step))
    figure, axes = _subplots(1, 2, figsize=(PAGE, 2.4), sharex=True)
    colours = dict(zip(dict.fromkeys(table.method), sns.color_palette("colorblind")))
    for axis, (metric, own) in zip(axes, table.groupby("metric", sort=False)):
        for shift, (method, rows) in enumerate(own.groupby("method", sort=False)):
            places = np.array([order.index(step) for step in rows.step]) + 0.08 * (shift - 1)
            spread = np.abs(rows[["low", "high"]].to_numpy().T - rows["mean"].to_numpy())
            style = "--" if method == "random" else "-"
            axis.errorbar(
                places, rows["mean"], spread, fmt="o" + style, markersize=3, linewidth=0.9,
                color=colours[method], label=titles[method],
            )  # fmt: skip
        axis.set(ylabel=metric.replace("_", " "), ylim=(0, None), xticks=range(len(order)))
        axis.set_xticklabels(order, rotation=40, ha="right")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def score_grid(table, marked):
    """Means in a heat map: methods in rows, settings in columns.

    ``marked`` are the settings in which no method beats every control, crossed out at their names.
    """
    figure, axis = _subplots(figsize=(PAGE, 0.13 * len(table) + 1.1))
    names = [f"{name} ✕" if name in marked else name for name in table.columns]
    sns.heatmap(
        table.set_axis(names, axis=1), annot=True, fmt=".2f", annot_kws={"fontsize": 5.5},
        cmap="viridis", vmin=0, vmax=1, cbar_kws={"shrink": 0.6}, ax=axis,
    )  # fmt: skip
    axis.set(xlabel="", ylabel="")
    axis.tick_params(labelsize=6.5, length=0)
    axis.tick_params(axis="x", rotation=40)
    plt.setp(axis.get_xticklabels(), ha="right")
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


def _wrapped(title, width):
    """The title in lines of about ``width`` letters, words left whole."""
    return textwrap.fill(title, width, break_long_words=False, break_on_hyphens=False)


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
