"""Steps of the demo up to the plan, each one command, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from churn.commands.session import Progress, silent
from churn.results.job_result import JobResult

STEPS = 10
INDENT = 7

CAMPAIGNS = 3
DAYS_AHEAD = 28
USUAL_SEED = 7
VERDICTS = {
    "individual": "and for whom it works best",
    "average": "the same for all, as far as can be told",
}


class Say(Protocol):
    """Tells a reader something that stays."""

    def __call__(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        """Text in a style, so many columns from the left, a mark before each line."""


def nothing(text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
    """Tells nobody."""


@dataclass
class Story:
    """A demo in a folder, told step by step."""

    folder: Path
    say: Say = nothing
    progress: Progress = silent
    told: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The configuration of the shop."""
        return self.folder / "churn.toml"

    def path(self, name: str) -> Path:
        """A file of the shop's folder."""
        return self.folder / name

    def begin(self, title: str) -> None:
        """The next step."""
        self.told.append(title)
        self.say(f"\n{len(self.told):>2}/{STEPS}  {title}", style="bold")

    def command(self, words: str) -> None:
        """What one would type to do the same, in the shop's folder but for the first."""
        self.say(f"$ {words}", style="cyan", indent=INDENT)

    def tell(self, text: str) -> None:
        """What came of the step."""
        self.say(text, indent=INDENT)


def make_shop(story: Story, *, customers: int, seed: int, port: int) -> JobResult:
    """The shop, with the offers and the settings of the demo; mail goes to that port."""
    from churn.commands.simulate import simulate

    story.begin("A shop is made up")
    chance = "" if seed == USUAL_SEED else f" --seed {seed}"
    options = f"--customers {customers} --campaigns {CAMPAIGNS} --ahead {DAYS_AHEAD}{chance}"
    story.command(f"churn simulate {options} \\\n    --no-lines --out {story.folder}")
    story.command(f"cd {story.folder}")
    done = simulate(
        story.folder,
        customers=customers,
        seed=seed,
        lines=False,
        campaigns=CAMPAIGNS,
        ahead_days=DAYS_AHEAD,
        progress=story.progress,
    )
    _write_settings(story, port)
    story.tell(
        f"{done.rows['customers']:,} customers and {done.rows['orders']:,} orders in two years. "
        f"{CAMPAIGNS} campaigns are over, in which a lot decided for half of the customers who "
        f"gets an offer. {DAYS_AHEAD} days more are made up, and held back for step 9."
    )
    return done


def _write_settings(story: Story, port: int) -> None:
    folder = files("churn.commands.demo")
    settings = folder.joinpath("churn.toml").read_text(encoding="utf-8")
    written = story.config.read_text(encoding="utf-8") + settings.replace("{port}", str(port))
    story.config.write_text(written, encoding="utf-8")
    offers = folder.joinpath("offers.toml").read_text(encoding="utf-8")
    story.path("offers.toml").write_text(offers, encoding="utf-8")


def train_model(story: Story) -> JobResult:
    """The model that says who will stop buying."""
    from churn.commands.train import train

    story.begin("Who will stop buying? A model learns it from the past")
    story.command("churn train")
    done = train(story.config, progress=story.progress)
    story.tell(_judgement(done.metrics["judged"], done.metrics["log_loss_difference"]))
    gate = done.gate or {}
    word = "It beats the simple rules and speaks from now on."
    if gate.get("stand_in"):
        word = f"It does not beat the rule {gate['stand_in']}, which stands in for it."
    story.tell(word)
    return done


def _judgement(judged: list[dict[str, Any]], rivals: dict[str, Any]) -> str:
    found = {one["predictor"]: one for one in judged if one["group"] == "eligible"}
    best = min(rivals, key=lambda name: float(found[name]["log_loss"]))
    rows, model = found["model"]["rows"], found["model"]["roc_auc"]
    return (
        f"Judged on {rows:,} later cases that it had not seen: of two customers, one who stops and "
        f"one who stays, it names the right one in {model:.1%}. The best simple rule ({best}): "
        f"{found[best]['roc_auc']:.1%}."
    )


def learn_effects(story: Story) -> JobResult:
    """What each offer changes, from the campaigns that are over."""
    from churn.commands.effects import effects

    story.begin("What does an offer change? The past campaigns tell")
    story.command("churn effects")
    done = effects(story.config, progress=story.progress)
    for name, one in done.metrics["offers"].items():
        story.tell(f"{name + ':':<10}{_finding(one)}")
    return done


def _finding(one: dict[str, Any]) -> str:
    if "average" not in one:
        return "nothing is known: what the catalogue assumes holds"
    average = one["average"]
    keeps = f"keeps {100 * average['estimate']:+.1f} of 100 customers"
    return f"{keeps}, {VERDICTS.get(one['verdict'], one['verdict'])}"


def score_all(story: Story) -> JobResult:
    """Everybody's risk, and the money at stake."""
    from churn.commands.score import score

    story.begin("Everybody's risk, and the money at stake")
    story.command("churn score --out scores.parquet")
    done = score(story.config, out=story.path("scores.parquet"), progress=story.progress)
    story.tell(
        f"{done.rows['scores']:,} customers have a probability, a value at risk and reasons."
    )
    return done


def make_plan(story: Story) -> JobResult:
    """Who gets which offer."""
    from churn.commands.plan import plan

    story.begin("Who gets which offer, within a budget? And who is kept without?")
    out, scores = story.path("plan.parquet"), story.path("scores.parquet")
    story.command("churn plan --scores scores.parquet --out plan.parquet")
    done = plan(story.config, out=out, scores=scores, progress=story.progress)
    told = done.metrics
    offers = {name: count for name, count in told["offers"].items() if name != "none"}
    shares = ", ".join(f"{name} to {count:,}" for name, count in offers.items())
    story.tell(f"{sum(offers.values()):,} offers: {shares}. Nobody gets one who did not agree.")
    story.tell(
        f"Expected: {told['expected_gain']:,.0f} EUR of margin for {told['expected_cost']:,.0f} "
        f"EUR. {told['held_out']:,} customers are kept without by a lot: against them the offers "
        "are measured."
    )
    return done
