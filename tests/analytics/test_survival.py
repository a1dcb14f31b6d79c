"""Kaplan-Meier: known curves, and the published medians of the lung cancer trial."""

import numpy as np
import pytest

from churn.analytics.survival import SurvivalCurve, kaplan_meier

# Days to death, and of those still alive, by sex: Loprinzi et al. (1994), R's survival::lung.
MEN_DIED = """
    11 11 11 12 13 13 15 26 30 31 53 53 54 59 60 65 65 71 81 88 88 92 93 95 105 107 110 116
    118 131 132 132 135 142 144 147 156 156 163 163 163 166 170 175 176 177 179 179 180 181
    181 183 189 197 202 207 210 212 218 222 223 229 230 239 246 267 269 270 283 284 285 286
    288 291 301 303 306 310 320 329 337 353 353 363 364 371 387 390 394 428 429 442 455 457
    460 477 519 524 533 558 567 574 583 613 624 643 655 689 707 791 814 883
"""
MEN_ALIVE = """
    174 185 188 191 196 197 221 222 225 225 237 259 279 284 292 300 301 303 404 413 444 458
    806 840 1010 1022
"""
WOMEN_DIED = """
    5 60 61 62 79 81 95 107 122 145 145 153 166 167 182 186 194 199 201 201 208 226 239 245
    268 285 293 305 310 340 345 348 350 351 361 363 371 426 433 444 450 473 520 524 550 641
    654 687 705 728 731 735 765
"""
WOMEN_ALIVE = """
    92 105 173 175 177 192 202 203 211 224 235 240 243 252 266 269 272 276 292 296 315 332
    356 364 376 382 384 511 511 529 543 551 559 588 740 821 965
"""


def curve(died, alive) -> SurvivalCurve:
    died, alive = (np.array([int(day) for day in text.split()]) for text in (died, alive))
    times = np.unique(np.concatenate([died, alive]))
    events, censored = (
        np.array([(days == time).sum() for time in times]) for days in (died, alive)
    )
    return kaplan_meier(times, events, censored, scale="log")


def test_the_medians_of_the_lung_trial_are_the_published_ones():
    men, women = curve(MEN_DIED, MEN_ALIVE), curve(WOMEN_DIED, WOMEN_ALIVE)
    assert (men.median, *men.median_interval) == (270, 212, 310)
    assert (women.median, *women.median_interval) == (426, 348, 550)


def test_a_curve_by_hand():
    """Five start; one leaves at 1, one at 2 is censored, one leaves at 2, two stay until 3."""
    found = kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([1, 1, 0]), np.array([0, 1, 2]))
    assert found.at_risk.tolist() == [5, 4, 2]
    assert found.survival.tolist() == pytest.approx([0.8, 0.6, 0.6])
    assert found.std_error[1] == pytest.approx(0.6 * np.sqrt(1 / (5 * 4) + 1 / (4 * 3)))
    assert np.isnan(found.median)
    assert found.at(2.5) == 1
    assert found.at(0.5) == -1


def test_without_anybody_there_is_no_median():
    assert np.isnan(kaplan_meier(np.array([]), np.array([], int), np.array([], int)).median)
