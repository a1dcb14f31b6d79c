"""Faults to apply to the code, one at a time, each with the tests that must fail.

`python tests/shop/mutants.py` plants them in a copy of the tree and says which are caught; with
names it plants those alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """`old`, once in a file, becomes `new`; one of the tests must fail then."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """The source with the fault."""
        assert text.count(self.old) == 1, (
            f"{self.name}: {text.count(self.old)} times in {self.file}"
        )
        return text.replace(self.old, self.new)


PUBLISH = "tests/storage/test_publish.py"
PAGE = "tests/serving/test_unsubscribe.py"
SERVER = "tests/serving/test_server.py"
ACTING, ATTACKS = "tests/serving/test_acting.py", "tests/serving/test_attacks.py"
RACES = "tests/faults/test_races.py"
EMAIL = "tests/campaigns/delivery/test_email.py"

MUTANTS = (
    Mutant(
        "page without escaping",
        "churn/serving/pages.py",
        "autoescape=True",
        "autoescape=False",
        ("tests/serving/test_pages.py",),
    ),
    Mutant(
        "training not deterministic",
        "churn/modeling/boosting.py",
        '"deterministic": True',
        '"deterministic": False',
        ("tests/faults/test_edges.py",),
    ),
    Mutant(
        "bundle copied into place",
        "churn/storage/publish.py",
        "            temporary.rename(target)\n",
        "            shutil.copytree(temporary, target)\n",
        (PUBLISH,),
    ),
    Mutant(
        "bundle not synced",
        "churn/storage/publish.py",
        "            _sync_tree(temporary)\n",
        "",
        (PUBLISH,),
    ),
    Mutant(
        "leftovers of other bundles stay",
        "churn/storage/publish.py",
        "        _remove_all(_leftovers(target, of_any_name=True))\n",
        "",
        (PUBLISH,),
    ),
    Mutant(
        "temporary file stays after a failure",
        "churn/storage/publish.py",
        "_sync(target.parent)\n        finally:\n            _remove(temporary)\n\n\ndef check_",
        "_sync(target.parent)\n        finally:\n            pass\n\n\ndef check_",
        (PUBLISH,),
    ),
    Mutant(
        "old version missing from the manifest while it is replaced",
        "churn/storage/manifests.py",
        "[*_current_entries(target), entry]",
        "[entry]",
        ("tests/storage/test_manifests.py",),
    ),
    Mutant(
        "pointer moved without a look",
        "churn/storage/publish.py",
        "if expected is not ANY and current != expected:",
        "if False:",
        ("tests/commands/test_promotion.py",),
    ),
    Mutant(
        "lock follows links",
        "churn/storage/locks.py",
        "os.O_CREAT | os.O_NOFOLLOW |",
        "os.O_CREAT |",
        ("tests/storage/test_locks.py",),
    ),
    Mutant(
        "signature not compared",
        "churn/modeling/manifest.py",
        "if not hmac.compare_digest(value.encode(), _code(bare, key).encode()):",
        "if False:",
        ("tests/modeling/test_signing.py",),
    ),
    Mutant(
        "files may be read by SQL",
        "churn/data/engines/duck.py",
        'self._connection.execute("SET enable_external_access = false")',
        "pass",
        ("tests/data/engines/test_duck.py",),
    ),
    Mutant(
        "settings may be changed by SQL",
        "churn/data/engines/duck.py",
        'self._connection.execute("SET lock_configuration = true")',
        "pass",
        ("tests/data/engines/test_duck.py",),
    ),
    Mutant(
        "formulas in CSV",
        "churn/results/output.py",
        "return guarded(column.cast(pa.string()))",
        "return column.cast(pa.string())",
        ("tests/results/test_output.py",),
    ),
    Mutant(
        "two lengths of a request",
        "churn/serving/unsubscribe.py",
        'if {"content-length", "transfer-encoding"} <= set(request.headers):',
        "if False:",
        (PAGE,),
    ),
    Mutant(
        "a GET withdraws",
        "churn/serving/unsubscribe.py",
        'valid = await asyncio.to_thread(withdrawals.is_valid, request.path_params["token"])\n'
        "        return page(pages.question)",
        "valid = await asyncio.to_thread(\n"
        '            withdrawals.record, request.path_params["token"], "page"\n        )\n'
        "        return page(pages.question)",
        (PAGE,),
    ),
    Mutant(
        "a body of any length is waited for",
        "churn/serving/unsubscribe.py",
        "body = await asyncio.wait_for(request.body(), seconds)",
        "body = await request.body()",
        (PAGE,),
    ),
    Mutant(
        "silent sockets are kept",
        "churn/serving/server.py",
        "if len(silent) > MAX_SILENT:",
        "if False:",
        (SERVER,),
    ),
    Mutant(
        "everyone may send from the pages",
        "churn/serving/dashboard/access.py",
        'return self.role == "admin"',
        "return True",
        (ACTING,),
    ),
    Mutant(
        "forms of other sessions count",
        "churn/serving/dashboard/pages.py",
        'return own and site.sessions.token_holds(visit.session, form.get("csrf", ""))',
        "return own",
        (ATTACKS,),
    ),
    Mutant(
        "a check that is confirmed twice is sent twice",
        "churn/serving/dashboard/acts.py",
        "if known is not None:",
        "if False:",
        (ACTING,),
    ),
    Mutant(
        "small cells of cohorts are shown to viewers",
        "churn/serving/dashboard/tables.py",
        "return {**row, **dict.fromkeys(small)} if small else row",
        "return row",
        (ATTACKS,),
    ),
    Mutant(
        "heads of any length are read",
        "churn/serving/server.py",
        "> MAX_HEAD_BYTES:",
        "> 10**9:",
        (SERVER,),
    ),
    Mutant(
        "encoded words in a subject",
        "churn/campaigns/delivery/email.py",
        'return text.replace("=?", "= ?")',
        "return text",
        (EMAIL,),
    ),
    Mutant(
        "the erased are read before the run is on record",
        "churn/commands/session.py",
        "            self.check_erased()\n",
        "            pass\n",
        (RACES,),
    ),
    Mutant(
        "a plan that was replaced goes out",
        "churn/commands/export.py",
        "plan_run_id=planned.run_id",
        "plan_run_id=None",
        (RACES,),
    ),
    Mutant(
        "an empty ledger is made anew",
        "churn/storage/ledger_file.py",
        "    if empty:\n",
        "    if False:\n",
        ("tests/storage/test_ledger_file.py",),
    ),
    Mutant(
        "another key for the erased",
        "churn/storage/erasures.py",
        "if check is not None and not hmac.compare_digest(check[0], _check(key)):",
        "if False:",
        ("tests/storage/test_erasures.py",),
    ),
    Mutant(
        "plans and contacts are not added up",
        "churn/offers/frequency.py",
        "np.add.at(counts, customer[first], np.maximum(lacking, 0))",
        "pass",
        ("tests/offers/test_frequency.py",),
    ),
)


def is_caught(mutant: Mutant, tree: Path) -> bool:
    """Whether one of its tests fails in a tree that has the fault."""
    path = tree / mutant.file
    sound = path.read_text()
    path.write_text(mutant.planted(sound))
    options = ["-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider"]
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *mutant.tests],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            check=False,
        )
    finally:
        path.write_text(sound)
    assert ended.returncode in (0, 1), ended.stdout.decode()[-2000:]
    return ended.returncode == 1


def main() -> int:
    """Plants the faults, and prints which of them are caught."""
    wanted = [one for one in MUTANTS if not sys.argv[1:] or one.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        for name in ("churn", "tests"):
            shutil.copytree(ROOT / name, tree / name)
        shutil.copy(ROOT / "pyproject.toml", tree)
        caught = 0
        for mutant in wanted:
            found = is_caught(mutant, tree)
            caught += found
            print(f"{'caught  ' if found else 'SURVIVED'}  {mutant.name}", flush=True)
    print(f"{caught} of {len(wanted)} caught")
    return 0 if caught == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
