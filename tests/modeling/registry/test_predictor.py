"""The model as MLflow keeps it runs from its own folder, where nothing of ours can be imported."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_model

from churn.modeling import portable
from churn.modeling.registry.predictor import predictor_code, write_parts

# As in an environment that has numpy, pandas and lightgbm: this package and MLflow are not there,
# nor the scikit-learn of the training.
STRANGER = """
import json, sys
for name in ("churn", "mlflow", "sklearn", "pyarrow"):
    sys.modules[name] = None
from pathlib import Path
import pandas as pd
space = {}
exec(Path("portable.py").read_text(), space)
written = json.loads(Path("model/model.json").read_text())
heads = {name: Path(f"model/{name}.txt").read_text() for name in written["heads"]}
rows = pd.read_json("rows.json", orient="split", dtype=False, precise_float=True)
said = space["PortableModel"](written["spec"], heads).predict(rows)
said.to_json("said.json", orient="split", double_precision=15)
"""


@pytest.fixture(scope="module")
def rows():
    some = shop_dataset().rows.groupby("status").head(40).reset_index(drop=True)
    return some[["status", *shop_model().feature_names_]]


def test_the_predictor_alone_says_the_same_to_a_billionth(rows, tmp_path):
    """The same text runs here, in MLflow, and in any other program."""
    (tmp_path / "portable.py").write_text(Path(portable.__file__).read_text())
    write_parts(shop_model(), tmp_path / "model")
    rows.to_json(tmp_path / "rows.json", orient="split", double_precision=15)
    subprocess.run([sys.executable, "-c", STRANGER], check=True, cwd=tmp_path)
    said = pd.read_json(tmp_path / "said.json", orient="split", precise_float=True)
    assert set(rows["status"]) >= {"eligible", "lapsed"}
    pd.testing.assert_frame_equal(
        said, shop_model().predict_frame(rows), rtol=1e-9, atol=1e-9, check_dtype=False
    )


def test_the_code_that_mlflow_runs_is_python_and_names_nothing_of_ours():
    code = predictor_code()
    compile(code, "predictor", "exec")
    assert "import churn" not in code
    assert "from churn" not in code
    assert code.rstrip().endswith("set_model(Predictor())")


def test_every_head_has_its_hash_beside_the_rest(tmp_path):
    parts = write_parts(shop_model(), tmp_path / "model")
    written = json.loads((parts / "model.json").read_text())
    assert written["heads"].keys() == shop_model().heads_.keys()
    assert written["spec"] == json.loads(json.dumps(shop_model().spec()))
