from churn.data.audit import TableAudit
from churn.results.job_result import JobResult

ORDERS = TableAudit("orders", 10, {"without a readable amount": 1}, ("a note",), ("a warning",))


def test_warnings_of_tables_come_before_those_of_the_command():
    result = JobResult(command="plan", audits={"orders": ORDERS}, warnings=("dry",))
    assert result.all_warnings == ("orders: a warning", "dry")
    assert result.to_dict()["warnings"] == ["orders: a warning", "dry"]


def test_rows_left_out_by_the_command_are_added_to_those_dropped_from_tables():
    result = JobResult(
        command="score",
        audits={"orders": ORDERS},
        left_out={"orders": {"objected": 2}, "customers": {}},
    )
    assert result.dropped == {"orders": {"without a readable amount": 1, "objected": 2}}
