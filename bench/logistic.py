"""What logistic_bench.ts compares with: scikit-learn's newton-cholesky, one probe after the other.

    python3 logistic.py FOLDER    FOLDER/rows.npy, labels.npy [probes, rows], weights.npy [probes, features]

Prints seconds of each probe, and how far weights.npy is from its weights, of their length.
"""

import json
import pathlib
import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
folder = pathlib.Path(sys.argv[1])
began = time.perf_counter()
rows = np.load(folder / "rows.npy").astype(np.float64)
rows = (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-8)
print(json.dumps({"prepare": time.perf_counter() - began}))
for labels, weights in zip(np.load(folder / "labels.npy"), np.load(folder / "weights.npy")):
    began = time.perf_counter()
    model = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-10, max_iter=100)
    wanted = model.fit(rows, labels).coef_[0]
    seconds = time.perf_counter() - began
    apart = np.linalg.norm(weights - wanted) / np.linalg.norm(wanted)
    print(json.dumps({"seconds": seconds, "apart": apart}), flush=True)
