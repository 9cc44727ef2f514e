"""Numbers do not depend on the number of BLAS threads or of processes."""

import json
import os
import subprocess
import sys

import numpy as np

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def results(threads, jobs):
    run = subprocess.run(
        [sys.executable, "-m", "tests.drift", str(jobs)],
        env=os.environ | dict.fromkeys(THREADS, str(threads)),
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(run.stdout)


def test_one_and_two_threads_and_processes_give_the_same_numbers():
    one, two = results(1, 1), results(2, 2)
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-6, atol=1e-12, err_msg=name)
    assert one["sweep"] == two["sweep"]  # bit for bit, as promised
