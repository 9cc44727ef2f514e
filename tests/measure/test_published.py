import numpy as np

from w2s_utils.measure import published_dimensions
from w2s_utils.subspaces import overlap, random_basis


def test_dimensions_are_consistent_and_chance_is_their_product_over_the_common_one():
    table = published_dimensions()
    assert len(table) == 9
    assert (table["d_sw"] <= table[["d_w", "d_s"]].min(axis=1)).all()
    assert (table["d_w"] <= table["width_w"]).all()
    assert (table["d_s"] <= table["width_s"]).all()
    assert (table[["d_w", "d_s"]].max(axis=1) <= table["D"]).all()
    np.testing.assert_allclose(table["chance"], table["d_w"] * table["d_s"] / table["D"])
    assert dict(zip(table["teacher"], table["D"], strict=True))["ResNet18D"] == 512


def test_z_is_that_of_drawn_subspaces():
    row = published_dimensions().iloc[0]
    rng = np.random.default_rng(0)
    drawn = [
        overlap(random_basis(row["D"], row["d_w"], rng), random_basis(row["D"], row["d_s"], rng))
        for _ in range(40)
    ]
    assert abs(np.mean(drawn) - row["chance"]) < 3 * row["spread"] / np.sqrt(40)
    assert abs(np.std(drawn, ddof=1) / row["spread"] - 1) < 3 / np.sqrt(2 * 39)
