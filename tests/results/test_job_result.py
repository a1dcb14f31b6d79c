from churn.data.audit import TableAudit
from churn.results.job_result import JobResult

ORDERS = TableAudit("orders", 10, {"without a readable amount": 1}, ("a note",), ("a warning",))


def test_what_the_tables_warn_of_comes_before_what_the_command_warns_of():
    result = JobResult(command="plan", audits={"orders": ORDERS}, warnings=("dry",))
    assert result.all_warnings == ("orders: a warning", "dry")
    assert result.to_dict()["warnings"] == ["orders: a warning", "dry"]


def test_rows_that_the_command_left_out_are_counted_beside_those_that_the_tables_lost():
    result = JobResult(
        command="score",
        audits={"orders": ORDERS},
        left_out={"orders": {"objected": 2}, "customers": {}},
    )
    assert result.dropped == {"orders": {"without a readable amount": 1, "objected": 2}}
