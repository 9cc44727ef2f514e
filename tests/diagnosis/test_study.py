import json
import re
from html import unescape

import numpy as np
import pytest

from w2s_utils import diagnosis
from w2s_utils.diagnosis import StudyReport, diagnose
from w2s_utils.diagnosis.study import study

SIZES = {"n": 40, "N": 300}
HOSTILE = "<b>&$x^$"


def models(rows=600, seed=0):
    """Layers of a small and of a large model, and ratings that later layers tell better."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((rows, 6))

    def layer(strength, width):
        told = latent @ rng.standard_normal((6, width))
        return (strength * told + rng.standard_normal((rows, width))).astype(np.float32)

    small = {f"s{k}": layer(0.2 * k, 5) for k in (1, 2, 3)}
    large = {f"l{k}": layer(0.5 * k, 8) for k in (1, 2)}
    return small, large, latent[:, 0] + 0.5 * rng.standard_normal(rows)


@pytest.mark.parametrize("how", [{}, {"ridge": 0, "energy": 0.9}, {"noise_variance": 0.25}])
def test_each_pair_is_as_diagnosed_alone(how):
    small, large, y = models()
    found = study(small, large, y, **SIZES, **how)
    assert len(found.table) == len(small) * len(large)
    for row in found.table.to_dict("records"):
        d = diagnose(small[row["teacher"]], large[row["student"]], y, **SIZES, **how)
        alone = d.table().iloc[0]
        for name in ("weak", "student", "baseline", "gain", "gain_low", "pgr", "opr_high"):
            assert row[name.replace("student", "risk")] == pytest.approx(
                alone[name], rel=1e-12, abs=1e-14, nan_ok=True
            )
        assert row["d_sw"] == pytest.approx(d.ridgeless.correlation.estimate, rel=1e-12)
        assert row["variance"] == pytest.approx(np.var(y), rel=0.01)
    first = found.table.sort_values("risk").iloc[0]
    assert first["risk"] == found.first["risk"] == found.best.risk["student"].value[0, 0]


def test_order_and_names_do_not_matter():
    small, large, y = models()
    one = study(small, large, y, **SIZES).table
    renamed = {f"{name} again": X for name, X in reversed(small.items())}
    other = study(renamed, dict(reversed(large.items())), y, **SIZES).table
    assert list(other["teacher"].str.removesuffix(" again").unique()) == ["s3", "s2", "s1"]
    sort = {"by": ["teacher", "student"], "ignore_index": True}
    one, other = one.sort_values(**sort), other.sort_values(**sort)
    assert one.drop(columns="teacher").equals(other.drop(columns="teacher"))


def test_classes_have_gains_of_accuracy():
    small, large, y = models()
    found = study(small, large, y > 0, **SIZES)
    t, d = found.table, found.best
    np.testing.assert_allclose(t["errors_gain"], t["errors_weak"] - t["errors_student"])
    row = found.first
    accuracy = d.accuracy["student"].value[0, 0] - d.accuracy["weak"].value[0, 0]
    assert row["errors_gain"] == pytest.approx(accuracy)
    shown = StudyReport(found)
    assert "points" in shown.text
    assert shown.html.count("<figure>") == 2


@pytest.fixture
def counted(monkeypatch):
    """Names of the pairs that are diagnosed."""
    calls = []

    def counting(weak, strong, labels, **how):
        calls.append((weak.shape[1], strong.shape[1]))
        return diagnose(weak, strong, labels, **how)

    module = __import__("sys").modules["w2s_utils.diagnosis.pairs"]
    monkeypatch.setattr(module, "diagnose", counting)
    return calls


def test_finished_pairs_are_kept(tmp_path, counted):
    small, large, y = models()
    first = study(dict([*small.items()][:2]), large, y, **SIZES, checkpoints=tmp_path / "kept")
    assert len(counted) == 4
    counted.clear()
    whole = study(small, large, y, **SIZES, checkpoints=tmp_path / "kept")
    assert len(counted) in (2, 3)  # of the new teacher, and the best pair if it was kept
    assert whole.table.equals(study(small, large, y, **SIZES).table)
    kept = whole.table[whole.table["teacher"] != "s3"].reset_index(drop=True)
    assert kept.equals(first.table)

    counted.clear()
    again = study(small, large, y, **SIZES, checkpoints=tmp_path / "kept")
    assert len(counted) == 1  # the best pair, for its verdict
    assert again.best.verdict == whole.best.verdict
    for changed in ({"ridge": 1.0}, {"N": 301}, {"energy": 0.9}):
        counted.clear()
        study(small, large, y, **SIZES | changed, checkpoints=tmp_path / "kept")
        assert len(counted) == 6
    counted.clear()
    study(small, large, y + 1e-9, **SIZES, checkpoints=tmp_path / "kept")
    assert len(counted) == 6


@pytest.mark.parametrize("damage", [b"", b"{", b'{"risk": "low"}', b"[]"])
def test_damaged_pairs_are_made_again(tmp_path, counted, damage):
    small, large, y = models()
    whole = study(small, large, y, **SIZES, checkpoints=tmp_path)
    damaged = sorted(tmp_path.iterdir())[:2]
    for file in damaged:
        file.write_bytes(damage)
    counted.clear()
    assert study(small, large, y, **SIZES, checkpoints=tmp_path).table.equals(whole.table)
    assert len(counted) in (2, 3)


def test_what_is_wrong_names_the_pair():
    small, large, y = models()
    with pytest.raises(ValueError, match=r"Teacher bad, student l1: n must be below .* 9"):
        study({"bad": small["s1"][:9]}, large, y, **SIZES)
    with pytest.raises(ValueError, match="at least one student"):
        study(small, {}, y, **SIZES)
    with pytest.raises(ValueError, match="No pair has a prediction at n = 6, N = 300"):
        study(small, large, y, n=6, N=300, ridge=0)


def test_report():
    small, large, y = models()
    found = study({HOSTILE: small["s1"], **small}, large, y, **SIZES)
    report = StudyReport(found, teachers="small", students="large")
    plain = StudyReport(study(small, large, y, **SIZES), teachers="small", students="large")
    assert max(map(len, plain.text.splitlines())) <= 80
    sure = int((plain.study.table["gain_low"] > 0).sum())
    assert f"In {sure} of 6 pairs the student is surely better" in plain.text.replace("\n", " ")
    content = json.loads(report.json)
    assert len(content["pairs"]) == 8
    assert content["pairs"][0]["gain"] == found.table["gain"][0]
    assert content["best"]["verdict"]["headline"] == found.best.verdict.headline
    assert "<script" not in report.html
    assert "<b>&" not in report.html
    assert HOSTILE[:8] in unescape(report.html)
    unsure = ~((found.table["gain_low"] > 0) | (found.table["gain_high"] < 0))
    assert len(re.findall(r">\(-?[\d.e-]+\)</text>", report.html)) == unsure.sum()


def test_matrix_has_teachers_down_and_students_across():
    small, large, y = models()
    found = study(small, large, y, **SIZES)
    gain = found.matrix("gain")
    assert (list(gain.index), list(gain.columns)) == ([*small], [*large])
    row = found.table.query("teacher == 's2' and student == 'l2'").iloc[0]
    assert gain.loc["s2", "l2"] == row["gain"]


def test_names_in_public():
    assert {"Study", "StudyReport", "study"} <= set(diagnosis.__all__)
