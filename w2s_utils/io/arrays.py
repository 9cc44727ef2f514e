"""Arrays of NumPy's own files, of numbers or text: Python objects in them are refused."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from numpy.lib import format as npy
from numpy.typing import NDArray

from w2s_utils.io.refusal import Refused, choose, refuse_expansion


def read_npy(path: Path, name: str) -> NDArray[Any]:
    """Read the array of an .npy file, which has no name."""
    choose([], name)
    with path.open("rb") as file:
        return _parse_npy(file)


def map_npy(path: Path, name: str) -> NDArray[Any]:
    """Map the array of an .npy file without reading its values."""
    choose([], name)
    with path.open("rb") as file:
        _refuse_objects(file)
    array: NDArray[Any] = npy.open_memmap(path, mode="r")
    return array


def read_npz(path: Path, name: str) -> NDArray[Any]:
    """Read one array of an .npz archive, by its name or as the only one."""
    with zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        member = archive.getinfo(f"{choose(names, name)}.npy")
        refuse_expansion(member.file_size, member.compress_size)
        content = archive.read(member)  # whole, so that its CRC is checked
    return _parse_npy(BytesIO(content))


def _parse_npy(file: BinaryIO) -> NDArray[Any]:
    _refuse_objects(file)
    file.seek(0)
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _refuse_objects(file: BinaryIO) -> None:
    header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    _, _, dtype = header[npy.read_magic(file)](file)  # the third version is for names of fields
    if dtype.hasobject:
        raise Refused(
            "holds an array of Python objects, which is not read because it could run code: "
            "save numbers as an array of numbers, and words by np.save(file, words.astype(str))."
        )
