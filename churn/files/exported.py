"""Plans that were exported: what they offered stays a contact, also when another is made."""

import sqlite3

__all__ = ["EXPORTED", "keep_as_contacts", "ways_out"]

EXPORTED = "SELECT run_id FROM exported_plans WHERE campaign_id = ? AND as_of = ?"
"""The runs whose plans of a campaign and date were exported."""

_PLAN = "campaign_id = ? AND as_of = ?"
_REACHED = "state IN ('sending', 'sent', 'unknown')"


def keep_as_contacts(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> None:
    """Notes that the plan on record was exported.

    Another one of that campaign and date is forgotten once nothing stands that was made of it, but
    for customers who have a message of the campaign, or may have it.
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
        other = f"{_PLAN} AND run_id NOT IN (SELECT run_id FROM planned WHERE {_PLAN})"  # noqa: S608
        reached = f"SELECT customer_id FROM messages WHERE {_PLAN} AND {_REACHED}"  # noqa: S608
        connection.execute(
            f"DELETE FROM plans WHERE {other} AND customer_id NOT IN ({reached})",  # noqa: S608
            plan * 3,
        )
        connection.execute(f"DELETE FROM exported_plans WHERE {other}", plan * 2)  # noqa: S608


def ways_out(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> dict[str, str]:
    """The audiences to which a campaign's plan of that date stands as exported or sent, each with
    the run that did it last.
    """
    found = connection.execute(
        f"SELECT audience, run_id FROM exports WHERE {_PLAN} AND rows > 0 AND replaced_by IS NULL "  # noqa: S608
        "ORDER BY number",
        (campaign_id, as_of),
    )
    return dict(found.fetchall())
