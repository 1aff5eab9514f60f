"""Batches of windows in Python, from the command line of Sluice: dicts of numpy arrays.

    sluice windows stream pusht --frames observation.state --keys action=0:8 --size 2 --epochs 10 | python train.py

    from sluice_batches import batches

    for batch in batches():
        step(batch["frames"], batch["action"], batch["action_mask"])
"""

import json
import sys

from numpy.lib.format import read_array


class _Pipe:
    """What numpy reads from piece by piece: a file it would ask where it stands, which a pipe does not know."""

    def __init__(self, file):
        self.read = file.read


def batches(file=None):
    """Yields a dict of each batch that the file brings, stdin if there is none."""
    file = file or sys.stdin.buffer
    pipe = _Pipe(file)
    if not file.peek(1):
        return
    header = json.loads(bytes(read_array(pipe)))
    if header["format"] != 1:
        raise ValueError(f"Cannot read batches: their format is {header['format']}, wanted 1")
    while file.peek(1):
        yield {name: read_array(pipe) for name in header["arrays"]}
