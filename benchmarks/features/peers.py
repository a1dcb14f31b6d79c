"""Part `peers`: the command beside other ways to come to such a table."""

import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from features import ours
from features.markdown import table
from features.measure import Run, RunError, interleaved
from features.midnight import MidnightTrial
from features.shops import Shop
from features.tools import Peer, peers_of

__all__ = ["peers"]

OURS = "churn features"
BACK_DAYS = 182  # from the end of the data, so that there is a future to leave out
HEADS = ("tool", "customers", "features", "seconds", "ratio", "peak MiB", "order at midnight is")


def peers(
    shops: Mapping[int, Shop], work: Path, rounds: int, *, python: str | None, full: bool
) -> str:
    """The table; a slow tool runs on the smaller shops, and on the largest if `full`.

    Ratios are to our own command on the largest shop.
    """
    comparison = Comparison(shops, work / "peers", rounds)
    absent = {peer: why for peer in peers_of(python) if (why := comparison.absence(peer))}
    present = [peer for peer in peers_of(python) if peer not in absent]
    rows = comparison.quick_rows([peer for peer in present if not peer.slow])
    for peer in (peer for peer in present if peer.slow):
        rows += comparison.slow_rows(peer, full=full)
    rows += [(peer.name, "", "", why, "", "", "") for peer, why in absent.items()]
    return table(HEADS, rows)


class Comparison:
    """The shops, from the smallest to the largest, and the time that our command took."""

    def __init__(self, shops: Mapping[int, Shop], work: Path, rounds: int) -> None:
        self._shops = shops
        self._work = work
        self._rounds = rounds
        self._trial = MidnightTrial(work / "midnight")
        self._midnight: dict[str, str] = {}
        self._largest = max(shops)
        self._floor = 0.0

    def absence(self, peer: Peer) -> str:
        """Why a tool is not compared; empty where it has written the table of a small trial."""
        if not peer.version():
            return "not installed"
        try:
            self._midnight[peer.name] = self._trial.meaning(peer.command)
        except RunError as failure:
            print(failure, file=sys.stderr)
            return "does not run"
        return ""

    def quick_rows(self, peers: list[Peer]) -> list[tuple[str, ...]]:
        """Ours and every quick tool, on the largest shop, in turn."""
        commands = {OURS: self._our_command()}
        commands |= {peer.name: self._command(peer, self._largest) for peer in peers}
        runs = interleaved(commands, self._rounds)
        self._floor = runs[OURS].seconds
        rows = [self._row(OURS, OURS, self._largest, runs[OURS], ours.feature_count(runs[OURS]))]
        return rows + [self._measured_row(peer, self._largest, runs[peer.name]) for peer in peers]

    def slow_rows(self, peer: Peer, *, full: bool) -> list[tuple[str, ...]]:
        """A slow tool on each shop, once; on the largest by the line through the others."""
        sizes = sorted(self._shops)
        seconds, rows = {}, []
        for size in sizes if full else sizes[:-1]:
            [run] = interleaved({f"{peer.name}, {size:,}": self._command(peer, size)}, 1).values()
            seconds[size] = run.seconds
            rows.append(self._measured_row(peer, size, run))
        return rows if full else [*rows, self._extrapolated(peer, seconds)]

    def _our_command(self) -> list[str]:
        shop = self._shops[self._largest]
        self._midnight[OURS] = self._trial.meaning(
            lambda _, day, out: ours.command(self._trial.configuration(), day, out)
        )
        out = self._work / "ours.parquet"
        return ours.command(shop.configuration(self._work), _cutoff(shop), out)

    def _command(self, peer: Peer, size: int) -> list[str]:
        shop = self._shops[size]
        return peer.command(shop.orders, _cutoff(shop), self._work / f"{peer.package}.parquet")

    def _measured_row(self, peer: Peer, size: int, run: Run) -> tuple[str, ...]:
        title = f"{peer.name} {peer.version()}"
        return self._row(peer.name, title, size, run, run.facts["features"])

    def _row(self, name: str, title: str, size: int, run: Run, features: int) -> tuple[str, ...]:
        ratio = f"{run.seconds / self._floor:.2f}" if size == self._largest else ""
        figures = (f"{run.seconds:.2f}", ratio, f"{run.peak_mib:,.0f}")
        return title, f"{size:,}", str(features), *figures, self._midnight[name]

    def _extrapolated(self, peer: Peer, seconds: Mapping[int, float]) -> tuple[str, ...]:
        (low, fast), (high, slow) = list(seconds.items())[-2:]
        reached = slow + (slow - fast) / (high - low) * (self._largest - high)
        name = f"{peer.name}, extrapolated"
        ratio = f"{reached / self._floor:.0f}"
        return name, f"{self._largest:,}", "", f"{reached:.0f}", ratio, "", ""


def _cutoff(shop: Shop) -> date:
    return shop.end - timedelta(days=BACK_DAYS)
