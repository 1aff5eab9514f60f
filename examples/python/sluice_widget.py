"""Decodes in the browser that shows a notebook, on the GPU of that machine; the kernel may be anywhere, as on Colab.

    import sluice_widget
    widget = sluice_widget.decode(position_times, position, spike_times, spike_units, bin_size=5, rate=50, unit="cm")
    widget                       # press its button; or widget.start()
    widget.mean                  # [time, dimensions], once widget.status is "done"

Wants numpy and anywidget. `sluice_widget.MODULE` is where the widget's code comes from: an address, or a file as
`npm i sluice` leaves it in node_modules/sluice/dist/anywidget.js.
"""

import anywidget
import numpy as np
import traitlets

MODULE = "https://cdn.jsdelivr.net/npm/sluice/dist/anywidget.js"


def _bytes(values):
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _camel(name):
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


class Decode(anywidget.AnyWidget):
    """Made by `decode()`. Its arrays are there once `status` is "done"; `error` says what went wrong."""

    position_times = traitlets.Bytes().tag(sync=True)
    position = traitlets.Bytes().tag(sync=True)
    spike_times = traitlets.Bytes().tag(sync=True)
    spike_units = traitlets.Bytes().tag(sync=True)
    dimensions = traitlets.Int(1).tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    progress = traitlets.Float(0).tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    facts = traitlets.Dict().tag(sync=True)
    _time = traitlets.Bytes().tag(sync=True)
    _mean = traitlets.Bytes().tag(sync=True)
    _state_probabilities = traitlets.Bytes().tag(sync=True)
    _posterior = traitlets.Bytes().tag(sync=True)

    def start(self):
        """Decodes, as the button does, in every view of it."""
        self.asked += 1

    def _rows(self, name, dtype, columns):
        return np.frombuffer(getattr(self, name), dtype).reshape(-1, columns)

    @property
    def time(self):
        """[time] seconds."""
        return np.frombuffer(self._time, "<f8")

    @property
    def mean(self):
        """[time, dimensions], in the unit of positions."""
        return self._rows("_mean", "<f8", self.facts["dimensions"])

    @property
    def state_probabilities(self):
        """[time, states]."""
        return self._rows("_state_probabilities", "<f4", self.facts["states"])

    @property
    def posterior(self):
        """[time, state bins], where `posterior=True` was asked for."""
        return self._rows("_posterior", "<f4", self.facts["bins"])


def decode(position_times, position, spike_times, spike_units, module=None, **options):
    """A widget that decodes `position` [samples] or [samples, 2]; options: bin_size, rate, states, movement_var,
    position_std, unit, budget, posterior."""
    position = np.asarray(position)
    esm = module or MODULE
    source = f'export {{ default }} from "{esm}";' if str(esm).startswith("http") else open(esm).read()
    kind = type("Decode", (Decode,), {"_esm": source})
    return kind(
        position_times=_bytes(position_times),
        position=_bytes(position),
        spike_times=_bytes(spike_times),
        spike_units=_bytes(spike_units),
        dimensions=1 if position.ndim == 1 else position.shape[1],
        options={_camel(name): value for name, value in options.items()},
    )
