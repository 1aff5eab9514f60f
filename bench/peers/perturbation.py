"""The perturbation model in torch, written from its definition: how well it learns, and how fast, beside perturbation benches.

    python3 perturbation.py FOLDER learn OPTIONS   reads counts, ids, doses, covariates, combinations, splits (.npy)
    python3 perturbation.py FOLDER speed OPTIONS   reads counts and the rest of a batch

Prints a line of JSON. One thread: processor seconds are then what a cell costs.
"""

import json
import resource
import sys
import time

import numpy as np
import torch

torch.set_num_threads(1)
functional = torch.nn.functional
EPSILON = 1e-8
CLASSIFIER = [64, 64, 64]


def stack(widths, dropout=0.0):
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [
            torch.nn.Linear(before, after),
            torch.nn.BatchNorm1d(after, momentum=0.01, eps=1e-3),
            torch.nn.ReLU(),
        ]
        if dropout > 0:
            layers.append(torch.nn.Dropout(dropout))
    return torch.nn.Sequential(*layers)


class Model(torch.nn.Module):
    """With the head that the original computes and leaves: its cost is part of the original's."""

    def __init__(self, genes, perturbations, levels, options):
        super().__init__()
        latent, width = options["latent"], options["width"]
        hidden = [width] * options["layers"]
        self.encoder = stack([genes, *hidden])
        self.basal = torch.nn.Linear(width, latent)
        self.perturbations = torch.nn.Embedding(perturbations, latent, padding_idx=0)
        self.covariates = torch.nn.ModuleList(torch.nn.Embedding(own, latent) for own in levels)
        self.decoder = stack([latent, *hidden])
        self.mean = torch.nn.Linear(width, genes)
        self.left = torch.nn.Linear(width, genes)
        self.dispersions = torch.nn.Parameter(torch.randn(genes))

    def forward(self, batch):
        counts, ids, doses, covariates = batch["counts"], batch["ids"], batch["doses"], batch["covariates"]
        library = torch.log(counts.sum(1, keepdim=True))
        basal = self.basal(self.encoder(torch.log1p(counts)))
        latent = basal + (self.perturbations(ids) * doses[..., None]).sum(1)
        for table, own in zip(self.covariates, covariates.T):
            latent = latent + table(own)
        hidden = self.decoder(latent)
        self.left(hidden)
        return basal, torch.exp(library) * torch.softmax(self.mean(hidden), -1)

    def loss(self, counts, means):
        theta = torch.exp(self.dispersions)
        log_sum = torch.log(theta + means + EPSILON)
        likelihood = (
            theta * (torch.log(theta + EPSILON) - log_sum)
            + counts * (torch.log(means + EPSILON) - log_sum)
            + torch.lgamma(counts + theta)
            - torch.lgamma(theta)
            - torch.lgamma(counts + 1)
        )
        return -likelihood.sum(1).mean()


class Trainer:
    def __init__(self, data, options):
        self.data = data
        self.options = options
        levels = [int(own.max()) + 1 for own in data["covariates"].T]
        self.model = Model(data["counts"].shape[1], int(data["ids"].max()) + 1, levels, options)
        classes = [data["combinations"], *data["covariates"].T]
        self.classes = [own for own in classes if own.max() > 0]
        self.weights = []
        for own in self.classes:
            counts = torch.bincount(own)
            self.weights.append(len(own) / counts.float() - 1)
        latent = options["latent"]
        self.classifiers = torch.nn.ModuleList(
            torch.nn.Sequential(stack([latent, *CLASSIFIER], 0.1), torch.nn.Linear(CLASSIFIER[-1], len(own)))
            for own in self.weights
        )
        self.adam = torch.optim.Adam(self.model.parameters(), 5e-4, weight_decay=1e-6)
        self.opposing = torch.optim.Adam(self.classifiers.parameters(), 3e-4, weight_decay=4e-7)

    def batch(self, cells):
        return {
            name: self.data[name][cells] for name in ("counts", "ids", "doses", "covariates")
        } | {"classes": [own[cells] for own in self.classes]}

    def entropy(self, logits, classes, weights):
        return functional.cross_entropy(logits, classes, weight=weights)

    def step(self, batch, improves, opposes, coupling):
        basal, means = self.model(batch)
        loss = self.model.loss(batch["counts"], means)
        judged = list(zip(self.classifiers, batch["classes"], self.weights))
        if improves:
            total = loss
            if coupling > 0:
                total = loss - coupling * sum(self.entropy(net(basal), own, by) for net, own, by in judged)
            self.adam.zero_grad()
            total.backward()
            self.adam.step()
        if opposes:
            fixed = basal.detach().requires_grad_(True)
            total = 0
            for net, own, by in judged:
                logits = net(fixed)
                (slope,) = torch.autograd.grad(logits.sum(), fixed, create_graph=True)
                total = total + self.entropy(logits, own, by) + self.options["penalty"] * (slope**2).mean()
            self.opposing.zero_grad()
            total.backward()
            self.opposing.step()
        return float(loss)


