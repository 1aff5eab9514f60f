"""What token_level_bench.ts compares with: torch, all tokens in memory.

    python3 token_level.py FOLDER torch HIDDEN EPOCHS BATCH ATTENTION_EPOCHS

FOLDER has rows.npy [tokens, features], offsets.npy, detected.npy and labels.npy of texts. Prints seconds of the MLP with
its predictions, seconds of an epoch of the attention probe, growth of the peak and bytes read.
"""

import json
import pathlib
import re
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

folder = pathlib.Path(sys.argv[1])
hidden, epochs, batch, attention_epochs = map(int, sys.argv[3:])


def peak():
    # getrusage() tells at least what whoever started this had
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path("/proc/self/status").read_text())[1])


torch.manual_seed(0)
before = peak()
began = time.perf_counter()
rows = torch.from_numpy(np.load(folder / "rows.npy"))
offsets = np.load(folder / "offsets.npy").astype(int)
detected = torch.from_numpy(np.load(folder / "detected.npy") == 1)
labels = torch.from_numpy(np.load(folder / "labels.npy").astype(np.float32))
read, width = 4 * rows.numel(), rows.shape[1]
own = rows[detected]
wanted = labels.repeat_interleave(torch.from_numpy(np.diff(offsets)))[detected]
net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
for _ in range(epochs):
    for some in torch.randperm(len(own)).split(batch):
        loss = loss_of(net(own[some])[:, 0], wanted[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    net(own)
mlp, grew = time.perf_counter() - began, peak() - before


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        dense = lambda a, b: [nn.Linear(a, b), nn.ReLU(), nn.Dropout(0.2)]
        self.norm, self.found = nn.LayerNorm(width), nn.LayerNorm(width)
        self.scorer = nn.Sequential(*dense(width, 128), nn.Linear(128, 1))
        self.classifier = nn.Sequential(*dense(width, 256), *dense(256, 128), nn.Linear(128, 1))

    def forward(self, x, mask):
        scores = self.scorer(self.norm(x))[..., 0] / 2
        weights = scores.masked_fill(~mask, -torch.inf).softmax(1)
        return self.classifier(self.found((weights[..., None] * x).sum(1)))[:, 0]


def batches(samples):
    samples = sorted(samples, key=lambda sample: offsets[sample + 1] - offsets[sample])
    for at in range(0, len(samples), 32):
        some = samples[at : at + 32]
        texts = [rows[offsets[i] : offsets[i + 1]] for i in some]
        masks = [detected[offsets[i] : offsets[i + 1]] for i in some]
        pad = nn.utils.rnn.pad_sequence
        yield pad(texts, batch_first=True), pad(masks, batch_first=True), labels[some]


drawn = torch.randperm(len(labels)).tolist()
cut = len(drawn) // 5
net = Attention()
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-4, weight_decay=1e-3)
seconds = []
for _ in range(1 + attention_epochs):
    began = time.perf_counter()
    net.train()
    for x, mask, target in batches(drawn[cut:]):
        loss = loss_of(net(x, mask), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        for x, mask, target in batches(drawn[:cut]):
            loss_of(net(x, mask), target)
    seconds.append(time.perf_counter() - began)
# the first also warms up
epoch = sum(seconds[1:]) / attention_epochs
print(json.dumps({"mlp": mlp, "epoch": epoch, "grew": grew, "read": read}))
