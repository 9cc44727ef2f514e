"""Dimensions that Dong et al. (ICML 2025) publish for their vision tasks, beside chance.

The sizes and d_sw are the paper's, taken from its tables; nothing is measured here.
"""

from __future__ import annotations

import pandas as pd

from w2s_utils.subspaces import random_overlap

_UTKFACE = ("UTKFace", "CLIP ViT-B/32", 768, 443)
_COLORED_MNIST = ("ColoredMNIST", "DINOv2-S/14", 384, 28)
_PAIRS = [
    (*_UTKFACE, "ResNet18", 512, 194, 167.64),
    (*_UTKFACE, "ResNet34", 512, 150, 129.97),
    (*_UTKFACE, "ResNet50", 2048, 522, 301.06),
    (*_UTKFACE, "ResNet101", 2048, 615, 354.52),
    (*_UTKFACE, "ResNet152", 2048, 589, 339.90),
    (*_COLORED_MNIST, "ResNet18D", 512, 117, 6.23),
    (*_COLORED_MNIST, "ResNet34D", 512, 127, 7.07),
    (*_COLORED_MNIST, "ResNet101", 2048, 121, 1.74),
    (*_COLORED_MNIST, "ResNet152", 2048, 128, 1.88),
]
_COLUMNS = ["task", "student", "width_s", "d_s", "teacher", "width_w", "d_w", "d_sw"]


def published_dimensions() -> pd.DataFrame:
    """Published dimensions of nine pairs, with the overlap of unrelated subspaces of their sizes.

    Returns
    -------
    DataFrame
        One row a pair. From the paper: task, student, width_s, d_s, teacher, width_w, d_w, d_sw.
        Computed: D, the dimension in which the published sketch compares the two models, which is
        the smaller width for UTKFace and the larger for ColoredMNIST; chance and spread, mean and
        standard deviation for unrelated subspaces (`subspaces.random_overlap`); and z, the
        published d_sw's distance from chance in such standard deviations.

    Examples
    --------
    >>> published_dimensions().query("teacher == 'ResNet18'")[["d_sw", "chance"]].round(2)
         d_sw  chance
    0  167.64  167.86
    """
    table = pd.DataFrame(_PAIRS, columns=_COLUMNS)
    widths = table[["width_w", "width_s"]]
    table["D"] = widths.min(axis=1).where(table["task"] == "UTKFace", widths.max(axis=1))
    sizes = zip(table["D"], table["d_w"], table["d_s"], strict=True)
    law = [random_overlap(D, d_w, d_s) for D, d_w, d_s in sizes]
    table[["chance", "spread"]] = pd.DataFrame(law, index=table.index)
    table["z"] = (table["d_sw"] - table["chance"]) / table["spread"]
    return table
