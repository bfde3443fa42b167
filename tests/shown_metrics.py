"""All metrics that bley can export."""

import os

from bley.metrics import LIST_ANSWERS, REGISTRY
from bley.status import StateReport
from bley.web.process_metrics import ProcessMetrics
from bley.web.state_metrics import StateMetrics
from tests.fakes import WELL_LIST


def shown_metrics() -> dict[str, set[str]]:
    """Return the labels of each metric by name. A histogram's samples are one, without the bound of its buckets."""
    LIST_ANSWERS.labels("bl.example", "listed")
    state = StateReport([WELL_LIST], False, False, 1, {"writes": 1}, {"spf": 1}, {"tasks": 1})
    collectors = [REGISTRY, StateMetrics(state), ProcessMetrics({"main": os.getpid()})]
    shown: dict[str, set[str]] = {}
    for family in (family for collector in collectors for family in collector.collect()):
        names = [family.name] if family.type == "histogram" else [sample.name for sample in family.samples]
        labels = {label for sample in family.samples for label in sample.labels if label != "le"}
        shown |= dict.fromkeys(names, labels)
    return shown


def shown_samples() -> dict[str, set[str]]:
    """Return the samples in the form of Prometheus: a histogram is three."""
    samples: dict[str, set[str]] = {}
    histograms = {family.name for family in REGISTRY.collect() if family.type == "histogram"}
    for name, labels in shown_metrics().items():
        if name in histograms:
            samples |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            samples[name] = labels
    return samples
