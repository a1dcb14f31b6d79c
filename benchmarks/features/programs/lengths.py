"""The lengths of time that every table written by hand is measured in."""

WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
HORIZON_DAYS = 56
HALF_LIVES_DAYS = {
    "short": HORIZON_DAYS / 2,
    "medium": 1.5 * HORIZON_DAYS,
    "long": 4.0 * HORIZON_DAYS,
}
