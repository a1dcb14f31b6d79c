"""How long BG/NBD and Gamma-Gamma take on a million customers, beside one pass of numpy.

    .venv/bin/python benchmarks/lifetime.py [CUSTOMERS]

The customers are simulated from the models themselves, with the parameters published for CDNOW.
One pass is the mean of the product of the arrays that the fit reads: the least that any program
which looks at every number once has to do. The best of three runs counts.
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from churn.features.lifetime import BGNBD
from churn.features.spend import GammaGamma

BUYING = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)  # weeks
SPENDING = GammaGamma(p=6.25, q=3.74, gamma=15.44)  # dollars
ROUNDS = 3

Arrays = tuple[np.ndarray, ...]


def purchases(customers: int, rng: np.random.Generator) -> Arrays:
    """Frequency, recency and age, in weeks of whole days, of customers of up to two years."""
    rate = rng.gamma(BUYING.r, 1 / BUYING.alpha, customers)
    dropout = rng.beta(BUYING.a, BUYING.b, customers)
    age = rng.integers(28, 731, customers) / 7
    frequency, recency, clock = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = np.arange(customers)
    while alive.size:
        clock[alive] += rng.standard_exponential(alive.size) / np.maximum(rate[alive], 1e-300)
        alive = alive[clock[alive] <= age[alive]]
        frequency[alive] += 1
        recency[alive] = clock[alive]
        alive = alive[rng.random(alive.size) > dropout[alive]]
    return frequency, np.floor(recency * 7) / 7, age


def spends(frequency: np.ndarray, rng: np.random.Generator) -> Arrays:
    """Purchase days, the first one counted, and the mean spend of each customer."""
    days = frequency + 1
    rate = rng.gamma(SPENDING.q, 1 / SPENDING.gamma, days.size)
    return days, rng.gamma(SPENDING.p * days) / rate / days


def seconds(work: Callable[[], object]) -> float:
    """The best wall time of a few runs."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def one_pass(arrays: Arrays) -> float:
    """A number that every value of the arrays had a part in."""
    product = arrays[0] * arrays[1]
    for array in arrays[2:]:
        product *= array
    return float(product.mean())


def main(customers: int) -> None:
    """Print the table."""
    rng = np.random.default_rng(7)
    history = purchases(customers, rng)
    spent = spends(history[0], rng)
    buying, spending = BGNBD.fit(*history), GammaGamma.fit(*spent)
    tasks: dict[str, tuple[Arrays, Callable[[], object]]] = {
        "BG/NBD fit": (history, lambda: BGNBD.fit(*history)),
        "BG/NBD expected purchases": (history, lambda: buying.expected_purchases(4, *history)),
        "Gamma-Gamma fit": (spent, lambda: GammaGamma.fit(*spent)),
        "Gamma-Gamma expected spend": (spent, lambda: spending.expected_mean_spend(*spent)),
    }
    print(f"{customers:,} customers")
    print(f"{'':<28}{'seconds':>9}{'one pass':>10}{'ratio':>8}")
    for name, (arrays, work) in tasks.items():
        took, floor = seconds(work), seconds(lambda arrays=arrays: one_pass(arrays))
        print(f"{name:<28}{took:>9.3f}{floor:>10.4f}{took / floor:>8.0f}")
    for truth, fitted in ((BUYING, buying), (SPENDING, spending)):
        print(f"simulated with {truth}\nfitted         {fitted}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
