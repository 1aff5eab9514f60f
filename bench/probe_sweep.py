"""What probe_sweep_bench.ts compares with: a loop over layers and probes, all layers in memory.

    python3 probe_sweep.py FOLDER LIBRARY PENALTIES HIDDEN EPOCHS BATCH

FOLDER has rows.npy [layers, samples, features], labels.npy and test.npy, samples that are not learned from. LIBRARY is
torch, or anything else for scikit-learn and numpy. Prints seconds by part, AUROCs, growth of the peak and bytes read.
"""

import json
import pathlib
import re
import sys
import time
import warnings

import numpy as np
from sklearn.metrics import roc_auc_score

folder, library, penalties, hidden, epochs, batch = sys.argv[1:]
folder, hidden, epochs, batch = pathlib.Path(folder), int(hidden), int(epochs), int(batch)
if library == "torch":
    import torch
else:
    from sklearn.linear_model import LogisticRegression
warnings.simplefilter("ignore")


def peak():
    # getrusage() tells at least what whoever started this had
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1])


before = peak()
layers = np.load(folder / "rows.npy")
labels = np.load(folder / "labels.npy")
is_test = np.zeros(len(labels), bool)
is_test[np.load(folder / "test.npy")] = True
seconds, aurocs = {}, {}


def run(part, name, learn):
    began = time.perf_counter()
    logits = learn()
    aurocs[name] = roc_auc_score(labels[is_test], logits)
    seconds[part] = seconds.get(part, 0) + time.perf_counter() - began


def logistic(rows, tests, wanted, c):
    rows, tests = rows.astype(np.float64), tests.astype(np.float64)
    mean, deviation = rows.mean(0), np.maximum(rows.std(0), 1e-8)
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-8, max_iter=100)
    return model.fit((rows - mean) / deviation, wanted).decision_function((tests - mean) / deviation)


def mass_mean(rows, tests, wanted):
    rows = rows.astype(np.float64)
    low, high = rows[wanted == 0].mean(0), rows[wanted == 1].mean(0)
    return (tests - (low + high) / 2) @ (high - low)


def mlp(rows, tests, wanted):
    torch.manual_seed(0)
    rows, tests = torch.from_numpy(rows), torch.from_numpy(tests)
    wanted = torch.from_numpy(wanted.astype(np.float32))
    net = torch.nn.Sequential(
        torch.nn.Linear(rows.shape[1], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    for _ in range(epochs):
        for own in torch.randperm(len(rows)).split(batch):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(rows[own])[:, 0], wanted[own])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return net(tests)[:, 0].numpy()


for layer, own in enumerate(layers):
    rows, tests, wanted = own[~is_test], own[is_test], labels[~is_test]
    if library == "torch":
        run("MLP", f"{layer} mlp", lambda: mlp(rows, tests, wanted))
        continue
    for c in penalties.split(","):
        run("logistic", f"{layer} logistic {c}", lambda: logistic(rows, tests, wanted, float(c)))
    run("mass-mean", f"{layer} mass_mean", lambda: mass_mean(rows, tests, wanted))
print(json.dumps({"seconds": seconds, "aurocs": aurocs, "grew": peak() - before, "read": layers.nbytes}))
