"""A model that was saved here, loaded in another environment.

Makes a second environment with uv, with this package, pandas 2 and an older scikit-learn, and has
it load one bundle in four ways: through `churn`, from MLflow's folder, by the predictor's file
alone, and with joblib. Each must repeat the scores to 1e-9 or refuse in words. Needs the package
registry, so no test runs it: `.venv/bin/python benchmarks/second_environment.py [BUNDLE]`.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import joblib
import pandas as pd

from churn.modeling import portable
from churn.modeling.bundle import load_bundle
from churn.modeling.model import ChurnModel
from churn.modeling.portable import OUTPUTS
from churn.modeling.registry.predictor import log_predictor, write_parts

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ("pandas>=2.2,<3", "scikit-learn>=1.6,<1.8")
LIBRARIES = ("pandas", "scikit-learn", "numpy", "lightgbm", "mlflow")
TOLERANCE = 1e-9
LOADER = """
import json, sys, warnings
from importlib.metadata import version
from pathlib import Path
import pandas as pd

warnings.simplefilter("ignore")
bundle, folder = Path(sys.argv[1]), Path(sys.argv[2])
rows = pd.read_parquet(folder / "rows.parquet")
said = pd.read_parquet(folder / "said.parquet")


def portable():
    space = {}
    exec((folder / "portable.py").read_text(), space)
    written = json.loads((folder / "parts" / "model.json").read_text())
    heads = {name: (folder / "parts" / f"{name}.txt").read_text() for name in written["heads"]}
    return space["PortableModel"](written["spec"], heads).predict(rows)


def pyfunc():
    import mlflow
    return mlflow.pyfunc.load_model(str(next(folder.rglob("MLmodel")).parent)).predict(rows)


def churn():
    import churn
    return churn.load_model(bundle).predict_frame(rows)


def with_joblib():
    import joblib
    return joblib.load(folder / "model.joblib").predict_frame(rows)


found = {}
for way in (portable, pyfunc, churn, with_joblib):
    try:
        now = way()
        same = list(now["probability_source"]) == list(said["probability_source"])
        numbers = [name for name in said if name != "probability_source"]
        gaps = (now[numbers].astype(float) - said[numbers].astype(float)).abs()
        holes = (now[numbers].isna() != said[numbers].isna()).to_numpy().any()
        found[way.__name__] = float(gaps.max().max()) if same and not holes else "other rows"
    except Exception as failure:
        found[way.__name__] = f"refused: {type(failure).__name__}: {failure}"
print(json.dumps({"versions": {n: version(n) for n in sys.argv[3].split(",")}, "found": found}))
"""


def main() -> None:
    """Prints both environments' versions and what became of each way; exit code 1 on a miss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", type=Path, default=ROOT / "models" / "champion")
    parser.add_argument("--environment", type=Path, help="Keep the environment there, or use it.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="second-environment-") as scratch:
        folder = Path(scratch)
        model = load_bundle(options.bundle)
        write_everything(model, options.bundle, folder)
        python = made(options.environment or folder / "environment")
        names = ",".join(LIBRARIES)
        command = [python, "-P", "-c", LOADER, options.bundle.resolve(), folder, names]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    told = json.loads(done.stdout.splitlines()[-1])
    show(told)
    sys.exit(any(isinstance(gap, float) and gap > TOLERANCE for gap in told["found"].values()))


def write_everything(model: ChurnModel, bundle: Path, folder: Path) -> None:
    """Rows, what this environment says of them, and the model in every form."""
    pointer = bundle.read_text().strip() if bundle.is_file() else bundle.name
    canaries = pd.read_parquet(bundle.parent / pointer / "canaries.parquet")
    rows = canaries.drop(columns=[f"said_{name}" for name in OUTPUTS])
    rows.to_parquet(folder / "rows.parquet")
    model.predict_frame(rows).to_parquet(folder / "said.parquet")
    (folder / "portable.py").write_text(Path(portable.__file__).read_text())
    write_parts(model, folder / "parts")
    joblib.dump(model, folder / "model.joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        import mlflow

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        place = (folder / "mlartifacts").as_uri()
        experiment = mlflow.create_experiment("second", artifact_location=place)
        with mlflow.start_run(experiment_id=experiment):
            log_predictor(mlflow, model)


def made(place: Path) -> Path:
    """The Python of an environment, made where there is none."""
    python = place / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python]
        subprocess.run([*install, ROOT, *OTHERS], check=True)
    return python


def show(told: dict[str, dict[str, object]]) -> None:
    """Two Markdown tables."""
    print("| | here | there |\n|---|---|---|")
    for name, there in told["versions"].items():
        print(f"| {name} | {version(name)} | {there} |")
    print("\n| way | largest difference |\n|---|---|")
    for way, gap in told["found"].items():
        print(f"| {way} | {gap if isinstance(gap, str) else f'{gap:.1e}'} |")


if __name__ == "__main__":
    main()
