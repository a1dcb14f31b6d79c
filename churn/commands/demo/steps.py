"""Steps of the demo up to the plan, each one command, and how they are narrated."""

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
DEFAULT_SEED = 7
VERDICTS = {
    "individual": "with individual differences",
    "average": "no individual differences found",
}


class Say(Protocol):
    """Prints text of the narration."""

    def __call__(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        """Prints text in a style, indented by `indent` columns, with a mark before each line."""


def nothing(text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
    """Prints nothing."""


@dataclass
class Story:
    """A demo in a folder, narrated step by step."""

    folder: Path
    say: Say = nothing
    progress: Progress = silent
    titles: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The configuration of the shop."""
        return self.folder / "churn.toml"

    def path(self, name: str) -> Path:
        """A file of the shop's folder."""
        return self.folder / name

    def begin(self, title: str) -> None:
        """Prints the title of the next step."""
        self.titles.append(title)
        self.say(f"\n{len(self.titles):>2}/{STEPS}  {title}", style="bold")

    def command(self, words: str) -> None:
        """Prints the command that does the same in the shop's folder."""
        self.say(f"$ {words}", style="cyan", indent=INDENT)

    def report(self, text: str) -> None:
        """Prints the result of the step."""
        self.say(text, indent=INDENT)


def make_shop(story: Story, *, customers: int, seed: int, port: int) -> JobResult:
    """The shop, with the offers and settings of the demo; e-mails go to the port."""
    from churn.commands.simulate import simulate

    story.begin("Simulate a shop")
    option = "" if seed == DEFAULT_SEED else f" --seed {seed}"
    options = f"--customers {customers} --campaigns {CAMPAIGNS} --ahead {DAYS_AHEAD}{option}"
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
    story.report(
        f"{done.rows['customers']:,} customers and {done.rows['orders']:,} orders in two years, "
        f"with {CAMPAIGNS} past campaigns in which offers were randomised for half of the "
        f"customers. Another {DAYS_AHEAD} days are simulated and held back for step 9."
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
    """The model that predicts who will stop buying."""
    from churn.commands.train import train

    story.begin("Train a model that predicts who will stop buying")
    story.command("churn train")
    done = train(story.config, progress=story.progress)
    story.report(_evaluation(done.metrics["judged"], done.metrics["log_loss_difference"]))
    gate = done.gate or {}
    outcome = "It beats the baselines and becomes the champion."
    if gate.get("stand_in"):
        outcome = f"It does not beat {gate['stand_in']}, which becomes the fallback model."
    story.report(outcome)
    return done


def _evaluation(judged: list[dict[str, Any]], rivals: dict[str, Any]) -> str:
    eligible = {
        metrics["predictor"]: metrics for metrics in judged if metrics["group"] == "eligible"
    }
    best = min(rivals, key=lambda name: float(eligible[name]["log_loss"]))
    rows, model = eligible["model"]["rows"], eligible["model"]["roc_auc"]
    return (
        f"Evaluated on {rows:,} later rows that it had not seen: AUC {model:.3f}, the best "
        f"baseline ({best}) {eligible[best]['roc_auc']:.3f}. AUC is the share of pairs of a "
        "churning and a staying customer that are ranked correctly."
    )


def learn_effects(story: Story) -> JobResult:
    """The effect of each offer, estimated from past campaigns."""
    from churn.commands.effects import effects

    story.begin("Estimate the effect of each offer from past campaigns")
    story.command("churn effects")
    done = effects(story.config, progress=story.progress)
    for name, finding in done.metrics["offers"].items():
        story.report(f"{name + ':':<10}{_finding(finding)}")
    return done


def _finding(finding: dict[str, Any]) -> str:
    if "average" not in finding:
        return "no data; the effect assumed in the catalogue is used"
    points = 100 * finding["average"]["estimate"]
    verdict = VERDICTS.get(finding["verdict"], finding["verdict"])
    return f"{points:+.1f} percentage points of retention, {verdict}"


def score_all(story: Story) -> JobResult:
    """The churn risk of every customer, and the money at stake."""
    from churn.commands.score import score

    story.begin("Score every customer")
    story.command("churn score --out scores.parquet")
    done = score(story.config, out=story.path("scores.parquet"), progress=story.progress)
    story.report(f"{done.rows['scores']:,} customers have a churn probability and a value at risk.")
    return done


def make_plan(story: Story) -> JobResult:
    """The offer of each customer, or none."""
    from churn.commands.plan import plan

    story.begin("Plan offers within a budget, with a holdout")
    out, scores = story.path("plan.parquet"), story.path("scores.parquet")
    story.command("churn plan --scores scores.parquet --out plan.parquet")
    done = plan(story.config, out=out, scores=scores, progress=story.progress)
    metrics = done.metrics
    offers = {name: count for name, count in metrics["offers"].items() if name != "none"}
    shares = ", ".join(f"{name} to {count:,}" for name, count in offers.items())
    story.report(f"{sum(offers.values()):,} offers: {shares}. Only customers with consent get one.")
    story.report(
        f"Expected: {metrics['expected_gain']:,.0f} EUR of incremental margin for "
        f"{metrics['expected_cost']:,.0f} EUR. {metrics['held_out']:,} customers form the "
        "randomised holdout, against which the offers are measured."
    )
    return done
