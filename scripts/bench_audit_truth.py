#!/usr/bin/env python3
"""Does the audit tell the truth? Simulated embeddings with known leakage, the policy `strict`, many runs.

(a) no leakage: how often a false alarm; (b) noisy copies of training images: how often found; (c) labels related
to identities, nothing else: how often found; (d) a judge that sees nothing: always inconclusive; (e) how often
the 95 % intervals that a certificate prints hold the true value; (f) under `standard`, at the size that it is made
for: how often a release passes without leakage, and with it; and, so that silence is no virtue: a large release
without leakage passes `strict`.

    scripts/bench_audit_truth.py               all of it, about half an hour on two slow cores
    scripts/bench_audit_truth.py --quick       a tenth of the runs, some minutes
    scripts/bench_audit_truth.py --only f      one of the lines a to f

Exits with 1 if one of the promises is not kept.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from sface_data.auditing.checks.run import run_checks
from sface_data.auditing.policy import Policy, load_policy
from sface_data.auditing.simulation import Leak, World, simulate

WORLD = World()
NOT_SIMULATED = (
    "near-duplicates-pixels",
    "nearest-view",
    "same-kind",
    "known-judges",
)  # no pixels, no files
COMMON = World(classes=1000, images=20, authentic=20, control=1000, control_images=20, dimensions=128)
LARGE = World(classes=8000, images=5, authentic=5, control=8000, control_images=5, dimensions=128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices="abcdef", help="one of the lines; (b) and (c) come together")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    start = time.monotonic()
    kept = []
    with ProcessPoolExecutor(arguments.processes, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        lines = {"a": (no_leakage, 200), "bc": (leakage, 40), "d": (broken_judge, 20), "e": (coverage, 200)}
        for letters, (line, runs) in (lines | {"f": (common_size, 20)}).items():
            if arguments.only is None or arguments.only in letters:
                kept.append(line(pool.map, runs // scale))
    if not arguments.quick and arguments.only is None:
        kept.append(large_release())
    print(f"{time.monotonic() - start:.0f} s on {arguments.processes} processes")
    sys.exit(0 if all(kept) else 1)


class Measured(NamedTuple):
    """The interval of a check as a certificate prints it, and the two shares that a ratio is of."""

    value: float
    low: float
    high: float
    shares: tuple[float, ...] = ()


def one_run(
    world: World, leak: Leak, seed: int, policy: str = "strict"
) -> tuple[str, list[str], dict[str, Measured]]:
    """Verdict, names of the checks that failed, and what all have measured."""
    asked = load_policy(policy) if policy == "strict" else simulated(load_policy(policy))
    outcome = run_checks([simulate(world, leak, seed)], None, asked, seed, trials=5)
    failed = [check.finding.name for check in outcome.checks if check.verdict == "fail"]
    measured = {}
    for check in outcome.checks:
        interval, facts = check.finding.interval, check.finding.facts
        if interval is not None:
            kinds = [kind for kind in ("same_label", "different_label") if f"{kind}_matches" in facts]
            shares = tuple(facts[f"{kind}_matches"] / facts[kind] for kind in kinds)
            measured[check.finding.name] = Measured(interval.value, interval.low, interval.high, shares)
    return outcome.verdict, failed, measured


def no_leakage(many: Callable[..., Iterable], runs: int) -> bool:
    """(a)"""
    found = list(many(partial(one_run, WORLD, Leak()), range(runs)))
    alarms = sum(verdict == "fail" for verdict, _, _ in found)
    kept = alarms <= 0.05 * runs
    print(f"(a) no leakage, {runs} runs: {alarms} false alarms ({alarms / runs:.1%}; promised: at most 5 %)")
    names = Counter(name for _, failed, _ in found for name in failed)
    for name, count in names.items():
        print(f"      {name}: {count}")
    return kept


def leakage(many: Callable[..., Iterable], runs: int) -> bool:
    """(b) and (c)"""
    kept = True
    cases = [(f"(b) {share:.1%} noisy copies", Leak(copies=share), share >= 0.01) for share in (0.001, 0.01, 0.1)]
    cases += [
        (f"(c) labels related, cosine {related:g}", Leak(related=related), related >= 0.4)
        for related in (0.1, 0.2, 0.4)
    ]
    for name, leak, promised in cases:
        found = list(many(partial(one_run, WORLD, leak), range(1000, 1000 + runs)))
        detected = sum(verdict == "fail" for verdict, _, _ in found)
        aucs = np.mean([checks["same-label-auc"].value for _, _, checks in found])
        passes = sum(verdict == "pass" for verdict, _, _ in found)
        words = "promised: at least 95 %" if promised else "no promise"
        print(f"{name}, {runs} runs: found in {detected / runs:.1%} ({words}), passed in {passes / runs:.1%}")
        print(f"      same-label AUC {aucs:.3f}")
        for check, count in Counter(name for _, failed, _ in found for name in failed).most_common():
            print(f"      {check:24} {count / runs:.0%}")
        kept &= detected >= 0.95 * runs or not promised
    return kept


def broken_judge(many: Callable[..., Iterable], runs: int) -> bool:
    """(d)"""
    kept = True
    for leak in (Leak(), Leak(copies=0.1)):
        world = dataclasses.replace(WORLD, seen=False)
        found = many(partial(one_run, world, leak), range(2000, 2000 + runs))
        verdicts = Counter(verdict for verdict, _, _ in found)
        print(f"(d) broken judge, {leak.copies:.0%} copies, {runs} runs: {dict(verdicts)} (all inconclusive)")
        kept &= verdicts["inconclusive"] == runs
    return kept


def coverage(many: Callable[..., Iterable], runs: int) -> bool:
    """(e)"""
    kept = True
    margin = 0.0 if runs >= 200 else 0.07  # what fewer runs cannot tell
    for name, leak in (("no leakage", Leak()), ("labels related, cosine 0.2", Leak(related=0.2))):
        found = [checks for _, _, checks in many(partial(one_run, WORLD, leak), range(3000, 3000 + runs))]
        print(f"(e) 95 % intervals of certificates, {name}, {runs} runs (promised: at least 92 %)")
        for check in found[0]:
            measured = [each[check] for each in found if check in each]
            truth = true_value(measured)
            held = float(np.mean([each.low <= truth <= each.high for each in measured]))
            kept &= held >= 0.92 - margin
            print(f"      {check:24} {truth:10.4f} held by {held:.1%}")
    return kept


def common_size(many: Callable[..., Iterable], runs: int) -> bool:
    """(f)"""
    kept = True
    first = 4100  # below are the runs that a limit of the policy was chosen by
    for share, promised in ((0.0, "at least 90 % pass"), (0.01, "no promise"), (0.05, "none passes")):
        run = partial(one_run, COMMON, Leak(copies=share), policy="standard")
        verdicts = Counter(verdict for verdict, _, _ in many(run, range(first, first + runs)))
        print(f"(f) standard, 1,000 x 20, {share:.0%} noisy copies, {runs} runs: {dict(verdicts)} ({promised})")
        kept &= verdicts["pass"] >= 0.9 * runs if share == 0 else share < 0.05 or verdicts["pass"] == 0
    return kept


def true_value(measured: list[Measured]) -> float:
    """What all runs together say, which is close enough to the truth."""
    if all(each.shares for each in measured):
        same, different = np.mean([each.shares for each in measured], axis=0)
        return float(same / different)
    return float(np.mean([each.value for each in measured]))


def large_release() -> bool:
    """A release large enough to show that nothing leaks."""
    outcome = run_checks([simulate(LARGE, Leak(), 1)], None, simulated(load_policy("strict")), 1)
    print(
        f"no leakage, {LARGE.classes:,} classes x {LARGE.images}, control of as many people: {outcome.verdict} "
        "(strict, but for pixels)"
    )
    for check in outcome.checks:
        if check.verdict != "pass":
            print(f"      {check.finding.name}: {check.verdict}, {check.reason}")
    return outcome.verdict == "pass"


def simulated(policy: Policy) -> Policy:
    """The policy without checks of what simulated faces have not."""
    checks = {name: limit for name, limit in policy.checks.items() if name not in NOT_SIMULATED}
    return dataclasses.replace(policy, checks=checks)


if __name__ == "__main__":
    main()
