"""Plans that were exported: what they offered stays a contact, also when another is made."""

import sqlite3

__all__ = ["EXPORTED", "keep_as_contacts"]

EXPORTED = "SELECT run_id FROM exported_plans WHERE campaign_id = ? AND as_of = ?"
"""The runs whose plans of a campaign and date were exported."""

_PLAN = "campaign_id = ? AND as_of = ?"


def keep_as_contacts(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> None:
    """Notes that the plan on record was exported.

    Another one of that campaign and date is forgotten once nothing stands that was made of it.
    """
    plan = (campaign_id, as_of)
    connection.execute(
        f"INSERT OR IGNORE INTO exported_plans SELECT * FROM planned WHERE {_PLAN}",  # noqa: S608
        plan,
    )
    standing = connection.execute(
        "SELECT count(DISTINCT plan_digest) FROM exports "  # noqa: S608
        f"WHERE {_PLAN} AND replaced_by IS NULL",
        plan,
    )
    if standing.fetchone() == (1,):
        on_record = f"SELECT run_id FROM planned WHERE {_PLAN}"  # noqa: S608
        for table in ("plans", "exported_plans"):
            connection.execute(
                f"DELETE FROM {table} WHERE {_PLAN} AND run_id NOT IN ({on_record})",  # noqa: S608
                plan * 2,
            )
