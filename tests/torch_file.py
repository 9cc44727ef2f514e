"""Files as torch.save writes them, and as nobody should."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

MATRIX = np.arange(12.0).reshape(4, 3)


class Global:
    """Pickles as a name of a module, installed or not."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):
        raise AssertionError


class Storage:
    def __init__(self, kind, key, size):
        self.pid = ("storage", Global("torch", kind), key, "cuda:0", size)


class Call:
    """Pickles as a call that is made when it is unpickled."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def tensor(key, shape, strides=None, offset=0, storage="FloatStorage", size=None):
    """Pickles as a tensor of torch does."""
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    kept = Storage(storage, key, int(np.prod(shape)) if size is None else size)
    steps = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return Call(rebuild, kept, offset, shape, strides or steps, False, OrderedDict())


def sparse(layout, *parts):
    """Pickles as a sparse tensor of torch does."""
    kind = Call(Global("torch.serialization", "_get_layout"), f"torch.sparse_{layout}")
    return Call(Global("torch._utils", "_rebuild_sparse_tensor"), kind, parts)


class Pickler(pickle._Pickler):  # the Python one, which can write any global
    def persistent_id(self, value):
        return value.pid if isinstance(value, Storage) else None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        else:
            super().save(value, save_persistent_id)


def write_pt(path, content, storages, extra=(), compression=zipfile.ZIP_STORED):
    """Lay out a file as torch.save does."""
    pickled = io.BytesIO()
    Pickler(pickled, protocol=2).dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("root/data.pkl", pickled.getvalue())
        for key, numbers in storages.items():
            archive.writestr(f"root/data/{key}", np.asarray(numbers).tobytes())
        for name, value in extra:
            archive.writestr(f"root/{name}", value)
    return path
