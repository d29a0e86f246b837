"""An evaluation as text: a table, and another one beside published rows."""

from sface_data.recognition.evaluation import Evaluation
from sface_data.recognition.published import PUBLISHED, ROWS


def summary(evaluation: Evaluation) -> str:
    """What was measured, a benchmark a line, rates in percent."""
    head = ["benchmark", "pairs", "accuracy", "95 % interval", "EER"]
    head += [f"TMR@{_rate(point.far)}" for point in evaluation.results[0].tar_at_far]
    rows = []
    few = False
    for result in evaluation.results:
        verification = result.verification
        low, high = verification.interval
        rows.append(
            [
                result.benchmark.title,
                f"{len(result.benchmark):,}",
                f"{_percent(verification.accuracy)} +- {_percent(verification.deviation)}",
                f"{_percent(low)} to {_percent(high)}",
                _percent(result.roc.eer),
                *(_percent(point.tar) + ("*" if point.few else " ") for point in result.tar_at_far),
            ]
        )
        few = few or any(point.few for point in result.tar_at_far)
    notes = ["Accuracy: mean and standard deviation over ten folds, in percent."]
    if few:
        notes.append("* this false accept rate is less than 30 of the non-mated pairs: known only roughly.")
    return "\n".join([*_aligned(head, rows), *notes])


def comparison(evaluation: Evaluation) -> str:
    """Our accuracies and published ones, in percent, where a published benchmark was used; else nothing."""
    ours = {
        result.benchmark.name: 100 * result.verification.accuracy
        for result in evaluation.results
        if result.benchmark.name in PUBLISHED
    }
    if not ours:
        return ""
    head = ["accuracy in percent", *(PUBLISHED[name] for name in ours), "average of 5", "source"]
    average = None if evaluation.average is None else 100 * evaluation.average
    rows = [[evaluation.name, *(f"{value:.2f}" for value in ours.values()), _given(average), "measured here"]]
    for row in ROWS:
        values = [_given(row.accuracy.get(name)) for name in ours]
        rows.append([row.data, *values, _given(row.average), row.source])
    note = "Published rows: networks, data and alignment of the papers; - is not known here."
    return "\n".join([*_aligned(head, rows), note])


def _aligned(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table: the first column to the left, text columns too, figures to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(width) if index == 0 or head[index] == "source" else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f}"


def _given(percent: float | None) -> str:
    return "-" if percent is None else f"{percent:.2f}"


def _rate(rate: float) -> str:
    return f"{rate:.0e}".replace("e-0", "e-")
