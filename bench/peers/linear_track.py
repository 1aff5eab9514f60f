"""Filter and smoother in f64, a row after the other: time a row with a sparse and a dense matrix.

Reads what bench/linear_track_bench.ts wrote: python3 linear_track.py FOLDER BINS
"""

import json
import sys
import time

import numpy as np
from scipy.sparse import csr_matrix

folder, bins = sys.argv[1], int(sys.argv[2])
read = lambda name, dtype: np.fromfile(f"{folder}/{name}", dtype)
sparse = csr_matrix(
    (read("values", "f8"), read("indices", "i4"), read("starts", "i4")), shape=(bins, bins)
)
likelihoods = read("likelihoods", "f8").reshape(-1, bins)


def decode(matrix, transposed, rows):
    """Seconds and processor seconds a row, and the first smoothed row."""
    began = time.perf_counter(), time.process_time()
    filtered = np.empty((rows, bins))
    predictions = np.empty((rows, bins))
    predicted = np.full(bins, 1 / bins)
    for t in range(rows):
        predictions[t] = predicted
        log = likelihoods[t]
        weight = predicted * np.exp(log - log.max())
        filtered[t] = weight / (weight.sum() + 1e-15)
        predicted = transposed @ filtered[t]
    smoothed = filtered[-1]
    for t in range(rows - 2, -1, -1):
        below = predictions[t + 1]
        ratio = np.divide(smoothed, below, out=np.zeros(bins), where=below > 0)
        smoothed = filtered[t] * (matrix @ ratio)
        smoothed = smoothed / (smoothed.sum() + 1e-15)
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    return {"seconds": seconds / rows, "cpu": cpu / rows}, smoothed


rows = len(likelihoods)
sparse_time, last = decode(sparse, sparse.T.tocsr(), rows)
dense = sparse.toarray()
dense_time, _ = decode(dense, np.ascontiguousarray(dense.T), rows)
print(json.dumps({"sparse": sparse_time, "dense": dense_time, "last": last.tolist()}))
