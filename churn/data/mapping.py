"""Which column of a source is which of ours: found by name or by the settings, or missing."""

from collections.abc import Mapping

from churn.data.casts import source_columns
from churn.data.contracts import TableContract
from churn.data.settings import TableSource
from churn.data.text_layout import looks_like_data
from churn.data.where import Where
from churn.errors import DataError


def mapped_columns(
    contract: TableContract, types: dict[str, str], source: TableSource
) -> dict[str, str]:
    """Ours → theirs for every column of the contract that the source has.

    DataError if the source lacks a required column, or one that the mapping names.
    """
    known = {column.name for column in contract.columns}
    strange = sorted(set(source.columns) - known)
    if strange:
        rule = f"[data.{contract.name}.columns] maps only columns of the contract"
        raise DataError(rule, got=strange, fix=f"Known are {sorted(known)}.")
    wanted = {ours: source.columns.get(ours, ours) for ours in known}
    explicit = set(source.columns) | set(contract.required)
    lacking = {
        ours
        for ours in explicit
        if wanted[ours] not in types
        and any(name not in types for name in source_columns(wanted[ours], types))
    }
    if lacking:
        raise _lacks(contract, sorted(lacking), types)
    return {
        column.name: wanted[column.name]
        for column in contract.columns
        if column.name in explicit or wanted[column.name] in types
    }


def _lacks(contract: TableContract, lacking: list[str], types: dict[str, str]) -> DataError:
    if any(looks_like_data(name) for name in types):  # a header would not contain a customer
        rule = f"table {contract.name!r} must have a header with column names"
        fix = "Add a header row with the column names."
        return DataError(rule, got="a first row that looks like data", fix=fix)
    return DataError(
        f"table {contract.name!r} lacks column(s) {lacking}; it has {list(types)}",
        fix=f'Map it in [data.{contract.name}.columns], e.g. {lacking[0]} = "total".',
    )


def unused_columns(
    types: dict[str, str],
    mapped: Mapping[str, str],
    where: Where,
    unread: tuple[str, ...],
) -> tuple[str, ...]:
    """A note on the columns of the source that nothing reads."""
    used = used_columns(types, mapped, where)
    there = [name for name in types if not looks_like_data(name)]
    spare = [*(name for name in there if name not in used), *unread]
    return (f"ignored columns: {', '.join(spare)}",) if spare else ()


def used_columns(types: dict[str, str], mapped: Mapping[str, str], where: Where) -> set[str]:
    """The columns of the source that the mapping or the condition uses."""
    named = {name for theirs in mapped.values() for name in source_columns(theirs, types)}
    return named.union(where.columns)
