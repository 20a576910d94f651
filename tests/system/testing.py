"""What the files in tests/ share."""
import itertools
from dataclasses import dataclass
from typing import Callable


@dataclass
class Test:
    """
    One promise to be proved. `run` gets a Run (see ./run), boots machines with it and notes what
    it finds; in_make_test is false for what only `make test-all` has the time for.
    """
    name: str
    run: Callable
    in_make_test: bool = True


def pairwise(**factors):
    """
    A small choice from all combinations in which any two values of any two factors meet: greedy,
    always the combination that brings most new pairs, so the same choice every time.
    """
    names = list(factors)
    rows = list(itertools.product(*factors.values()))

    def pairs(row):
        return set(itertools.combinations(zip(names, row), 2))

    open_pairs = set().union(*(pairs(row) for row in rows))
    while open_pairs:
        best = max(rows, key=lambda row: len(pairs(row) & open_pairs))
        open_pairs -= pairs(best)
        yield dict(zip(names, best))


def every(**factors):
    for row in itertools.product(*factors.values()):
        yield dict(zip(factors, row))
