"""A kernel of this interpreter: what it knows of its caller, and a folder of its own."""

import fcntl
import os
import re
import shutil
import site
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from w2s_utils.errors import UserError

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from jupyter_client.manager import KernelManager

# All that a kernel takes over of the caller's environment: where things are, how pip downloads, and
# what keeps an old BLAS from crashing on a new processor.
# Everything else (MPLBACKEND, PYTHONSTARTUP, PYTHONPATH, LANG, ...) could change the outputs.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|(DY)?LD_\w+|W2S_CACHE|XDG_(CACHE|CONFIG)_HOME|OPENBLAS_(CORETYPE|L2_SIZE)"
    r"|PIP_\w+|SSL_CERT_\w+|(?i:https?|all|no)_(?i:proxy)"
)
# One BLAS thread a kernel: small solves run faster, and one notebook a core uses the machine fully.
# A fixed hash seed, so that a printed set looks the same in every run.
KERNEL_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
SCRATCH = "w2s-kernel-"
TEMPORARY = ["/tmp", "/var/tmp", "/dev/shm"]
LONGEST = 70  # bytes of a folder's path, so that sockets in it keep to macOS's 103


def kernel_environment(scratch: str) -> dict[str, str]:
    """Environment of a kernel, or of Sphinx, the same whoever calls.

    `scratch` is a folder of its own.
    """
    matplotlib = cast("str", cast("ModuleSpec", find_spec("matplotlib")).origin)
    return {
        **{name: value for name, value in os.environ.items() if KEPT.fullmatch(name)},
        **KERNEL_ENVIRONMENT,
        # In place of the user's own configuration.
        "IPYTHONDIR": scratch,
        "MATPLOTLIBRC": str(Path(matplotlib).parent / "mpl-data"),
        # The packages that the key lists.
        "PYTHONNOUSERSITE": "" if site.ENABLE_USER_SITE else "1",
        "TMPDIR": scratch,
    }


@contextmanager
def running_kernel(directory: Path) -> "Iterator[KernelManager]":
    """A fresh kernel that runs in a folder; it ends with the block."""
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from jupyter_client.manager import KernelManager

    clients = []

    class RememberingManager(KernelManager):
        def client(self, **kwargs: Any) -> Any:
            clients.append(super().client(**kwargs))
            return clients[-1]

    with _scratch_folder() as scratch:
        kernel = RememberingManager(
            kernel_name=NATIVE_KERNEL_NAME,
            # No folders to search: this interpreter's own kernel, whatever else is installed.
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            # Sockets in a private folder need no encryption, and parallel kernels cannot race for
            # a port.
            transport="ipc",
            connection_file=f"{scratch}/kernel.json",
            client_class="jupyter_client.asynchronous.AsyncKernelClient",
        )
        kernel.start_kernel(
            cwd=str(directory),
            env=kernel_environment(scratch),
            # Else it warns on our terminal that we have ended, after all that we had to say.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        try:
            yield kernel
        finally:
            kernel.shutdown_kernel(now=True)
            for client in clients:  # papermill leaves them open when it did not start the kernel
                client.stop_channels()


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """A private folder for a kernel's sockets and files; those of killed runs are removed."""
    wanted = [os.environ.get("TMPDIR", ""), *TEMPORARY]
    usable = [folder for folder in wanted if folder and len(os.fsencode(folder)) <= LONGEST]
    for folder in usable:
        try:
            scratch, held = _new_scratch(folder)
            break
        except OSError:
            continue
    else:
        raise UserError(
            f"No folder takes a kernel's sockets, of {', '.join(filter(None, wanted))}: set TMPDIR "
            f"to one that can be written to and whose path has at most {LONGEST} bytes."
        )
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


def _new_scratch(parent: str) -> tuple[str, int]:
    """Make the folder and lock it: the lock ends with this process, however that ends."""
    for left in Path(parent).glob(f"{SCRATCH}*"):
        with suppress(OSError):  # in use, or another user's
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)
    while True:
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=parent)
        descriptor = os.open(scratch, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if Path(scratch).exists():  # else another run took it for left, before the lock
            return scratch, descriptor
        os.close(descriptor)
