"""The cases of peers.ts with numpy, scikit-learn, torch, JAX and CuPy, whichever can be imported.

Reads what peers.ts wrote, prints a list of {library, case, ms, answer}: python3 peers.py FOLDER
"""

import json
import sys
import time

import numpy as np

folder = sys.argv[1]
sizes = json.load(open(f"{folder}/sizes.json"))
REPEATS = 5


def read(case, name, shape, dtype="f4"):
    return np.fromfile(f"{folder}/{case}.{name}", dtype).reshape(shape)


def assign(x, c):
    return ((c * c).sum(1) - 2 * (x @ c.T)).argmin(1)


def step(x, c, eye):
    return eye[assign(x, c)].T @ x


def broadcast(x, c):
    return ((x[:, None] - c[None]) ** 2).sum(2).argmin(1)


def flat_moments(x, rows):
    flat = x[rows].reshape(len(rows), -1)
    return flat.T @ flat


def filtered(matrix, likelihoods, first):
    row = first
    for likelihood in likelihoods:
        row = row * likelihood
        row = row / row.sum()
        last, row = row, row @ matrix
    return last


def scan(matrix, likelihoods, first):
    """As filtered(), the way JAX loops."""

    def step(row, likelihood):
        row = row * likelihood
        row = row / row.sum()
        return row @ matrix, row

    return jax.lax.scan(step, first, likelihoods)[1][-1]


CASES = {
    "assign": (assign, ["points", "book"]),
    "k-means step": (step, ["points", "book", "eye"]),
    "projection": (lambda x, v: x @ v.T, ["points", "vectors"]),
    "covariance": (lambda x: x.T @ x, ["points"]),
    "flat contexts": (flat_moments, ["frames", "rows"]),
    "matmul": (lambda matrix, x: x @ matrix, ["matrix", "vectors"]),
    "window gather": (lambda x, rows: x[rows], ["frames", "rows"]),
    "HMM rows": (filtered, ["matrix", "likelihoods", "first"]),
}


def libraries():
    """Name, from numpy, to wait for a result, compile, and back to numpy."""
    global torch, jax
    same = lambda value: value
    yield "numpy", same, same, same, same
    try:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        wait = (lambda value: torch.cuda.synchronize()) if device == "cuda" else same
        yield (
            f"torch {device}",
            lambda value: torch.from_numpy(value).to(device),
            wait,
            same,
            lambda value: value.cpu().numpy(),
        )
    except ImportError:
        pass
    try:
        import jax

        yield (
            f"jax {jax.devices()[0].platform}",
            jax.numpy.asarray,
            lambda value: value.block_until_ready(),
            jax.jit,
            np.asarray,
        )
    except ImportError:
        pass
    try:
        import cupy

        wait = lambda value: cupy.cuda.Device().synchronize()
        yield "cupy", cupy.asarray, wait, same, cupy.asnumpy
    except ImportError:
        pass


def timed(run, wait):
    wait(run())
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        wait(run())
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)[len(times) // 2]


found = []


def add(library, case, run, wait, back):
    try:
        ms = timed(run, wait)
        answer = f"{folder}/{len(found)}.answer"
        np.ascontiguousarray(back(run())).astype("f4").tofile(answer)
        found.append({"library": library, "case": case, "ms": ms, "answer": answer})
    except Exception as error:
        found.append({"library": library, "case": case, "error": str(error).split("\n")[0]})


for case, shapes in sizes.items():
    function, names = CASES[case]
    arrays = {
        name: read(case, name, shape, "i4" if name == "rows" else "f4")
        for name, shape in shapes.items()
    }
    for library, put, wait, compile, back in libraries():
        inputs = [put(arrays[name]) for name in names]
        compiled = compile(function)
        add(library, case, lambda: compiled(*inputs), wait, back)
        if library.startswith("torch") and case == "assign":
            cdist = lambda: torch.cdist(*inputs).argmin(1)
            add(f"{library}, cdist", case, cdist, wait, back)
        if library.startswith("jax") and case == "HMM rows":
            scanned = compile(scan)
            add(f"{library}, scan", case, lambda: scanned(*inputs), wait, back)
    if case == "assign":
        try:
            from sklearn.metrics import pairwise_distances_argmin

            run = lambda: pairwise_distances_argmin(arrays["points"], arrays["book"])
            add("scikit-learn", case, run, lambda value: value, lambda value: value)
        except ImportError:
            pass
    if case == "HMM rows":
        try:
            from scipy.sparse import csr_matrix

            matrix = csr_matrix(arrays["matrix"])
            run = lambda: filtered(matrix, arrays["likelihoods"], arrays["first"])
            add("scipy, sparse", case, run, lambda value: value, lambda value: value)
        except ImportError:
            pass
print(json.dumps(found))