def r_squared(prediction, truth):
    return float(1 - ((truth - prediction) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def learn(data, options):
    torch.manual_seed(options["seed"])
    random = np.random.RandomState(options["seed"])
    splits = data["splits"].numpy()
    training, validation = np.flatnonzero(splits == 0), np.flatnonzero(splits == 1)
    trainer = Trainer(data, options)
    steps, pretraining = options["adversarySteps"], options["pretraining"]
    for epoch in range(options["epochs"]):
        trainer.model.train()
        trainer.classifiers.train()
        losses = []
        order = random.permutation(training)
        for place, first in enumerate(range(0, len(order), options["batchSize"])):
            both = epoch < pretraining or steps == 0
            improves = both or place % steps == 0
            coupling = 0 if epoch < pretraining else options["coupling"]
            batch = trainer.batch(torch.from_numpy(order[first : first + options["batchSize"]]))
            losses.append(trainer.step(batch, improves, both or not improves, coupling))
    trainer.model.eval()
    cells = torch.from_numpy(validation)
    with torch.no_grad():
        batch = trainer.batch(cells)
        means = trainer.model(batch)[1]
        recon = float(trainer.model.loss(batch["counts"], means))
    # every condition and covariate: the original's categories
    keys = torch.cat([data["ids"][cells].double(), data["doses"][cells].double(), data["covariates"][cells].double()], 1)
    categories = torch.unique(keys, dim=0, return_inverse=True)[1]
    scores = []
    for own in range(int(categories.max()) + 1):
        wanted = categories == own
        predicted, true = torch.log1p(means[wanted]), torch.log1p(batch["counts"][wanted])
        scores.append((r_squared(predicted.mean(0), true.mean(0)), r_squared(predicted.var(0), true.var(0))))
    r2_mean, r2_var = np.mean(scores, 0)
    return {"training": float(np.mean(losses)), "recon": recon, "r2Mean": r2_mean, "r2Var": r2_var}


def speed(data, options):
    torch.manual_seed(0)
    trainer = Trainer(data, options)
    batch = trainer.batch(torch.arange(len(data["counts"])))
    trainer.model.train()
    cells = len(data["counts"])

    def seconds(run):
        run()
        run()
        times = []
        for _ in range(options["repeats"]):
            began = time.process_time()
            run()
            times.append(time.process_time() - began)
        return sorted(times)[len(times) // 2]

    improve = seconds(lambda: trainer.step(batch, True, False, 1))
    oppose = seconds(lambda: trainer.step(batch, False, True, 1))
    trainer.model.eval()
    with torch.no_grad():
        predict = seconds(lambda: trainer.model(batch))
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "autoencoder": cells / improve,
        "adversary": cells / oppose,
        "schedule": 3 * cells / (improve + 2 * oppose),
        "predict": cells / predict,
        "residentBytes": peak,
        "torch": torch.__version__,
    }


folder, what, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
KINDS = {"counts": "f4", "doses": "f4"}
data = {}
for name in ("counts", "ids", "doses", "covariates", "combinations", "splits"):
    values = np.load(f"{folder}/{name}.npy").astype(KINDS.get(name, "i8"))
    data[name] = torch.from_numpy(values)
print(json.dumps({"learn": learn, "speed": speed}[what](data, options)))
