"""What pca_accuracy_bench.ts compares with: numpy's singular value decomposition of the same numbers in f64.

    python3 pca_accuracy.py FOLDER         answers for FOLDER/*.npy: FOLDER/<case>.json beside each
    python3 pca_accuracy.py FOLDER photo   FOLDER/photo.npy, scikit-learn's photograph, [height, width, 3]

A case is named NAME.COMPONENTS.BATCH.npy; without a batch, scikit-learn's IncrementalPCA is not asked.
"""

import json
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
if sys.argv[2:] == ["photo"]:
    from sklearn.datasets import load_sample_image

    np.save(folder / "photo.npy", load_sample_image("china.jpg"))
    sys.exit()


def exact(rows):
    """Mean, variances and components of rows in f64; all of them, unless there are too many rows."""
    # about a row first, lest a large offset takes the digits of the mean
    first = rows[0].astype(np.float64)
    centered = rows.astype(np.float64) - first
    mean = centered.mean(0)
    centered -= mean
    if len(rows) > 100_000:
        variances, vectors = np.linalg.eigh(centered.T @ centered)
        variances, vectors = variances[::-1], vectors.T[::-1]
        sigma = np.sqrt(np.maximum(variances, 0))
    else:
        _, sigma, vectors = np.linalg.svd(centered, full_matrices=False)
    return first + mean, sigma, vectors


def angles(vectors, wanted):
    """Of leading subspaces of 1, 2, ... directions."""
    found = []
    for count in range(1, len(wanted) + 1):
        rest = vectors[:count] - vectors[:count] @ wanted[:count].T @ wanted[:count]
        found.append(float(np.arcsin(min(1.0, np.linalg.norm(rest, 2)))))
    return found


for place in sorted(folder.glob("*.*.npy")):
    _, components, *batch = place.stem.split(".")
    rows = np.load(place)
    mean, sigma, vectors = exact(rows)
    count = int(components)
    answer = {
        "mean": mean.tolist(),
        "sigma": sigma[: count + 1].tolist(),
        "vectors": vectors[:count].tolist(),
    }
    if batch:
        from sklearn.decomposition import IncrementalPCA

        fit = IncrementalPCA(count, batch_size=int(batch[0])).fit(rows.astype(np.float64))
        answer["sklearn"] = {
            "angles": angles(fit.components_, vectors[:count]),
            "sigma": fit.singular_values_.tolist(),
        }
    place.with_suffix(".json").write_text(json.dumps(answer))
