"""Kills of the commands that write models, estimated effects, scores, and the record in MLflow."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from forked import Forking, forking
from kill_counts import Count, Kills
from simulated_shop import MEMORYLESS_AS_OF, OFFERS, open_shop, simulated_orders

from churn.commands.simulate import simulate
from churn.errors import ModelError
from churn.modeling.bundle import load_bundle
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file
from churn.storage.publish import read_pointer
from churn.uplift.learnt import current_effects

__all__ = ["model_kills"]

CUSTOMERS = 60
STORE = "mlflow.db"
SCORES = "scores.parquet"
MORE = """
[churn]
horizon_days = 28
lookback_days = 56
[features]
families = ["acquisition", "loyalty"]
[tracking]
uri = "sqlite:///mlflow.db"
"""
RUNS = """
SELECT runs.status, tags.value, model_versions.version FROM runs
JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'model_id'
LEFT JOIN model_versions ON model_versions.run_id = runs.run_uuid
"""
UNFINISHED = """
SELECT name FROM runs WHERE status NOT IN ('FINISHED', 'FAILED')
UNION ALL SELECT name FROM logged_models WHERE status = 1
"""
ALIAS = """
SELECT tags.value FROM registered_model_aliases AS aliases
JOIN model_versions ON model_versions.version = aliases.version
JOIN tags ON tags.run_uuid = model_versions.run_id AND tags.key = 'model_id'
WHERE aliases.alias = 'champion'
"""


@contextmanager
def model_kills(folder: Path, count: Count) -> Iterator[Kills]:
    """A shop with a champion and one with contacts, whose commands can be killed."""
    scratch = folder / "scratch"
    scratch.mkdir()
    with forking("killed_model_runs", TMPDIR=str(scratch)) as warm:
        yield ModelKills(warm, folder, count, scratch=scratch)


class ModelKills(Kills):
    """Two shops, each made at its first kill: one with a stand-in for a model, one with contacts.

    `scratch` is where the killed processes keep their temporary files.
    """

    def __init__(self, warm: Forking, folder: Path, count: Count, *, scratch: Path) -> None:
        super().__init__(warm, folder, count)
        self.scratch = scratch

    def _trained(self) -> Path:
        """A copy of a shop whose model was trained and recorded."""
        model = self.folder / "trained"
        if not model.exists():
            orders = simulated_orders(CUSTOMERS, days=300, memoryless=True)
            config = open_shop(model, orders, tracking=f"sqlite:///{STORE}")
            self.warm.warm_up("train", config=str(config), as_of=MEMORYLESS_AS_OF)
            self.warm.warm_up("score", config=str(config), **_score_options(config))
        return self._copy_of(model)

    def _contacted(self) -> Path:
        """A copy of a shop with three campaigns behind it, and effects that were learnt."""
        model = self.folder / "contacted"
        if not model.exists():
            simulate(model, customers=500, seed=3, lines=False, campaigns=3)
            config = model / "churn.toml"
            config.write_text(config.read_text() + MORE)
            (model / "offers.toml").write_text(OFFERS)
            self.warm.warm_up("effects", config=str(config))
        return self._copy_of(model)

    def _copy_of(self, model: Path) -> Path:
        return Path(shutil.copytree(model, self._place())) / "churn.toml"

    def _train(self, moment: int) -> bool:
        """The champion has moved with its history or not at all; the next training moves it."""
        config, at = self._trained(), f"train at {moment}"
        models = config.parent / "models"
        before, options = read_pointer(models / "champion"), {"as_of": MEMORYLESS_AS_OF}
        killed = self._killed("train", moment, config, **options)
        self._check(config, at, lambda: _are_whole(models))
        between = read_pointer(models / "champion")
        assert not self._killed("train", None, config, **options)
        after = read_pointer(models / "champion")
        if after == between:
            self.count.lost.append(f"{at}: the next run moved no champion")
        with Ledger(config.parent / "ledger.db") as ledger:
            line = [move.model_id for move in ledger.promotions("models")]
            states = Counter(run.status for run in ledger.runs("train"))
        if line != list(dict.fromkeys([before, between, after])):
            self.count.lost.append(f"{at}: its history, {line}")
        if states["running"] or states["done"] < 2:
            self.count.lost.append(f"{at}: its runs, {states}")
        assert not self._killed("sync", None, config)
        self._look_at_store(config, at)
        self._look_for_litter(config, at)
        return killed

    def _sync(self, moment: int) -> bool:
        """From no store at all to one in which each bundle is on record once."""
        config, at = self._trained(), f"sync at {moment}"
        (config.parent / STORE).unlink()
        shutil.rmtree(config.parent / "mlartifacts")
        killed = self._killed("sync", moment, config)
        self._check(config, at, lambda: _are_whole(config.parent / "models"))
        assert not self._killed("sync", None, config)
        self._look_at_store(config, at)
        self._look_for_litter(config, at)
        return killed

    def _score(self, moment: int) -> bool:
        config, at = self._trained(), f"score at {moment}"
        out, options = config.parent / SCORES, _score_options(config)
        killed = self._killed("score", moment, config, **options)
        self._check(config, at, lambda: verify_file(out) is not None)
        before = verify_file(out)
        assert not self._killed("score", None, config, **options)
        after = verify_file(out)
        if after is None or after == before:
            self.count.lost.append(f"{at}: not written by the next run")
        self._look_for_litter(config, at)
        return killed

    def _effects(self, moment: int) -> bool:
        config, at = self._contacted(), f"effects at {moment}"
        place = config.parent / "models" / "effects"
        killed = self._killed("effects", moment, config)
        self._check(config, at, lambda: current_effects(place) is not None)
        before = read_pointer(place / "current")
        assert not self._killed("effects", None, config)
        if current_effects(place) is None or read_pointer(place / "current") == before:
            self.count.lost.append(f"{at}: not written by the next run")
        self._look_for_litter(config, at)
        return killed

    def _look_at_store(self, config: Path, at: str) -> None:
        """Every bundle has one version and one finished run; nothing is unfinished."""
        models = config.parent / "models"
        with closing(sqlite3.connect(config.parent / STORE)) as connection:
            runs = connection.execute(RUNS).fetchall()
            unfinished = [name for (name,) in connection.execute(UNFINISHED)]
            champion = [name for (name,) in connection.execute(ALIAS)]
        finished = Counter(name for status, name, _ in runs if status == "FINISHED")
        versions = Counter(name for _, name, version in runs if version is not None)
        bundles = {path.parent.name for path in models.glob("[!.]*/manifest.json")}
        if champion != [read_pointer(models / "champion")]:
            self.count.lost.append(f"{at}: MLflow's champion, {champion}")
        for name in bundles - versions.keys():
            self.count.lost.append(f"{at}: {name} has no version")
        for name in bundles:
            if finished[name] > 1 or versions[name] > 1:
                self.count.doubled.append(f"{at}: {name} in MLflow")
        self.count.litter += [f"{at}: {name} in MLflow is not finished" for name in unfinished]

    def _look_for_litter(self, config: Path, at: str) -> None:
        self.count.litter += [f"{at}: {path.name} in scratch" for path in self.scratch.iterdir()]
        shutil.rmtree(self.scratch)
        self.scratch.mkdir()
        super()._look_for_litter(config, at)


def _score_options(config: Path) -> dict[str, str]:
    return {"out": str(config.parent / SCORES), "as_of": MEMORYLESS_AS_OF}


def _are_whole(models: Path) -> bool:
    """Whether each bundle of a folder can be loaded."""
    try:
        for manifest in models.glob("[!.]*/manifest.json"):
            load_bundle(manifest.parent)
    except ModelError:
        return False
    return (models / "champion").exists()
